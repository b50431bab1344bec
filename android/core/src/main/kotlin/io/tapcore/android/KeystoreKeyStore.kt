package io.tapcore.android

import android.content.Context
import android.content.pm.PackageManager
import android.os.Build
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyInfo
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import android.security.keystore.UserNotAuthenticatedException
import io.tapcore.AttestedKey
import io.tapcore.KeyStoreException
import io.tapcore.PlatformKeyStore
import io.tapcore.SecurityLevel
import java.math.BigInteger
import java.security.KeyFactory
import java.security.KeyPairGenerator
import java.security.KeyStore
import java.security.PrivateKey
import java.security.ProviderException
import java.security.PublicKey
import java.security.Signature
import java.security.cert.Certificate
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec
import java.security.spec.MGF1ParameterSpec
import java.security.spec.X509EncodedKeySpec
import javax.crypto.AEADBadTagException
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec
import javax.crypto.spec.OAEPParameterSpec
import javax.crypto.spec.PSource

/**
 * Keys in Android's Keystore: in StrongBox where the phone has one, else in its trusted execution
 * environment. No key leaves it. Keys are usable while the phone is locked, because a tap may come then;
 * the verified keys alone need the person, whom [VerificationPrompt] asks.
 *
 * Of a failure only its kind crosses to the core, never the platform's text.
 */
class KeystoreKeyStore(context: Context) : PlatformKeyStore {
    private val keys: KeyStore = KeyStore.getInstance(PROVIDER).apply { load(null) }
    private val hasStrongBox = Build.VERSION.SDK_INT >= Build.VERSION_CODES.P &&
        context.packageManager.hasSystemFeature(PackageManager.FEATURE_STRONGBOX_KEYSTORE)

    /** What the hardware gives is seen only on a key that it made, in the way in which the device key is made. */
    private val level: SecurityLevel by lazy {
        val alias = "level"
        val made = makeSigningKey(alias, challenge = ByteArray(16))
        guarded {
            try {
                levelOf(keys.getKey(PREFIX + alias, null) as PrivateKey, made.inStrongBox)
            } finally {
                keys.deleteEntry(PREFIX + alias)
            }
        }
    }

    // A phone whose Keystore fails has no level to offer, and a wallet made for production refuses it.
    override fun securityLevel(): SecurityLevel =
        try {
            level
        } catch (_: KeyStoreException) {
            SecurityLevel.SOFTWARE
        }

    override fun createWrappingKey(alias: String) {
        val purposes = KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT
        inHardware { strongBox ->
            val spec = KeyGenParameterSpec.Builder(PREFIX + alias, purposes)
                .setKeySize(256)
                .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
                .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
                .also { if (strongBox) requireStrongBox(it) }
                .build()
            KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, PROVIDER).run {
                init(spec)
                generateKey()
            }
        }
    }

    /**
     * A pair of which only the private half needs the person: whoever wraps has the public one. RSA, because Android
     * hands no other decryption to a prompt, and of 3072 bits, which are as strong as everything else here; StrongBox
     * knows 2048 at most, so this key lies in the trusted execution environment. Making it takes a second or two.
     */
    override fun createVerifiedKey(alias: String): Unit = guarded {
        val builder = KeyGenParameterSpec.Builder(PREFIX + alias, KeyProperties.PURPOSE_DECRYPT)
            .setKeySize(3072)
            .setDigests(KeyProperties.DIGEST_SHA256)
            .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_RSA_OAEP)
            .setUserAuthenticationRequired(true)
            .setInvalidatedByBiometricEnrollment(true)
        // Each use asks anew. Before Android 11 that is what a key is made for when no time is given.
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
            builder.setUserAuthenticationParameters(0, KeyProperties.AUTH_BIOMETRIC_STRONG)
        }
        KeyPairGenerator.getInstance(KeyProperties.KEY_ALGORITHM_RSA, PROVIDER).run {
            initialize(builder.build())
            generateKeyPair()
        }
    }

    override fun wrap(alias: String, key: ByteArray): ByteArray = guarded {
        try {
            when (val wrapping = keys.getKey(PREFIX + alias, null)) {
                is SecretKey -> Cipher.getInstance(TRANSFORMATION).run {
                    init(Cipher.ENCRYPT_MODE, wrapping)
                    // The Keystore chooses the nonce and lets nobody else do it.
                    iv + doFinal(key)
                }
                is PrivateKey -> wrapForThePerson(certificate(alias).publicKey, key)
                else -> throw KeyStoreException.NotFound()
            }
        } finally {
            // This copy was made for us on the way from the core.
            key.fill(0)
        }
    }

    override fun unwrap(alias: String, wrapped: ByteArray): ByteArray = guarded {
        val key = keys.getKey(PREFIX + alias, null) ?: throw KeyStoreException.NotFound()
        // A verified key: nobody can be asked here.
        if (key !is SecretKey) throw KeyStoreException.Unavailable()
        if (wrapped.size <= NONCE) throw KeyStoreException.Invalidated()
        val cipher = Cipher.getInstance(TRANSFORMATION)
        cipher.init(Cipher.DECRYPT_MODE, key, GCMParameterSpec(128, wrapped, 0, NONCE))
        cipher.doFinal(wrapped, NONCE, wrapped.size - NONCE)
    }

    override fun createSigningKey(alias: String, challenge: ByteArray): AttestedKey {
        val made = makeSigningKey(alias, challenge)
        return AttestedKey(
            publicKey = publicKey(alias),
            // Without a challenge the chain is a placeholder that the key has signed itself.
            attestation = if (made.isAttested) chain(alias) else emptyList(),
        )
    }

    private class Made(val inStrongBox: Boolean, val isAttested: Boolean)

    private fun makeSigningKey(alias: String, challenge: ByteArray): Made =
        try {
            Made(inHardware { strongBox -> generateSigningKey(alias, challenge, strongBox) }, isAttested = true)
        } catch (_: KeyStoreException.Unavailable) {
            // Some phones have lost their attestation keys, or never had any. The provider decides what an unproven key
            // is worth; where even that cannot be made, it fails here.
            Made(inHardware { strongBox -> generateSigningKey(alias, challenge = null, strongBox) }, isAttested = false)
        }

    private fun generateSigningKey(alias: String, challenge: ByteArray?, strongBox: Boolean) {
        val spec = KeyGenParameterSpec.Builder(PREFIX + alias, KeyProperties.PURPOSE_SIGN)
            .setAlgorithmParameterSpec(ECGenParameterSpec("secp256r1"))
            .setDigests(KeyProperties.DIGEST_SHA256)
            .setAttestationChallenge(challenge)
            .also { if (strongBox) requireStrongBox(it) }
            .build()
        KeyPairGenerator.getInstance(KeyProperties.KEY_ALGORITHM_EC, PROVIDER).run {
            initialize(spec)
            generateKeyPair()
        }
    }

    private fun chain(alias: String): List<ByteArray> = guarded {
        keys.getCertificateChain(PREFIX + alias).orEmpty().map { it.encoded }
    }

    private fun certificate(alias: String): Certificate =
        keys.getCertificate(PREFIX + alias) ?: throw KeyStoreException.NotFound()

    private fun publicKey(alias: String): ByteArray = guarded {
        val point = (certificate(alias).publicKey as ECPublicKey).w
        byteArrayOf(UNCOMPRESSED) + point.affineX.fixed() + point.affineY.fixed()
    }

    override fun sign(alias: String, message: ByteArray): ByteArray = guarded {
        val key = keys.getKey(PREFIX + alias, null) as? PrivateKey ?: throw KeyStoreException.NotFound()
        val der = Signature.getInstance("SHA256withECDSA").run {
            initSign(key)
            update(message)
            sign()
        }
        fixedSignature(der) ?: throw KeyStoreException.Unavailable()
    }

    override fun delete(alias: String): Unit = guarded { keys.deleteEntry(PREFIX + alias) }

    override fun aliases(): List<String> = guarded {
        keys.aliases().toList().filter { it.startsWith(PREFIX) }.map { it.removePrefix(PREFIX) }
    }

    /**
     * Tries StrongBox first; some phones announce one and then cannot make this kind of key in it. Answers whether it is
     * there.
     */
    private fun inHardware(create: (Boolean) -> Unit): Boolean = guarded {
        if (hasStrongBox && Build.VERSION.SDK_INT >= Build.VERSION_CODES.P) {
            try {
                create(true)
                return@guarded true
            } catch (_: ProviderException) {
                // `StrongBoxUnavailableException` is one. Below: the trusted execution environment.
            }
        }
        create(false)
        false
    }

    private fun requireStrongBox(spec: KeyGenParameterSpec.Builder) {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.P) spec.setIsStrongBoxBacked(true)
    }

    private fun levelOf(key: PrivateKey, inStrongBox: Boolean): SecurityLevel {
        val info = KeyFactory.getInstance(key.algorithm, PROVIDER).getKeySpec(key, KeyInfo::class.java)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) {
            return when (info.securityLevel) {
                KeyProperties.SECURITY_LEVEL_STRONGBOX -> SecurityLevel.STRONG_BOX
                KeyProperties.SECURITY_LEVEL_TRUSTED_ENVIRONMENT -> SecurityLevel.TEE
                else -> SecurityLevel.SOFTWARE
            }
        }
        // Before Android 12 a key does not say which of the two holds it. It was made where it was asked for: the claim
        // must be the one that its attestation proves.
        @Suppress("DEPRECATION")
        return when {
            !info.isInsideSecureHardware -> SecurityLevel.SOFTWARE
            inStrongBox -> SecurityLevel.STRONG_BOX
            else -> SecurityLevel.TEE
        }
    }

    /** Turns whatever the platform throws into one of the four kinds that the core knows. */
    private fun <T> guarded(work: () -> T): T =
        try {
            work()
        } catch (error: KeyStoreException) {
            throw error
        } catch (_: KeyPermanentlyInvalidatedException) {
            throw KeyStoreException.Invalidated()
        } catch (_: AEADBadTagException) {
            throw KeyStoreException.Invalidated()
        } catch (_: UserNotAuthenticatedException) {
            throw KeyStoreException.UserCancelled()
        } catch (_: Exception) {
            throw KeyStoreException.Unavailable()
        }

    internal companion object {
        const val PROVIDER = "AndroidKeyStore"

        /** Of every alias of ours: an app may keep other keys. */
        const val PREFIX = "tapcore."
        const val TRANSFORMATION = "AES/GCM/NoPadding"
        const val NONCE = 12
        const val UNCOMPRESSED: Byte = 4
    }
}

/** How what a verified key wraps is padded. The Keystore knows SHA-1 only for the mask, where it does no harm. */
internal val OAEP = OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA1, PSource.PSpecified.DEFAULT)

internal const val OAEP_CIPHER = "RSA/ECB/OAEPPadding"

/** Wraps [key] by the public half of a verified key; the Keystore has no say in it. */
internal fun wrapForThePerson(half: PublicKey, key: ByteArray): ByteArray {
    // Made anew from its bytes: the Keystore's own object would ask for the person on some versions.
    val public = KeyFactory.getInstance(half.algorithm).generatePublic(X509EncodedKeySpec(half.encoded))
    return Cipher.getInstance(OAEP_CIPHER).run {
        init(Cipher.ENCRYPT_MODE, public, OAEP)
        doFinal(key)
    }
}

/** 32 bytes, big-endian, without the sign byte that [BigInteger] may put in front. */
internal fun BigInteger.fixed(): ByteArray {
    val bytes = toByteArray().takeLast(HALF).toByteArray()
    return ByteArray(HALF - bytes.size) + bytes
}

/**
 * The Keystore signs in DER, `30 len 02 len r 02 len s`; the core wants r and s of 32 bytes each.
 * Null when [der] has another form.
 */
internal fun fixedSignature(der: ByteArray): ByteArray? {
    if (der.size < 8 || der[0] != 0x30.toByte() || der[1].toInt() != der.size - 2) return null
    val r = integerAt(der, 2) ?: return null
    val s = integerAt(der, 4 + r.size) ?: return null
    if (4 + r.size + 2 + s.size != der.size) return null
    val numbers = listOf(BigInteger(r), BigInteger(s))
    if (numbers.any { it.signum() < 0 || it.bitLength() > 8 * HALF }) return null
    return numbers[0].fixed() + numbers[1].fixed()
}

private fun integerAt(der: ByteArray, start: Int): ByteArray? {
    if (start + 2 > der.size || der[start] != 0x02.toByte()) return null
    val length = der[start + 1].toInt()
    val end = start + 2 + length
    return if (length in 1..HALF + 1 && end <= der.size) der.copyOfRange(start + 2, end) else null
}

private const val HALF = 32
