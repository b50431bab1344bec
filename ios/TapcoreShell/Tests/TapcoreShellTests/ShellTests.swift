import Foundation
import Tapcore
import XCTest

@testable import TapcoreShell

final class CardRelayTests: XCTestCase {
    private final class Replies: @unchecked Sendable {
        var all: [Data] = []
    }

    func testAnAnswerThatIsThereIsGivenAtOnce() {
        let wallet = FakeWallet()
        wallet.answer = .now(bytes: Data([0x90, 0x00]))
        let replies = Replies()
        CardRelay(wallet: wallet).receive(Data([0x00])) { replies.all.append($0) }
        XCTAssertEqual(replies.all, [Data([0x90, 0x00])])
    }

    func testALateAnswerIsGivenOnceAndToTheCommandThatWaits() {
        let wallet = FakeWallet()
        let relay = CardRelay(wallet: wallet)
        let replies = Replies()
        relay.receive(Data([0x80])) { replies.all.append($0) }
        XCTAssertTrue(replies.all.isEmpty)
        wallet.responder?.respond(answer: Data([0x77]))
        wallet.responder?.respond(answer: Data([0x78]))
        XCTAssertEqual(replies.all, [Data([0x77])])
    }

    func testNothingIsAnsweredAfterTheFieldWasLeft() {
        let wallet = FakeWallet()
        let relay = CardRelay(wallet: wallet)
        let replies = Replies()
        relay.receive(Data([0x80])) { replies.all.append($0) }
        relay.leftField()
        wallet.responder?.respond(answer: Data([0x77]))
        XCTAssertTrue(replies.all.isEmpty)
        XCTAssertEqual(wallet.departures, 1)
    }
}

final class SignatureTests: XCTestCase {
    func testShortNumbersAreFilledUpAndSignBytesDropped() {
        let r = [UInt8](repeating: 0xF1, count: 32)
        let head: [UInt8] = [0x30, 2 + 33 + 2 + 1, 0x02, 33, 0x00]
        let tail: [UInt8] = [0x02, 1, 0x05]
        let der = Data(head + r + tail)
        let fixed = fixedSignature(der: der)
        XCTAssertEqual(fixed, Data(r + [UInt8](repeating: 0, count: 31) + [0x05]))
    }

    func testAnythingElseIsRefused() {
        let good = Data([0x30, 6, 0x02, 1, 0x01, 0x02, 1, 0x05])
        XCTAssertNotNil(fixedSignature(der: good))
        for length in 0..<good.count {
            XCTAssertNil(fixedSignature(der: good.prefix(length)))
        }
        XCTAssertNil(fixedSignature(der: good + Data([0x00])))
        XCTAssertNil(fixedSignature(der: Data([0x30, 6, 0x02, 1, 0x81, 0x02, 1, 0x05])))
    }
}

final class ModelTests: XCTestCase {
    @MainActor
    func testTheNumberIsForgottenOnceTheBankWasAsked() async {
        let wallet = FakeWallet()
        let model = AddCardModel(wallet: wallet)
        model.number = "6228 4800 0000 0015"
        model.expiry = "12/29"
        await model.begin()
        XCTAssertEqual(wallet.enteredNumber, "6228480000000015")
        XCTAssertEqual(model.number, "")
        await model.finish()
        XCTAssertEqual(model.card, FakeWallet.card)
        XCTAssertNil(model.challenge)
    }

    @MainActor
    func testARefusalIsShownInItsOwnWordsAndTheChallengeStaysOpen() async {
        let wallet = FakeWallet()
        let model = AddCardModel(wallet: wallet)
        await model.resume()
        wallet.refusal = .Rejected(reason: "sms_code_wrong", detail: "The code is wrong; two tries are left.")
        model.code = "000000"
        await model.finish()
        XCTAssertEqual(model.problem, "The code is wrong; two tries are left.")
        XCTAssertEqual(model.challenge, FakeWallet.challenge)
        XCTAssertEqual(model.code, "")
    }

    @MainActor
    func testPaymentsAreShownAsTheWalletHasThem() async {
        let wallet = FakeWallet()
        wallet.enrolled = true
        wallet.entries = [
            StatementEntry(
                id: "e1", atMs: 0, state: .pending, amountMinor: 1250, currency: "CNY", merchant: nil,
                account: "bank-a …0015", atc: 1)
        ]
        let model = WalletModel(wallet: wallet)
        await model.start()
        XCTAssertTrue(model.enrolled)
        XCTAssertEqual(model.tapsLeft, 7)
        XCTAssertEqual(model.codesLeft, 14)
        XCTAssertEqual(model.payments.map(\.state), ["paid, not yet confirmed"])
    }

    @MainActor
    func testAProviderThatCannotBeReachedIsSaidAndWhatIsThereStays() async {
        let wallet = FakeWallet()
        wallet.enrolled = true
        let model = WalletModel(wallet: wallet)
        await model.start()
        wallet.refusal = .Network(detail: "The provider cannot be reached.")
        await model.sync()
        XCTAssertEqual(model.problem, "The provider cannot be reached.")
        XCTAssertTrue(model.enrolled)
    }

    @MainActor
    func testANetworkThatIsBackIsUsedAndItsFailureBothersNobody() async {
        let wallet = FakeWallet()
        let model = WalletModel(wallet: wallet)
        await model.networkIsBack()
        XCTAssertEqual(wallet.syncs, 0, "there is no provider yet")
        wallet.enrolled = true
        await model.start()
        await model.networkIsBack()
        wallet.refusal = .Network(detail: "The provider cannot be reached.")
        await model.networkIsBack()
        XCTAssertEqual(wallet.syncs, 2)
        XCTAssertNil(model.problem)
    }

    func testMoneyHasTheDigitsOfItsCurrency() {
        let chinese = Locale(identifier: "zh_CN")
        XCTAssertTrue(money(minor: 1250, currency: "CNY", locale: chinese).contains("12.50"))
        XCTAssertTrue(money(minor: 1250, currency: "JPY", locale: chinese).contains("1,250"))
    }
}
