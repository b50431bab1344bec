import Foundation
import Tapcore

/// The sentence that the wallet gives with every refusal; it is written for the person.
public func sentence(_ error: Error) -> String {
    guard let error = error as? WalletError else {
        return "Something went wrong; please try again."
    }
    switch error {
    case .NotEnrolled(let detail), .Locked(let detail), .Cancelled(let detail), .Blocked(let detail),
        .InUse(let detail), .Network(let detail), .NotTrusted(let detail), .Rejected(_, let detail),
        .Corrupt(_, let detail), .Storage(let detail), .Invalid(let detail), .Outdated(_, let detail), .Internal(let detail),
        .NotVerified(_, let detail), .Wiped(let detail), .CodesUnavailable(_, let detail):
        return detail
    }
}

/// Why no reader is answered, where none is.
public func sentence(_ refusal: TapRefusal) -> String {
    switch refusal {
    case .locked: "Locked: unlock it to pay."
    case .outdated: "This app is too old to pay: update it."
    case .risk: "This phone looks unsafe, so it does not pay."
    case .screenLocked: "Unlock the phone to pay."
    }
}

/// Whether a card pays, and as what.
public func sentence(_ card: PaymentCard) -> String {
    switch card.state {
    case .active: card.home.map { "pays from the wallet of \($0)" } ?? card.maskedToken
    case .suspended: "suspended"
    case .deleted: "deleted"
    }
}

/// What is said under a payment code, or in its place.
public func sentence(_ shown: CodeShown) -> String {
    switch shown.state {
    case .showing:
        let left = shown.runsLow ? " \(shown.offlineLeft) more without a network: go online soon." : ""
        return "Changes in \(shown.secondsLeft) seconds.\(left)"
    case .paused: return "Touch to go on."
    case .used(let payment): return sentence(payment)
    case .ended(let why): return "\(sentence(why)) Touch for a fresh one."
    case .refused(_, let detail): return detail
    }
}

private func sentence(_ why: CodeEnd) -> String {
    switch why {
    case .closed: "The code was closed."
    case .revealed: "The digits were to be seen, so the code is void."
    case .photographed: "A screenshot was taken, so the code is void."
    case .expired: "The code was not used in time."
    case .void: "The provider has ended the code."
    }
}

/// A payment by code.
public func sentence(_ payment: CodePayment) -> String {
    let amount = money(minor: payment.amountMinor, currency: payment.currency)
    let reason = payment.reason.map { " \(why($0))" } ?? ""
    return switch payment.state {
    case .pending: "\(payment.wantsPassword ? "Confirm" : "Paying") \(amount) to \(payment.merchant)."
    case .approved: "Paid \(amount) to \(payment.merchant)."
    case .declined: "\(amount) to \(payment.merchant): declined.\(reason) Nothing was paid."
    case .revoked: "\(payment.merchant) has taken \(amount) back. Nothing is paid."
    }
}

/// Why a payment by code was declined; docs/codes.md lists the reasons.
private func why(_ reason: String) -> String {
    switch reason {
    case "account_not_active", "token_suspended", "token_deleted", "token_expired":
        "The card does not pay now: choose another one."
    case "class_cash": "Codes do not pay for cash."
    case "class_gambling": "Codes do not pay for gambling."
    case "class_investment": "Codes do not pay for investments."
    case "place_abroad": "Codes do not pay abroad."
    case "currency_not_supported": "Codes do not pay in this currency."
    case "daily_limit": "It is more than codes may pay in a day."
    case "password_not_set": "It wants a payment password: set one first."
    case "password_timeout": "It was not confirmed in time."
    case "superseded": "Another code or phone took its place."
    case "revoked": "The shop has taken it back."
    case "device_wiped": "This phone was wiped from elsewhere."
    case "network_refused": "The payment network has refused it."
    case "insufficient_funds": "The account does not hold enough."
    case "card_reported_lost": "The card was reported lost: ask its bank."
    default: "The bank or its network has refused it: ask the bank."
    }
}

/// Whom a shop's code pays, by the provider's word, and how much.
public func sentence(_ offer: MerchantOffer) -> String {
    let amount =
        offer.amountMinor.map { money(minor: $0, currency: offer.currency) }
        ?? "an amount of your own (\(offer.currency))"
    let bill = offer.bill.map { ", bill \($0)" } ?? ""
    let tip = offer.tip == nil ? "" : "\nThe code speaks of a tip or fee as well; it is not added."
    return "Pay \(amount) to \(offer.payee), \(offer.city)\(bill)\(tip)"
}

/// A payment whose answer was lost.
public func unanswered(_ offer: MerchantOffer, amountMinor: Int64) -> String {
    "Asked for \(money(minor: amountMinor, currency: offer.currency)) to \(offer.payee): whether it is paid is not known."
}

/// One line of the statement, ready to be shown.
public struct PaymentLine: Identifiable, Equatable, Sendable {
    public let id: String
    public let merchant: String
    public let amount: String
    public let state: String
    public let account: String
    public let at: Date

    public init(_ entry: StatementEntry) {
        id = entry.id
        merchant = entry.merchant ?? "unknown merchant"
        amount = money(minor: entry.amountMinor, currency: entry.currency)
        account = entry.account
        at = Date(timeIntervalSince1970: Double(entry.atMs) / 1000)
        state =
            switch entry.state {
            case .incomplete: "not finished at the reader"
            case .pending: "paid, not yet confirmed"
            case .matched: "paid"
            case .declined: "declined"
            case .expired: "never confirmed"
            }
    }
}

/// An amount of minor units, in the digits that its currency has.
public func money(minor: Int64, currency: String, locale: Locale = .current) -> String {
    let digits = fractionDigits(currency)
    let sign: FloatingPointSign = minor < 0 ? .minus : .plus
    let units = Decimal(sign: sign, exponent: -digits, significand: Decimal(minor.magnitude))
    let format = NumberFormatter()
    format.numberStyle = .currency
    format.locale = locale
    format.currencyCode = currency
    format.minimumFractionDigits = digits
    format.maximumFractionDigits = digits
    return format.string(from: units as NSDecimalNumber) ?? "\(units) \(currency)"
}

/// What was entered as an amount, in minor units; nil where it is none, or finer than its currency. Before the decimals stands
/// what the locale has there, or a point; its digits may be those of another script.
public func minor(_ entered: String, currency: String, locale: Locale = .current) -> Int64? {
    let pointed = entered.replacingOccurrences(of: locale.decimalSeparator ?? ".", with: ".")
    let plain = String(pointed.map(westernDigit))
    let parts = plain.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let digits = fractionDigits(currency)
    let fraction = parts.count == 2 ? parts[1] : ""
    let isAmount = parts.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }
    guard isAmount, parts[0].count <= 12, fraction.count <= digits else { return nil }
    let filled = fraction + String(repeating: "0", count: digits - fraction.count)
    guard let minor = Int64(parts[0] + filled), minor > 0 else { return nil }
    return minor
}

/// A decimal digit of any script as 0 to 9; anything else as it is.
private func westernDigit(_ character: Character) -> Character {
    let isDecimal = character.unicodeScalars.allSatisfy { $0.properties.generalCategory == .decimalNumber }
    guard isDecimal, let value = character.wholeNumberValue, let digit = String(value).first else { return character }
    return digit
}

/// ISO 4217: two digits, but for these. `NumberFormatter` would keep those of the locale's own currency.
private func fractionDigits(_ currency: String) -> Int {
    switch currency {
    case "CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "VUV", "XAF", "XOF", "XPF": 0
    case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND": 3
    default: 2
    }
}
