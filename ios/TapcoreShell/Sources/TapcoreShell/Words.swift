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
        .NotVerified(_, let detail), .Wiped(let detail):
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

/// ISO 4217: two digits, but for these. `NumberFormatter` would keep those of the locale's own currency.
private func fractionDigits(_ currency: String) -> Int {
    switch currency {
    case "CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "VUV", "XAF", "XOF", "XPF": 0
    case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND": 3
    default: 2
    }
}
