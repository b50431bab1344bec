import Observation
import Tapcore

/// What a model was asked to do, one thing at a time, and why the last one was not done.
@MainActor
@Observable
public final class Attempts {
    /// What to tell the person, or nil.
    public internal(set) var problem: String?
    /// Whether something is being done.
    public private(set) var isBusy = false

    init() {}

    /// Does it, unless something is being done: a second press is none. Answers whether it was this one's turn.
    @discardableResult
    func callAsFunction(_ work: () async throws -> Void) async -> Bool {
        guard !isBusy else { return false }
        isBusy = true
        defer { isBusy = false }
        await beside(work)
        return true
    }

    /// Does it whatever else is being done.
    func beside(_ work: () async throws -> Void) async {
        problem = nil
        do {
            try await work()
        } catch {
            problem = sentence(error)
        }
    }
}

/// The payment password as it was entered; nothing entered is no try.
func entered(_ password: String) throws -> String {
    if password.isEmpty { throw WalletError.Cancelled(detail: "Enter the payment password first.") }
    return password
}
