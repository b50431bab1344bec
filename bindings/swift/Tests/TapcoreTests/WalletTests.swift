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

        let (reader, options) = try askToPay(wallet)
        XCTAssertEqual(status(options), [0x90, 0x00])
        XCTAssertEqual(Reader.find(0x9F26, in: options)?.count, 8)
        XCTAssertEqual(Reader.find(0x9F36, in: options).map { [UInt8]($0) }, [0, 1])
        try readRecords(wallet, reader, options)
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

    private func eventually<T>(_ look: () async throws -> T?) async throws -> T {
        for _ in 0..<100 {
            if let found = try await look() { return found }
            try await Task.sleep(nanoseconds: 100_000_000)
        }
        throw Sandbox.Failed(description: "it did not happen")
    }
}
