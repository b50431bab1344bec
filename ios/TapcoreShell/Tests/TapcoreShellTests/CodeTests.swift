import Foundation
import Tapcore
import XCTest

@testable import TapcoreShell

@MainActor
final class CodeTests: XCTestCase {
    private let wallet = FakeWallet()
    private let prompt = FakePrompt()

    private var view: FakeCodeView { wallet.codes.view }

    private func shown(
        _ state: CodeState = .showing, code: String = "737394850263403002", digits: String = "7373••••••••••••••",
        revealed: Bool = false
    ) -> CodeShown {
        CodeShown(
            kind: .numeric, tokenRef: "tok_1", code: code, digits: digits, revealed: revealed, secondsLeft: 12,
            offlineLeft: 14, runsLow: false, state: state)
    }

    /// A screen that shows a code.
    private func onScreen(_ use: (CodeModel) async throws -> Void) async rethrows {
        let model = CodeModel(wallet: wallet, prompt: prompt)
        let screen = Task { await model.run(.numeric) }
        await tell(shown(), to: model)
        try await use(model)
        await model.close()
        await screen.value
    }

    /// The wallet tells, and the model has heard.
    private func tell(_ next: CodeShown, to model: CodeModel) async {
        view.tell(next)
        while model.shown != next { await Task.yield() }
    }

    func testWhatTheWalletTellsIsDrawnAndTheCodeDiesWithTheScreen() async {
        await onScreen { model in
            XCTAssertEqual(model.qr?.width, 29)
            XCTAssertEqual(model.bars?.rows, 1)
            await tell(shown(.used(payment: FakeCodes.payment(.approved)), code: "", digits: ""), to: model)
            XCTAssertNil(model.qr)
            XCTAssertNil(model.bars)
            XCTAssertTrue(view.calls.isEmpty)
            await model.close()
            XCTAssertEqual(view.calls, ["end"])
            XCTAssertNil(model.shown)
            // Nobody is there to be told.
            await model.photographed()
            XCTAssertEqual(view.calls, ["end"])
        }
    }

    func testThePersonIsAskedWhereTheWalletAsks() async throws {
        try await wallet.setUpVerification(proof: nil)
        wallet.codes.wantsPerson = true
        await onScreen { _ in
            XCTAssertEqual(wallet.codes.opened, [nil, "vrf_1"])
            XCTAssertEqual(prompt.wipes, 1)
        }
    }

    func testDigitsAreRevealedToThePersonAndOnce() async throws {
        try await wallet.setPin(pin: "194917", proof: nil)
        await onScreen { model in
            await model.reveal()
            XCTAssertEqual(model.problem, "Enter the PIN first.")
            model.pin = "271828"
            await model.reveal()
            XCTAssertEqual(model.problem, "The PIN is wrong.")
            XCTAssertEqual(model.pin, "")
            model.pin = "194917"
            await model.reveal()
            XCTAssertNil(model.problem)
            XCTAssertEqual(view.calls, ["reveal vrf_2"])
            await tell(shown(digits: "737394850263403002", revealed: true), to: model)
            await model.reveal()
            XCTAssertEqual(view.calls.count, 1)
        }
    }

    func testATouchBringsAFreshCodeWhereThereIsNone() async throws {
        try await wallet.setUpVerification(proof: nil)
        await onScreen { model in
            await model.touch()
            await tell(shown(.used(payment: FakeCodes.payment(.pending))), to: model)
            await model.touch()
            XCTAssertTrue(view.calls.isEmpty, "one is shown, one is being paid")
            for state in [CodeState.paused, .used(payment: FakeCodes.payment(.approved)), .ended(why: .expired)] {
                await tell(shown(state), to: model)
                await model.touch()
            }
            XCTAssertEqual(view.calls, ["renew -", "renew -", "renew -"])
            view.wantsPerson = true
            await model.touch()
            XCTAssertEqual(view.calls.suffix(2), ["renew -", "renew vrf_1"])
        }
    }

    func testAScreenshotIsTold() async {
        await onScreen { model in
            await model.photographed()
            XCTAssertEqual(view.calls, ["photographed"])
        }
    }

    func testAPaymentThatWaitsIsConfirmedAndNoOther() async {
        await onScreen { model in
            model.password = "plum blossom"
            await model.confirm()
            XCTAssertTrue(wallet.codes.confirmed.isEmpty)
            await tell(shown(.used(payment: FakeCodes.payment(.pending, wantsPassword: true))), to: model)
            await model.confirm()
            XCTAssertEqual(wallet.codes.confirmed, ["plum blossom"])
            XCTAssertEqual(model.password, "")
        }
    }

    func testWhyThereIsNoCodeIsSaid() async {
        wallet.refusal = .CodesUnavailable(reason: .noneLeft, detail: "Go online once to get new codes.")
        let model = CodeModel(wallet: wallet, prompt: prompt)
        await model.run(.numeric)
        XCTAssertEqual(model.problem, "Go online once to get new codes.")
        XCTAssertNil(model.shown)
    }

    func testEachStateHasItsSentence() async {
        XCTAssertTrue(sentence(shown()).contains("12 seconds"))
        XCTAssertEqual(sentence(shown(.paused)), "Touch to go on.")
        for state in [CodePaymentState.pending, .approved, .declined, .revoked] {
            let said = sentence(shown(.used(payment: FakeCodes.payment(state))))
            XCTAssertTrue(said.contains("12.50") && said.contains("Mapo Tofu House"), said)
        }
    }

    func testModulesAreWholePixelsWithTheLightOnesBetween() async {
        let square = CodeSymbol(width: 3, rows: 2, rowHeight: 1, modules: Data([1, 1, 0, 0, 0, 1]), svg: "")
        let grid = SymbolGrid(square, available: 14)
        XCTAssertEqual([grid.width, grid.height], [12, 8])
        XCTAssertEqual(
            grid.dark,
            [.init(x: 0, y: 0, width: 8, height: 4), .init(x: 8, y: 4, width: 4, height: 4)])
        XCTAssertEqual(SymbolGrid(square, available: 1).width, 9, "three pixels at the least")
        let bars = CodeSymbol(width: 2, rows: 1, rowHeight: 40, modules: Data([0, 1]), svg: "")
        XCTAssertEqual(SymbolGrid(bars, available: 8).dark, [.init(x: 4, y: 0, width: 4, height: 160)])
    }
}

@MainActor
final class MerchantTests: XCTestCase {
    private let wallet = FakeWallet()

    private func model() -> MerchantModel { MerchantModel(wallet: wallet) }

    func testWhatWasReadIsShownByTheProvidersNameAndPaidAsItSays() async throws {
        let model = model()
        wallet.codes.amountMinor = 3800
        model.code = " 000201… \n"
        await model.read()
        let offer = try XCTUnwrap(model.offer)
        XCTAssertEqual(offer.code, "000201…")
        let said = sentence(offer)
        XCTAssertTrue(said.contains("38.00") && said.contains("Mapo Tofu House"), said)
        XCTAssertFalse(said.contains("Bank of Everything"), "anybody may have written that")
        model.amount = "99"
        await model.pay()
        await model.pay()
        XCTAssertEqual(wallet.codes.paid, [3800], "pressed twice")
        XCTAssertEqual(model.payment?.state, .approved)
    }

    func testAnAmountOfThePersonsOwnIsEntered() async {
        let model = model()
        await model.read()
        for odd in ["", "x", "12.505", "0", "-1", "12."] {
            model.amount = odd
            await model.pay()
            XCTAssertNotNil(model.problem, odd)
        }
        model.amount = "12.50"
        await model.pay()
        XCTAssertEqual(wallet.codes.paid, [1250])
        XCTAssertNil(model.problem)
    }

    func testAfterALostAnswerTheSameOfferIsPaidAgain() async {
        let model = model()
        wallet.codes.amountMinor = 3800
        await model.read()
        wallet.refusal = .Network(detail: "The provider cannot be reached.")
        await model.pay()
        XCTAssertEqual(model.problem, "The provider cannot be reached.")
        wallet.refusal = nil
        await model.pay()
        XCTAssertEqual(wallet.codes.paid, [3800, 3800])
        XCTAssertEqual(model.payment?.state, .approved)
    }

    func testAPaymentThatWaitsIsConfirmed() async {
        let model = model()
        wallet.codes.amountMinor = 120_000
        await model.read()
        await model.pay()
        XCTAssertEqual(model.payment?.state, .pending)
        model.password = "plum blossom"
        await model.confirm()
        XCTAssertEqual(model.payment?.state, .approved)
        XCTAssertEqual(model.password, "")
    }

    func testAnAmountHasTheDigitsOfItsCurrency() async {
        XCTAssertEqual(minor("12.5", currency: "CNY"), 1250)
        XCTAssertEqual(minor("1250", currency: "JPY"), 1250)
        XCTAssertNil(minor("12.5", currency: "JPY"))
        XCTAssertNil(minor("12,50", currency: "CNY"), "a thousand in some places")
    }
}
