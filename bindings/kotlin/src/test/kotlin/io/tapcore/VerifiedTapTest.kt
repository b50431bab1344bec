package io.tapcore

import java.nio.file.Path
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Taps at a provider that wants the person for every one, and no payment from a locked phone. */
class VerifiedTapTest : SandboxTest() {
    @BeforeAll
    fun wantThePerson() = sandbox.policy("""{"tap_verification":"always","pays_locked":false}""")

    @Test
    fun `a tap sends the person to the phone, and the next one pays by PIN`(@TempDir folder: Path) =
        withWallet(folder) { wallet ->
            val heard = Heard(wallet)
            val card = addCard(wallet, NUMBER)
            wallet.setPin(PIN, null)
            // Brings keys that the person alone opens.
            wallet.sync()

            Field(wallet).use { field ->
                val first = sandbox.tap("12.50", field.address, "--cvm")
                assertEquals("see_phone", first["reason"].asString, "$first")
                assertEquals("6986", field.lastAnswer.toHexString())
                val wanted = heard.next<WalletEvent.PersonWanted>()
                assertEquals(card.tokenRef, wanted.tokenRef)
                assertEquals(1250, wanted.amountMinor)
                assertEquals("CNY", wanted.currency)

                wallet.permitTap(wallet.verifyWithPin(PIN, Purpose.Payment(wanted.amountMinor, wanted.currency)))
                val other = sandbox.tap("12.51", field.address)
                assertEquals("see_phone", other["reason"].asString, "it was for another amount: $other")
                val second = sandbox.tap("12.50", field.address, "--cvm")
                assertEquals("approved", second["result"].asString, "$second")
                val tap = heard.next<WalletEvent.Tap>()
                assertTrue(tap.verified)
                assertEquals(TapDecision.ONLINE, tap.decision)
                assertEquals(TapOutcome.COMPLETE, tap.outcome)
                assertEquals(1250, tap.amountMinor)

                val third = sandbox.tap("12.50", field.address)
                assertEquals("see_phone", third["reason"].asString, "it served once: $third")
            }
            assertEquals(1250, wallet.statement().single().amountMinor)
        }

    @Test
    fun `a fingerprint ahead of the tap pays up to what it was for`(@TempDir folder: Path) {
        val keys = SoftwareKeyStore()
        withWallet(folder, keys = keys) { wallet ->
            addCard(wallet, NUMBER)
            wallet.setUpVerification(null)
            wallet.sync()
            val request = wallet.beginVerification(Purpose.UpTo(amountMinor = 5000, currency = "CNY"))
            wallet.finishVerification(request.id, keys.prompt(request))
            wallet.permitTap(request.id)

            Field(wallet).use { field ->
                assertEquals("see_phone", sandbox.tap("50.01", field.address)["reason"].asString)
                val paid = sandbox.tap("49.99", field.address, "--cvm")
                assertEquals("approved", paid["result"].asString, "$paid")
            }
        }
    }

    /** Its way is an answer that declines, under a counter of its own, and no status word. */
    @Test
    fun `a Mastercard style card declines and sends the person to the phone`(@TempDir folder: Path) =
        withWallet(folder) { wallet ->
            val heard = Heard(wallet)
            addCard(wallet, NUMBER, "mastercard")
            Field(wallet).use { field ->
                val receipt = sandbox.tap("12.50", field.address)
                assertEquals("see_phone", receipt["reason"].asString, "$receipt")
                assertTrue(field.lastAnswer.toHexString().endsWith("9000"))
            }
            // In this order: a counter was used, which is written down before anything is told of it.
            val tap = heard.next<WalletEvent.Tap>()
            assertEquals(TapDecision.DECLINED, tap.decision)
            assertFalse(tap.verified)
            assertEquals(1250, heard.next<WalletEvent.PersonWanted>().amountMinor)
            assertTrue(wallet.statement().isEmpty(), "what was declined is no payment")
        }

    @Test
    fun `only a verification for a payment permits a tap, and once`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        wallet.setPin(PIN, null)
        val access = wallet.verifyWithPin(PIN, Purpose.Access)
        assertEquals("verification_over", refusal<WalletException.NotVerified> { wallet.permitTap(access) }.reason)
        // No card, and so no keys for verified payments.
        val payment = wallet.verifyWithPin(PIN, Purpose.Payment(amountMinor = 1250, currency = "CNY"))
        assertEquals("no_verified_keys", refusal<WalletException.NotVerified> { wallet.permitTap(payment) }.reason)
        assertEquals("verification_over", refusal<WalletException.NotVerified> { wallet.permitTap(payment) }.reason)
    }

    @Test
    fun `a phone whose screen is locked is not seen by readers`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        addCard(wallet, NUMBER)
        wallet.setScreenLocked(true)
        assertEquals(TapRefusal.SCREEN_LOCKED, wallet.status().refusal)
        assertFalse(wallet.isSeenByReaders())
        wallet.setScreenLocked(false)
        assertNull(wallet.status().refusal)
        assertTrue(wallet.isSeenByReaders())
    }

    private companion object {
        const val PIN = "194917"
        const val NUMBER = "6228480000000015"
    }
}
