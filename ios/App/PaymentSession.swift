import CoreNFC
import Foundation
import Tapcore
import TapcoreShell

/// One payment at a reader: host card emulation by CoreNFC's `CardSession` (iOS 17.4 and later, with the
/// entitlement that is given to payment apps in the European Economic Area).
@MainActor
final class PaymentSession {
    enum Refusal: Error {
        /// This phone or system has no card emulation.
        case unsupported
        /// Apple does not allow it for this account or region.
        case notEligible
    }

    private let relay: CardRelay
    /// Ends the emulation that runs, as paid or not; nil while none does.
    private var end: ((_ paid: Bool) async -> Void)?

    init(relay: CardRelay) {
        self.relay = relay
    }

    /// Shows the card to readers until a tap is over or the person ends it.
    func run() async throws {
        guard #available(iOS 17.4, *), NFCReaderSession.readingAvailable, CardSession.isSupported else {
            throw Refusal.unsupported
        }
        guard await CardSession.isEligible else { throw Refusal.notEligible }
        // While it is held, no other payment app is brought up by the reader.
        let presentment = try await NFCPresentmentIntentAssertion.acquire()
        defer { withExtendedLifetime(presentment) {} }
        try await emulate(CardSession())
    }

    /// The wallet tells when there is nothing more to do at the reader: paid, or the person is wanted first.
    func heed(_ event: WalletEvent) {
        guard let paid = event.paid, let end else { return }
        self.end = nil
        Task { await end(paid) }
    }

    @available(iOS 17.4, *)
    private func emulate(_ session: CardSession) async throws {
        session.alertMessage = "Hold the phone near the reader."
        end = { paid in
            await session.stopEmulation(status: paid ? .success : .failure)
            session.invalidate()
        }
        defer {
            end = nil
            // Said more than once, it does no harm; never said, the tap would not be over.
            relay.leftField()
        }
        for try await event in session.eventStream {
            switch event {
            case .sessionStarted:
                break
            case .readerDetected:
                try await session.startEmulation()
            case .received(let command):
                relay.receive(command.payload) { answer in
                    // A reader that has gone takes no answer; the wallet hears of it by the next event.
                    Task { try? await command.respond(response: answer) }
                }
            case .readerDeselected:
                // The wallet waits for readers that come back; the session goes on until it tells that the tap is over.
                relay.leftField()
            case .sessionInvalidated:
                return
            @unknown default:
                break
            }
        }
    }

    static func sentence(_ error: Error) -> String {
        switch error as? Refusal {
        case .unsupported: "This phone cannot pay at a reader: it needs NFC and iOS 17.4 or later."
        case .notEligible: "Paying at a reader is not offered for this account in this region."
        case nil: TapcoreShell.sentence(error)
        }
    }
}
