import Foundation
import LocalAuthentication
import Security
import Tapcore
import TapcoreShell

/// Keys in the Secure Enclave, found again through the keychain. The Enclave knows P-256 only: a wrapping
/// key is a key pair, and wrapping is ECIES with AES-GCM. No private key leaves it, and none goes into a
/// backup or to another phone. Keys are usable from the first unlock on, because a tap may come while
/// the phone is locked; a verified key alone needs the person, whom `EnclavePrompt` asks.
///
/// Of a failure only its kind crosses to the core, never the system's text.
final class EnclaveKeyStore: PlatformKeyStore {
    private static let prefix = "tapcore."
    private static let wrapping = SecKeyAlgorithm.eciesEncryptionCofactorVariableIVX963SHA256AESGCM
    private static let signing = SecKeyAlgorithm.ecdsaSignatureMessageX962SHA256

    func securityLevel() -> SecurityLevel { .secureEnclave }

    func createWrappingKey(alias: String) throws {
        _ = try create(alias, kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly, .privateKeyUsage)
    }

    /// The Enclave asks for the person each time, and forgets the key when a finger or a face is added or removed.
    /// Wrapping is by the public half, so it needs nobody.
    func createVerifiedKey(alias: String) throws {
        // Without a finger or a face there is no set that the key could be bound to.
        guard LAContext().canEvaluatePolicy(.deviceOwnerAuthenticationWithBiometrics, error: nil) else {
            throw KeyStoreError.Unavailable
        }
        _ = try create(
            alias, kSecAttrAccessibleWhenUnlockedThisDeviceOnly, [.privateKeyUsage, .biometryCurrentSet])
    }

    func wrap(alias: String, key: Data) throws -> Data {
        guard let publicKey = SecKeyCopyPublicKey(try find(alias)) else { throw KeyStoreError.Unavailable }
        defer { Self.wipe(key) }
        var error: Unmanaged<CFError>?
        guard let wrapped = SecKeyCreateEncryptedData(publicKey, Self.wrapping, key as CFData, &error) else {
            throw Self.kind(error)
        }
        return wrapped as Data
    }

    func unwrap(alias: String, wrapped: Data) throws -> Data {
        // Of a verified key this fails: nobody can be asked here.
        let nobody = LAContext()
        nobody.interactionNotAllowed = true
        return try unwrap(alias: alias, wrapped: wrapped, by: nobody)
    }

    /// Unwraps what a verified key has wrapped; `person` is a context in which somebody was recognised.
    func unwrap(alias: String, wrapped: Data, by person: LAContext) throws -> Data {
        var error: Unmanaged<CFError>?
        let key = try find(alias, person)
        guard let opened = SecKeyCreateDecryptedData(key, Self.wrapping, wrapped as CFData, &error) else {
            throw Self.kind(error)
        }
        return opened as Data
    }

    /// Apple gives no certificates for keys of the Secure Enclave. What proves the app and its phone is App Attest, a
    /// service of its own that needs a network: it is not here yet, so a provider takes this key as unproven.
    func createSigningKey(alias: String, challenge: Data) throws -> AttestedKey {
        let key = try create(alias, kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly, .privateKeyUsage)
        return AttestedKey(publicKey: try Self.point(key), attestation: [])
    }

    func sign(alias: String, message: Data) throws -> Data {
        var error: Unmanaged<CFError>?
        guard let der = SecKeyCreateSignature(try find(alias), Self.signing, message as CFData, &error) else {
            throw Self.kind(error)
        }
        guard let signature = fixedSignature(der: der as Data) else { throw KeyStoreError.Unavailable }
        return signature
    }

    func delete(alias: String) throws {
        let status = SecItemDelete(Self.query(tag: alias) as CFDictionary)
        guard status == errSecSuccess || status == errSecItemNotFound else { throw KeyStoreError.Unavailable }
    }

    func aliases() throws -> [String] {
        var query = Self.query(tag: nil)
        query[kSecMatchLimit] = kSecMatchLimitAll
        query[kSecReturnAttributes] = true
        var found: CFTypeRef?
        let status = SecItemCopyMatching(query as CFDictionary, &found)
        if status == errSecItemNotFound { return [] }
        guard status == errSecSuccess, let items = found as? [[CFString: Any]] else {
            throw KeyStoreError.Unavailable
        }
        return items.compactMap { item in
            guard let tag = item[kSecAttrApplicationTag] as? Data,
                let name = String(data: tag, encoding: .utf8), name.hasPrefix(Self.prefix)
            else { return nil }
            return String(name.dropFirst(Self.prefix.count))
        }
    }

    private func create(
        _ alias: String, _ accessible: CFString, _ flags: SecAccessControlCreateFlags
    ) throws -> SecKey {
        // Two keys under one tag would make it a matter of luck which one is found.
        try delete(alias: alias)
        var error: Unmanaged<CFError>?
        guard let access = SecAccessControlCreateWithFlags(nil, accessible, flags, &error) else {
            throw Self.kind(error)
        }
        let attributes: [CFString: Any] = [
            kSecAttrKeyType: kSecAttrKeyTypeECSECPrimeRandom,
            kSecAttrKeySizeInBits: 256,
            kSecAttrTokenID: kSecAttrTokenIDSecureEnclave,
            kSecPrivateKeyAttrs: [
                kSecAttrIsPermanent: true,
                kSecAttrApplicationTag: Self.tag(alias),
                kSecAttrAccessControl: access,
            ] as [CFString: Any],
        ]
        guard let key = SecKeyCreateRandomKey(attributes as CFDictionary, &error) else { throw Self.kind(error) }
        return key
    }

    private func find(_ alias: String, _ person: LAContext? = nil) throws -> SecKey {
        var query = Self.query(tag: alias)
        query[kSecReturnRef] = true
        if let person { query[kSecUseAuthenticationContext] = person }
        var found: CFTypeRef?
        switch SecItemCopyMatching(query as CFDictionary, &found) {
        case errSecSuccess:
            guard let found, CFGetTypeID(found) == SecKeyGetTypeID() else { throw KeyStoreError.Unavailable }
            return found as! SecKey
        case errSecItemNotFound:
            throw KeyStoreError.NotFound
        default:
            throw KeyStoreError.Unavailable
        }
    }

    private static func query(tag alias: String?) -> [CFString: Any] {
        var query: [CFString: Any] = [
            kSecClass: kSecClassKey,
            kSecAttrKeyType: kSecAttrKeyTypeECSECPrimeRandom,
            kSecAttrTokenID: kSecAttrTokenIDSecureEnclave,
        ]
        if let alias { query[kSecAttrApplicationTag] = tag(alias) }
        return query
    }

    private static func tag(_ alias: String) -> Data {
        Data((prefix + alias).utf8)
    }

    /// Overwrites a buffer that was made for us on the way from the core; nobody else reads it. A change
    /// through `Data` itself would only make a copy and wipe that.
    static func wipe(_ key: Data) {
        key.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            _ = memset_s(UnsafeMutableRawPointer(mutating: start), bytes.count, 0, bytes.count)
        }
    }

    /// SEC1, uncompressed: 65 bytes.
    private static func point(_ key: SecKey) throws -> Data {
        guard let publicKey = SecKeyCopyPublicKey(key),
            let point = SecKeyCopyExternalRepresentation(publicKey, nil)
        else { throw KeyStoreError.Unavailable }
        return point as Data
    }

    private static func kind(_ error: Unmanaged<CFError>?) -> KeyStoreError {
        guard let error = error?.takeRetainedValue() else { return .Unavailable }
        switch CFErrorGetCode(error) {
        case Int(errSecUserCanceled): return .UserCancelled
        // What was wrapped was changed, or wrapped by another key.
        case Int(errSecDecode), Int(errSecParam): return .Invalidated
        default: return .Unavailable
        }
    }
}
