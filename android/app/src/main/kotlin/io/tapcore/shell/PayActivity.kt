package io.tapcore.shell

import android.content.Context
import android.content.Intent
import android.view.WindowManager
import android.widget.TextView
import io.tapcore.Purpose
import io.tapcore.WalletEvent
import io.tapcore.android.VerificationPrompt

/**
 * A payment that a reader has asked for and that waits for the person. It comes up by itself, over the lock screen as
 * well; once the person was verified, the phone is held to the reader again.
 */
class PayActivity : Screen() {
    private lateinit var asked: TextView
    private lateinit var next: TextView
    private val prompt by lazy { VerificationPrompt(this) }

    private val purpose: Purpose.Payment
        get() = Purpose.Payment(intent.getLongExtra(AMOUNT, 0), intent.getStringExtra(CURRENCY).orEmpty())

    override fun build() {
        // A PIN is entered here: no screenshot, no picture in the list of recent apps.
        window.addFlags(WindowManager.LayoutParams.FLAG_SECURE)
        asked = text("")
        val pin = pinField()
        button("Pay with the PIN") { permit { pin.need("PIN") { wallet.verifyWithPin(it, purpose) } } }
        button("Pay with fingerprint or face") { permit { prompt.verify(wallet, purpose, title()) } }
            .isEnabled = prompt.isPossible()
        next = text("")
        asked.text = title()
    }

    /** Readers ask again while the phone lies there, and the amount may be another one by now. */
    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        setIntent(intent)
        asked.text = title()
    }

    override fun heed(event: WalletEvent) {
        if (event is WalletEvent.Tap && event.verified) finish()
    }

    private fun permit(verify: suspend () -> String) {
        next.text = ""
        run {
            wallet.permitTap(verify())
            next.text = "Hold the phone to the reader again."
        }
    }

    private fun title(): String {
        val payee = intent.getStringExtra(MERCHANT)?.let { " to $it" }.orEmpty()
        return "Pay ${money(purpose.amountMinor, purpose.currency)}$payee"
    }

    companion object {
        private const val AMOUNT = "amount"
        private const val CURRENCY = "currency"
        private const val MERCHANT = "merchant"

        /** Asks the person for what the reader wants. */
        fun of(context: Context, wanted: WalletEvent.PersonWanted): Intent =
            Intent(context, PayActivity::class.java)
                .addFlags(Intent.FLAG_ACTIVITY_NEW_TASK)
                .putExtra(AMOUNT, wanted.amountMinor)
                .putExtra(CURRENCY, wanted.currency)
                .putExtra(MERCHANT, wanted.merchant)
    }
}
