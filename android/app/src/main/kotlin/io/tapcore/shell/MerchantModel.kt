package io.tapcore.shell

import io.tapcore.CodePayment
import io.tapcore.CodePaymentState
import io.tapcore.MerchantOffer
import io.tapcore.Newer
import io.tapcore.WalletException

/** What paying a shop's code needs of the wallet. */
interface MerchantDesk {
    /** Whose code it is. */
    suspend fun read(code: String): MerchantOffer

    /** Pays; the same offer once. */
    suspend fun pay(offer: MerchantOffer, amountMinor: Long): CodePayment

    /** Confirms a payment that waits for the person. */
    suspend fun confirm(payment: CodePayment, password: String): CodePayment
}

/**
 * A shop's code: read, shown to the person, paid. It outlives the screen: an offer holds what makes paying again the same
 * payment, so it is kept until it is known what became of it. Without Android's types, so that it runs in tests on any JVM.
 */
class MerchantModel(private val desk: MerchantDesk) {
    /** Told of each change. */
    var changed: () -> Unit = {}

    /** The screen that was opened last, or has read last: one below it that closes late leaves its offer alone. */
    var owner: Any? = null

    /** Whom it pays and how much, or null while none was read. */
    var offer: MerchantOffer? = null
        private set

    /** What has become of it, or null while nothing was paid. */
    var payment: CodePayment? = null
        private set

    val problem: String? get() = attempt.problem
    val isBusy: Boolean get() = attempt.isBusy

    /** Whether there is something to pay, or a payment to look at again until it is decided. */
    val canPay: Boolean get() = offer != null && payment.let { it == null || it.state == CodePaymentState.PENDING }

    /** Whether the person is to say how much. */
    val wantsAmount: Boolean
        get() = offer.let { it != null && it.amountMinor == null } && payment == null && lostAmountMinor == null

    /** The amount of a payment whose answer was lost, in minor units: with another one it would not be the same. */
    var lostAmountMinor: Long? = null
        private set

    /** The code asked for last, until it is read: where something is being done, it waits. */
    private var wanted: String? = null
    private val attempt = Attempts { changed() }

    /** Whether it is not known what has become of a payment: no other code is read until it is, or is given up. */
    val isOpen: Boolean get() = lostAmountMinor != null || payment?.state == CodePaymentState.PENDING

    /**
     * Asks whose code it is. The last one asked for counts, whatever is being done meanwhile; of the same code, a payment that
     * is not decided is gone on with.
     */
    suspend fun read(text: String) {
        val code = text.trim()
        // Read anew, a code without an order would be paid a second time.
        wanted = code.takeUnless { offer?.code == code && (isOpen || isBusy) }
        readWanted()
    }

    /**
     * Pays what the person was shown; [entered] counts where the code names no amount. Called again after an answer that was
     * lost, or while it is not decided, it pays once and tells how it stands.
     */
    suspend fun pay(entered: String) {
        val offer = offer?.takeIf { canPay } ?: return
        alone {
            val asked = offer.amountMinor ?: minor(entered.trim(), offer.currency)
            val amount = lostAmountMinor ?: payment?.amountMinor ?: asked
                ?: throw WalletException.Invalid("Enter an amount such as 12.50.")
            try {
                payment = desk.pay(offer, amount)
                lostAmountMinor = null
            } catch (error: WalletException) {
                if (isUnpaid(error)) lostAmountMinor = null
                if (!isLost(error)) throw error
                // What the provider holds under this offer is another payment: asked again, it would say so for ever.
                if (isConflict(error)) letGo()
                lostAmountMinor = amount
                throw WalletException.Network("${sentence(error)} $MAY_BE_PAID")
            }
        }
    }

    /** Lets go of a payment that is not decided; the person looks for it in the statement. */
    suspend fun giveUp() {
        if (!isOpen) return
        alone { letGo() }
    }

    /** Confirms the payment that waits for it. */
    suspend fun confirm(password: String) {
        val waiting = payment?.takeIf { it.wantsPassword } ?: return
        alone { payment = desk.confirm(waiting, entered(password)) }
    }

    /** The screen was closed. What is not decided stays: the same code, read again, goes on with it. */
    fun leave(screen: Any? = owner) {
        if (screen !== owner) return
        wanted = null
        if (isOpen || isBusy) return
        forget()
        attempt.forget()
        changed()
    }

    private suspend fun alone(work: suspend () -> Unit) {
        attempt(work)
        readWanted()
    }

    private suspend fun readWanted() {
        while (!isBusy) {
            val code = wanted ?: return
            attempt { take(code) }
        }
    }

    /** No other shop's offer stands there while [code] is asked for, nor where another one was asked for since. */
    private suspend fun take(code: String) {
        try {
            if (isOpen) throw WalletException.Cancelled(NOT_DECIDED)
            forget()
            changed()
            val next = desk.read(code)
            if (wanted == code) offer = next
        } finally {
            if (wanted == code) wanted = null
        }
    }

    private fun letGo(): Nothing {
        forget()
        throw WalletException.Cancelled("It may be paid: look at the statement before you pay again.")
    }

    private fun forget() {
        offer = null
        payment = null
        lostAmountMinor = null
    }
}

private const val NOT_DECIDED = "The payment before is not decided: ask again how it stands, or give it up, before another one."
private const val MAY_BE_PAID = "It may be paid: ask again here, which pays once, or look at the statement first."

/** The reasons for which a provider has no payment. */
private val UNPAID = setOf(
    "order_paid", "amount_differs", "account_not_active", "payee_unknown", "merchant_code_invalid", "request_invalid",
)

/** Whether nothing was paid for sure. */
private fun isUnpaid(error: WalletException): Boolean = error is WalletException.Rejected && error.reason in UNPAID

/** Whether the offer's key has paid something else. */
private fun isConflict(error: WalletException): Boolean =
    error is WalletException.Rejected && error.reason == "idempotency_conflict"

/** Whether the provider may have paid, though it did not say so. */
private fun isLost(error: WalletException): Boolean = when (error) {
    is WalletException.Network, is WalletException.Internal -> true
    // Its answer came, and was not understood.
    is WalletException.Outdated -> error.reason == Newer.ANSWER
    is WalletException.Rejected -> !isUnpaid(error)
    else -> false
}
