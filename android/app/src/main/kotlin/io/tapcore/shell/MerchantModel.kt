package io.tapcore.shell

import io.tapcore.CodePayment
import io.tapcore.MerchantOffer

/** What paying a shop's code needs of the wallet. */
interface MerchantDesk {
    /** Whose code it is. */
    suspend fun read(code: String): MerchantOffer

    /** Pays; the same offer once. */
    suspend fun pay(offer: MerchantOffer, amountMinor: Long): CodePayment

    /** Confirms a payment that waits for the person. */
    suspend fun confirm(payment: CodePayment, password: String): CodePayment
}

/** A shop's code: read, shown to the person, paid. Without Android's types, so that it runs in tests on any JVM. */
class MerchantModel(private val desk: MerchantDesk) {
    /** Whom it pays and how much, or null while none was read. */
    var offer: MerchantOffer? = null
        private set

    /** What has become of it, or null while nothing was paid. */
    var payment: CodePayment? = null
        private set

    /** Takes what a camera read. */
    suspend fun read(text: String) {
        offer = null
        payment = null
        offer = desk.read(text.trim())
    }

    /**
     * Pays what the person was shown; [entered] counts where the code names no amount. Answers false where that is none.
     * After an answer that was lost, called again, it pays once.
     */
    suspend fun pay(entered: String): Boolean {
        val offer = offer ?: return true
        val amount = offer.amountMinor ?: minor(entered.trim(), offer.currency) ?: return false
        if (payment == null) payment = desk.pay(offer, amount)
        return true
    }

    /** Confirms the payment that waits for it. */
    suspend fun confirm(password: String) {
        val waiting = payment?.takeIf { it.wantsPassword } ?: return
        payment = desk.confirm(waiting, password)
    }
}
