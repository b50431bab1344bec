package io.tapcore

import java.math.BigInteger
import java.security.KeyPair
import java.security.KeyPairGenerator
import java.security.SecureRandom
import java.security.Signature
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec
import java.util.concurrent.ConcurrentHashMap
import javax.crypto.AEADBadTagException
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/**
 * A key store for tests. INSECURE: its keys lie in this process's memory, where any code can read them,
 * and end with it. A wallet made for production refuses it by its [securityLevel].
 */
class SoftwareKeyStore : PlatformKeyStore {
    private val wrappingKeys = ConcurrentHashMap<String, SecretKey>()
    private val signingKeys = ConcurrentHashMap<String, KeyPair>()

    override fun securityLevel() = SecurityLevel.SOFTWARE

    override fun createWrappingKey(alias: String) {
        wrappingKeys[alias] = KeyGenerator.getInstance("AES").apply { init(256) }.generateKey()
    }

    override fun wrap(alias: String, key: ByteArray): ByteArray {
        val nonce = ByteArray(NONCE).also(SecureRandom()::nextBytes)
        val wrapped = cipher(Cipher.ENCRYPT_MODE, alias, nonce).doFinal(key)
        key.fill(0)
        return nonce + wrapped
    }

    override fun unwrap(alias: String, wrapped: ByteArray): ByteArray {
        if (wrapped.size <= NONCE) throw KeyStoreException.Invalidated()
        val cipher = cipher(Cipher.DECRYPT_MODE, alias, wrapped.copyOf(NONCE))
        try {
            return cipher.doFinal(wrapped, NONCE, wrapped.size - NONCE)
        } catch (_: AEADBadTagException) {
            throw KeyStoreException.Invalidated()
        }
    }

    override fun createSigningKey(alias: String): ByteArray {
        val generator = KeyPairGenerator.getInstance("EC").apply { initialize(ECGenParameterSpec("secp256r1")) }
        signingKeys[alias] = generator.generateKeyPair()
        return publicKey(alias)
    }

    private fun publicKey(alias: String): ByteArray {
        val point = (pair(alias).public as ECPublicKey).w
        return byteArrayOf(4) + point.affineX.fixed() + point.affineY.fixed()
    }

    override fun sign(alias: String, message: ByteArray): ByteArray =
        Signature.getInstance("SHA256withECDSAinP1363Format").run {
            initSign(pair(alias).private)
            update(message)
            sign()
        }

    override fun delete(alias: String) {
        wrappingKeys.remove(alias)
        signingKeys.remove(alias)
    }

    override fun aliases(): List<String> = wrappingKeys.keys.toList() + signingKeys.keys

    private fun pair(alias: String) = signingKeys[alias] ?: throw KeyStoreException.NotFound()

    private fun cipher(mode: Int, alias: String, nonce: ByteArray): Cipher {
        val key = wrappingKeys[alias] ?: throw KeyStoreException.NotFound()
        return Cipher.getInstance("AES/GCM/NoPadding").apply { init(mode, key, GCMParameterSpec(128, nonce)) }
    }

    /** 32 bytes, big-endian, without the sign byte that [BigInteger] may put in front. */
    private fun BigInteger.fixed(): ByteArray {
        val bytes = toByteArray().takeLast(32).toByteArray()
        return ByteArray(32 - bytes.size) + bytes
    }

    private companion object {
        const val NONCE = 12
    }
}
