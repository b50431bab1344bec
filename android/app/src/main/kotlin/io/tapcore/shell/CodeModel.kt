package io.tapcore.shell

import io.tapcore.CodeKind
import io.tapcore.CodePayment
import io.tapcore.CodePaymentState
import io.tapcore.CodeShown
import io.tapcore.CodeState
import io.tapcore.CodeViewInterface
import io.tapcore.WalletException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.launch

/** What a payment code on the screen needs of the wallet, of the person, and of the screen. */
interface CodeDesk {
    /** Begins a showing. */
    suspend fun show(kind: CodeKind, verificationId: String?): CodeViewInterface

    /** Verifies the person for access; answers the verification's identifier. */
    suspend fun verify(): String

    /** Confirms a payment that waits for the person. */
    suspend fun confirm(payment: CodePayment, password: String)

    /** Draws what the model holds now. */
    fun draw()
}

/**
 * A payment code while it is seen. It keeps no time: the wallet tells each change. It outlives a screen that is made anew when
 * the phone is turned, which then is its [desk]; [scope] outlives both. Without Android's types, so that it runs in tests on
 * any JVM.
 */
class CodeModel(private val scope: CoroutineScope, var desk: CodeDesk) {
    /** What kind of code is shown, or was last. */
    var kind = CodeKind.NUMERIC
        private set

    /** What the wallet told last; null while there is nothing to look at. */
    var shown: CodeShown? = null
        private set

    val problem: String? get() = attempt.problem
    val isBusy: Boolean get() = attempt.isBusy

    /** Whether a code is shown, or about to be. */
    val isShowing: Boolean get() = showing?.isActive == true

    /** Whether there is nothing to look at, and why was said: shown again, it may go better. */
    val canTryAgain: Boolean get() = shown == null && problem != null

    private val attempt = Attempts { desk.draw() }
    private var view: CodeViewInterface? = null
    private var showing: Job? = null

    /** Shows a code until [hide] or [close], in the place of the one before. */
    fun show(kind: CodeKind = this.kind) {
        val before = showing
        // Where nothing is shown yet, somebody is asked perhaps.
        if (view == null) before?.cancel()
        this.kind = kind
        forget()
        showing = scope.launch {
            attempt.beside {
                val view = try {
                    asPerson { desk.show(kind, it) }
                } finally {
                    // Only now: the wallet ends it by showing another one, and the next code waits for nobody.
                    before?.cancel()
                }
                attend(view)
            }
        }
    }

    /**
     * The screen is seen no more: nothing is left on it, and the code pays nothing from here on. But for a payment that waits
     * for the person, who may have left to look the password up: its code is dead already, and it is there on return.
     */
    fun hide() {
        if (shown?.waiting == null) close()
    }

    /** The screen is gone. */
    fun close() {
        showing?.cancel()
        forget()
    }

    /** The place of the code was touched: where there is none any more, or not yet again, a fresh one comes. */
    suspend fun touch() {
        val view = view ?: return
        val now = shown ?: return
        if (now.state is CodeState.Showing || now.payment?.state == CodePaymentState.PENDING) return
        attempt {
            asPerson {
                // Whoever was asked took their time: a code that has ended meanwhile is not to come back.
                if (this.view === view) view.renew(it)
            }
        }
    }

    /** The digits were touched: who is verified sees them, of a fresh code. */
    suspend fun reveal() {
        val view = view ?: return
        val now = shown ?: return
        if (now.state !is CodeState.Showing || now.revealed || now.digits.isEmpty()) return
        attempt {
            val verified = desk.verify()
            if (this.view === view) view.reveal(verified)
        }
    }

    /** A screenshot was taken. */
    suspend fun photographed() {
        val view = view ?: return
        attempt.beside { view.photographed() }
    }

    /** Confirms the payment that waits for it. */
    suspend fun confirm(password: String) {
        val waiting = shown?.waiting ?: return
        attempt { desk.confirm(waiting, entered(password)) }
    }

    private suspend fun attend(view: CodeViewInterface) {
        this.view = view
        try {
            while (true) {
                val next = view.next() ?: break
                // Another one is about to take its place.
                if (this.view !== view) continue
                shown = next
                desk.draw()
            }
            if (this.view === view) throw WalletException.Cancelled("The code was closed.")
        } finally {
            if (this.view === view) forget()
            end(view)
        }
    }

    private fun end(view: CodeViewInterface) {
        // Of its own: the provider hears of it, and nobody waits for that.
        scope.launch {
            try {
                view.end()
            } catch (_: WalletException) {
                // A code that is not looked at dies within its short life.
            } finally {
                (view as? AutoCloseable)?.close()
            }
        }
    }

    private fun forget() {
        view = null
        shown = null
        desk.draw()
    }

    /** A code needs nobody, but for the one after a screenshot or after digits were seen. */
    private suspend fun <T> asPerson(work: suspend (verificationId: String?) -> T): T =
        try {
            work(null)
        } catch (_: WalletException.NotVerified) {
            work(desk.verify())
        }
}

/** What a shop has made of the code. */
val CodeShown.payment: CodePayment? get() = (state as? CodeState.Used)?.payment

/** The payment, where it waits for the person. */
val CodeShown.waiting: CodePayment? get() = payment?.takeIf { it.wantsPassword }
