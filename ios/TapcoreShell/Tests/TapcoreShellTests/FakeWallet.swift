import Foundation
import Tapcore
import TapcoreShell

/// A wallet that does as the test says.
final class FakeWallet: WalletProtocol, @unchecked Sendable {
    var answer = Answer.later
    var enrolled = false
    var refusal: WalletError?
    var entries: [StatementEntry] = []
    var held: [PaymentCard] = []
    var standing: TapRefusal?
    var pin: String?
    var hasBiometry = false
    var biometryIsVoid = false
    private(set) var seen: RiskSignals?
    private(set) var confirmed: [String] = []
    private(set) var permitted: [Purpose] = []
    private(set) var chosen: [String?] = []
    private(set) var screenLocked: Bool?
    private var asked: (id: String, purpose: Purpose)?
    private var verified: (id: String, purpose: Purpose)?
    private(set) var enteredNumber: String?
    private(set) var responder: TapResponder?
    private(set) var observer: WalletObserver?
    private(set) var departures = 0
    private(set) var starts = 0
    private(set) var syncs = 0
    /// What there is of payment codes.
    let codes = FakeCodes()

    static let challenge = CardChallenge(
        id: "chl_1", maskedCard: "…0015", bank: "bank-a", expiresAtMs: 0, triesLeft: 3)
    static let card = card(.active)

    private static func card(_ state: CardState) -> PaymentCard {
        PaymentCard(
            tokenRef: "tok_1", maskedToken: "…4242", maskedCard: "…0015", bank: "bank-a", accountType: .bankCard,
            expiry: "2029-12-31", state: state, scheme: "unionpay", home: nil)
    }

    func refuse() throws {
        if let refusal { throw refusal }
    }

    private var state: WalletStatus {
        WalletStatus(
            enrolled: enrolled, deviceId: nil, cards: UInt32(held.count), tapsLeft: 7, codesLeft: 14, refusal: standing,
            pinTriesLeft: pin == nil ? nil : 10, pinWaitS: 0, biometric: hasBiometry, biometricVoided: biometryIsVoid)
    }

    func start() async throws -> WalletStatus {
        starts += 1
        try refuse()
        return state
    }

    func open() async throws {
        try refuse()
    }

    func status() async throws -> WalletStatus { state }

    func enrol(providerUrl: String, caPem: String) async throws {
        try refuse()
        enrolled = true
    }

    func beginAddCard(number: String, expiry: String, scheme: String?) async throws -> CardChallenge {
        try refuse()
        enteredNumber = number
        return Self.challenge
    }

    func openChallenges() async throws -> [CardChallenge] { [Self.challenge] }

    func finishAddCard(challengeId: String, code: String) async throws -> PaymentCard {
        try refuse()
        return Self.card
    }

    func cards() async throws -> [PaymentCard] { held }

    func processApdu(apdu: Data) -> Answer { answer }

    func setResponder(responder: TapResponder) { self.responder = responder }

    func setObserver(observer: WalletObserver) { self.observer = observer }

    func deactivated() { departures += 1 }

    func sync() async throws -> SyncReport {
        syncs += 1
        try refuse()
        return SyncReport(newEntries: 0, keysReceived: 0)
    }

    func statement() async throws -> [StatementEntry] { entries }

    func shutDown() async throws {}
}

/// The person, as far as a fake knows one.
extension FakeWallet {
    private func check(_ proof: PersonProof?) throws {
        switch proof {
        case nil where pin == nil: return
        case .pin(let entered) where entered == pin: return
        case .verification(let id) where id == verified?.id && verified?.purpose == .access: verified = nil
        default: throw WalletError.NotVerified(reason: "pin_wrong", detail: "The PIN is wrong.")
        }
    }

    func setPin(pin: String, proof: PersonProof?) async throws {
        try check(proof)
        self.pin = pin
    }

    func setUpVerification(proof: PersonProof?) async throws {
        try check(proof)
        (hasBiometry, biometryIsVoid) = (true, false)
    }

    func lock() async throws {
        try refuse()
        standing = .locked
    }

    func unlock(proof: PersonProof) async throws {
        try check(proof)
        standing = nil
    }

    func beginVerification(purpose: Purpose) async throws -> VerificationRequest {
        asked = (id: "vrf_1", purpose: purpose)
        return VerificationRequest(id: "vrf_1", alias: "verified.1", wrapped: Data([1]))
    }

    func finishVerification(id: String, outcome: PromptOutcome) async throws {
        defer { asked = nil }
        switch outcome {
        case .unwrapped: verified = asked
        case .cancelled: throw WalletError.Cancelled(detail: "The prompt was closed.")
        case .invalidated:
            (hasBiometry, biometryIsVoid) = (false, true)
            throw WalletError.NotVerified(reason: "biometric_changed", detail: "The faces have changed.")
        }
    }

    func verifyWithPin(pin: String, purpose: Purpose) async throws -> String {
        try check(.pin(pin: pin))
        verified = (id: "vrf_2", purpose: purpose)
        return "vrf_2"
    }

    func confirmPayment(
        amountMinor: Int64, currency: String, payee: String, verificationId: String
    ) async throws -> Confirmation {
        let purpose = Purpose.payment(amountMinor: amountMinor, currency: currency)
        guard let verified, verified.id == verificationId, verified.purpose == purpose else {
            throw WalletError.NotVerified(reason: "verification_over", detail: "Ask again.")
        }
        self.verified = nil
        confirmed.append(payee)
        return Confirmation(id: "cnf_1", expiresAt: "2026-11-22T10:00:00Z")
    }

    func permitTap(verificationId: String) async throws {
        guard let verified, verified.id == verificationId, verified.purpose != .access else {
            throw WalletError.NotVerified(reason: "verification_over", detail: "Ask again.")
        }
        self.verified = nil
        permitted.append(verified.purpose)
    }

    private func set(_ tokenRef: String, _ state: CardState) throws {
        try refuse()
        held = held.map { $0.tokenRef == tokenRef ? Self.card(state) : $0 }
    }

    func suspendCard(tokenRef: String) async throws { try set(tokenRef, .suspended) }

    func resumeCard(tokenRef: String) async throws { try set(tokenRef, .active) }

    func deleteCard(tokenRef: String) async throws { try set(tokenRef, .deleted) }

    func setDefaultCard(tokenRef: String) async throws {
        try refuse()
        chosen.append(tokenRef)
    }

    func useCardNext(tokenRef: String?) async throws {
        try refuse()
        chosen.append(tokenRef)
    }

    func setScreenLocked(locked: Bool) { screenLocked = locked }

    func reportRisk(signals: RiskSignals) { seen = signals }
}

/// What no model here asks for yet.
extension FakeWallet {
    private var unused: WalletError { .Internal(detail: "The fake does not do this.") }

    func confirmWithPassword(
        amountMinor: Int64, currency: String, payee: String, password: String
    ) async throws -> Confirmation { throw unused }

    func setPaymentPassword(password: String) async throws { throw unused }

    func changePaymentPassword(old: String, new: String) async throws { throw unused }

    func beginPasswordReset(number: String, expiry: String) async throws -> PasswordReset { throw unused }

    func finishPasswordReset(resetId: String, code: String, password: String) async throws { throw unused }

    func passToMaker(tokenRef: String, ask: MakerAsk, verificationId: String?) async throws -> MakerPass {
        try refuse()
        if pin != nil || hasBiometry {
            try check(verificationId.map { .verification(id: $0) })
        }
        return MakerPass(
            tokenRef: "tok_2", expiresAtMs: 0, encapsulatedKey: ask.makerKey, ciphertext: Data(tokenRef.utf8))
    }

    func join(providerUrl: String, caPem: String, linkCode: String) async throws { throw unused }

    func phones() async throws -> [Phone] { throw unused }

    func wipePhone(deviceId: String) async throws { throw unused }

    func createLinkCode(kind: LinkKind) async throws -> LinkCode { throw unused }

    func wipe() async throws { throw unused }

    func exportData() async throws -> String { throw unused }

    func erase() async throws { throw unused }

    func onPush() async throws { throw unused }
}

/// A prompt whose person does as the test says.
final class FakePrompt: VerificationPrompt, @unchecked Sendable {
    var outcome = PromptOutcome.unwrapped(key: Data(repeating: 7, count: 32))
    private(set) var reasons: [String] = []
    private(set) var wipes = 0
    /// Whether the person takes their time.
    var isSlow = false

    var isPossible: Bool { true }

    func ask(_ request: VerificationRequest, reason: String) async -> PromptOutcome {
        reasons.append(reason)
        while isSlow { await Task.yield() }
        return outcome
    }

    func wipe(_ outcome: PromptOutcome) { wipes += 1 }
}
