import Foundation
import Observation
import Tapcore

/// A payment code while it is seen. It keeps no time: the wallet tells each change.
@MainActor
@Observable
public final class CodeModel {
    /// What is being entered where no finger or face is set up, and the payment password; empty again once used.
    public var pin = ""
    public var password = ""
    /// What the wallet told last, or nil while there is nothing to look at.
    public private(set) var shown: CodeShown?
    /// The code as it is drawn; nil while there is none.
    public private(set) var qr: CodeSymbol?
    public private(set) var bars: CodeSymbol?

    public var problem: String? { attempt.problem }
    public var isBusy: Bool { attempt.isBusy }
    /// Whether there is nothing to look at, and why was said: shown again, it may go better.
    public var canTryAgain: Bool { shown == nil && problem != nil }

    private let wallet: WalletProtocol
    private let prompt: VerificationPrompt
    private let attempt = Attempts()
    private var view: CodeViewProtocol?
    private var drawn = ""
    /// Counts showings, so that one that comes late does not take the place of the newest.
    private var showings = 0

    public init(wallet: WalletProtocol, prompt: VerificationPrompt) {
        self.wallet = wallet
        self.prompt = prompt
    }

    /// Shows a code until `hide` or `close`, in the place of the one before. A payment that waits for the person keeps its place.
    public func run(_ kind: CodeKind) async {
        guard shown?.waiting == nil else { return }
        let before = view
        forget()
        showings += 1
        let mine = showings
        await attempt.beside {
            do {
                try await self.attend(self.show(kind, after: before), mine)
            } catch where mine != self.showings {
                // Another one has taken its place, or the screen is gone: nobody waits for this one.
            }
        }
    }

    /// The screen is seen no more: nothing is left on it, and the code pays nothing from here on. But for a payment that waits
    /// for the person, who may have left to look the password up: its code is dead already, and it is there on return.
    public func hide() async {
        (pin, password) = ("", "")
        if shown?.waiting == nil { await close() }
    }

    /// Whatever is shown is over.
    public func close() async {
        let before = view
        forget()
        showings += 1
        (pin, password) = ("", "")
        // Whatever hinders it, a code that is not looked at dies within its short life.
        try? await before?.end()
    }

    /// The place of the code was touched: where there is none any more, or not yet again, a fresh one comes.
    public func touch() async {
        guard let view, let shown, shown.state != .showing, shown.payment?.state != .pending else { return }
        await attempt {
            try await self.asPerson { verified in
                // Whoever was asked took their time: a code that has ended meanwhile is not to come back.
                guard self.view === view else { return }
                try await view.renew(verificationId: verified)
            }
        }
    }

    /// The digits were touched: who is verified sees them, of a fresh code.
    public func reveal() async {
        guard let view, let shown, shown.state == .showing, !shown.revealed, !shown.digits.isEmpty else { return }
        await attempt {
            let verified = try await self.verify()
            if self.view === view { try await view.reveal(verificationId: verified) }
        }
    }

    /// A screenshot was taken.
    public func photographed() async {
        guard let view else { return }
        await attempt.beside { try await view.photographed() }
    }

    /// Confirms the payment that waits for it.
    public func confirm() async {
        guard let waiting = shown?.waiting else { return }
        await attempt {
            let password = try entered(self.password)
            self.password = ""
            _ = try await self.wallet.confirmCodePaymentWithPassword(payment: waiting, password: password)
        }
    }

    private func show(_ kind: CodeKind, after before: CodeViewProtocol?) async throws -> CodeView {
        // Only then: the wallet ends it by showing another one, and the next code waits for nobody.
        defer { end(before) }
        return try await asPerson { try await self.wallet.showCode(kind: kind, tokenRef: nil, verificationId: $0) }
    }

    private func attend(_ view: CodeView, _ mine: Int) async throws {
        guard mine == showings else { return end(view) }
        self.view = view
        defer {
            if mine == showings {
                forget()
                end(view)
            }
        }
        while let next = try await view.next(), mine == showings {
            try take(next)
        }
        if mine == showings { throw WalletError.Cancelled(detail: "The code was closed.") }
    }

    /// Of its own: the provider hears of it, and nobody waits for that.
    private func end(_ view: CodeViewProtocol?) {
        guard let view else { return }
        Task { try? await view.end() }
    }

    private func forget() {
        (view, shown, qr, bars, drawn) = (nil, nil, nil, nil, "")
    }

    private func take(_ next: CodeShown) throws {
        shown = next
        guard next.code != drawn else { return }
        drawn = next.code
        qr = drawn.isEmpty ? nil : try qrSymbol(code: drawn)
        bars = drawn.isEmpty || next.kind != .numeric ? nil : try barcodeSymbol(code: drawn)
    }

    /// A code needs nobody, but for the one after a screenshot or after digits were seen.
    private func asPerson<T>(_ work: (String?) async throws -> T) async throws -> T {
        do {
            return try await work(nil)
        } catch WalletError.NotVerified {
            return try await work(try await verify())
        }
    }

    private func verify() async throws -> String {
        defer { pin = "" }
        let person = try await wallet.status()
        if person.biometric {
            return try await prompt.verify(wallet, for: .access, reason: "Show a payment code")
        }
        // Nothing entered is no try.
        if person.pinTriesLeft != nil && pin.isEmpty { throw WalletError.Cancelled(detail: "Enter the PIN first.") }
        return try await wallet.verifyWithPin(pin: pin, purpose: .access)
    }
}

extension CodeShown {
    /// What a shop has made of the code.
    public var payment: CodePayment? {
        guard case .used(let payment) = state else { return nil }
        return payment
    }

    /// The payment, where it waits for the person.
    public var waiting: CodePayment? { payment.flatMap { $0.wantsPassword ? $0 : nil } }
}
