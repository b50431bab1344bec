package io.tapcore.shell

import io.tapcore.CodePayment
import io.tapcore.CodePaymentState
import io.tapcore.MerchantOffer
import io.tapcore.WalletException
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** A shop's code on the screen, over a wallet that does as the test says. */
class MerchantModelTest {
    private val desk = FakeMerchantDesk()
    private val model = MerchantModel(desk)

    @Test
    fun `what was read is shown by the provider's name and paid as it says`(): Unit = runBlocking {
        desk.amountMinor = 3800
        model.read(" 000201… \n")
        assertEquals("000201…", desk.read)
        val sentence = line(checkNotNull(model.offer))
        assertTrue(sentence.contains("38.00") && sentence.contains("Mapo Tofu House"), sentence)
        assertFalse(sentence.contains("Bank of Everything"), "anybody may have written that")
        assertTrue(model.pay("99"))
        assertEquals(listOf(3800L), desk.paid)
        // Pressed twice.
        assertTrue(model.pay(""))
        assertEquals(1, desk.paid.size)
    }

    @Test
    fun `an amount of the person's own is entered`(): Unit = runBlocking {
        assertTrue(model.pay("12.50"), "nothing was read")
        model.read("000201…")
        for (odd in listOf("", "x", "12.505", "0", "-1", "1e3")) assertFalse(model.pay(odd), odd)
        assertTrue(model.pay("12.50"))
        assertEquals(listOf(1250L), desk.paid)
    }

    @Test
    fun `after a lost answer the same offer is paid again`(): Unit = runBlocking {
        desk.amountMinor = 3800
        model.read("000201…")
        desk.refusal = WalletException.Network("The provider cannot be reached.")
        assertThrows(WalletException.Network::class.java) { runBlocking { model.pay("") } }
        desk.refusal = null
        assertTrue(model.pay(""))
        assertEquals(2, desk.paid.size)
    }

    @Test
    fun `a payment that waits is confirmed`(): Unit = runBlocking {
        desk.amountMinor = 120_000
        model.read("000201…")
        model.confirm("plum blossom")
        assertNull(model.payment)
        model.pay("")
        assertEquals(CodePaymentState.PENDING, model.payment?.state)
        model.confirm("plum blossom")
        assertEquals(CodePaymentState.APPROVED, model.payment?.state)
    }

    @Test
    fun `an amount has the digits of its currency`() {
        assertEquals(1250L, minor("12.50", "CNY"))
        assertEquals(1250L, minor("12.5", "CNY"))
        assertEquals(1250L, minor("1250", "JPY"))
        assertNull(minor("12.5", "JPY"))
        assertNull(minor("12,50", "CNY"), "a thousand in some places")
    }
}

private class FakeMerchantDesk : MerchantDesk {
    var amountMinor: Long? = null
    var refusal: WalletException? = null
    var read: String? = null
        private set
    val paid = mutableListOf<Long>()

    override suspend fun read(code: String): MerchantOffer {
        read = code
        return MerchantOffer(
            code = code, paymentKey = "00", payee = "Mapo Tofu House", claimedName = "Bank of Everything", city = "Chengdu",
            category = "5812", amountMinor = amountMinor, currency = "CNY", tip = null, once = true, bill = null,
        )
    }

    override suspend fun pay(offer: MerchantOffer, amountMinor: Long): CodePayment {
        paid += amountMinor
        refusal?.let { throw it }
        val state = if (amountMinor > 100_000) CodePaymentState.PENDING else CodePaymentState.APPROVED
        return CodePayment(
            paymentId = "cpy_1", state = state, wantsPassword = state == CodePaymentState.PENDING, confirmUntilMs = 0,
            tokenRef = "tok_1", amountMinor = amountMinor, currency = "CNY", merchant = offer.payee, reason = null,
            authorisation = null,
        )
    }

    override suspend fun confirm(payment: CodePayment, password: String): CodePayment =
        payment.copy(state = CodePaymentState.APPROVED, wantsPassword = false)
}
