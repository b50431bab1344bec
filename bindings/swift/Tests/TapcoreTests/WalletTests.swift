import Foundation
import XCTest

@testable import Tapcore

/// A wallet used from Swift as an iOS app uses it, against a sandbox that runs beside it.
final class WalletTests: XCTestCase {
    private var sandbox: Sandbox!
    private var folder: URL!

    override func setUpWithError() throws {
        sandbox = try Sandbox()
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("wallet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        sandbox.stop()
        try FileManager.default.removeItem(at: folder)
    }

    func testAnEnrolledWalletWithACardIsTapped() async throws {
        let wallet = try await startedWallet()
        try await wallet.enrol(providerUrl: sandbox.provider, caPem: sandbox.caPem)
        let challenge = try await wallet.beginAddCard(number: "6228480000000015", expiry: "12/29")
        let card = try await wallet.finishAddCard(challengeId: challenge.id, code: try sandbox.smsCode())
        XCTAssertEqual(card.bank, "bank-a")

        let reader = Reader()
        let directory = try transceive(wallet, reader.select(Reader.ppse))
        let aid = try XCTUnwrap(Reader.find(0x4F, in: directory))
        XCTAssertEqual([UInt8](aid), [0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x01])
        let application = try transceive(wallet, reader.select(aid))
        let list = try XCTUnwrap(Reader.find(0x9F38, in: application))
        let options = try transceive(wallet, reader.processingOptions(list))
        XCTAssertEqual(Reader.find(0x9F26, in: options)?.count, 8)
        XCTAssertEqual(Reader.find(0x9F36, in: options).map { [UInt8]($0) }, [0, 1])
        let locator = try XCTUnwrap(Reader.find(0x94, in: options))
        let records = reader.records(locator)
        XCTAssertFalse(records.isEmpty)
        for record in records {
            _ = try transceive(wallet, record)
        }
        wallet.deactivated()

        // The journal is written off the path of the tap.
        let entry = try await eventually { try await wallet.statement().first { $0.state == .pending } }
        XCTAssertEqual(entry.amountMinor, 1250)
        XCTAssertEqual(entry.atc, 1)
    }

    func testAWalletThatIsNotEnrolledSaysSo() async throws {
        let wallet = try await startedWallet()
        let status = try await wallet.status()
        XCTAssertFalse(status.enrolled)
        do {
            _ = try await wallet.beginAddCard(number: "6228480000000015", expiry: "12/29")
            XCTFail("a card was added to a wallet without a provider")
        } catch WalletError.NotEnrolled(let detail) {
            XCTAssertFalse(detail.isEmpty)
        }
    }

    func testAWrongCodeIsRejectedWithItsReason() async throws {
        let wallet = try await startedWallet()
        try await wallet.enrol(providerUrl: sandbox.provider, caPem: sandbox.caPem)
        let challenge = try await wallet.beginAddCard(number: "6228480000000023", expiry: "12/29")
        let code = try sandbox.smsCode()
        do {
            _ = try await wallet.finishAddCard(challengeId: challenge.id, code: code == "000000" ? "000001" : "000000")
            XCTFail("a wrong code went through")
        } catch WalletError.Rejected(let reason, _) {
            XCTAssertEqual(reason, "sms_code_wrong")
        }
        let cards = try await wallet.cards()
        XCTAssertTrue(cards.isEmpty)
    }

    private func startedWallet() async throws -> Wallet {
        let config = WalletConfig(dataDir: folder.path, appVersion: "0.1.0", production: false)
        let wallet = try Wallet(config: config, keyStore: SoftwareKeyStore(), clock: SystemClock())
        _ = try await wallet.start()
        return wallet
    }

    /// One APDU that must be answered at once and with 9000; answers what comes before the status word.
    private func transceive(_ wallet: Wallet, _ command: Data) throws -> Data {
        guard case .now(let bytes) = wallet.processApdu(apdu: command) else {
            throw Sandbox.Failed(description: "the wallet was not armed")
        }
        XCTAssertEqual([UInt8](bytes.suffix(2)), [0x90, 0x00])
        return Data(bytes.dropLast(2))
    }

    private func eventually<T>(_ look: () async throws -> T?) async throws -> T {
        for _ in 0..<100 {
            if let found = try await look() { return found }
            try await Task.sleep(nanoseconds: 100_000_000)
        }
        throw Sandbox.Failed(description: "it did not happen")
    }
}
