package io.tapcore.shell

import android.text.InputType
import android.view.WindowManager
import io.tapcore.CardChallenge

/** Adds a bank card: number and expiry, then the code that the bank sends. */
class AddCardActivity : Screen() {
    private var challenge: CardChallenge? = null

    override fun build() {
        // A card number is on this screen: no screenshot, no picture in the list of recent apps.
        window.addFlags(WindowManager.LayoutParams.FLAG_SECURE)
        val number = field("Card number", InputType.TYPE_CLASS_NUMBER)
        val expiry = field("Expiry, MM/YY", InputType.TYPE_CLASS_DATETIME)
        val progress = text("")
        val code = field("Code from your bank", InputType.TYPE_CLASS_NUMBER)

        fun show(open: CardChallenge) {
            challenge = open
            progress.text = "${open.bank} sent a code for ${open.maskedCard}; ${open.triesLeft} tries."
        }

        button("Ask the bank for a code") {
            run {
                show(wallet.beginAddCard("${number.text}", "${expiry.text}"))
                number.text.clear()
            }
        }
        button("Add the card") {
            run {
                val open = challenge ?: return@run
                wallet.finishAddCard(open.id, "${code.text}")
                finish()
            }
        }
        // One that was begun before the app was closed can still be finished.
        run { wallet.openChallenges().firstOrNull()?.let(::show) }
    }
}
