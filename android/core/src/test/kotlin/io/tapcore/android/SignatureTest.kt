package io.tapcore.android

import java.security.KeyPairGenerator
import java.security.Signature
import java.security.spec.ECGenParameterSpec
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** The signature's form, which the Keystore and the core see differently. */
class SignatureTest {
    @Test
    fun `short numbers are filled up and sign bytes dropped`() {
        val r = ByteArray(32) { 0xF1.toByte() }
        val der = byteArrayOf(0x30, 38, 2, 33, 0) + r + byteArrayOf(2, 1, 5)
        assertArrayEquals(r + ByteArray(31) + 5.toByte(), fixedSignature(der))
    }

    @Test
    fun `anything else is refused`() {
        val good = byteArrayOf(0x30, 6, 2, 1, 1, 2, 1, 5)
        assertNotNull(fixedSignature(good))
        for (length in good.indices) assertNull(fixedSignature(good.copyOf(length)))
        assertNull(fixedSignature(good + 0.toByte()))
        assertNull(fixedSignature(byteArrayOf(0x30, 6, 2, 1, 0x81.toByte(), 2, 1, 5)), "a negative number")
    }

    @Test
    fun `what the platform signs still holds in the other form`() {
        val pair = KeyPairGenerator.getInstance("EC").apply { initialize(ECGenParameterSpec("secp256r1")) }.generateKeyPair()
        // Enough of them that numbers with leading zeros are among them.
        repeat(300) { round ->
            val message = byteArrayOf(round.toByte(), (round shr 8).toByte())
            val der = Signature.getInstance("SHA256withECDSA").run {
                initSign(pair.private)
                update(message)
                sign()
            }
            val holds = Signature.getInstance("SHA256withECDSAinP1363Format").run {
                initVerify(pair.public)
                update(message)
                verify(fixedSignature(der))
            }
            assertTrue(holds)
        }
    }
}
