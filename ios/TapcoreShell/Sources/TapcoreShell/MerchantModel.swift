import Foundation
import Observation
import Tapcore

/// A shop's code: read, shown to the person, paid.
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
    public private(set) var problem: String?
    public private(set) var isBusy = false

    private let wallet: WalletProtocol

    public init(wallet: WalletProtocol) {
        self.wallet = wallet
    }

    /// Asks the provider whose code it is.
    public func read() async {
        let text = code.trimmingCharacters(in: .whitespacesAndNewlines)
        (offer, payment) = (nil, nil)
        await attempt { self.offer = try await self.wallet.readMerchantCode(code: text) }
    }

    /// Pays what the person was shown. After an answer that was lost, called again, it pays once.
    public func pay() async {
        guard let offer, payment == nil else { return }
        guard let amountMinor = offer.amountMinor ?? minor(amount, currency: offer.currency) else {
            problem = "Enter an amount such as 12.50."
            return
        }
        await attempt {
            self.payment = try await self.wallet.payMerchant(offer: offer, amountMinor: amountMinor, tokenRef: nil)
        }
    }

    /// Confirms the payment that waits for it.
    public func confirm() async {
        guard let payment, payment.wantsPassword else { return }
        await attempt {
            self.payment = try await self.wallet.confirmCodePaymentWithPassword(payment: payment, password: self.password)
        }
        password = ""
    }

    private func attempt(_ work: () async throws -> Void) async {
        guard !isBusy else { return }
        isBusy = true
        defer { isBusy = false }
        do {
            try await work()
            problem = nil
        } catch {
            problem = sentence(error)
        }
    }
}
