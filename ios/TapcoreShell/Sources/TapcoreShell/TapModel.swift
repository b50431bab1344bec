import Foundation
import Observation
import Tapcore

/// A payment that a reader has asked for and that waits for the person: what is asked, the verification, and that the
/// phone is to be held to the reader again.
@MainActor
@Observable
public final class TapModel {
    /// What is being entered; empty again once it was used.
    public var pin = ""
    /// What waits for the person, or nil.
    public private(set) var wanted: WantedPayment?
    /// Whether the person was verified for it: the next tap pays.
    public private(set) var isPermitted = false
    public var problem: String? { attempt.problem }
    public var isBusy: Bool { attempt.isBusy }

    /// Whether the phone could know a finger or a face again.
    public var canHaveBiometry: Bool { prompt.isPossible }

    private let wallet: WalletProtocol
    private let prompt: VerificationPrompt
    private let attempt = Attempts()

    public init(wallet: WalletProtocol, prompt: VerificationPrompt) {
        self.wallet = wallet
        self.prompt = prompt
    }

    /// What the wallet tells.
    public func heed(_ event: WalletEvent) {
        switch event {
        case .personWanted(_, let amountMinor, let currency, let merchant):
            let asked = WantedPayment(amountMinor: amountMinor, currency: currency, merchant: merchant)
            // Readers ask again while the phone lies there; a permission for the same stays good.
            if asked != wanted { isPermitted = false }
            wanted = asked
            attempt.problem = nil
        case .aboveLimit(_, let amountMinor, let currency, _):
            attempt.problem = "\(money(minor: amountMinor, currency: currency)) is more than this card may pay at once."
        case .tap where event.paid == true:
            (wanted, isPermitted, attempt.problem) = (nil, false, nil)
        default:
            break
        }
    }

    public func permitWithBiometry() async {
        await permit { wanted in
            try await self.prompt.verify(self.wallet, for: wanted.purpose, reason: wanted.sentence)
        }
    }

    public func permitWithPin() async {
        await permit { wanted in
            try await self.wallet.verifyWithPin(pin: self.pin, purpose: wanted.purpose)
        }
    }

    /// The person does not want to pay.
    public func dismiss() {
        (wanted, isPermitted, attempt.problem, pin) = (nil, false, nil, "")
    }

    private func permit(_ verify: (WantedPayment) async throws -> String) async {
        guard let wanted else { return }
        await attempt {
            defer { self.pin = "" }
            try await self.wallet.permitTap(verificationId: try await verify(wanted))
            self.isPermitted = true
        }
    }
}

/// What a reader asks for, for the person to see.
public struct WantedPayment: Equatable, Sendable {
    public let amountMinor: Int64
    public let currency: String
    public let merchant: String?

    /// Only for this amount.
    var purpose: Purpose { .payment(amountMinor: amountMinor, currency: currency) }

    public var sentence: String {
        let amount = money(minor: amountMinor, currency: currency)
        return merchant.map { "Pay \(amount) to \($0)" } ?? "Pay \(amount)"
    }
}

extension WalletEvent {
    /// Whether the reader has a payment, where this event ends what the phone has to do at it; nil for other events.
    public var paid: Bool? {
        switch self {
        case .tap(_, let outcome, _, _, _, _, _, _, _, let decision): outcome == .complete && decision == .online
        case .personWanted, .aboveLimit: false
        default: nil
        }
    }
}
