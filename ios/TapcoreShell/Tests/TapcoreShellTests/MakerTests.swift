import Foundation
import Tapcore
import XCTest

@testable import TapcoreShell

@MainActor
final class MakerTests: XCTestCase {
    private let ask = MakerAsk(
        maker: "apple", makerKey: Data([4, 1]), nonce: Data(count: 16), makerSignature: Data(count: 64))

    func testWithoutAPersonACardIsPassedAsItIs() async {
        let model = MakerModel(wallet: FakeWallet(), prompt: FakePrompt(), card: FakeWallet.card)
        await model.prepare()
        XCTAssertTrue(model.isReady)
        let pass = await model.pass(ask)
        XCTAssertEqual(pass?.ciphertext, Data("tok_1".utf8))
        XCTAssertEqual(pass?.encapsulatedKey, Data([4, 1]))
    }

    func testAFaceAgreesToOnePass() async throws {
        let (wallet, prompt) = (FakeWallet(), FakePrompt())
        try await wallet.setPin(pin: "194917", proof: nil)
        try await wallet.setUpVerification(proof: .pin(pin: "194917"))
        let model = MakerModel(wallet: wallet, prompt: prompt, card: FakeWallet.card)
        await model.prepare()
        XCTAssertEqual(prompt.reasons, ["Add bank-a …0015 to the phone's own wallet"])
        XCTAssertEqual(prompt.wipes, 1)
        let first = await model.pass(ask)
        XCTAssertNotNil(first)
        XCTAssertFalse(model.isReady)
        let second = await model.pass(ask)
        XCTAssertNil(second, "it agreed to one")
        XCTAssertEqual(model.problem, "The PIN is wrong.")
    }

    func testAWrongPinPassesNothingAndIsForgottenByTheScreen() async throws {
        let wallet = FakeWallet()
        try await wallet.setPin(pin: "194917", proof: nil)
        let model = MakerModel(wallet: wallet, prompt: FakePrompt(), card: FakeWallet.card)
        model.pin = "271828"
        await model.prepare()
        XCTAssertFalse(model.isReady)
        XCTAssertEqual(model.problem, "The PIN is wrong.")
        XCTAssertEqual(model.pin, "")
        model.pin = "194917"
        await model.prepare()
        XCTAssertTrue(model.isReady)
        let pass = await model.pass(ask)
        XCTAssertNotNil(pass)
    }

    func testARefusalOfTheNetworkIsShownInItsOwnWords() async {
        let wallet = FakeWallet()
        let model = MakerModel(wallet: wallet, prompt: FakePrompt(), card: FakeWallet.card)
        await model.prepare()
        wallet.refusal = .Rejected(reason: "maker_unknown", detail: "The network does not know this maker.")
        let pass = await model.pass(ask)
        XCTAssertNil(pass)
        XCTAssertEqual(model.problem, "The network does not know this maker.")
    }
}
