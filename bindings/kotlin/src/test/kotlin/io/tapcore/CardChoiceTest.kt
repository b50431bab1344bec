package io.tapcore

import java.nio.file.Path
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Which of several cards pays, and cards for the wallet of the phone's maker. */
class CardChoiceTest : SandboxTest() {
    @Test
    fun `one card is chosen for the next tap, another for good`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        val first = addCard(wallet, "6228480000000015", "unionpay")
        val second = addCard(wallet, "6228480000000023", "visa")
        assertEquals(listOf("unionpay", "visa"), wallet.cards().map { it.scheme })
        // What has left the field does not come back.
        sandbox.policy("""{"deactivation_grace_ms":0}""")
        wallet.sync()
        Field(wallet).use { field ->
            fun assertPays(range: String) {
                val receipt = sandbox.tap("3.00", field.address)
                assertEquals("approved", receipt["result"].asString, "$receipt")
                assertTrue(receipt["token"].asString.startsWith(range), "$receipt")
            }
            assertPays(UNIONPAY)
            wallet.useCardNext(second.tokenRef)
            assertPays(VISA)
            assertPays(UNIONPAY)
            wallet.useCardNext(second.tokenRef)
            wallet.useCardNext(null)
            assertPays(UNIONPAY)
            wallet.setDefaultCard(second.tokenRef)
            assertPays(VISA)
        }
        assertEquals(listOf(second.tokenRef, first.tokenRef), wallet.cards().map { it.tokenRef })
    }

    @Test
    fun `a card that there is not cannot be chosen`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        addCard(wallet, "6228480000000015")
        assertEquals(11u, refusal<WalletException.Invalid> { wallet.useCardNext("tok_of_nobody") }.code())
        assertEquals(11u, refusal<WalletException.Invalid> { wallet.setDefaultCard("tok_of_nobody") }.code())
        assertTrue(wallet.isSeenByReaders())
    }

    @Test
    fun `no card goes to a maker whom the network does not know`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        val card = addCard(wallet, "6228480000000015")
        assertNull(card.home)
        val ask = MakerAsk(
            maker = "maker-of-nothing",
            makerKey = SoftwareKeyStore().createSigningKey("maker", byteArrayOf()).publicKey,
            nonce = ByteArray(16),
            makerSignature = ByteArray(64),
        )
        val unknown = refusal<WalletException.Rejected> { wallet.passToMaker(card.tokenRef, ask) }
        assertEquals("maker_unknown", unknown.reason)
        refusal<WalletException.Invalid> { wallet.passToMaker(card.tokenRef, ask.copy(nonce = ByteArray(15))) }
        refusal<WalletException.Invalid> { wallet.passToMaker("tok_of_nobody", ask) }
        assertEquals(listOf(card.tokenRef), wallet.cards().map { it.tokenRef })
    }

    private companion object {
        /** How the tokens of each begin. */
        const val UNIONPAY = "62"
        const val VISA = "4895"
    }
}
