package io.tapcore.shell

import io.tapcore.WalletException

/**
 * What a model was asked to do, one thing at a time, and why the last one was not done; [changed] is told of each change.
 * Without Android's types, so that it runs in tests on any JVM.
 */
class Attempts(private val changed: () -> Unit) {
    /** The refusal's sentence; null where there was none. */
    var problem: String? = null
        private set

    /** Whether something is being done. */
    var isBusy = false
        private set

    /** Does [work], unless something is being done: a second press is none. */
    suspend operator fun invoke(work: suspend () -> Unit) {
        if (isBusy) return
        isBusy = true
        try {
            beside(work)
        } finally {
            isBusy = false
            changed()
        }
    }

    /** Does [work] whatever else is being done. */
    suspend fun beside(work: suspend () -> Unit) {
        problem = null
        changed()
        try {
            work()
        } catch (error: WalletException) {
            problem = sentence(error)
        }
        changed()
    }

    /** What was to be told is of no interest any more. */
    fun forget() {
        problem = null
    }
}

/** The payment password as it was entered; nothing entered is no try. */
fun entered(password: String): String =
    password.ifEmpty { throw WalletException.Cancelled("Enter the payment password first.") }
