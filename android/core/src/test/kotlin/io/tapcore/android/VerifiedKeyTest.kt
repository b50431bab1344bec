package io.tapcore.android

import java.security.KeyPairGenerator
import javax.crypto.Cipher
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Test

/** Wrapping for a verified key, which the Keystore unwraps and the public half alone wraps. */
class VerifiedKeyTest {
    @Test
    fun `the private half opens what the public one has wrapped`() {
        val pair = KeyPairGenerator.getInstance("RSA").apply { initialize(3072) }.generateKeyPair()
        val key = ByteArray(32) { it.toByte() }
        val wrapped = wrapForThePerson(pair.public, key)
        val opened = Cipher.getInstance(OAEP_CIPHER).run {
            init(Cipher.DECRYPT_MODE, pair.private, OAEP)
            doFinal(wrapped)
        }
        assertArrayEquals(key, opened)
    }
}
