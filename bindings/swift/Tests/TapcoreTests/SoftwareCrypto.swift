// P-256 and AES-256-GCM for the tests' key store, from whatever the platform has.

import Foundation

#if canImport(CryptoKit)
import CryptoKit

final class SigningKey {
    private let key = P256.Signing.PrivateKey()

    init?() {}

    /// SEC1, uncompressed.
    var publicKey: Data? { key.publicKey.x963Representation }

    /// r and s, 32 bytes each.
    func sign(_ message: Data) -> Data? { try? key.signature(for: message).rawRepresentation }
}

func seal(_ text: Data, under key: Data, nonce: Data) -> Data? {
    guard let nonce = try? AES.GCM.Nonce(data: nonce),
        let box = try? AES.GCM.seal(text, using: SymmetricKey(data: key), nonce: nonce)
    else { return nil }
    return box.ciphertext + box.tag
}

func open(_ sealed: Data, under key: Data, nonce: Data) -> Data? {
    guard sealed.count >= 16, let nonce = try? AES.GCM.Nonce(data: nonce),
        let box = try? AES.GCM.SealedBox(
            nonce: nonce, ciphertext: sealed.dropLast(16), tag: sealed.suffix(16))
    else { return nil }
    return try? AES.GCM.open(box, using: SymmetricKey(data: key))
}
#else
import TestCrypto

final class SigningKey {
    private let key: UnsafeMutableRawPointer

    init?() {
        guard let key = test_key_generate() else { return nil }
        self.key = key
    }

    deinit { test_key_free(key) }

    /// SEC1, uncompressed.
    var publicKey: Data? {
        var out = [UInt8](repeating: 0, count: 65)
        return test_key_public(key, &out) == 1 ? Data(out) : nil
    }

    /// r and s, 32 bytes each.
    func sign(_ message: Data) -> Data? {
        var out = [UInt8](repeating: 0, count: 64)
        return test_key_sign(key, [UInt8](message), message.count, &out) == 1 ? Data(out) : nil
    }
}

func seal(_ text: Data, under key: Data, nonce: Data) -> Data? {
    var out = [UInt8](repeating: 0, count: text.count + 16)
    let done = test_seal([UInt8](key), [UInt8](nonce), [UInt8](text), text.count, &out)
    return done == 1 ? Data(out) : nil
}

func open(_ sealed: Data, under key: Data, nonce: Data) -> Data? {
    guard sealed.count >= 16 else { return nil }
    var out = [UInt8](repeating: 0, count: sealed.count)
    let done = test_open([UInt8](key), [UInt8](nonce), [UInt8](sealed), sealed.count, &out)
    return done == 1 ? Data(out.prefix(sealed.count - 16)) : nil
}
#endif
