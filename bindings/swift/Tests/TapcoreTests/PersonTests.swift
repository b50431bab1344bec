import Foundation
import XCTest

@testable import Tapcore

/// The person at the phone, from Swift: PIN, finger, payment password, and what becomes of cards.
final class PersonTests: XCTestCase {
    private static let pin = "194917"

    private var sandbox: Sandbox!
    private var folder: URL!
    private let keys = SoftwareKeyStore()

    override func setUpWithError() throws {
        sandbox = try Sandbox()
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("wallet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        sandbox.stop()
        try FileManager.default.removeItem(at: folder)
    }

    func testThePinLocksAndUnlocks() async throws {
        let wallet = try await enrolled()
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
        let wallet = try await enrolled()
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

    func testThePaymentPasswordConfirmsAPayment() async throws {
        let wallet = try await enrolled()
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
        let wallet = try await enrolled()
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

    private func enrolled() async throws -> Wallet {
        let config = WalletConfig(dataDir: folder.path, appVersion: "0.1.0", production: false)
        let wallet = try Wallet(config: config, keyStore: keys, clock: SystemClock())
        _ = try await wallet.start()
        try await wallet.enrol(providerUrl: sandbox.provider, caPem: sandbox.caPem)
        return wallet
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
