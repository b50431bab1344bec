import Foundation
import LocalAuthentication
import Tapcore
import TapcoreShell

/// The system's prompt for a finger or a face. What the core wants opened is opened by a key that the Enclave
/// frees for the context in which it has seen the person: an app that merely believed "recognised" could be told
/// so by a hook.
final class EnclavePrompt: VerificationPrompt {
    private let keys: EnclaveKeyStore

    init(keys: EnclaveKeyStore) {
        self.keys = keys
    }

    var isPossible: Bool {
        LAContext().canEvaluatePolicy(.deviceOwnerAuthenticationWithBiometrics, error: nil)
    }

    func ask(_ request: VerificationRequest, reason: String) async -> PromptOutcome {
        let person = LAContext()
        // No way in by the phone's code: the wallet has a PIN of its own.
        person.localizedFallbackTitle = ""
        // Somebody who unlocked the phone a moment ago has not agreed to this.
        person.touchIDAuthenticationAllowableReuseDuration = 0
        defer { person.invalidate() }
        do {
            guard try await person.evaluatePolicy(.deviceOwnerAuthenticationWithBiometrics, localizedReason: reason)
            else { return .cancelled }
        } catch let error as LAError where error.code == .biometryNotEnrolled {
            // The fingers or faces that the key was made for are gone.
            return .invalidated
        } catch {
            return .cancelled
        }
        do {
            return .unwrapped(key: try keys.unwrap(alias: request.alias, wrapped: request.wrapped, by: person))
        } catch KeyStoreError.UserCancelled {
            return .cancelled
        } catch {
            // The person was recognised, and the key still refuses: it belongs to an earlier set of fingers or faces.
            return .invalidated
        }
    }

    func wipe(_ outcome: PromptOutcome) {
        if case .unwrapped(let key) = outcome { EnclaveKeyStore.wipe(key) }
    }
}
