package io.tapcore.shell

import android.app.AlertDialog
import android.content.Context
import android.content.Intent
import android.widget.Button
import android.widget.TextView
import io.tapcore.CardState
import io.tapcore.PaymentCard

/** One card: chosen to pay, held back, resumed, deleted. */
class CardActivity : Screen() {
    private lateinit var title: TextView
    private lateinit var choosing: List<Button>
    private lateinit var suspending: Button
    private lateinit var resuming: Button
    private lateinit var deleting: Button

    private val reference: String get() = intent.getStringExtra(CARD).orEmpty()

    override fun build() {
        title = text("")
        choosing = listOf(
            button("Pay with it the next time") { change { wallet.useCardNext(reference) } },
            button("Make it the default card") { change { wallet.setDefaultCard(reference) } },
        )
        suspending = button("Suspend: it pays no more until it is resumed") { change { wallet.suspendCard(reference) } }
        resuming = button("Resume") { change { wallet.resumeCard(reference) } }
        deleting = button("Delete for good", ::confirmDeletion)
        change {}
    }

    private fun change(work: suspend () -> Unit) {
        run {
            work()
            val card = wallet.cards().firstOrNull { it.tokenRef == reference } ?: return@run finish()
            title.text = line(card)
            // One that lives in another wallet is not this phone's to choose.
            choosing.forEach { it.isEnabled = card.state == CardState.ACTIVE && card.home == null }
            suspending.isEnabled = card.state == CardState.ACTIVE
            resuming.isEnabled = card.state == CardState.SUSPENDED
            deleting.isEnabled = card.state != CardState.DELETED
        }
    }

    private fun confirmDeletion() {
        AlertDialog.Builder(this)
            .setMessage("A deleted card cannot be brought back; it can only be added again.")
            .setPositiveButton("Delete") { _, _ -> change { wallet.deleteCard(reference) } }
            .setNegativeButton(android.R.string.cancel, null)
            .show()
    }

    companion object {
        private const val CARD = "card"

        /** Opens the screen of [card]. */
        fun of(context: Context, card: PaymentCard): Intent =
            Intent(context, CardActivity::class.java).putExtra(CARD, card.tokenRef)
    }
}
