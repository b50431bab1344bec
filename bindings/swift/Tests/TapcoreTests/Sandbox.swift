import Foundation

/// The other side of the counter, as a process of its own: provider, network, banks, acquirer.
final class Sandbox: @unchecked Sendable {
    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    /// One line of the sandbox's output; which of the fields there are depends on the event.
    private struct Event: Decodable {
        let event: String
        let provider: String?
        let acquirer: String?
        let ca: String?
        let code: String?
    }

    /// What a POS printed.
    struct Receipt: Decodable {
        let result: String
        let reason: String?
    }

    private struct Requested: Decodable {
        let code: String
    }

    private let process = Process()
    private let folder: URL
    private let arrived = NSCondition()
    private var events: [Event] = []

    /// Base address of the wallet provider.
    private(set) var provider = ""
    /// The only root that its certificates go back to.
    private(set) var caPem = ""
    /// Address and root as a POS is told them.
    private var acquirer: [String] = []

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("tapcore-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let build = ProcessInfo.processInfo.environment["TAPCORE_BUILD"] ?? "../../target/debug"
        process.executableURL = URL(fileURLWithPath: "\(build)/tapcore")
        process.arguments = ["sandbox", "--data", folder.appendingPathComponent("sandbox").path]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        Thread.detachNewThread { [weak self] in Self.read(output.fileHandleForReading) { self?.add($0) } }

        let ready = try next("ready")
        guard let provider = ready.provider, let acquirer = ready.acquirer, let ca = ready.ca else {
            throw Failed(description: "the sandbox did not say where it is")
        }
        self.provider = provider
        self.acquirer = ["--acquirer", acquirer, "--ca", ca]
        caPem = try String(contentsOfFile: ca, encoding: .utf8)
    }

    deinit { stop() }

    func stop() {
        if process.isRunning {
            process.terminate()
            process.waitUntilExit()
        }
        try? FileManager.default.removeItem(at: folder)
    }

    /// The provider's support desk lays a JSON merge patch over its policy; a phone follows with its next sync.
    func policy(_ patch: String) throws {
        let desk = Process()
        desk.executableURL = process.executableURL
        desk.arguments = [
            "sandbox", "policy", "--data", folder.appendingPathComponent("sandbox").path, "--patch", patch,
        ]
        // What results of it is not looked at.
        desk.standardOutput = FileHandle.nullDevice
        try desk.run()
        desk.waitUntilExit()
        guard desk.terminationStatus == 0 else { throw Failed(description: "the policy was not changed") }
    }

    /// A POS scans a payment code.
    func scan(_ code: String, amount: String) throws -> Receipt {
        try JSONDecoder().decode(Receipt.self, from: pos("scan", code, "--amount", amount))
    }

    /// A POS shows a code for a payment: what stands in it.
    func request(amount: String) throws -> String {
        try JSONDecoder().decode(Requested.self, from: pos("request", "--amount", amount)).code
    }

    /// What a POS prints.
    private func pos(_ arguments: String...) throws -> Data {
        let pos = Process()
        pos.executableURL = process.executableURL
        pos.arguments =
            ["pos", "--data", folder.appendingPathComponent("pos").path] + arguments + ["--json"] + acquirer
        let output = Pipe()
        pos.standardOutput = output
        try pos.run()
        let printed = output.fileHandleForReading.readDataToEndOfFile()
        pos.waitUntilExit()
        return printed
    }

    /// The newest code that a bank sent.
    func smsCode() throws -> String {
        guard let code = try next("sms").code else { throw Failed(description: "an SMS without a code") }
        return code
    }

    private static func read(_ output: FileHandle, line: (Data) -> Void) {
        var rest = Data()
        while case let chunk = output.availableData, !chunk.isEmpty {
            rest += chunk
            while let end = rest.firstIndex(of: 10) {
                line(rest[..<end])
                rest = Data(rest[(end + 1)...])
            }
        }
    }

    private func add(_ line: Data) {
        guard let event = try? JSONDecoder().decode(Event.self, from: line) else { return }
        arrived.lock()
        events.append(event)
        arrived.broadcast()
        arrived.unlock()
    }

    private func next(_ name: String) throws -> Event {
        let end = Date().addingTimeInterval(60)
        arrived.lock()
        defer { arrived.unlock() }
        while true {
            if let index = events.firstIndex(where: { $0.event == name }) {
                return events.remove(at: index)
            }
            if !arrived.wait(until: end) { throw Failed(description: "no \(name) from the sandbox") }
        }
    }
}
