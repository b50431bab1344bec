package io.tapcore.shell

import android.content.Context
import android.content.Intent
import android.text.InputType
import android.view.View
import android.view.WindowManager
import android.widget.EditText
import android.widget.TextView
import io.tapcore.CodePayment
import io.tapcore.MerchantOffer

/**
 * Pays a shop's code, given as the text that a camera reads. Which camera and which decoder is the app's own choice: it opens
 * this screen with [of].
 */
class MerchantActivity : Screen(), MerchantDesk {
    private lateinit var asked: TextView
    private lateinit var amount: EditText
    private lateinit var paying: View
    private lateinit var confirming: List<View>
    private lateinit var outcome: TextView
    private val model = MerchantModel(this)

    override fun build() {
        // A password is entered here: no screenshot, no picture in the list of recent apps.
        window.addFlags(WindowManager.LayoutParams.FLAG_SECURE)
        val code = field("The shop's code, as its text")
        button("Read it") { step { model.read("${code.text}") } }
        asked = text("")
        amount = field("Amount, such as 12.50", InputType.TYPE_CLASS_NUMBER or InputType.TYPE_NUMBER_FLAG_DECIMAL)
        paying = button("Pay") {
            step { if (!model.pay("${amount.text}")) outcome.text = "Enter an amount such as 12.50." }
        }
        outcome = text("")
        val password = field("Payment password", InputType.TYPE_CLASS_TEXT or InputType.TYPE_TEXT_VARIATION_PASSWORD)
        val confirm = button("Confirm the payment") { step { password.use { model.confirm(it) } } }
        confirming = listOf(password, confirm)
        draw()
        intent.getStringExtra(CODE)?.let { scanned -> step { model.read(scanned) } }
    }

    override suspend fun read(code: String): MerchantOffer = wallet.readMerchantCode(code)

    override suspend fun pay(offer: MerchantOffer, amountMinor: Long): CodePayment = wallet.payMerchant(offer, amountMinor)

    override suspend fun confirm(payment: CodePayment, password: String): CodePayment =
        wallet.confirmCodePaymentWithPassword(payment, password)

    private fun step(work: suspend () -> Unit) {
        run {
            outcome.text = ""
            try {
                work()
            } finally {
                draw()
            }
        }
    }

    private fun draw() {
        val (offer, payment) = model.offer to model.payment
        asked.text = offer?.let { line(it) }.orEmpty()
        amount.seen(offer != null && offer.amountMinor == null && payment == null)
        paying.seen(offer != null && payment == null)
        payment?.let { outcome.text = line(it) }
        confirming.forEach { it.seen(payment?.wantsPassword == true) }
    }

    private fun View.seen(isSeen: Boolean) {
        visibility = if (isSeen) View.VISIBLE else View.GONE
    }

    companion object {
        private const val CODE = "code"

        /** Shows whom [scanned] pays, and how much. */
        fun of(context: Context, scanned: String): Intent =
            Intent(context, MerchantActivity::class.java).putExtra(CODE, scanned)
    }
}
