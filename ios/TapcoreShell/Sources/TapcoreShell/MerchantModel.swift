import Foundation
import Observation
import Tapcore

/// A shop's code: read, shown to the person, paid. It outlives the screen: an offer holds what makes paying again the same
/// payment, so it is kept until it is known what became of it.
@MainActor
@Observable
public final class MerchantModel {
    /// What the camera read, and what is entered: the amount where the code names none, and the payment password.
    public var code = ""
    public var amount = ""
    public var password = ""
    /// Whom it pays and how much, or nil while none was read.
    public private(set) var offer: MerchantOffer?
    /// What has become of it, or nil while nothing was paid.
    public private(set) var payment: CodePayment?
    /// The amount of a payment whose answer was lost, in minor units: with another one it would not be the same.
    public private(set) var lostAmountMinor: Int64?

    public var problem: String? { attempt.problem }
    public var isBusy: Bool { attempt.isBusy }
    /// Whether there is something to pay, or a payment to look at again until it is decided.
    public var canPay: Bool { offer != nil && (payment == nil || payment?.state == .pending) }
    /// Whether the person is to say how much.
    public var wantsAmount: Bool { offer != nil && offer?.amountMinor == nil && payment == nil && lostAmountMinor == nil }

    private let wallet: WalletProtocol
    private let attempt = Attempts()
    /// The code asked for last, until it is read: where something is being done, it waits.
    private var wanted: String?

    /// Whether it is not known what has become of a payment: no other code is read until it is, or is given up.
    public var isOpen: Bool { lostAmountMinor != nil || payment?.state == .pending }
    private var text: String { code.trimmingCharacters(in: .whitespacesAndNewlines) }

    public init(wallet: WalletProtocol) {
        self.wallet = wallet
    }

    /// The screen was opened: what a camera has read is read.
    public func open() async {
        if !text.isEmpty { await read() }
    }

    /// Asks the provider whose code it is. The last one asked for counts, whatever is being done meanwhile; of the same code,
    /// a payment that is not decided is gone on with.
    public func read() async {
        let text = self.text
        // Read anew, a code without an order would be paid a second time.
        wanted = offer?.code == text && (isOpen || isBusy) ? nil : text
        await readWanted()
    }

    /// Pays what the person was shown. Called again after an answer that was lost, or while it is not decided, it pays once
    /// and tells how it stands.
    public func pay() async {
        guard let offer, canPay else { return }
        await alone {
            let asked = offer.amountMinor ?? minor(self.amount, currency: offer.currency)
            guard let amountMinor = self.lostAmountMinor ?? self.payment?.amountMinor ?? asked else {
                throw WalletError.Invalid(detail: "Enter an amount such as 12.50.")
            }
            do {
                self.payment = try await self.wallet.payMerchant(offer: offer, amountMinor: amountMinor, tokenRef: nil)
                self.lostAmountMinor = nil
            } catch let error as WalletError {
                if error.saysUnpaid { self.lostAmountMinor = nil }
                guard error.mayHideAPayment else { throw error }
                // What the provider holds under this offer is another payment: asked again, it would say so for ever.
                if error.isConflict { throw self.letGo() }
                self.lostAmountMinor = amountMinor
                let advice = "It may be paid: ask again here, which pays once, or look at the statement first."
                throw WalletError.Network(detail: "\(sentence(error)) \(advice)")
            }
        }
    }

    /// Lets go of a payment that is not decided; the person looks for it in the statement.
    public func giveUp() async {
        guard isOpen else { return }
        await alone { throw self.letGo() }
    }

    /// Confirms the payment that waits for it.
    public func confirm() async {
        guard let payment, payment.wantsPassword else { return }
        await alone {
            let password = try entered(self.password)
            self.password = ""
            self.payment = try await self.wallet.confirmCodePaymentWithPassword(payment: payment, password: password)
        }
    }

    /// The screen was closed. What is not decided stays: the same code, read again, goes on with it.
    public func leave() {
        (password, wanted) = ("", nil)
        guard !isOpen, !isBusy else { return }
        forget()
        (code, amount, attempt.problem) = ("", "", nil)
    }

    private func alone(_ work: () async throws -> Void) async {
        await attempt(work)
        await readWanted()
    }

    private func readWanted() async {
        while !isBusy, let code = wanted {
            await attempt { try await self.take(code) }
        }
    }

    /// No other shop's offer stands there while this code is asked for, nor where another one was asked for since.
    private func take(_ code: String) async throws {
        defer { if wanted == code { wanted = nil } }
        if isOpen {
            let advice = "ask again how it stands, or give it up, before another one."
            throw WalletError.Cancelled(detail: "The payment before is not decided: \(advice)")
        }
        forget()
        let next = try await wallet.readMerchantCode(code: code)
        // An amount entered for another offer is not for this one.
        if wanted == code { (offer, amount) = (next, "") }
    }

    private func letGo() -> WalletError {
        forget()
        return .Cancelled(detail: "It may be paid: look at the statement before you pay again.")
    }

    private func forget() {
        (offer, payment, lostAmountMinor) = (nil, nil, nil)
    }
}

extension WalletError {
    /// Whether the provider has no payment for sure.
    fileprivate var saysUnpaid: Bool {
        guard case .Rejected(let reason, _) = self else { return false }
        let reasons = [
            "order_paid", "amount_differs", "account_not_active", "payee_unknown", "merchant_code_invalid", "request_invalid",
        ]
        return reasons.contains(reason)
    }

    /// Whether the offer's key has paid something else.
    fileprivate var isConflict: Bool {
        guard case .Rejected(let reason, _) = self else { return false }
        return reason == "idempotency_conflict"
    }

    /// Whether the provider may have paid, though it did not say so.
    fileprivate var mayHideAPayment: Bool {
        switch self {
        case .Network, .Internal: true
        // Its answer came, and was not understood.
        case .Outdated(let reason, _): reason == .answer
        case .Rejected: !saysUnpaid
        default: false
        }
    }
}
