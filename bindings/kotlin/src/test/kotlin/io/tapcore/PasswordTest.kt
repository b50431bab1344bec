package io.tapcore

import java.nio.file.Path
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** The payment password, which the provider checks and never receives. */
class PasswordTest : SandboxTest() {
    @Test
    fun `a password that was set confirms a payment, and another one does not`(@TempDir folder: Path) =
        withWallet(folder) { wallet ->
            assertEquals("password_not_set", refusal<WalletException.Rejected> { wallet.confirm("plum blossom") }.reason)
            assertEquals(11u, refusal<WalletException.Invalid> { wallet.setPaymentPassword("plum") }.code())

            wallet.setPaymentPassword("plum blossom")
            assertTrue(wallet.confirm("plum blossom").id.isNotBlank())
            val wrong = refusal<WalletException.NotVerified> { wallet.confirm("peach blossom") }
            assertEquals("password_wrong", wrong.reason)
            assertFalse(wrong.detail.contains("peach"))

            val twice = refusal<WalletException.Rejected> { wallet.setPaymentPassword("peach blossom") }
            assertEquals("password_set_already", twice.reason)
        }

    @Test
    fun `changing it takes the old one`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        wallet.setPaymentPassword("plum blossom")
        val refused = refusal<WalletException.NotVerified> {
            wallet.changePaymentPassword(old = "peach blossom", new = "winter bamboo")
        }
        assertEquals("password_wrong", refused.reason)

        wallet.changePaymentPassword(old = "plum blossom", new = "winter bamboo")
        assertTrue(wallet.confirm("winter bamboo").id.isNotBlank())
        refusal<WalletException.NotVerified> { wallet.confirm("plum blossom") }
    }

    @Test
    fun `a forgotten one is set anew with a code from the bank`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        addCard(wallet, "6228480000000015")
        wallet.setPaymentPassword("plum blossom")

        val foreign = refusal<WalletException.Rejected> { wallet.beginPasswordReset("6217000000000030", EXPIRY) }
        assertEquals("card_not_yours", foreign.reason)

        val reset = wallet.beginPasswordReset("6228480000000015", EXPIRY)
        assertEquals("bank-a", reset.bank)
        assertTrue(reset.maskedCard.endsWith("0015") && reset.maskedCard.length < 10)
        wallet.finishPasswordReset(reset.id, sandbox.smsCode(), "winter bamboo")
        assertTrue(wallet.confirm("winter bamboo").id.isNotBlank())
    }

    private suspend fun Wallet.confirm(password: String) =
        confirmWithPassword(1250, "CNY", "Mapo Tofu House", password)
}
