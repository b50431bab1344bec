import Foundation
import Observation
import Tapcore

/// The system's prompt for a finger or a face.
public protocol VerificationPrompt: Sendable {
    /// Whether the phone has a sensor, and somebody to know again.
    var isPossible: Bool { get }
    /// Shows the prompt and unwraps inside it.
    func ask(_ request: VerificationRequest, reason: String) async -> PromptOutcome
    /// Overwrites a key that was unwrapped.
    func wipe(_ outcome: PromptOutcome)
}

extension VerificationPrompt {
    /// Verifies the person for a purpose; answers the verification's identifier, which is good once.
    public func verify(_ wallet: WalletProtocol, for purpose: Purpose, reason: String) async throws -> String {
        let request = try await wallet.beginVerification(purpose: purpose)
        let outcome = await ask(request, reason: reason)
        defer { wipe(outcome) }
        try await wallet.finishVerification(id: request.id, outcome: outcome)
        return request.id
    }
}

/// Locking and unlocking, PIN, finger and face.
@MainActor
@Observable
public final class AccessModel {
    /// What is being entered; empty again once it was used.
    public var pin = ""
    public var newPin = ""
    /// Why the wallet does not pay, where it does not.
    public private(set) var refusal: TapRefusal?
    /// Nil where no PIN is set.
    public private(set) var triesLeft: UInt32?
    public private(set) var waitSeconds: UInt32 = 0
    public private(set) var hasBiometry = false
    /// The phone's fingers or faces have changed since they were set up here.
    public private(set) var biometryIsVoid = false
    public var problem: String? { attempt.problem }
    public var isBusy: Bool { attempt.isBusy }

    public var isLocked: Bool { refusal == .locked }
    /// Whether the phone could know a finger or a face again.
    public var canHaveBiometry: Bool { prompt.isPossible }

    private let wallet: WalletProtocol
    private let prompt: VerificationPrompt
    private let attempt = Attempts()

    public init(wallet: WalletProtocol, prompt: VerificationPrompt) {
        self.wallet = wallet
        self.prompt = prompt
    }

    public func refresh() async {
        await change {}
    }

    public func lock() async {
        await change { try await self.wallet.lock() }
    }

    public func unlockWithPin() async {
        await change { try await self.wallet.unlock(proof: .pin(pin: self.pin)) }
    }

    public func unlockWithBiometry() async {
        await change {
            let id = try await self.prompt.verify(self.wallet, for: .access, reason: "Unlock the wallet")
            try await self.wallet.unlock(proof: .verification(id: id))
        }
    }

    /// Sets the new PIN; where there is one, the old one must have been entered.
    public func setPin() async {
        await change { try await self.wallet.setPin(pin: self.newPin, proof: self.proof) }
    }

    /// Sets finger or face up, or up again after they changed.
    public func setUpBiometry() async {
        await change { try await self.wallet.setUpVerification(proof: self.proof) }
    }

    /// Confirms a payment by finger or face; answers what the provider calls it.
    public func confirm(amountMinor: Int64, currency: String, payee: String) async -> Confirmation? {
        var confirmation: Confirmation?
        await change {
            let purpose = Purpose.payment(amountMinor: amountMinor, currency: currency)
            let reason = "Pay \(money(minor: amountMinor, currency: currency)) to \(payee)"
            let id = try await self.prompt.verify(self.wallet, for: purpose, reason: reason)
            confirmation = try await self.wallet.confirmPayment(
                amountMinor: amountMinor, currency: currency, payee: payee, verificationId: id)
        }
        return confirmation
    }

    private var proof: PersonProof? { pin.isEmpty ? nil : .pin(pin: pin) }

    private func change(_ work: () async throws -> Void) async {
        guard await attempt(work) else { return }
        (pin, newPin) = ("", "")
        // What was tried may have cost a try: the standing is shown whatever came of it.
        guard let status = try? await wallet.status() else { return }
        refusal = status.refusal
        triesLeft = status.pinTriesLeft
        waitSeconds = status.pinWaitS
        hasBiometry = status.biometric
        biometryIsVoid = status.biometricVoided
    }
}
