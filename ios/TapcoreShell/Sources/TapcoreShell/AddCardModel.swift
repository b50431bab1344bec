import Foundation
import Observation
import Tapcore

/// Adding a card: number and expiry, then the code that the bank sends.
@MainActor
@Observable
public final class AddCardModel {
    public var number = ""
    public var expiry = ""
    public var code = ""
    /// The bank's open question, or nil while it has not been asked.
    public private(set) var challenge: CardChallenge?
    /// The card, once it is there.
    public private(set) var card: PaymentCard?
    public var problem: String? { attempt.problem }
    public var isBusy: Bool { attempt.isBusy }

    private let wallet: WalletProtocol
    private let attempt = Attempts()

    public init(wallet: WalletProtocol) {
        self.wallet = wallet
    }

    /// One that was begun before the app was closed can still be finished.
    public func resume() async {
        await attempt { self.challenge = try await self.wallet.openChallenges().first }
    }

    public func begin() async {
        await attempt {
            let digits = self.number.filter(\.isNumber)
            self.challenge = try await self.wallet.beginAddCard(
                number: digits, expiry: self.expiry, scheme: nil)
            // It has done its work; nothing keeps it.
            self.number = ""
        }
    }

    public func finish() async {
        guard let challenge else { return }
        await attempt {
            self.card = try await self.wallet.finishAddCard(challengeId: challenge.id, code: self.code)
            self.challenge = nil
        }
        code = ""
    }
}
