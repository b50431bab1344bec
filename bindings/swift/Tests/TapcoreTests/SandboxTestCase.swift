import Foundation
import XCTest

@testable import Tapcore

/// Tests with a sandbox that runs beside them, and one phone: a folder and the keys of its hardware.
class SandboxTestCase: XCTestCase {
    private(set) var sandbox: Sandbox!
    private(set) var folder: URL!
    let keys = SoftwareKeyStore()

    override class func setUp() {
        // A sandbox that stops breaks the connections of the wallets that are still open. On iOS and macOS a broken
        // connection raises no signal, and Android ignores it; another host that is no Rust program must do so itself.
        signal(SIGPIPE, SIG_IGN)
    }

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

    func addCard(_ wallet: Wallet, _ number: String, scheme: String? = nil) async throws -> PaymentCard {
        let challenge = try await wallet.beginAddCard(number: number, expiry: "12/29", scheme: scheme)
        return try await wallet.finishAddCard(challengeId: challenge.id, code: try sandbox.smsCode())
    }

    /// A reader finds the first card of the directory and asks it to pay: the reader, and what the card answers,
    /// status word included.
    func askToPay(_ wallet: Wallet) throws -> (Reader, Data) {
        let reader = Reader()
        let directory = try transceive(wallet, reader.select(Reader.ppse))
        let aid = try XCTUnwrap(Reader.find(0x4F, in: directory))
        XCTAssertEqual([UInt8](aid), [0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x01])
        let application = try transceive(wallet, reader.select(aid))
        let list = try XCTUnwrap(Reader.find(0x9F38, in: application))
        return (reader, try answer(wallet, reader.processingOptions(list)))
    }

    /// The reader reads everything that the card's answer names.
    func readRecords(_ wallet: Wallet, _ reader: Reader, _ options: Data) throws {
        let locator = try XCTUnwrap(Reader.find(0x94, in: options))
        let records = reader.records(locator)
        XCTAssertFalse(records.isEmpty)
        for record in records {
            _ = try transceive(wallet, record)
        }
    }

    /// The last two bytes.
    func status(_ answer: Data) -> [UInt8] { [UInt8](answer.suffix(2)) }

    /// One APDU that must be answered at once and with 9000; answers what comes before the status word.
    private func transceive(_ wallet: Wallet, _ command: Data) throws -> Data {
        let bytes = try answer(wallet, command)
        XCTAssertEqual(status(bytes), [0x90, 0x00])
        return Data(bytes.dropLast(2))
    }

    /// One APDU; a wallet that is armed answers at once.
    private func answer(_ wallet: Wallet, _ command: Data) throws -> Data {
        guard case .now(let bytes) = wallet.processApdu(apdu: command) else {
            throw Sandbox.Failed(description: "the wallet was not armed")
        }
        return bytes
    }
}
