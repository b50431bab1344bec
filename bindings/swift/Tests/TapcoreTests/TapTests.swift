import Foundation
import XCTest

@testable import Tapcore

/// Taps that wait for the person, and cards for the wallet of the phone's maker, from Swift.
final class TapTests: SandboxTestCase {
    private static let pin = "194917"

    func testATapSendsThePersonToThePhoneAndTheNextOnePays() async throws {
        try sandbox.policy(#"{"tap_verification":"always"}"#)
        let wallet = try await enrolledWallet()
        let heard = Heard()
        wallet.setObserver(observer: heard)
        let card = try await addCard(wallet, "6228480000000015")
        try await wallet.setPin(pin: Self.pin, proof: nil)
        // Brings keys that the person alone opens.
        _ = try await wallet.sync()

        let (_, refused) = try askToPay(wallet)
        XCTAssertEqual([UInt8](refused), [0x69, 0x86])
        wallet.deactivated()
        let wanted = try heard.next { (event) -> (token: String, amount: Int64, currency: String)? in
            guard case .personWanted(let token, let amount, let currency, _) = event else { return nil }
            return (token, amount, currency)
        }
        XCTAssertEqual(wanted.token, card.tokenRef)
        XCTAssertEqual(wanted.amount, 1250)

        let purpose = Purpose.payment(amountMinor: wanted.amount, currency: wanted.currency)
        let verified = try await wallet.verifyWithPin(pin: Self.pin, purpose: purpose)
        try await wallet.permitTap(verificationId: verified)
        let (reader, paid) = try askToPay(wallet)
        XCTAssertEqual(status(paid), [0x90, 0x00])
        // Card transaction qualifiers: verified on the device.
        XCTAssertEqual(Reader.find(0x9F6C, in: paid).map { [UInt8]($0) }, [0x00, 0x80])
        try readRecords(wallet, reader, paid)
        wallet.deactivated()
        let wasVerified = try heard.next { (event) -> Bool? in
            guard case .tap(_, _, _, _, _, _, _, _, let verified, _) = event else { return nil }
            return verified
        }
        XCTAssertTrue(wasVerified)

        let (_, again) = try askToPay(wallet)
        XCTAssertEqual([UInt8](again), [0x69, 0x86], "it served once")
    }

    func testTheChosenCardIsTheFirst() async throws {
        let wallet = try await enrolledWallet()
        let first = try await addCard(wallet, "6228480000000015", scheme: "unionpay")
        let second = try await addCard(wallet, "6228480000000023", scheme: "visa")
        try await wallet.setDefaultCard(tokenRef: second.tokenRef)
        let cards = try await wallet.cards()
        XCTAssertEqual(cards.map(\.scheme), ["visa", "unionpay"])
        // The other one alone, which `askToPay` expects.
        try await wallet.useCardNext(tokenRef: first.tokenRef)
        let (_, options) = try askToPay(wallet)
        XCTAssertEqual(status(options), [0x90, 0x00])
    }

    func testNoCardGoesToAMakerWhomTheNetworkDoesNotKnow() async throws {
        let wallet = try await enrolledWallet()
        let card = try await addCard(wallet, "6228480000000015")
        let key = try keys.createSigningKey(alias: "maker", challenge: Data())
        let ask = MakerAsk(
            maker: "maker-of-nothing", makerKey: key.publicKey, nonce: Data(count: 16), makerSignature: Data(count: 64))
        do {
            _ = try await wallet.passToMaker(tokenRef: card.tokenRef, ask: ask)
            XCTFail("a card was given to nobody")
        } catch WalletError.Rejected(let reason, _) {
            XCTAssertEqual(reason, "maker_unknown")
        }
    }
}

/// What a wallet tells, in its order, from threads of its own.
private final class Heard: WalletObserver, @unchecked Sendable {
    private let arrived = NSCondition()
    private var events: [WalletEvent] = []

    func onEvent(event: WalletEvent) {
        arrived.lock()
        events.append(event)
        arrived.broadcast()
        arrived.unlock()
    }

    /// What is picked of the next event that has it; those before it are passed over.
    func next<T>(_ pick: (WalletEvent) -> T?) throws -> T {
        let end = Date().addingTimeInterval(10)
        arrived.lock()
        defer { arrived.unlock() }
        while true {
            while !events.isEmpty {
                if let picked = pick(events.removeFirst()) { return picked }
            }
            if !arrived.wait(until: end) { throw Sandbox.Failed(description: "it was not told") }
        }
    }
}
