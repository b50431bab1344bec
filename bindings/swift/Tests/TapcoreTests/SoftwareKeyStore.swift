import Foundation

@testable import Tapcore

/// A key store for tests. INSECURE: its keys lie in this process's memory, where any code can read them,
/// and end with it. A wallet made for production refuses it by its security level.
final class SoftwareKeyStore: PlatformKeyStore, @unchecked Sendable {
    private let lock = NSLock()
    private var wrappingKeys: [String: Data] = [:]
    private var signingKeys: [String: SigningKey] = [:]
    private static let nonceLength = 12

    func securityLevel() -> SecurityLevel { .software }

    func createWrappingKey(alias: String) throws {
        lock.withLock { wrappingKeys[alias] = random(32) }
    }

    func wrap(alias: String, key: Data) throws -> Data {
        let nonce = random(Self.nonceLength)
        guard let sealed = seal(key, under: try wrappingKey(alias), nonce: nonce) else {
            throw KeyStoreError.Unavailable
        }
        return nonce + sealed
    }

    func unwrap(alias: String, wrapped: Data) throws -> Data {
        let nonce = wrapped.prefix(Self.nonceLength)
        let sealed = wrapped.dropFirst(Self.nonceLength)
        guard let key = open(Data(sealed), under: try wrappingKey(alias), nonce: Data(nonce)) else {
            throw KeyStoreError.Invalidated
        }
        return key
    }

    func createSigningKey(alias: String) throws -> Data {
        guard let key = SigningKey() else { throw KeyStoreError.Unavailable }
        guard let point = key.publicKey else { throw KeyStoreError.Unavailable }
        lock.withLock { signingKeys[alias] = key }
        return point
    }

    func sign(alias: String, message: Data) throws -> Data {
        guard let signature = try signingKey(alias).sign(message) else { throw KeyStoreError.Unavailable }
        return signature
    }

    func delete(alias: String) throws {
        lock.withLock {
            wrappingKeys[alias] = nil
            signingKeys[alias] = nil
        }
    }

    func aliases() throws -> [String] {
        lock.withLock { Array(wrappingKeys.keys) + Array(signingKeys.keys) }
    }

    private func wrappingKey(_ alias: String) throws -> Data {
        guard let key = lock.withLock({ wrappingKeys[alias] }) else { throw KeyStoreError.NotFound }
        return key
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
