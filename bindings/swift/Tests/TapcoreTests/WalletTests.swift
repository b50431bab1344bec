import Foundation
import XCTest

@testable import Tapcore

/// A wallet used from Swift as an iOS app uses it, against a sandbox that runs beside it.
final class WalletTests: SandboxTestCase {
    func testAnEnrolledWalletWithACardIsTapped() async throws {
        let wallet = try await enrolledWallet()
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
        let wallet = try await enrolledWallet()
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

    func testLostDataSaysWhatHasBecomeOfIt() async throws {
        let before = try await enrolledWallet()
        try await before.shutDown()
        try Data(repeating: 0x5A, count: 9000).write(to: folder.appendingPathComponent("vault.db"))
        let wallet = try newWallet()
        do {
            _ = try await wallet.start()
            XCTFail("garbage was opened")
        } catch let error as WalletError {
            guard case .Corrupt(let reason, _) = error else { return XCTFail("another refusal: \(error)") }
            XCTAssertEqual(reason, .fileDamaged)
            XCTAssertEqual(error.code(), 9)
            XCTAssertEqual(error.reasonName(), "file_damaged")
        }
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
