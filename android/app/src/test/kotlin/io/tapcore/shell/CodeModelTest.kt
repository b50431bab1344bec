package io.tapcore.shell

import io.tapcore.CodeEnd
import io.tapcore.CodeKind
import io.tapcore.CodePayment
import io.tapcore.CodePaymentState
import io.tapcore.CodeRefusal
import io.tapcore.CodeShown
import io.tapcore.CodeState
import io.tapcore.CodeViewInterface
import io.tapcore.WalletException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.coroutines.yield
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** A payment code on the screen, over a wallet that does as the test says. */
class CodeModelTest {
    private val desk = FakeDesk()

    @Test
    fun `what the wallet tells is drawn, and the code dies with the screen`() = onScreen { model ->
        model.told(shown().copy(secondsLeft = 11u))
        assertTrue(model.isShowing)
        assertTrue(desk.view.calls.isEmpty())
        model.close()
        assertNull(model.shown, "nothing of it is left on the screen")
        assertNull(desk.seen)
        assertFalse(model.canTryAgain)
        desk.view.awaits("end", "close")
        // Nobody is there to be told.
        model.touch()
        model.photographed()
        assertEquals(listOf("end", "close"), desk.view.calls)
    }

    @Test
    fun `the person is asked where the wallet asks`() {
        desk.wantsPerson = true
        onScreen { assertEquals(listOf(null, "vrf_1"), desk.opened) }
    }

    @Test
    fun `where no code came, it is tried again, and of the same kind`() = runBlocking {
        val model = CodeModel(this, desk)
        desk.wantsPerson = true
        desk.refusal = WalletException.Cancelled("Enter the PIN first.")
        model.show(CodeKind.CONSUMER_PRESENTED)
        until { model.canTryAgain }
        assertEquals("Enter the PIN first.", model.problem)

        desk.refusal = null
        model.show()
        model.told(shown())
        assertFalse(model.canTryAgain)
        assertEquals(CodeKind.CONSUMER_PRESENTED, model.kind)
        assertEquals(listOf(null, null, "vrf_1"), desk.opened)
        assertNull(model.problem)
        model.close()
    }

    @Test
    fun `another kind is shown before the code before has ended`() = onScreen { model ->
        val before = desk.view
        before.ending = CompletableDeferred()
        desk.view = FakeView()
        model.show(CodeKind.CONSUMER_PRESENTED)
        assertNull(desk.seen, "the one before is not to be scanned any more")
        model.told(shown().copy(kind = CodeKind.CONSUMER_PRESENTED))
        before.awaits("end")
        before.ending?.complete(Unit)
        before.awaits("end", "close")
        assertEquals(CodeKind.CONSUMER_PRESENTED, model.shown?.kind)
        assertTrue(desk.view.calls.isEmpty())
    }

    @Test
    fun `the code before ends as well where no other comes`() = onScreen { model ->
        val before = desk.view
        desk.refusal = WalletException.CodesUnavailable(CodeRefusal.NO_KEYS, "Go online once.")
        model.show(CodeKind.CONSUMER_PRESENTED)
        before.awaits("end", "close")
        assertEquals("Go online once.", model.problem)
        assertNull(model.shown)
    }

    @Test
    fun `a code that was ended from elsewhere can be shown again`() = onScreen { model ->
        desk.view.told.close()
        until { model.canTryAgain }
        assertEquals("The code was closed.", model.problem)
    }

    @Test
    fun `digits are revealed to the person, and once`() = onScreen { model ->
        model.reveal()
        assertEquals(listOf("reveal vrf_1"), desk.view.calls)
        model.told(shown().copy(digits = CODE, revealed = true))
        model.reveal()
        model.told(shown().copy(code = "", digits = "", state = CodeState.Ended(CodeEnd.VOID)))
        model.reveal()
        assertEquals(1, desk.view.calls.size)
    }

    @Test
    fun `a code that was closed while the person was asked is asked for nothing`() = onScreen { model ->
        val verifying = CompletableDeferred<Unit>()
        desk.verifying = verifying
        val revealing = launch { model.reveal() }
        until { model.isBusy }
        model.close()
        desk.view.awaits("end", "close")
        verifying.complete(Unit)
        revealing.join()
        assertEquals(listOf("end", "close"), desk.view.calls)
        assertNull(model.problem)
    }

    @Test
    fun `a fresh code does not take the screen from another kind`() = onScreen { model ->
        val before = desk.view
        model.told(shown().copy(state = CodeState.Paused))
        before.wantsPerson = true
        val verifying = CompletableDeferred<Unit>()
        desk.verifying = verifying
        val renewing = launch { model.touch() }
        until { before.calls.isNotEmpty() }
        desk.view = FakeView()
        model.show(CodeKind.CONSUMER_PRESENTED)
        model.told(shown().copy(kind = CodeKind.CONSUMER_PRESENTED))
        before.awaits("renew null", "end", "close")
        verifying.complete(Unit)
        renewing.join()
        assertEquals(listOf("renew null", "end", "close"), before.calls)
        assertTrue(desk.view.calls.isEmpty())
    }

    @Test
    fun `a touch brings a fresh code where there is none`() = onScreen { model ->
        model.touch()
        model.told(shown().copy(state = used(CodePaymentState.PENDING)))
        model.touch()
        assertTrue(desk.view.calls.isEmpty(), "one is shown, one is being paid")
        for (state in listOf(CodeState.Paused, used(CodePaymentState.APPROVED), CodeState.Ended(CodeEnd.EXPIRED))) {
            model.told(shown().copy(state = state))
            model.touch()
        }
        assertEquals(List(3) { "renew null" }, desk.view.calls)

        desk.view.wantsPerson = true
        model.touch()
        assertEquals(listOf("renew null", "renew vrf_1"), desk.view.calls.drop(3))
    }

    @Test
    fun `touched twice, it brings one code`() = onScreen { model ->
        model.told(shown().copy(state = CodeState.Paused))
        val renewing = CompletableDeferred<Unit>()
        desk.view.renewing = renewing
        val first = launch { model.touch() }
        until { model.isBusy }
        model.touch()
        renewing.complete(Unit)
        first.join()
        assertEquals(listOf("renew null"), desk.view.calls)
        assertFalse(model.isBusy)
    }

    @Test
    fun `a touch that failed leaves the code's end to be touched again`() = onScreen { model ->
        model.told(shown().copy(state = CodeState.Ended(CodeEnd.REVEALED)))
        desk.view.wantsPerson = true
        desk.refusal = WalletException.Cancelled("Enter the PIN first.")
        model.touch()
        assertEquals("Enter the PIN first.", model.problem)
        desk.refusal = null
        model.touch()
        assertNull(model.problem)
        model.told(shown())
    }

    @Test
    fun `a phone that was turned goes on with its code`() = onScreen { model ->
        val turned = FakeDesk()
        turned.drawing = model
        model.desk = turned
        desk.view.told.send(shown().copy(secondsLeft = 3u))
        until { turned.seen?.secondsLeft == 3u }
        assertEquals(1, desk.opened.size)
        assertTrue(turned.opened.isEmpty())
    }

    @Test
    fun `a screenshot is told`() = onScreen { model ->
        model.photographed()
        assertEquals(listOf("photographed"), desk.view.calls)
    }

    @Test
    fun `a payment that waits is confirmed, and no other`() = onScreen { model ->
        model.confirm("plum blossom")
        model.told(shown().copy(state = used(CodePaymentState.APPROVED)))
        model.confirm("plum blossom")
        assertTrue(desk.confirmed.isEmpty())
        val waiting = payment(CodePaymentState.PENDING).copy(wantsPassword = true)
        model.told(shown().copy(state = CodeState.Used(waiting)))
        model.confirm("")
        assertEquals("Enter the payment password first.", model.problem)
        assertTrue(desk.confirmed.isEmpty(), "nothing entered is no try")
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
        assertEquals("7 3 7 3", spelled("7373"))
    }

    @Test
    fun `a payment that waits is there when the person comes back with the password`() = onScreen { model ->
        val waiting = payment(CodePaymentState.PENDING).copy(wantsPassword = true)
        model.told(shown().copy(code = "", state = CodeState.Used(waiting)))
        model.hide()
        assertEquals(waiting, model.shown?.waiting)
        assertTrue(model.isShowing)
        model.told(shown().copy(code = "", state = used(CodePaymentState.APPROVED)))
        model.hide()
        assertEquals(null, model.shown)
        desk.view.awaits("end", "close")
    }

    @Test
    fun `why a payment was declined is said`() {
        val declined = payment(CodePaymentState.DECLINED)
        val sentences = REASONS.map { line(declined.copy(reason = it)) }
        assertEquals(REASONS.size, sentences.toSet().size)
        assertTrue(sentences.all { it.endsWith("Nothing was paid.") })
        assertTrue(line(declined.copy(reason = "moon_phase")).contains("ask the bank"))
        assertFalse(line(declined).contains("bank"), "nobody said why")
    }

    /** A screen that shows a code, until the test is through with it. */
    private fun onScreen(use: suspend CoroutineScope.(CodeModel) -> Unit) = runBlocking {
        val model = CodeModel(this, desk)
        desk.drawing = model
        model.show()
        model.told(shown())
        use(model)
        model.close()
    }

    /** The wallet tells, and the model has heard. */
    private suspend fun CodeModel.told(next: CodeShown) {
        this@CodeModelTest.desk.view.told.send(next)
        until { shown == next }
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

        val REASONS = listOf(
            "account_not_active", "class_cash", "class_gambling", "class_investment", "place_abroad",
            "currency_not_supported", "daily_limit", "password_not_set", "password_timeout", "superseded", "revoked",
            "device_wiped", "network_refused", "insufficient_funds", "card_reported_lost",
        )
    }
}

/** Waits for what the other coroutines of a test do. */
private suspend fun until(isSo: () -> Boolean) = withTimeout(10_000) {
    while (!isSo()) yield()
}

private fun notVerified() = WalletException.NotVerified(reason = "verification_over", detail = "Ask again.")

private class FakeDesk : CodeDesk {
    /** The next one that is shown. */
    var view = FakeView()
    val opened = mutableListOf<String?>()
    val confirmed = mutableListOf<Pair<CodePayment, String>>()
    var wantsPerson = false

    /** What a showing and the person's verification end with. */
    var refusal: WalletException? = null

    /** What the person's verification waits for, where there is something. */
    var verifying: CompletableDeferred<Unit>? = null

    /** Whose state is drawn, and what was drawn of it. */
    lateinit var drawing: CodeModel
    var seen: CodeShown? = null
        private set
    private var verified = 0

    override suspend fun show(kind: CodeKind, verificationId: String?): CodeViewInterface {
        opened += verificationId
        if (wantsPerson && verificationId == null) throw notVerified()
        refusal?.let { throw it }
        return view
    }

    override suspend fun verify(): String {
        verifying?.await()
        refusal?.let { throw it }
        return "vrf_${++verified}"
    }

    override suspend fun confirm(payment: CodePayment, password: String) {
        confirmed += payment to password
    }

    override fun draw() {
        if (::drawing.isInitialized) seen = drawing.shown
    }
}

private class FakeView : CodeViewInterface, AutoCloseable {
    val told = Channel<CodeShown>(Channel.UNLIMITED)
    val calls = mutableListOf<String>()
    var wantsPerson = false

    /** What a call waits for, where there is one. */
    var renewing: CompletableDeferred<Unit>? = null
    var ending: CompletableDeferred<Unit>? = null

    /** Waits until the view was asked for just these. */
    suspend fun awaits(vararg wanted: String) = until { calls == wanted.toList() }

    override suspend fun next(): CodeShown? = told.receiveCatching().getOrNull()

    override fun now(): CodeShown = error("no model asks")

    override suspend fun reveal(verificationId: String) {
        checkOpen()
        calls += "reveal $verificationId"
    }

    override suspend fun photographed() {
        checkOpen()
        calls += "photographed"
    }

    override suspend fun renew(verificationId: String?) {
        checkOpen()
        calls += "renew $verificationId"
        renewing?.await()
        if (wantsPerson && verificationId == null) throw notVerified()
    }

    override suspend fun end() {
        calls += "end"
        ending?.await()
    }

    override fun close() {
        calls += "close"
    }

    /** As the bindings have it: what was let go of is not to be called. */
    private fun checkOpen() = check("close" !in calls) { "CodeView has already been destroyed" }
}
