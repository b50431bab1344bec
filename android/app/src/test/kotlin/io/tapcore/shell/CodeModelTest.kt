package io.tapcore.shell

import io.tapcore.CodeEnd
import io.tapcore.CodeKind
import io.tapcore.CodePayment
import io.tapcore.CodePaymentState
import io.tapcore.CodeShown
import io.tapcore.CodeState
import io.tapcore.CodeViewInterface
import io.tapcore.WalletException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** A payment code on the screen, over a wallet that does as the test says. */
class CodeModelTest {
    private val desk = FakeDesk()
    private val drawn = Channel<CodeShown>(Channel.UNLIMITED)
    private val model = CodeModel(desk) { drawn.trySend(it) }

    @Test
    fun `what the wallet tells is drawn, and the code dies with the screen`() = runBlocking {
        val screen = launch { model.run(CodeKind.NUMERIC) }
        told(shown())
        told(shown().copy(secondsLeft = 11u))
        assertEquals(emptyList<String>(), desk.view.calls)
        screen.cancelAndJoin()
        assertEquals(listOf("end", "close"), desk.view.calls)
        assertEquals(listOf<String?>(null), desk.opened)
        // Nobody is there to be told.
        model.touch()
        model.photographed()
        assertEquals(listOf("end", "close"), desk.view.calls)
    }

    @Test
    fun `the person is asked where the wallet asks`() = onScreen {
        assertEquals(listOf(null, "vrf_1"), desk.opened)
    }

    @Test
    fun `digits are revealed to the person, and once`() = onScreen {
        model.reveal()
        assertEquals(listOf("reveal vrf_2"), desk.view.calls)
        told(shown().copy(digits = CODE, revealed = true))
        model.reveal()
        told(shown().copy(code = "", digits = "", state = CodeState.Ended(CodeEnd.VOID)))
        model.reveal()
        assertEquals(1, desk.view.calls.size)
    }

    @Test
    fun `a touch brings a fresh code where there is none`() = onScreen {
        model.touch()
        told(shown().copy(state = used(CodePaymentState.PENDING)))
        model.touch()
        assertTrue(desk.view.calls.isEmpty(), "one is shown, one is being paid")
        for (state in listOf(CodeState.Paused, used(CodePaymentState.APPROVED), CodeState.Ended(CodeEnd.EXPIRED))) {
            told(shown().copy(state = state))
            model.touch()
        }
        assertEquals(List(3) { "renew null" }, desk.view.calls)

        desk.view.wantsPerson = true
        model.touch()
        assertEquals(listOf("renew null", "renew vrf_2"), desk.view.calls.drop(3))
    }

    @Test
    fun `a screenshot is told`() = onScreen {
        model.photographed()
        assertEquals(listOf("photographed"), desk.view.calls)
    }

    @Test
    fun `a payment that waits is confirmed, and no other`() = onScreen {
        model.confirm("plum blossom")
        told(shown().copy(state = used(CodePaymentState.APPROVED)))
        model.confirm("plum blossom")
        assertTrue(desk.confirmed.isEmpty())
        val waiting = payment(CodePaymentState.PENDING).copy(wantsPassword = true)
        told(shown().copy(state = CodeState.Used(waiting)))
        model.confirm("plum blossom")
        assertEquals(listOf(waiting to "plum blossom"), desk.confirmed)
    }

    @Test
    fun `each state has its sentence`() {
        assertTrue(said(shown()).contains("12 seconds"))
        assertTrue(said(shown().copy(runsLow = true)).contains("14 more without a network"))
        assertEquals("Touch to go on.", said(shown().copy(state = CodeState.Paused)))
        for (state in CodePaymentState.entries) {
            val sentence = said(shown().copy(state = used(state)))
            assertTrue(sentence.contains("12.50") && sentence.contains("Mapo Tofu House"), sentence)
        }
        val endings = CodeEnd.entries.map { said(shown().copy(state = CodeState.Ended(it))) }
        assertEquals(CodeEnd.entries.size, endings.toSet().size)
    }

    /** A screen that shows a code; the wallet has asked for the person first. */
    private fun onScreen(use: suspend CoroutineScope.() -> Unit) = runBlocking {
        desk.wantsPerson = true
        val screen = launch { model.run(CodeKind.NUMERIC) }
        told(shown())
        use()
        screen.cancelAndJoin()
    }

    /** The wallet tells, and the model has heard. */
    private suspend fun told(shown: CodeShown) {
        desk.view.told.send(shown)
        assertEquals(shown.state, drawn.receive().state)
    }

    private fun shown() = CodeShown(
        kind = CodeKind.NUMERIC, tokenRef = "tok_1", code = CODE, digits = "7373••••••••••••••", revealed = false,
        secondsLeft = 12u, offlineLeft = 14u, runsLow = false, state = CodeState.Showing,
    )

    private fun used(state: CodePaymentState) = CodeState.Used(payment(state))

    private fun payment(state: CodePaymentState) = CodePayment(
        paymentId = "cpy_1", state = state, wantsPassword = false, confirmUntilMs = 0, tokenRef = "tok_1",
        amountMinor = 1250, currency = "CNY", merchant = "Mapo Tofu House", reason = null, authorisation = null,
    )

    private companion object {
        const val CODE = "737394850263403002"
    }
}

private fun notVerified() = WalletException.NotVerified(reason = "verification_over", detail = "Ask again.")

private class FakeDesk : CodeDesk {
    val view = FakeView()
    val opened = mutableListOf<String?>()
    val confirmed = mutableListOf<Pair<CodePayment, String>>()
    var wantsPerson = false
    private var verified = 0

    override suspend fun show(kind: CodeKind, verificationId: String?): CodeViewInterface {
        opened += verificationId
        if (wantsPerson && verificationId == null) throw notVerified()
        return view
    }

    override suspend fun verify(): String = "vrf_${++verified}"

    override suspend fun confirm(payment: CodePayment, password: String) {
        confirmed += payment to password
    }
}

private class FakeView : CodeViewInterface, AutoCloseable {
    val told = Channel<CodeShown>(Channel.UNLIMITED)
    val calls = mutableListOf<String>()
    var wantsPerson = false

    override suspend fun next(): CodeShown? = told.receiveCatching().getOrNull()

    override fun now(): CodeShown = error("no model asks")

    override suspend fun reveal(verificationId: String) {
        calls += "reveal $verificationId"
    }

    override suspend fun photographed() {
        calls += "photographed"
    }

    override suspend fun renew(verificationId: String?) {
        calls += "renew $verificationId"
        if (wantsPerson && verificationId == null) throw notVerified()
    }

    override suspend fun end() {
        calls += "end"
    }

    override fun close() {
        calls += "close"
    }
}
