import Foundation
import Tapcore
import XCTest

@testable import TapcoreShell

@MainActor
final class TapTests: XCTestCase {
    private let wallet = FakeWallet()
    private let prompt = FakePrompt()
    private let wanted = WalletEvent.personWanted(
        tokenRef: "tok_1", amountMinor: 1250, currency: "CNY", merchant: "Mapo Tofu House")
    private let purpose = Purpose.payment(amountMinor: 1250, currency: "CNY")

    private func model() -> TapModel {
        TapModel(wallet: wallet, prompt: prompt)
    }

    private func tap(_ outcome: TapOutcome, _ decision: TapDecision) -> WalletEvent {
        .tap(
            atc: 1, outcome: outcome, amountMinor: 1250, currency: "CNY", merchant: nil, country: "0156",
            tokenRef: "tok_1", atMs: 0, verified: true, decision: decision)
    }

    func testAFacePermitsWhatTheReaderAskedFor() async {
        let model = model()
        model.heed(wanted)
        await model.permitWithBiometry()
        XCTAssertTrue(model.isPermitted)
        XCTAssertEqual(wallet.permitted, [purpose])
        XCTAssertEqual(prompt.wipes, 1)
        let shown = prompt.reasons.first ?? ""
        XCTAssertTrue(shown.contains("12.50") && shown.contains("Mapo Tofu House"), shown)

        // The reader asks once more before the phone is away, then it is paid.
        model.heed(wanted)
        XCTAssertTrue(model.isPermitted)
        model.heed(tap(.complete, .online))
        XCTAssertNil(model.wanted)
        XCTAssertFalse(model.isPermitted)
    }

    func testAnotherAmountIsAskedForAnew() async {
        let model = model()
        model.heed(wanted)
        await model.permitWithBiometry()
        model.heed(.personWanted(tokenRef: "tok_1", amountMinor: 1251, currency: "CNY", merchant: nil))
        XCTAssertFalse(model.isPermitted)
        XCTAssertEqual(model.wanted?.amountMinor, 1251)
    }

    func testAWrongPinPermitsNothingAndIsForgottenByTheScreen() async throws {
        try await wallet.setPin(pin: "194917", proof: nil)
        let model = model()
        model.heed(wanted)
        model.pin = "271828"
        await model.permitWithPin()
        XCTAssertEqual(model.problem, "The PIN is wrong.")
        XCTAssertEqual(model.pin, "")
        XCTAssertFalse(model.isPermitted)
        model.pin = "194917"
        await model.permitWithPin()
        XCTAssertTrue(model.isPermitted)
        XCTAssertEqual(wallet.permitted, [purpose])
    }

    func testNothingIsPermittedThatNobodyAskedFor() async {
        let model = model()
        await model.permitWithBiometry()
        XCTAssertTrue(prompt.reasons.isEmpty)
        model.heed(wanted)
        model.dismiss()
        await model.permitWithBiometry()
        XCTAssertTrue(wallet.permitted.isEmpty)
    }

    func testWhatEndsTheStayAtAReader() async {
        XCTAssertEqual(tap(.complete, .online).paid, true)
        XCTAssertEqual(tap(.incomplete, .online).paid, false)
        XCTAssertEqual(tap(.complete, .declined).paid, false)
        XCTAssertEqual(wanted.paid, false)
        XCTAssertNil(WalletEvent.synced(newEntries: 1).paid)
    }

    func testTheMainScreenPassesEventsOn() async {
        let tap = model()
        let main = WalletModel(wallet: wallet) { tap.heed($0) }
        await main.start()
        wallet.observer?.onEvent(event: wanted)
        while tap.wanted == nil { await Task.yield() }
        await main.useNext(FakeWallet.card)
        await main.makeDefault(FakeWallet.card)
        XCTAssertEqual(wallet.chosen, ["tok_1", "tok_1"])
    }
}
