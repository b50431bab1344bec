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

    func testWhereNoCodeCameItIsTriedAgain() async throws {
        try await wallet.setPin(pin: "194917", proof: nil)
        wallet.codes.wantsPerson = true
        let model = CodeModel(wallet: wallet, prompt: prompt)
        await model.run(.numeric)
        XCTAssertEqual(model.problem, "Enter the PIN first.")
        XCTAssertTrue(model.canTryAgain)
        model.pin = "194917"
        let screen = Task { await model.run(.numeric) }
        await tell(shown(), to: model)
        XCTAssertFalse(model.canTryAgain)
        XCTAssertNil(model.problem)
        await model.close()
        await screen.value
        XCTAssertFalse(model.canTryAgain, "nothing went wrong")
    }

    func testWhatWasEnteredIsForgottenWithTheScreen() async {
        await onScreen { model in
            (model.pin, model.password) = ("194917", "plum blossom")
            await model.close()
            XCTAssertEqual([model.pin, model.password], ["", ""])
        }
    }

    func testAnotherKindIsShownBeforeTheCodeBeforeHasEnded() async {
        await onScreen { model in
            let before = view
            before.isSlow = true
            wallet.codes.view = FakeCodeView()
            let other = Task { await model.run(.consumerPresented) }
            await tell(shown(.paused), to: model)
            while before.calls.isEmpty { await Task.yield() }
            XCTAssertEqual(before.calls, ["end"])
            XCTAssertEqual(model.shown?.state, .paused)
            before.isSlow = false
            await model.close()
            XCTAssertEqual(view.calls, ["end"])
            await other.value
        }
    }

    func testTheCodeBeforeEndsAsWellWhereNoOtherComes() async {
        await onScreen { model in
            wallet.refusal = .CodesUnavailable(reason: .noKeys, detail: "Go online once.")
            await model.run(.consumerPresented)
            XCTAssertEqual(model.problem, "Go online once.")
            XCTAssertNil(model.shown)
            while view.calls.isEmpty { await Task.yield() }
            XCTAssertEqual(view.calls, ["end"])
        }
    }

    func testACodeThatWasEndedFromElsewhereCanBeShownAgain() async {
        await onScreen { model in
            view.finish()
            while !model.canTryAgain { await Task.yield() }
            XCTAssertEqual(model.problem, "The code was closed.")
        }
    }

    func testTouchedTwiceItBringsOneCode() async {
        await onScreen { model in
            await tell(shown(.paused), to: model)
            view.isSlow = true
            let first = Task { await model.touch() }
            while !model.isBusy { await Task.yield() }
            await model.touch()
            view.isSlow = false
            await first.value
            XCTAssertEqual(view.calls, ["renew -"])
            XCTAssertFalse(model.isBusy)
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

    func testACodeThatWasClosedWhileThePersonWasAskedIsAskedForNothing() async throws {
        try await wallet.setUpVerification(proof: nil)
        await onScreen { model in
            prompt.isSlow = true
            let revealing = Task { await model.reveal() }
            while prompt.reasons.isEmpty { await Task.yield() }
            await model.close()
            prompt.isSlow = false
            await revealing.value
            XCTAssertEqual(view.calls, ["end"])
            XCTAssertNil(model.problem)
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
            model.password = ""
            await model.confirm()
            XCTAssertEqual(model.problem, "Enter the payment password first.")
            XCTAssertTrue(wallet.codes.confirmed.isEmpty, "nothing entered is no try")
            model.password = "plum blossom"
            await model.confirm()
            XCTAssertEqual(wallet.codes.confirmed, ["plum blossom"])
            XCTAssertEqual(model.password, "")
        }
    }

    func testAPaymentThatWaitsIsThereWhenThePersonComesBackWithThePassword() async {
        await onScreen { model in
            let waiting = FakeCodes.payment(.pending, wantsPassword: true)
            await tell(shown(.used(payment: waiting), code: "", digits: ""), to: model)
            await model.hide()
            XCTAssertEqual(model.shown?.waiting, waiting)
            await model.run(.consumerPresented)
            XCTAssertEqual(wallet.codes.opened, [nil], "it keeps its place")
            await tell(shown(.used(payment: FakeCodes.payment(.approved)), code: "", digits: ""), to: model)
            await model.hide()
            XCTAssertNil(model.shown)
            XCTAssertEqual(view.calls, ["end"])
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

    func testASquareIsSeenWholeHoweverWideTheWindowIs() async {
        let square = CodeSymbol(width: 2, rows: 2, rowHeight: 1, modules: Data([1, 0, 0, 1]), svg: "")
        XCTAssertEqual(SymbolGrid(square, available: 2000, windowHeight: 1000).height, 600)
        XCTAssertEqual(SymbolGrid(square, available: 500, windowHeight: 1000).height, 500)
        let bars = CodeSymbol(width: 2, rows: 1, rowHeight: 1, modules: Data([0, 1]), svg: "")
        XCTAssertEqual(SymbolGrid(bars, available: 2000, windowHeight: 1000).width, 2000)
    }

    func testWhyAPaymentWasDeclinedIsSaid() async {
        let reasons = [
            "account_not_active", "class_cash", "class_gambling", "class_investment", "place_abroad",
            "currency_not_supported", "daily_limit", "password_not_set", "password_timeout", "superseded", "revoked",
            "device_wiped", "network_refused", "insufficient_funds", "card_reported_lost",
        ]
        let sentences = reasons.map { sentence(FakeCodes.payment(.declined, reason: $0)) }
        XCTAssertEqual(Set(sentences).count, reasons.count)
        XCTAssertTrue(sentences.allSatisfy { $0.hasSuffix("Nothing was paid.") })
        XCTAssertTrue(sentence(FakeCodes.payment(.declined, reason: "moon_phase")).contains("ask the bank"))
        XCTAssertFalse(sentence(FakeCodes.payment(.declined)).contains("bank"), "nobody said why")
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

    func testAfterALostAnswerTheSameOfferIsPaidAgainThoughTheCodeWasReadAgain() async throws {
        let model = model()
        model.code = "000201…"
        await model.open()
        model.amount = "38"
        wallet.refusal = .Network(detail: "The provider cannot be reached.")
        await model.pay()
        let problem = try XCTUnwrap(model.problem)
        XCTAssertTrue(problem.hasPrefix("The provider cannot be reached. It may be paid"), problem)
        wallet.refusal = nil
        let offer = model.offer
        await model.read()
        model.leave()
        await model.open()
        XCTAssertEqual(model.offer, offer)
        XCTAssertFalse(model.wantsAmount)
        // Another amount would be another payment.
        model.amount = "39"
        await model.pay()
        XCTAssertEqual(wallet.codes.paid, [3800, 3800])
        XCTAssertEqual(wallet.codes.read, ["000201…"])
        XCTAssertEqual(model.payment?.state, .approved)
        XCTAssertNil(model.problem)
        // The next cup of tea.
        await model.read()
        XCTAssertNil(model.payment)
        XCTAssertEqual(model.amount, "")
        XCTAssertNotEqual(model.offer?.paymentKey, offer?.paymentKey)
    }

    func testALostPaymentIsGivenUpAndItsSumIsNotPaidForTheNextOne() async throws {
        let model = model()
        await model.read()
        await model.giveUp()
        XCTAssertNotNil(model.offer, "nothing was lost")
        model.amount = "12.50"
        wallet.refusal = .Network(detail: "The provider cannot be reached.")
        await model.pay()
        XCTAssertEqual(model.lostAmountMinor, 1250)
        XCTAssertTrue(unanswered(try XCTUnwrap(model.offer), amountMinor: 1250).contains("12.50"))
        await model.giveUp()
        XCTAssertNil(model.offer)
        XCTAssertNil(model.lostAmountMinor)
        XCTAssertTrue(try XCTUnwrap(model.problem).contains("look at the statement"))
        wallet.refusal = nil
        await model.read()
        model.amount = "3"
        await model.pay()
        XCTAssertEqual(wallet.codes.paid, [1250, 300])
    }

    func testAnOfferThatHasPaidSomethingElseIsLetGoOf() async throws {
        let model = model()
        await model.read()
        model.amount = "38"
        wallet.refusal = .Rejected(reason: "idempotency_conflict", detail: "It was asked before, for something else.")
        await model.pay()
        XCTAssertNil(model.offer)
        XCTAssertNil(model.lostAmountMinor)
        XCTAssertTrue(try XCTUnwrap(model.problem).contains("look at the statement"))
    }

    func testWhatTheProviderRefusedIsFreeToBeReadAgain() async throws {
        let model = model()
        await model.read()
        model.amount = "38"
        wallet.refusal = .Rejected(reason: "account_not_active", detail: "The card is not active.")
        await model.pay()
        XCTAssertEqual(model.problem, "The card is not active.")
        XCTAssertTrue(model.wantsAmount)
        wallet.refusal = .Rejected(reason: "http_error", detail: "The provider refused with 502: try again later.")
        await model.pay()
        let problem = try XCTUnwrap(model.problem)
        XCTAssertTrue(problem.contains("It may be paid"), "something between may have said so")
        XCTAssertFalse(model.wantsAmount)
    }

    func testAPaymentThatIsNotDecidedIsLookedAtAgain() async {
        let model = model()
        wallet.codes.amountMinor = 3800
        wallet.codes.isUndecided = true
        await model.read()
        await model.pay()
        XCTAssertEqual(model.payment?.state, .pending)
        XCTAssertTrue(model.canPay)
        await model.read()
        XCTAssertEqual(wallet.codes.read.count, 1)
        wallet.codes.isUndecided = false
        await model.pay()
        XCTAssertEqual(model.payment?.state, .approved)
        XCTAssertFalse(model.canPay)
        XCTAssertEqual(wallet.codes.paid, [3800, 3800])
    }

    func testPressedTwiceItIsDoneOnceAndOutlivesTheScreen() async {
        let model = model()
        wallet.codes.amountMinor = 3800
        model.code = "000201…"
        await model.open()
        wallet.codes.isSlow = true
        let first = Task { await model.pay() }
        while !model.isBusy { await Task.yield() }
        await model.pay()
        model.leave()
        wallet.codes.isSlow = false
        await first.value
        XCTAssertEqual(wallet.codes.paid, [3800])
        XCTAssertEqual(model.payment?.state, .approved, "nobody has seen it yet")
        // What is decided is not what another cup of tea is paid by.
        await model.open()
        XCTAssertNil(model.payment)
        XCTAssertEqual(wallet.codes.read.count, 2)
        model.password = "plum blossom"
        model.leave()
        XCTAssertNil(model.offer)
        XCTAssertEqual([model.code, model.password], ["", ""])
    }

    func testWhatIsScannedMeanwhileIsReadNextAndTheLastOfIt() async {
        let model = model()
        wallet.codes.amountMinor = 3800
        model.code = "000201…"
        await model.read()
        wallet.codes.isSlow = true
        let first = Task { await model.pay() }
        while !model.isBusy { await Task.yield() }
        for code in ["another", "a third"] {
            model.code = code
            await model.read()
        }
        XCTAssertEqual(model.offer?.code, "000201…", "it is being paid")
        wallet.codes.isSlow = false
        await first.value
        XCTAssertEqual(wallet.codes.read, ["000201…", "a third"])
        XCTAssertEqual(model.offer?.code, "a third")
        XCTAssertNil(model.payment)
    }

    func testAPaymentThatIsNotDecidedIsNotDroppedForAnotherCode() async {
        let model = model()
        wallet.codes.amountMinor = 3800
        wallet.codes.isUndecided = true
        model.code = "000201…"
        await model.read()
        await model.pay()
        model.code = "another"
        await model.read()
        XCTAssertEqual(model.offer?.code, "000201…")
        XCTAssertEqual(model.problem?.contains("not decided"), true)
        XCTAssertEqual(wallet.codes.read.count, 1)
    }

    func testATipIsToldAndNotPaid() async {
        let model = model()
        wallet.codes.tip = .asked
        await model.read()
        XCTAssertTrue(model.offer.map(sentence)?.hasSuffix("it is not added.") == true)
    }

    func testAPaymentThatWaitsIsConfirmed() async {
        let model = model()
        wallet.codes.amountMinor = 120_000
        await model.read()
        await model.pay()
        XCTAssertEqual(model.payment?.state, .pending)
        await model.confirm()
        XCTAssertEqual(model.problem, "Enter the payment password first.")
        XCTAssertTrue(wallet.codes.confirmed.isEmpty, "nothing entered is no try")
        model.password = "plum blossom"
        await model.confirm()
        XCTAssertEqual(model.payment?.state, .approved)
        XCTAssertEqual(model.password, "")
    }

    func testAnAmountHasTheDigitsOfItsCurrency() async {
        XCTAssertEqual(minor("12.5", currency: "CNY"), 1250)
        XCTAssertEqual(minor("1250", currency: "JPY"), 1250)
        XCTAssertNil(minor("12.5", currency: "JPY"))
    }

    func testAnAmountIsWrittenAsTheLanguageHasIt() async {
        let (german, english) = (Locale(identifier: "de_DE"), Locale(identifier: "en_US"))
        XCTAssertEqual(minor("12,50", currency: "EUR", locale: german), 1250)
        XCTAssertEqual(minor("12.50", currency: "EUR", locale: german), 1250)
        XCTAssertNil(minor("1.234,50", currency: "EUR", locale: german))
        XCTAssertNil(minor("12,50", currency: "CNY", locale: english), "a thousand in some places")
        XCTAssertEqual(minor("١٢.٥٠", currency: "EUR", locale: english), 1250)
        XCTAssertNil(minor("十", currency: "CNY", locale: english), "no digit of a number")
    }
}
