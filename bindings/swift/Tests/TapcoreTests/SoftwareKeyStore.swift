import Foundation

@testable import Tapcore

/// A key store for tests. INSECURE: its keys lie in this process's memory, where any code can read them,
/// and end with it. A wallet made for production refuses it by its security level.
///
/// It plays the system's prompt as well: what a verified key has wrapped comes out of `prompt` only.
final class SoftwareKeyStore: PlatformKeyStore, @unchecked Sendable {
    private let lock = NSLock()
    private var wrappingKeys: [String: Data] = [:]
    private var verifiedKeys: [String: Data] = [:]
    private var invalidated: Set<String> = []
    private var signingKeys: [String: SigningKey] = [:]
    private static let nonceLength = 12

    func securityLevel() -> SecurityLevel { .software }

    func createWrappingKey(alias: String) throws {
        lock.withLock { wrappingKeys[alias] = random(32) }
    }

    func createVerifiedKey(alias: String) throws {
        lock.withLock { verifiedKeys[alias] = random(32) }
    }

    func wrap(alias: String, key: Data) throws -> Data {
        let nonce = random(Self.nonceLength)
        guard let wrapping = lock.withLock({ wrappingKeys[alias] ?? verifiedKeys[alias] }) else {
            throw KeyStoreError.NotFound
        }
        guard let sealed = seal(key, under: wrapping, nonce: nonce) else { throw KeyStoreError.Unavailable }
        return nonce + sealed
    }

    func unwrap(alias: String, wrapped: Data) throws -> Data {
        let (key, needsPerson) = lock.withLock { (wrappingKeys[alias], verifiedKeys[alias] != nil) }
        if needsPerson { throw KeyStoreError.Unavailable }
        guard let key else { throw KeyStoreError.NotFound }
        return try unwrap(wrapped, under: key)
    }

    /// Shows the prompt to a person who lays a finger on the sensor, or closes it.
    func prompt(_ request: VerificationRequest, closed: Bool = false) throws -> PromptOutcome {
        let key = lock.withLock { invalidated.contains(request.alias) ? nil : verifiedKeys[request.alias] }
        guard let key else { return .invalidated }
        return closed ? .cancelled : .unwrapped(key: try unwrap(request.wrapped, under: key))
    }

    /// The person, or somebody else who knows the phone's code, adds a finger to those that open it.
    func enrolNewFinger() {
        lock.withLock { invalidated.formUnion(verifiedKeys.keys) }
    }

    /// Nothing vouches for keys in software.
    func createSigningKey(alias: String, challenge: Data) throws -> AttestedKey {
        guard let key = SigningKey() else { throw KeyStoreError.Unavailable }
        guard let point = key.publicKey else { throw KeyStoreError.Unavailable }
        lock.withLock { signingKeys[alias] = key }
        return AttestedKey(publicKey: point, attestation: [])
    }

    func sign(alias: String, message: Data) throws -> Data {
        guard let signature = try signingKey(alias).sign(message) else { throw KeyStoreError.Unavailable }
        return signature
    }

    func delete(alias: String) throws {
        lock.withLock {
            wrappingKeys[alias] = nil
            verifiedKeys[alias] = nil
            signingKeys[alias] = nil
        }
    }

    func aliases() throws -> [String] {
        lock.withLock { Array(wrappingKeys.keys) + Array(verifiedKeys.keys) + Array(signingKeys.keys) }
    }

    private func unwrap(_ wrapped: Data, under key: Data) throws -> Data {
        let nonce = wrapped.prefix(Self.nonceLength)
        let sealed = wrapped.dropFirst(Self.nonceLength)
        guard let text = open(Data(sealed), under: key, nonce: Data(nonce)) else { throw KeyStoreError.Invalidated }
        return text
    }

    private func signingKey(_ alias: String) throws -> SigningKey {
        guard let key = lock.withLock({ signingKeys[alias] }) else { throw KeyStoreError.NotFound }
        return key
    }
}

/// Bytes from the system's generator.
func random(_ count: Int) -> Data {
    var generator = SystemRandomNumberGenerator()
    return Data((0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
}

/// The clock of this machine; one run of the tests counts as one boot.
final class SystemClock: PlatformClock, @unchecked Sendable {
    private let run = UUID().uuidString

    func now() -> ClockReading {
        ClockReading(
            wallMs: Int64(Date().timeIntervalSince1970 * 1000),
            bootId: run,
            sinceBootMs: Int64(ProcessInfo.processInfo.systemUptime * 1000))
    }
}
