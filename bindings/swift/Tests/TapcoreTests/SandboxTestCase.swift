import Foundation
import XCTest

@testable import Tapcore

/// Tests with a sandbox that runs beside them, and one phone: a folder and the keys of its hardware.
class SandboxTestCase: XCTestCase {
    private(set) var sandbox: Sandbox!
    private(set) var folder: URL!
    let keys = SoftwareKeyStore()

    override func setUpWithError() throws {
        sandbox = try Sandbox()
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("wallet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        sandbox.stop()
        try FileManager.default.removeItem(at: folder)
    }

    /// The wallet of this phone, not yet started.
    func newWallet() throws -> Wallet {
        let config = WalletConfig(dataDir: folder.path, appVersion: "0.1.0", production: false)
        return try Wallet(config: config, keyStore: keys, clock: SystemClock())
    }

    func startedWallet() async throws -> Wallet {
        let wallet = try newWallet()
        _ = try await wallet.start()
        return wallet
    }

    func enrolledWallet() async throws -> Wallet {
        let wallet = try await startedWallet()
        try await wallet.enrol(providerUrl: sandbox.provider, caPem: sandbox.caPem)
        return wallet
    }
}
