import Foundation
import Tapcore

/// Hands a reader's commands to the wallet and its answers back, those included that come later: a
/// payment that arrives before the wallet is armed is answered through `respond`.
///
/// At most one command is open at a time; that is how readers speak.
public final class CardRelay: TapResponder, @unchecked Sendable {
    public typealias Reply = @Sendable (Data) -> Void

    private let wallet: WalletProtocol
    private let lock = NSLock()
    private var open: Reply?

    public init(wallet: WalletProtocol) {
        self.wallet = wallet
        wallet.setResponder(responder: self)
    }

    /// One command; `reply` is called once, at once or later.
    public func receive(_ command: Data, reply: @escaping Reply) {
        // Stored before the call: a late answer may come while the call still returns.
        lock.withLock { open = reply }
        if case .now(let bytes) = wallet.processApdu(apdu: command) {
            respond(answer: bytes)
        }
    }

    /// Called by the wallet, from a thread of its own.
    public func respond(answer: Data) {
        take()?(answer)
    }

    /// The phone left the field: an answer that is still to come has nobody to go to.
    public func leftField() {
        _ = take()
        wallet.deactivated()
    }

    private func take() -> Reply? {
        lock.withLock {
            defer { open = nil }
            return open
        }
    }
}
