package io.tapcore.android

import android.content.Context
import android.content.pm.PackageManager
import android.os.Build
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyInfo
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import android.security.keystore.StrongBoxUnavailableException
import android.security.keystore.UserNotAuthenticatedException
import io.tapcore.KeyStoreException
import io.tapcore.PlatformKeyStore
import io.tapcore.SecurityLevel
import java.math.BigInteger
import java.security.KeyFactory
import java.security.KeyPairGenerator
import java.security.KeyStore
import java.security.PrivateKey
import java.security.Signature
import java.security.cert.Certificate
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec
import javax.crypto.AEADBadTagException
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/**
 * Keys in Android's Keystore: in StrongBox where the phone has one, else in its trusted execution
 * environment. No key leaves it. Keys are usable while the phone is locked, because a tap may come then;
 * what needs the person is asked for elsewhere.
 *
 * Of a failure only its kind crosses to the core, never the platform's text.
 */
class KeystoreKeyStore(context: Context) : PlatformKeyStore {
    private val keys: KeyStore = KeyStore.getInstance(PROVIDER).apply { load(null) }
    private val hasStrongBox = Build.VERSION.SDK_INT >= Build.VERSION_CODES.P &&
        context.packageManager.hasSystemFeature(PackageManager.FEATURE_STRONGBOX_KEYSTORE)

    /** What the hardware gives is seen only on a key that it made. */
    private val level: SecurityLevel by lazy {
        val alias = "level"
        createSigningKey(alias)
        guarded {
            try {
                levelOf(keys.getKey(PREFIX + alias, null) as PrivateKey)
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

    override fun wrap(alias: String, key: ByteArray): ByteArray = guarded {
        val cipher = Cipher.getInstance(TRANSFORMATION)
        try {
            cipher.init(Cipher.ENCRYPT_MODE, wrappingKey(alias))
            // The Keystore chooses the nonce and lets nobody else do it.
            cipher.iv + cipher.doFinal(key)
        } finally {
            // This copy was made for us on the way from the core.
            key.fill(0)
        }
    }

    override fun unwrap(alias: String, wrapped: ByteArray): ByteArray = guarded {
        if (wrapped.size <= NONCE) throw KeyStoreException.Invalidated()
        val cipher = Cipher.getInstance(TRANSFORMATION)
        cipher.init(Cipher.DECRYPT_MODE, wrappingKey(alias), GCMParameterSpec(128, wrapped, 0, NONCE))
        cipher.doFinal(wrapped, NONCE, wrapped.size - NONCE)
    }

    override fun createSigningKey(alias: String): ByteArray {
        inHardware { strongBox ->
            val spec = KeyGenParameterSpec.Builder(PREFIX + alias, KeyProperties.PURPOSE_SIGN)
                .setAlgorithmParameterSpec(ECGenParameterSpec("secp256r1"))
                .setDigests(KeyProperties.DIGEST_SHA256)
                .also { if (strongBox) requireStrongBox(it) }
                .build()
            KeyPairGenerator.getInstance(KeyProperties.KEY_ALGORITHM_EC, PROVIDER).run {
                initialize(spec)
                generateKeyPair()
            }
        }
        return publicKey(alias)
    }

    private fun publicKey(alias: String): ByteArray = guarded {
        val certificate: Certificate = keys.getCertificate(PREFIX + alias) ?: throw KeyStoreException.NotFound()
        val point = (certificate.publicKey as ECPublicKey).w
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

    private fun wrappingKey(alias: String): SecretKey =
        keys.getKey(PREFIX + alias, null) as? SecretKey ?: throw KeyStoreException.NotFound()

    /** Tries StrongBox first; some phones announce one and then cannot make this kind of key in it. */
    private fun inHardware(create: (Boolean) -> Unit) = guarded {
        if (hasStrongBox && Build.VERSION.SDK_INT >= Build.VERSION_CODES.P) {
            try {
                return@guarded create(true)
            } catch (_: StrongBoxUnavailableException) {
                // Below: the trusted execution environment.
            }
        }
        create(false)
    }

    private fun requireStrongBox(spec: KeyGenParameterSpec.Builder) {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.P) spec.setIsStrongBoxBacked(true)
    }

    private fun levelOf(key: PrivateKey): SecurityLevel {
        val info = KeyFactory.getInstance(key.algorithm, PROVIDER).getKeySpec(key, KeyInfo::class.java)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) {
            return when (info.securityLevel) {
                KeyProperties.SECURITY_LEVEL_STRONGBOX -> SecurityLevel.STRONG_BOX
                KeyProperties.SECURITY_LEVEL_TRUSTED_ENVIRONMENT -> SecurityLevel.TEE
                else -> SecurityLevel.SOFTWARE
            }
        }
        // Before Android 12 a key does not say which of the two holds it: the weaker one is claimed.
        @Suppress("DEPRECATION")
        return if (info.isInsideSecureHardware) SecurityLevel.TEE else SecurityLevel.SOFTWARE
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

    private companion object {
        const val PROVIDER = "AndroidKeyStore"
        const val PREFIX = "tapcore."
        const val TRANSFORMATION = "AES/GCM/NoPadding"
        const val NONCE = 12
        const val UNCOMPRESSED: Byte = 4
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
