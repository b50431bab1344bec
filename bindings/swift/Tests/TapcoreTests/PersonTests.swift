import Foundation
import XCTest

@testable import Tapcore

/// The person at the phone, from Swift: PIN, finger, payment password, and what becomes of cards.
final class PersonTests: SandboxTestCase {
    private static let pin = "194917"

    func testThePinLocksAndUnlocks() async throws {
        let wallet = try await enrolledWallet()
        try await wallet.setPin(pin: Self.pin, proof: nil)
        try await wallet.lock()
        var status = try await wallet.status()
        XCTAssertEqual(status.refusal, .locked)
        let reason = await notVerified { try await wallet.unlock(proof: .pin(pin: "271828")) }
        XCTAssertEqual(reason, "pin_wrong")
        try await wallet.unlock(proof: .pin(pin: Self.pin))
        status = try await wallet.status()
        XCTAssertNil(status.refusal)
        XCTAssertEqual(status.pinTriesLeft, 10)
    }

    func testAFingerConfirmsOnePaymentAndANewOneNone() async throws {
        let wallet = try await enrolledWallet()
        try await wallet.setPin(pin: Self.pin, proof: nil)
        try await wallet.setUpVerification(proof: .pin(pin: Self.pin))
        let purpose = Purpose.payment(amountMinor: 1250, currency: "CNY")

        let request = try await wallet.beginVerification(purpose: purpose)
        XCTAssertThrowsError(try keys.unwrap(alias: request.alias, wrapped: request.wrapped))
        try await wallet.finishVerification(id: request.id, outcome: try keys.prompt(request))
        let confirm = {
            try await wallet.confirmPayment(
                amountMinor: 1250, currency: "CNY", payee: "Mapo Tofu House", verificationId: request.id)
        }
        let confirmation = try await confirm()
        XCTAssertFalse(confirmation.id.isEmpty)
        let again = await notVerified { _ = try await confirm() }
        XCTAssertEqual(again, "verification_over")

        let closed = try await wallet.beginVerification(purpose: purpose)
        do {
            try await wallet.finishVerification(id: closed.id, outcome: try keys.prompt(closed, closed: true))
            XCTFail("a closed prompt verified somebody")
        } catch let error as WalletError {
            XCTAssertEqual(error.code(), 3)
        }

        let void = try await wallet.beginVerification(purpose: purpose)
        keys.enrolNewFinger()
        let changed = await notVerified { [keys] in
            try await wallet.finishVerification(id: void.id, outcome: try keys.prompt(void))
        }
        XCTAssertEqual(changed, "biometric_changed")
        let status = try await wallet.status()
        XCTAssertTrue(status.biometricVoided)
    }

    func testWhatHoldsASecretDoesNotPrintIt() {
        XCTAssertEqual("\(PersonProof.pin(pin: Self.pin))", "PersonProof.Pin")
        XCTAssertEqual("\(PromptOutcome.unwrapped(key: Data(repeating: 7, count: 32)))", "PromptOutcome.Unwrapped")
        XCTAssertEqual("\(LinkCode(code: "271828", expiresAt: "2026-11-22T10:00:00Z"))", "LinkCode")
    }

    func testThePaymentPasswordConfirmsAPayment() async throws {
        let wallet = try await enrolledWallet()
        try await wallet.setPaymentPassword(password: "plum blossom")
        let confirmation = try await wallet.confirmWithPassword(
            amountMinor: 1250, currency: "CNY", payee: "Mapo Tofu House", password: "plum blossom")
        XCTAssertFalse(confirmation.id.isEmpty)
        let reason = await notVerified {
            _ = try await wallet.confirmWithPassword(
                amountMinor: 1250, currency: "CNY", payee: "Mapo Tofu House", password: "peach blossom")
        }
        XCTAssertEqual(reason, "password_wrong")
    }

    func testASuspendedCardIsResumedAndADeletedOneIsNot() async throws {
        let wallet = try await enrolledWallet()
        let challenge = try await wallet.beginAddCard(number: "6228480000000015", expiry: "12/29")
        let card = try await wallet.finishAddCard(challengeId: challenge.id, code: try sandbox.smsCode())
        try await wallet.suspendCard(tokenRef: card.tokenRef)
        var cards = try await wallet.cards()
        XCTAssertEqual(cards.map(\.state), [.suspended])
        _ = try await wallet.sync()
        try await wallet.resumeCard(tokenRef: card.tokenRef)
        cards = try await wallet.cards()
        XCTAssertEqual(cards.map(\.state), [.active])

        try await wallet.deleteCard(tokenRef: card.tokenRef)
        let status = try await wallet.status()
        XCTAssertEqual(status.cards, 0)
    }

    /// Why the person was not taken for verified; nil where they were.
    private func notVerified(_ work: () async throws -> Void) async -> String? {
        do {
            try await work()
        } catch WalletError.NotVerified(let reason, _) {
            return reason
        } catch {
            XCTFail("another refusal: \(error)")
        }
        return nil
    }
}
