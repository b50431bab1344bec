import Foundation
import Tapcore

/// A wallet that does as the test says.
final class FakeWallet: WalletProtocol, @unchecked Sendable {
    var answer = Answer.later
    var enrolled = false
    var refusal: WalletError?
    var entries: [StatementEntry] = []
    private(set) var enteredNumber: String?
    private(set) var responder: TapResponder?
    private(set) var observer: WalletObserver?
    private(set) var departures = 0

    static let challenge = CardChallenge(
        id: "chl_1", maskedCard: "…0015", bank: "bank-a", expiresAtMs: 0, triesLeft: 3)
    static let card = PaymentCard(
        tokenRef: "tok_1", maskedToken: "…4242", maskedCard: "…0015", bank: "bank-a", accountType: .bankCard,
        expiry: "2029-12-31")

    private func refuse() throws {
        if let refusal { throw refusal }
    }

    private var state: WalletStatus {
        WalletStatus(enrolled: enrolled, deviceId: nil, cards: 0, tapsLeft: 7)
    }

    func start() async throws -> WalletStatus {
        try refuse()
        return state
    }

    func open() async throws {
        try refuse()
    }

    func status() async throws -> WalletStatus { state }

    func enrol(providerUrl: String, caPem: String) async throws {
        try refuse()
        enrolled = true
    }

    func beginAddCard(number: String, expiry: String) async throws -> CardChallenge {
        try refuse()
        enteredNumber = number
        return Self.challenge
    }

    func openChallenges() async throws -> [CardChallenge] { [Self.challenge] }

    func finishAddCard(challengeId: String, code: String) async throws -> PaymentCard {
        try refuse()
        return Self.card
    }

    func cards() async throws -> [PaymentCard] { [] }

    func processApdu(apdu: Data) -> Answer { answer }

    func setResponder(responder: TapResponder) { self.responder = responder }

    func setObserver(observer: WalletObserver) { self.observer = observer }

    func deactivated() { departures += 1 }

    func sync() async throws -> SyncReport {
        try refuse()
        return SyncReport(newEntries: 0, keysReceived: 0)
    }

    func statement() async throws -> [StatementEntry] { entries }

    func shutDown() async throws {}
}
