package io.tapcore.shell

import io.tapcore.CodePayment
import io.tapcore.CodePaymentState
import io.tapcore.MerchantOffer
import io.tapcore.MerchantTip
import io.tapcore.WalletException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.yield
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertSame
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** A shop's code on the screen, over a wallet that does as the test says. */
class MerchantModelTest {
    private val desk = FakeMerchantDesk()
    private val model = MerchantModel(desk)

    @Test
    fun `what was read is shown by the provider's name and paid as it says`() = runBlocking {
        desk.amountMinor = 3800
        model.read(" 000201… \n")
        assertEquals(listOf("000201…"), desk.read)
        val sentence = line(checkNotNull(model.offer))
        assertTrue(sentence.contains("38.00") && sentence.contains("Mapo Tofu House"), sentence)
        assertFalse(sentence.contains("Bank of Everything"), "anybody may have written that")
        assertFalse(model.wantsAmount)
        model.pay("99")
        assertEquals(listOf(3800L), desk.paid)
        assertFalse(model.canPay)
        // Pressed twice.
        model.pay("")
        assertEquals(1, desk.paid.size)
    }

    @Test
    fun `an amount of the person's own is entered`() = runBlocking {
        model.pay("12.50")
        assertTrue(desk.paid.isEmpty(), "nothing was read")
        model.read("000201…")
        assertTrue(model.wantsAmount)
        for (odd in listOf("", "x", "12.505", "0", "-1", "1e3")) {
            model.pay(odd)
            assertEquals("Enter an amount such as 12.50.", model.problem, odd)
        }
        model.pay("12.50")
        assertEquals(listOf(1250L), desk.paid)
        assertNull(model.problem)
    }

    @Test
    fun `after a lost answer the same offer is paid again, though the code was read again`() = runBlocking {
        model.read("000201…")
        desk.refusal = WalletException.Network("The provider cannot be reached.")
        model.pay("38")
        val problem = checkNotNull(model.problem)
        assertTrue(problem.startsWith("The provider cannot be reached. It may be paid"), problem)
        val offer = model.offer
        model.read("000201…")
        model.leave()
        model.read("000201…")
        assertSame(offer, model.offer)
        assertFalse(model.wantsAmount)
        desk.refusal = null
        // Another amount would be another payment.
        model.pay("39")
        assertEquals(listOf(3800L, 3800L), desk.paid)
        assertEquals(listOf("000201…"), desk.read)
        assertEquals(CodePaymentState.APPROVED, model.payment?.state)
        assertNull(model.problem)
        // The next cup of tea.
        model.read("000201…")
        assertNull(model.payment)
        assertNotEquals(offer?.paymentKey, model.offer?.paymentKey)
    }

    @Test
    fun `a lost payment is given up, and its sum is not paid for the next one`() = runBlocking {
        model.read("000201…")
        model.giveUp()
        assertNotNull(model.offer, "nothing was lost")
        desk.refusal = WalletException.Network("The provider cannot be reached.")
        model.pay("12.50")
        assertEquals(1250L, model.lostAmountMinor)
        assertTrue(unanswered(checkNotNull(model.offer), 1250).contains("12.50"))
        model.giveUp()
        assertNull(model.offer)
        assertNull(model.lostAmountMinor)
        assertTrue(checkNotNull(model.problem).contains("look at the statement"))
        desk.refusal = null
        model.read("000201…")
        model.pay("3")
        assertEquals(listOf(1250L, 300L), desk.paid)
    }

    @Test
    fun `an offer that has paid something else is let go of`() = runBlocking {
        model.read("000201…")
        desk.refusal = WalletException.Rejected("idempotency_conflict", "It was asked before, for something else.")
        model.pay("38")
        assertNull(model.offer)
        assertNull(model.lostAmountMinor)
        assertTrue(checkNotNull(model.problem).contains("look at the statement"))
    }

    @Test
    fun `what the provider refused is free to be read again`() = runBlocking {
        model.read("000201…")
        desk.refusal = WalletException.Rejected("account_not_active", "The card is not active.")
        model.pay("38")
        assertEquals("The card is not active.", model.problem)
        assertTrue(model.wantsAmount)
        desk.refusal = WalletException.Rejected("http_error", "The provider refused with 502: try again later.")
        model.pay("38")
        assertTrue(checkNotNull(model.problem).contains("It may be paid"), "something between may have said so")
        assertFalse(model.wantsAmount)
    }

    @Test
    fun `a payment that waits is confirmed`() = runBlocking {
        desk.amountMinor = 120_000
        model.read("000201…")
        model.confirm("plum blossom")
        assertNull(model.payment)
        model.pay("")
        assertEquals(CodePaymentState.PENDING, model.payment?.state)
        model.confirm("")
        assertEquals("Enter the payment password first.", model.problem)
        assertTrue(desk.passwords.isEmpty(), "nothing entered is no try")
        model.confirm("plum blossom")
        assertEquals(listOf("plum blossom"), desk.passwords)
        assertEquals(CodePaymentState.APPROVED, model.payment?.state)
    }

    @Test
    fun `a payment that is not decided is looked at again`() = runBlocking {
        desk.amountMinor = 3800
        desk.isUndecided = true
        model.read("000201…")
        model.pay("")
        assertEquals(CodePaymentState.PENDING, model.payment?.state)
        assertTrue(model.canPay)
        model.read("000201…")
        assertEquals(1, desk.read.size)
        desk.isUndecided = false
        model.pay("")
        assertEquals(CodePaymentState.APPROVED, model.payment?.state)
        assertEquals(listOf(3800L, 3800L), desk.paid)
    }

    @Test
    fun `pressed twice, it is done once, and outlives the screen`() = runBlocking {
        desk.amountMinor = 3800
        model.read("000201…")
        val answer = CompletableDeferred<Unit>()
        desk.answer = answer
        val first = launch { model.pay("") }
        while (!model.isBusy) yield()
        model.pay("")
        model.read("another")
        model.leave()
        answer.complete(Unit)
        first.join()
        assertEquals(listOf(3800L), desk.paid)
        assertEquals(CodePaymentState.APPROVED, model.payment?.state, "nobody has seen it yet")
        // What is decided is not what another cup of tea is paid by.
        model.read("000201…")
        assertNull(model.payment)
        assertEquals(2, desk.read.size)
        model.leave()
        assertNull(model.offer)
        assertNull(model.payment)
    }

    @Test
    fun `what is scanned meanwhile is read next, and the last of it`() = runBlocking {
        desk.amountMinor = 3800
        model.read("000201…")
        val answer = CompletableDeferred<Unit>()
        desk.answer = answer
        val first = launch { model.pay("") }
        while (!model.isBusy) yield()
        model.read("another")
        model.read("a third")
        assertEquals("000201…", model.offer?.code, "it is being paid")
        answer.complete(Unit)
        first.join()
        assertEquals(listOf("000201…", "a third"), desk.read)
        assertEquals("a third", model.offer?.code)
        assertNull(model.payment)
    }

    @Test
    fun `while a code is asked for, no other shop's offer stands there`() = runBlocking {
        model.read("000201…")
        val answer = CompletableDeferred<Unit>()
        desk.reading = answer
        val reading = launch { model.read("another") }
        while (!model.isBusy) yield()
        assertNull(model.offer)
        model.read("a third")
        answer.complete(Unit)
        reading.join()
        assertEquals("a third", model.offer?.code)
    }

    @Test
    fun `a payment that is not decided is not dropped for another code`() = runBlocking {
        desk.amountMinor = 3800
        desk.isUndecided = true
        model.read("000201…")
        model.pay("")
        model.read("another")
        assertEquals("000201…", model.offer?.code)
        assertTrue(checkNotNull(model.problem).contains("not decided"))
        assertEquals(1, desk.read.size)
    }

    @Test
    fun `a screen that closes late leaves the offer of the next one`() = runBlocking {
        val (before, after) = Any() to Any()
        model.owner = before
        model.read("000201…")
        model.owner = after
        model.read("another")
        model.leave(before)
        assertEquals("another", model.offer?.code)
        var isTold = false
        model.changed = { isTold = true }
        model.leave(after)
        assertNull(model.offer)
        assertTrue(isTold)
    }

    @Test
    fun `a tip is told and not paid`() = runBlocking {
        desk.amountMinor = 3800
        desk.tip = MerchantTip.Asked
        model.read("000201…")
        assertTrue(line(checkNotNull(model.offer)).endsWith("it is not added."))
    }

    @Test
    fun `an amount has the digits of its currency`() {
        assertEquals(1250L, minor("12.50", "CNY"))
        assertEquals(1250L, minor("12.5", "CNY"))
        assertEquals(1250L, minor("1250", "JPY"))
        assertNull(minor("12.5", "JPY"))
    }

    @Test
    fun `an amount is written as the phone's language has it`() {
        assertEquals(1250L, minor("12,50", "EUR", ','))
        assertEquals(1250L, minor("12.50", "EUR", ','))
        assertNull(minor("1.234,50", "EUR", ','))
        assertNull(minor("12,50", "CNY", '.'), "a thousand in some places")
    }
}

private class FakeMerchantDesk : MerchantDesk {
    var amountMinor: Long? = null
    var tip: MerchantTip? = null
    var refusal: WalletException? = null

    /** Whether the network cannot be asked just now. */
    var isUndecided = false

    /** What a payment waits for, where there is something. */
    var answer: CompletableDeferred<Unit>? = null

    /** What reading waits for, where there is something. */
    var reading: CompletableDeferred<Unit>? = null
    val read = mutableListOf<String>()
    val paid = mutableListOf<Long>()
    val passwords = mutableListOf<String>()

    override suspend fun read(code: String): MerchantOffer {
        read += code
        reading?.await()
        return MerchantOffer(
            code = code, paymentKey = "${read.size}", payee = "Mapo Tofu House", claimedName = "Bank of Everything",
            city = "Chengdu", category = "5812", amountMinor = amountMinor, currency = "CNY", tip = tip, once = true, bill = null,
        )
    }

    override suspend fun pay(offer: MerchantOffer, amountMinor: Long): CodePayment {
        paid += amountMinor
        answer?.await()
        refusal?.let { throw it }
        val wantsPassword = amountMinor > 100_000
        val state = if (wantsPassword || isUndecided) CodePaymentState.PENDING else CodePaymentState.APPROVED
        return CodePayment(
            paymentId = "cpy_1", state = state, wantsPassword = wantsPassword, confirmUntilMs = 0,
            tokenRef = "tok_1", amountMinor = amountMinor, currency = "CNY", merchant = offer.payee, reason = null,
            authorisation = null,
        )
    }

    override suspend fun confirm(payment: CodePayment, password: String): CodePayment {
        passwords += password
        return payment.copy(state = CodePaymentState.APPROVED, wantsPassword = false)
    }
}
