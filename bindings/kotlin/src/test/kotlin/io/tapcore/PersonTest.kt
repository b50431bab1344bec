package io.tapcore

import java.nio.file.Path
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.io.TempDir

/** The person at the phone: PIN, fingerprint, and what they confirm with them. */
class PersonTest : SandboxTest() {
    @Test
    fun `nobody is set up at first, and says so`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        val status = wallet.status()
        assertNull(status.refusal)
        assertNull(status.pinTriesLeft)
        assertEquals(0u, status.pinWaitS)
        assertFalse(status.biometric)
        assertFalse(status.biometricVoided)

        val refused = listOf(
            refusal<WalletException.NotVerified> { wallet.lock() },
            refusal<WalletException.NotVerified> { wallet.unlock(PersonProof.Pin(PIN)) },
            refusal<WalletException.NotVerified> { wallet.beginVerification(Purpose.Access) },
            refusal<WalletException.NotVerified> { wallet.verifyWithPin(PIN, Purpose.Access) },
        )
        assertEquals(List(refused.size) { "not_set_up" }, refused.map { it.reason })
        assertEquals(14u, refused.first().code())
    }

    @Test
    fun `a locked wallet is not seen by readers, and the PIN brings it back`(@TempDir folder: Path) =
        withWallet(folder) { wallet ->
            addCard(wallet, "6228480000000015")
            assertTrue(wallet.isSeenByReaders())
            wallet.setPin(PIN, null)
            assertEquals(10u, wallet.status().pinTriesLeft)

            wallet.lock()
            assertEquals(TapRefusal.LOCKED, wallet.status().refusal)
            assertFalse(wallet.isSeenByReaders())

            wallet.unlock(PersonProof.Pin(PIN))
            assertNull(wallet.status().refusal)
            val receipt = Field(wallet).use { sandbox.tap("3.00", it.address) }
            assertEquals("approved", receipt["result"].asString, "$receipt")
        }

    @Test
    fun `a lock outlasts the process`(@TempDir folder: Path) {
        val keys = SoftwareKeyStore()
        withWallet(folder, keys = keys) { wallet ->
            addCard(wallet, "6228480000000015")
            wallet.setPin(PIN, null)
            wallet.lock()
        }
        withWallet(folder, enrol = false, keys = keys) { wallet ->
            assertEquals(TapRefusal.LOCKED, wallet.status().refusal)
            assertFalse(wallet.isSeenByReaders())
            wallet.unlock(PersonProof.Pin(PIN))
            assertTrue(wallet.isSeenByReaders())
        }
    }

    @Test
    fun `a wrong PIN costs a try, and from the third one on time`(@TempDir folder: Path) {
        val clock = MovableClock()
        withWallet(folder, clock = clock) { wallet ->
            wallet.setPin(PIN, null)
            wallet.lock()
            for (left in listOf(9u, 8u, 7u)) {
                val wrong = refusal<WalletException.NotVerified> { wallet.unlock(PersonProof.Pin("271828")) }
                assertEquals("pin_wrong", wrong.reason)
                assertFalse(wrong.detail.contains("271828"))
                assertEquals(left, wallet.status().pinTriesLeft)
            }
            assertTrue(wallet.status().pinWaitS in 1u..30u, "${wallet.status()}")
            // Not even the right one, and it costs nothing.
            val early = refusal<WalletException.NotVerified> { wallet.unlock(PersonProof.Pin(PIN)) }
            assertEquals("pin_wait", early.reason)
            assertEquals(7u, wallet.status().pinTriesLeft)

            clock.pass(seconds = 31)
            wallet.unlock(PersonProof.Pin(PIN))
            assertEquals(10u, wallet.status().pinTriesLeft)
            assertEquals(0u, wallet.status().pinWaitS)
        }
    }

    @Test
    fun `a PIN that is easy to guess is refused, and changing it takes the old one`(@TempDir folder: Path) =
        withWallet(folder) { wallet ->
            assertEquals(11u, refusal<WalletException.Invalid> { wallet.setPin("123456", null) }.code())
            wallet.setPin(PIN, null)
            assertEquals("verification_over", refusal<WalletException.NotVerified> { wallet.setPin("314159", null) }.reason)
            wallet.setPin("314159", PersonProof.Pin(PIN))

            wallet.lock()
            assertEquals("pin_wrong", refusal<WalletException.NotVerified> { wallet.unlock(PersonProof.Pin(PIN)) }.reason)
            wallet.unlock(PersonProof.Pin("314159"))
        }

    @Test
    fun `a fingerprint confirms the payment that it was asked for, once`(@TempDir folder: Path) {
        val keys = SoftwareKeyStore()
        withWallet(folder, keys = keys) { wallet ->
            wallet.setPin(PIN, null)
            wallet.setUpVerification(PersonProof.Pin(PIN))
            assertTrue(wallet.status().biometric)

            val id = wallet.verified(keys, Purpose.Payment(amountMinor = 1250, currency = "CNY"))
            val confirmation = wallet.confirmPayment(1250, "CNY", "Mapo Tofu House", id)
            assertTrue(confirmation.id.isNotBlank() && confirmation.expiresAt.isNotBlank())
            val again = refusal<WalletException.NotVerified> { wallet.confirmPayment(1250, "CNY", "Mapo Tofu House", id) }
            assertEquals("verification_over", again.reason)

            val other = wallet.verified(keys, Purpose.Payment(amountMinor = 1250, currency = "CNY"))
            val more = refusal<WalletException.NotVerified> { wallet.confirmPayment(1251, "CNY", "Mapo Tofu House", other) }
            assertEquals("verification_over", more.reason)
        }
    }

    @Test
    fun `the PIN confirms a payment below what it was given for`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        wallet.setPin(PIN, null)
        val id = wallet.verifyWithPin(PIN, Purpose.UpTo(amountMinor = 5000, currency = "CNY"))
        assertTrue(wallet.confirmPayment(4999, "CNY", "Mapo Tofu House", id).id.isNotBlank())

        val ahead = Purpose.UpTo(amountMinor = 100_000_000, currency = "CNY")
        refusal<WalletException.Invalid> { wallet.verifyWithPin(PIN, ahead) }
        refusal<WalletException.Invalid> { wallet.verifyWithPin(PIN, Purpose.Payment(amountMinor = 1, currency = "yuan")) }
    }

    @Test
    fun `what the prompt opens is not to be had without it`(@TempDir folder: Path) {
        val keys = SoftwareKeyStore()
        withWallet(folder, keys = keys) { wallet ->
            wallet.setUpVerification(null)
            val request = wallet.beginVerification(Purpose.Access)
            assertThrows<KeyStoreException.Unavailable> { keys.unwrap(request.alias, request.wrapped) }

            val forged = PromptOutcome.Unwrapped(ByteArray(32) { 7 })
            val refused = refusal<WalletException.NotVerified> { wallet.finishVerification(request.id, forged) }
            assertEquals("verification_over", refused.reason)
        }
    }

    @Test
    fun `what holds a secret does not print it`() {
        assertEquals("PersonProof.Pin", "${PersonProof.Pin(PIN)}")
        assertEquals("PromptOutcome.Unwrapped", "${PromptOutcome.Unwrapped(ByteArray(32) { 7 })}")
        assertEquals("PromptOutcome.Cancelled", "${PromptOutcome.Cancelled}")
        assertEquals("LinkCode", "${LinkCode(code = "271828", expiresAt = "2026-11-22T10:00:00Z")}")
    }

    @Test
    fun `a closed prompt verifies nobody`(@TempDir folder: Path) {
        val keys = SoftwareKeyStore()
        withWallet(folder, keys = keys) { wallet ->
            wallet.setUpVerification(null)
            val request = wallet.beginVerification(Purpose.Payment(amountMinor = 100, currency = "CNY"))
            val closed = refusal<WalletException.Cancelled> {
                wallet.finishVerification(request.id, keys.prompt(request, closed = true))
            }
            assertEquals(3u, closed.code())
            // It had its outcome: another one comes too late.
            refusal<WalletException.NotVerified> { wallet.finishVerification(request.id, keys.prompt(request)) }
            refusal<WalletException.NotVerified> { wallet.confirmPayment(100, "CNY", "Mapo Tofu House", request.id) }
            assertTrue(wallet.status().biometric)
        }
    }

    @Test
    fun `a new finger takes the fingerprint away, and the PIN gives it back`(@TempDir folder: Path) {
        val keys = SoftwareKeyStore()
        withWallet(folder, keys = keys) { wallet ->
            wallet.setPin(PIN, null)
            wallet.setUpVerification(PersonProof.Pin(PIN))
            val before = wallet.beginVerification(Purpose.Access)
            keys.enrolNewFinger()
            val void = refusal<WalletException.NotVerified> { wallet.finishVerification(before.id, keys.prompt(before)) }
            assertEquals("biometric_changed", void.reason)
            assertTrue(wallet.status().biometricVoided)
            assertFalse(wallet.status().biometric)
            val still = refusal<WalletException.NotVerified> { wallet.beginVerification(Purpose.Access) }
            assertEquals("biometric_changed", still.reason)

            refusal<WalletException.NotVerified> { wallet.setUpVerification(null) }
            wallet.setUpVerification(PersonProof.Pin(PIN))
            assertNotEquals(before.alias, wallet.beginVerification(Purpose.Access).alias)
            assertFalse(before.alias in keys.aliases(), "the old key is deleted")

            wallet.lock()
            wallet.unlock(PersonProof.Verification(wallet.verified(keys, Purpose.Access)))
            assertFalse(wallet.status().biometricVoided)
        }
    }

    /** A finished verification's identifier. */
    private suspend fun Wallet.verified(keys: SoftwareKeyStore, purpose: Purpose): String {
        val request = beginVerification(purpose)
        finishVerification(request.id, keys.prompt(request))
        return request.id
    }

    private companion object {
        const val PIN = "194917"
    }
}
