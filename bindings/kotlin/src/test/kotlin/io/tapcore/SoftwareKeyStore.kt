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
 *
 * It plays the system's prompt as well: what a verified key has wrapped comes out of [prompt] only.
 */
class SoftwareKeyStore : PlatformKeyStore {
    private val wrappingKeys = ConcurrentHashMap<String, SecretKey>()
    private val verifiedKeys = ConcurrentHashMap<String, SecretKey>()
    private val invalidated = ConcurrentHashMap.newKeySet<String>()
    private val signingKeys = ConcurrentHashMap<String, KeyPair>()

    override fun securityLevel() = SecurityLevel.SOFTWARE

    override fun createWrappingKey(alias: String) {
        wrappingKeys[alias] = freshKey()
    }

    override fun createVerifiedKey(alias: String) {
        verifiedKeys[alias] = freshKey()
    }

    override fun wrap(alias: String, key: ByteArray): ByteArray {
        val wrapping = wrappingKeys[alias] ?: verifiedKeys[alias] ?: throw KeyStoreException.NotFound()
        val nonce = ByteArray(NONCE).also(SecureRandom()::nextBytes)
        val wrapped = cipher(Cipher.ENCRYPT_MODE, wrapping, nonce).doFinal(key)
        key.fill(0)
        return nonce + wrapped
    }

    override fun unwrap(alias: String, wrapped: ByteArray): ByteArray {
        if (verifiedKeys.containsKey(alias)) throw KeyStoreException.Unavailable()
        return unwrap(wrappingKeys[alias] ?: throw KeyStoreException.NotFound(), wrapped)
    }

    /** Shows the prompt to a person who lays a finger on the sensor, or [closes][closed] it. */
    fun prompt(request: VerificationRequest, closed: Boolean = false): PromptOutcome {
        val key = verifiedKeys[request.alias]
        return when {
            key == null || request.alias in invalidated -> PromptOutcome.Invalidated
            closed -> PromptOutcome.Cancelled
            else -> PromptOutcome.Unwrapped(unwrap(key, request.wrapped))
        }
    }

    /** The person, or somebody else who knows the phone's code, adds a finger to those that open it. */
    fun enrolNewFinger() {
        invalidated.addAll(verifiedKeys.keys)
    }

    /** Nothing vouches for keys in software. */
    override fun createSigningKey(alias: String, challenge: ByteArray): AttestedKey {
        val generator = KeyPairGenerator.getInstance("EC").apply { initialize(ECGenParameterSpec("secp256r1")) }
        signingKeys[alias] = generator.generateKeyPair()
        return AttestedKey(publicKey = publicKey(alias), attestation = emptyList())
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
        verifiedKeys.remove(alias)
        signingKeys.remove(alias)
    }

    override fun aliases(): List<String> = listOf(wrappingKeys, verifiedKeys, signingKeys).flatMap { it.keys }

    private fun pair(alias: String) = signingKeys[alias] ?: throw KeyStoreException.NotFound()

    private fun freshKey(): SecretKey = KeyGenerator.getInstance("AES").apply { init(256) }.generateKey()

    private fun unwrap(key: SecretKey, wrapped: ByteArray): ByteArray {
        if (wrapped.size <= NONCE) throw KeyStoreException.Invalidated()
        try {
            return cipher(Cipher.DECRYPT_MODE, key, wrapped.copyOf(NONCE)).doFinal(wrapped, NONCE, wrapped.size - NONCE)
        } catch (_: AEADBadTagException) {
            throw KeyStoreException.Invalidated()
        }
    }

    private fun cipher(mode: Int, key: SecretKey, nonce: ByteArray): Cipher =
        Cipher.getInstance("AES/GCM/NoPadding").apply { init(mode, key, GCMParameterSpec(128, nonce)) }

    /** 32 bytes, big-endian, without the sign byte that [BigInteger] may put in front. */
    private fun BigInteger.fixed(): ByteArray {
        val bytes = toByteArray().takeLast(32).toByteArray()
        return ByteArray(32 - bytes.size) + bytes
    }

    private companion object {
        const val NONCE = 12
    }
}
