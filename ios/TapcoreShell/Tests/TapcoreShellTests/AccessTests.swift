import Foundation
import Tapcore
import XCTest

@testable import TapcoreShell

@MainActor
final class AccessTests: XCTestCase {
    private var wallet = FakeWallet()
    private var prompt = FakePrompt()

    private func model() -> AccessModel {
        (wallet, prompt) = (FakeWallet(), FakePrompt())
        return AccessModel(wallet: wallet, prompt: prompt)
    }

    func testThePinIsSetAndLocksAndUnlocksAndIsForgottenByTheScreen() async {
        let model = model()
        model.newPin = "194917"
        await model.setPin()
        XCTAssertEqual(wallet.pin, "194917")
        XCTAssertEqual(model.newPin, "")
        XCTAssertEqual(model.triesLeft, 10)

        await model.lock()
        XCTAssertTrue(model.isLocked)
        model.pin = "271828"
        await model.unlockWithPin()
        XCTAssertEqual(model.problem, "The PIN is wrong.")
        XCTAssertEqual(model.pin, "")
        XCTAssertTrue(model.isLocked)

        model.pin = "194917"
        await model.unlockWithPin()
        XCTAssertNil(model.problem)
        XCTAssertFalse(model.isLocked)
    }

    func testAFaceUnlocksAndTheKeyIsWiped() async {
        let model = model()
        await model.setUpBiometry()
        XCTAssertTrue(model.hasBiometry)
        await model.lock()
        await model.unlockWithBiometry()
        XCTAssertFalse(model.isLocked)
        XCTAssertEqual(prompt.wipes, 1)
    }

    func testAClosedPromptLeavesItLocked() async {
        let model = model()
        await model.setUpBiometry()
        await model.lock()
        prompt.outcome = .cancelled
        await model.unlockWithBiometry()
        XCTAssertTrue(model.isLocked)
        XCTAssertEqual(model.problem, "The prompt was closed.")
        XCTAssertTrue(model.hasBiometry)
    }

    func testANewFaceTakesBiometryAwayAndThePinGivesItBack() async {
        let model = model()
        model.newPin = "194917"
        await model.setPin()
        model.pin = "194917"
        await model.setUpBiometry()
        prompt.outcome = .invalidated
        await model.unlockWithBiometry()
        XCTAssertTrue(model.biometryIsVoid)
        XCTAssertFalse(model.hasBiometry)

        await model.setUpBiometry()
        XCTAssertNotNil(model.problem, "not without the PIN")
        model.pin = "194917"
        await model.setUpBiometry()
        XCTAssertFalse(model.biometryIsVoid)
        XCTAssertTrue(model.hasBiometry)
    }

    func testAPaymentIsConfirmedForWhatThePersonWasShown() async {
        let model = model()
        let confirmation = await model.confirm(amountMinor: 1250, currency: "CNY", payee: "Mapo Tofu House")
        XCTAssertEqual(confirmation?.id, "cnf_1")
        XCTAssertEqual(wallet.confirmed, ["Mapo Tofu House"])
        let shown = prompt.reasons.first ?? ""
        XCTAssertTrue(shown.contains("12.50") && shown.contains("Mapo Tofu House"), shown)

        prompt.outcome = .cancelled
        let second = await model.confirm(amountMinor: 1250, currency: "CNY", payee: "Mapo Tofu House")
        XCTAssertNil(second)
        XCTAssertEqual(wallet.confirmed.count, 1)
    }

    func testACardIsSuspendedResumedAndDeleted() async {
        wallet = FakeWallet()
        wallet.enrolled = true
        wallet.held = [FakeWallet.card]
        let model = WalletModel(wallet: wallet)
        await model.start()
        XCTAssertEqual(model.cards.map(sentence), ["…4242"])
        await model.suspend(FakeWallet.card)
        XCTAssertEqual(model.cards.map(sentence), ["suspended"])
        await model.resume(FakeWallet.card)
        XCTAssertEqual(model.cards.map(\.state), [.active])
        wallet.refusal = .Network(detail: "The provider cannot be reached.")
        await model.resume(FakeWallet.card)
        XCTAssertEqual(model.problem, "The provider cannot be reached.")
        wallet.refusal = nil
        await model.delete(FakeWallet.card)
        XCTAssertEqual(model.cards.map(sentence), ["deleted"])
    }

    func testAWipedWalletIsOpenedAgainSoThatItCanBeEnrolled() async {
        wallet = FakeWallet()
        wallet.enrolled = true
        let model = WalletModel(wallet: wallet)
        await model.start()
        wallet.enrolled = false
        wallet.observer?.onEvent(event: .wiped)
        while model.enrolled { await Task.yield() }
        XCTAssertEqual(wallet.starts, 2)
    }

    func testWhyNothingPaysIsSaid() async {
        wallet = FakeWallet()
        wallet.standing = .risk
        let model = WalletModel(wallet: wallet)
        await model.start()
        XCTAssertEqual(model.refusal.map(sentence), "This phone looks unsafe, so it does not pay.")
    }
}

final class SightTests: XCTestCase {
    func testAPhoneAsItIsSoldShowsNothing() {
        var sight = Sight()
        sight.images = ["/usr/lib/libSystem.B.dylib", "/private/var/containers/App.app/frida-fans/Frameworks/Tapcore"]
        XCTAssertEqual(
            sight.signals, RiskSignals(rooted: false, emulator: false, hooked: false, debugger: false))
    }

    func testEachSignIsSeen() {
        var sight = Sight()
        sight.files = ["/var/jb"]
        XCTAssertTrue(sight.signals.rooted)
        sight.isSimulator = true
        XCTAssertTrue(sight.signals.emulator)
        XCTAssertFalse(sight.signals.rooted, "the Mac's files are not the phone's")
        sight.images = ["/usr/lib/TweakInject.dylib"]
        XCTAssertTrue(sight.signals.hooked)
        sight.isTraced = true
        XCTAssertTrue(sight.signals.debugger)
    }

    @MainActor
    func testTheWalletIsTold() async {
        let wallet = FakeWallet()
        var sight = Sight()
        sight.isTraced = true
        WalletModel(wallet: wallet).report(sight)
        XCTAssertEqual(wallet.seen?.debugger, true)
    }
}
