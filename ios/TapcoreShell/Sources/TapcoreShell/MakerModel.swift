import Foundation
import Observation
import Tapcore

/// Passing one card on to the wallet of the phone's maker: the person first, then what the maker's wallet asks for.
@MainActor
@Observable
public final class MakerModel {
    /// What is being entered where no finger or face is set up; empty again once it was used.
    public var pin = ""
    public let card: PaymentCard
    /// Whether the person has agreed: the maker's wallet may ask.
    public private(set) var isReady = false
    public private(set) var problem: String?

    private let wallet: WalletProtocol
    private let prompt: VerificationPrompt
    private var verificationId: String?

    public init(wallet: WalletProtocol, prompt: VerificationPrompt, card: PaymentCard) {
        (self.wallet, self.prompt, self.card) = (wallet, prompt, card)
    }

    /// Verifies the person, where there is a way to.
    public func prepare() async {
        defer { pin = "" }
        do {
            let status = try await wallet.status()
            if status.biometric {
                let reason = "Add \(card.bank) \(card.maskedCard) to the phone's own wallet"
                verificationId = try await prompt.verify(wallet, for: .access, reason: reason)
            } else if status.pinTriesLeft != nil {
                verificationId = try await wallet.verifyWithPin(pin: pin, purpose: .access)
            }
            (isReady, problem) = (true, nil)
        } catch {
            problem = sentence(error)
        }
    }

    /// Asks network and provider; nil, and the problem said, where they refuse. A verification is good once.
    public func pass(_ ask: MakerAsk) async -> MakerPass? {
        defer { (verificationId, isReady) = (nil, false) }
        do {
            return try await wallet.passToMaker(tokenRef: card.tokenRef, ask: ask, verificationId: verificationId)
        } catch {
            problem = sentence(error)
            return nil
        }
    }
}
