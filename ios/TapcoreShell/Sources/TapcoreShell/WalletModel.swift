import Foundation
import Observation
import Tapcore

/// The main screen: whether the phone is connected, its cards, its payments.
@MainActor
@Observable
public final class WalletModel {
    public private(set) var enrolled = false
    public private(set) var tapsLeft: UInt32 = 0
    /// Payment codes that can be shown without a network.
    public private(set) var codesLeft: UInt32 = 0
    /// Why no reader is answered, where none is.
    public private(set) var refusal: TapRefusal?
    public private(set) var cards: [PaymentCard] = []
    public private(set) var payments: [PaymentLine] = []
    /// What to tell the person, or nil.
    public var problem: String? { attempt.problem }

    private let wallet: WalletProtocol
    private let attempt = Attempts()
    private let hear: @MainActor (WalletEvent) -> Void
    private var relay: EventRelay?

    /// The wallet has one observer, which is this; `hear` is told what it hears.
    public init(wallet: WalletProtocol, hear: @escaping @MainActor (WalletEvent) -> Void = { _ in }) {
        self.wallet = wallet
        self.hear = hear
    }

    /// Opens the wallet and listens to it; once per process.
    public func start() async {
        let relay = EventRelay { [weak self] event in Task { await self?.heed(event) } }
        self.relay = relay
        wallet.setObserver(observer: relay)
        await attempt.beside { _ = try await self.wallet.start() }
        await refresh()
    }

    /// Connects the phone to a wallet provider.
    public func enrol(provider: String, authority: String) async {
        let address = provider.trimmingCharacters(in: .whitespacesAndNewlines)
        await attempt.beside { try await self.wallet.enrol(providerUrl: address, caPem: authority) }
        await refresh(keepingProblem: true)
    }

    /// Asks the provider for what is new.
    public func sync() async {
        guard enrolled else { return }
        await attempt.beside { _ = try await self.wallet.sync() }
        await refresh(keepingProblem: true)
    }

    /// There is a network again: keys that ran low meanwhile are fetched. Nobody asked for it, so nobody hears of a failure.
    public func networkIsBack() async {
        guard enrolled, (try? await wallet.sync()) != nil else { return }
        try? await look()
    }

    /// Holds a card back until it is resumed, with or without a network.
    public func suspend(_ card: PaymentCard) async {
        await attempt.beside { try await self.wallet.suspendCard(tokenRef: card.tokenRef) }
        await refresh(keepingProblem: true)
    }

    /// Lets a suspended card pay again; the network must agree.
    public func resume(_ card: PaymentCard) async {
        await attempt.beside { try await self.wallet.resumeCard(tokenRef: card.tokenRef) }
        await refresh(keepingProblem: true)
    }

    /// Makes a card the default one: readers see it first.
    public func makeDefault(_ card: PaymentCard) async {
        await attempt.beside { try await self.wallet.setDefaultCard(tokenRef: card.tokenRef) }
        await refresh(keepingProblem: true)
    }

    /// Lets one card alone pay the next tap.
    public func useNext(_ card: PaymentCard) async {
        await attempt.beside { try await self.wallet.useCardNext(tokenRef: card.tokenRef) }
        await refresh(keepingProblem: true)
    }

    /// Deletes a card for good.
    public func delete(_ card: PaymentCard) async {
        await attempt.beside { try await self.wallet.deleteCard(tokenRef: card.tokenRef) }
        await refresh(keepingProblem: true)
    }

    /// Tells the wallet how safe the phone looks.
    public func report(_ sight: Sight) {
        wallet.reportRisk(signals: sight.signals)
    }

    /// Shows what the wallet holds now; nothing is fetched.
    public func refresh() async {
        await refresh(keepingProblem: false)
    }

    private func heed(_ event: WalletEvent) async {
        hear(event)
        // Nothing is left of it; open, it can be enrolled anew.
        if event == .wiped { _ = try? await wallet.start() }
        await refresh(keepingProblem: event == .wiped)
    }

    private func refresh(keepingProblem: Bool) async {
        if keepingProblem && problem != nil {
            try? await look()
        } else {
            await attempt.beside { try await self.look() }
        }
    }

    private func look() async throws {
        let status = try await wallet.status()
        enrolled = status.enrolled
        tapsLeft = status.tapsLeft
        codesLeft = status.codesLeft
        refusal = status.refusal
        cards = try await wallet.cards()
        payments = try await wallet.statement().map(PaymentLine.init)
    }
}

/// The wallet reports from threads of its own.
private final class EventRelay: WalletObserver {
    private let heed: @Sendable (WalletEvent) -> Void

    init(heed: @escaping @Sendable (WalletEvent) -> Void) {
        self.heed = heed
    }

    func onEvent(event: WalletEvent) {
        heed(event)
    }
}
