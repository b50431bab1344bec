import Foundation
import Tapcore

/// What a test says of payment codes, and what was asked for.
final class FakeCodes: @unchecked Sendable {
    /// The next one that is shown.
    var view = FakeCodeView()
    /// Whether a showing needs the person.
    var wantsPerson = false
    var amountMinor: Int64?
    var tip: MerchantTip?
    /// Whether the network cannot be asked just now.
    var isUndecided = false
    /// Whether a payment's answer does not come yet.
    var isSlow = false
    var opened: [String?] = []
    var read: [String] = []
    var paid: [Int64] = []
    var confirmed: [String] = []

    static func payment(
        _ state: CodePaymentState, amountMinor: Int64 = 1250, wantsPassword: Bool = false, reason: String? = nil
    ) -> CodePayment {
        CodePayment(
            paymentId: "cpy_1", state: state, wantsPassword: wantsPassword, confirmUntilMs: 0, tokenRef: "tok_1",
            amountMinor: amountMinor, currency: "CNY", merchant: "Mapo Tofu House", reason: reason, authorisation: nil)
    }

    static func refuse(_ verificationId: String?, unless isFree: Bool) throws {
        if !isFree && verificationId == nil {
            throw WalletError.NotVerified(reason: "verification_over", detail: "Ask again.")
        }
    }
}

/// A showing that tells what the test says.
final class FakeCodeView: CodeView, @unchecked Sendable {
    private let teller: AsyncStream<CodeShown>.Continuation
    private var told: AsyncStream<CodeShown>.Iterator
    private let lock = NSLock()
    private var made: [String] = []
    var wantsPerson = false
    /// Whether `renew` and `end` do not return yet.
    var isSlow = false

    init() {
        let (stream, teller) = AsyncStream<CodeShown>.makeStream()
        (self.teller, told) = (teller, stream.makeAsyncIterator())
        super.init(noHandle: NoHandle())
    }

    required init(unsafeFromHandle handle: UInt64) { fatalError("a fake has no handle") }

    /// What was asked of it, from whichever thread.
    var calls: [String] { lock.withLock { made } }

    private func note(_ call: String) { lock.withLock { made.append(call) } }

    func tell(_ shown: CodeShown) { teller.yield(shown) }

    override func next() async throws -> CodeShown? { await told.next() }

    override func reveal(verificationId: String) async throws { note("reveal \(verificationId)") }

    override func photographed() async throws { note("photographed") }

    override func renew(verificationId: String?) async throws {
        note("renew \(verificationId ?? "-")")
        while isSlow { await Task.yield() }
        try FakeCodes.refuse(verificationId, unless: !wantsPerson)
    }

    override func end() async throws {
        note("end")
        teller.finish()
        while isSlow { await Task.yield() }
    }

    /// Ended from elsewhere: another view was opened.
    func finish() { teller.finish() }
}

extension FakeWallet {
    func showCode(kind: CodeKind, tokenRef: String?, verificationId: String?) async throws -> CodeView {
        codes.opened.append(verificationId)
        try refuse()
        try FakeCodes.refuse(verificationId, unless: !codes.wantsPerson)
        return codes.view
    }

    func refillCodes() async throws -> UInt32 { 0 }

    func confirmCodePayment(payment: CodePayment, verificationId: String) async throws -> CodePayment {
        throw WalletError.Internal(detail: "The fake does not do this.")
    }

    func confirmCodePaymentWithPassword(payment: CodePayment, password: String) async throws -> CodePayment {
        try refuse()
        codes.confirmed.append(password)
        return FakeCodes.payment(.approved, amountMinor: payment.amountMinor)
    }

    func codeAcceptance() async throws -> CodeAcceptance {
        throw WalletError.Internal(detail: "The fake does not do this.")
    }

    func readMerchantCode(code: String) async throws -> MerchantOffer {
        codes.read.append(code)
        try refuse()
        return MerchantOffer(
            code: code, paymentKey: "\(codes.read.count)", payee: "Mapo Tofu House", claimedName: "Bank of Everything", city: "Chengdu",
            category: "5812", amountMinor: codes.amountMinor, currency: "CNY", tip: codes.tip, once: true, bill: nil)
    }

    func payMerchant(offer: MerchantOffer, amountMinor: Int64, tokenRef: String?) async throws -> CodePayment {
        codes.paid.append(amountMinor)
        while codes.isSlow { await Task.yield() }
        try refuse()
        let isLarge = amountMinor > 100_000
        return FakeCodes.payment(isLarge || codes.isUndecided ? .pending : .approved, amountMinor: amountMinor, wantsPassword: isLarge)
    }
}
