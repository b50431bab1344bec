package io.tapcore.shell

import io.tapcore.CodeKind
import io.tapcore.CodePayment
import io.tapcore.CodePaymentState
import io.tapcore.CodeShown
import io.tapcore.CodeState
import io.tapcore.CodeViewInterface
import io.tapcore.WalletException
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.withContext

/** What a payment code on the screen needs of the wallet and of the person. */
interface CodeDesk {
    /** Begins a showing. */
    suspend fun show(kind: CodeKind, verificationId: String?): CodeViewInterface

    /** Verifies the person for access; answers the verification's identifier. */
    suspend fun verify(): String

    /** Confirms a payment that waits for the person. */
    suspend fun confirm(payment: CodePayment, password: String)
}

/**
 * A payment code while it is seen. It keeps no time: the wallet tells each change, which goes to [draw]. Without Android's
 * types, so that it runs in tests on any JVM.
 */
class CodeModel(private val desk: CodeDesk, private val draw: (CodeShown) -> Unit) {
    private var view: CodeViewInterface? = null
    private var shown: CodeShown? = null

    /** Shows a code until this is cancelled: from then on the code pays nothing. */
    suspend fun run(kind: CodeKind) {
        val view = asPerson { desk.show(kind, it) }
        this.view = view
        try {
            while (true) {
                val next = view.next() ?: break
                shown = next
                draw(next)
            }
        } finally {
            if (this.view === view) this.view = null
            try {
                withContext(NonCancellable) { view.end() }
            } finally {
                (view as? AutoCloseable)?.close()
            }
        }
    }

    /** The place of the code was touched: where there is none any more, or not yet again, a fresh one comes. */
    suspend fun touch() {
        val view = view ?: return
        val now = shown ?: return
        if (now.state is CodeState.Showing || now.payment?.state == CodePaymentState.PENDING) return
        asPerson { view.renew(it) }
    }

    /** The digits were touched: who is verified sees them, of a fresh code. */
    suspend fun reveal() {
        val view = view ?: return
        val now = shown ?: return
        if (now.state !is CodeState.Showing || now.revealed || now.digits.isEmpty()) return
        view.reveal(desk.verify())
    }

    /** A screenshot was taken. */
    suspend fun photographed() {
        view?.photographed()
    }

    /** Confirms the payment that waits for it. */
    suspend fun confirm(password: String) {
        desk.confirm(shown?.waiting ?: return, password)
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
