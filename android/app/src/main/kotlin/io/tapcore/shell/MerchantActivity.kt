package io.tapcore.shell

import android.content.Context
import android.content.Intent
import android.text.InputType
import android.text.method.DigitsKeyListener
import android.view.View
import android.view.WindowManager
import android.widget.Button
import android.widget.EditText
import android.widget.TextView

/**
 * Pays a shop's code, given as the text that a camera reads. Which camera and which decoder is the app's own choice: it opens
 * this screen with [of].
 */
class MerchantActivity : Screen() {
    private lateinit var reading: View
    private lateinit var asked: TextView
    private lateinit var amount: EditText
    private lateinit var paying: Button
    private lateinit var givingUp: View
    private lateinit var confirming: List<View>
    private lateinit var outcome: TextView
    private val redraw: () -> Unit = { draw() }
    private val model: MerchantModel get() = shell.merchant

    /** Stands for this screen, and holds nothing of it: the model outlives it. */
    private val mark = Any()

    /** Whose offer is drawn, by its key: an amount entered for another one is not for it. */
    private var drawn: String? = null

    override fun build() {
        // A password is entered here: no screenshot, no picture in the list of recent apps.
        window.addFlags(WindowManager.LayoutParams.FLAG_SECURE)
        val code = field("The shop's code, as its text")
        reading = button("Read it") { read("${code.text}") }
        asked = text("")
        amount = field("Amount, such as 12.50").apply {
            // The system's own listener takes no comma, which is what some keyboards offer instead of the point.
            keyListener = DigitsKeyListener.getInstance("0123456789.,")
            setRawInputType(InputType.TYPE_CLASS_NUMBER or InputType.TYPE_NUMBER_FLAG_DECIMAL)
        }
        paying = button("Pay") { ask { model.pay("${amount.text}") } }
        givingUp = button("Give up") { ask { model.giveUp() } }
        outcome = text("")
        outcome.accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_POLITE
        confirming = confirmation { model.confirm(it) }
        model.owner = mark
        val scanned = intent.getStringExtra(CODE) ?: return
        code.setText(scanned)
        // A screen that was made anew goes on with what it showed, unless the process has ended in between: read anew, what is
        // paid would be asked for again.
        if (!isAnew || model.offer == null) read(scanned)
    }

    override fun onStart() {
        super.onStart()
        model.changed = redraw
        draw()
    }

    override fun onStop() {
        if (model.changed === redraw) model.changed = {}
        super.onStop()
    }

    override fun onDestroy() {
        if (isFinishing) model.leave(mark)
        super.onDestroy()
    }

    private fun read(code: String) {
        model.owner = mark
        ask { model.read(code) }
    }

    private fun draw() {
        val (offer, payment) = model.offer to model.payment
        say(model.problem)
        asked.text = offer?.let { line(it) }.orEmpty()
        if (offer?.paymentKey != drawn) amount.text.clear()
        drawn = offer?.paymentKey
        amount.seen(model.wantsAmount)
        paying.seen(model.canPay)
        val lost = model.lostAmountMinor
        paying.text = when {
            offer != null && lost != null -> "Ask again about ${money(lost, offer.currency)}"
            payment == null -> "Pay"
            else -> "Look again"
        }
        givingUp.seen(model.isOpen)
        val open = if (offer != null && lost != null) unanswered(offer, lost) else null
        outcome.show(open ?: payment?.let { line(it) }.orEmpty())
        confirming.forEach { it.seen(payment?.wantsPassword == true) }
        (confirming + reading + paying + givingUp).forEach { it.isEnabled = !model.isBusy }
    }

    companion object {
        private const val CODE = "code"

        /** Shows whom [scanned] pays, and how much. */
        fun of(context: Context, scanned: String): Intent =
            Intent(context, MerchantActivity::class.java).putExtra(CODE, scanned)
    }
}
