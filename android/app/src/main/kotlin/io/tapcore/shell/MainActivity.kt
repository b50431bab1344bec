package io.tapcore.shell

import android.content.Intent
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView
import io.tapcore.PaymentCard
import io.tapcore.WalletEvent
import io.tapcore.WalletException

/** Cards, payments, and the way to the other screens. */
class MainActivity : Screen() {
    private lateinit var status: TextView
    private lateinit var cards: LinearLayout
    private lateinit var payments: TextView

    override fun build() {
        status = text("")
        cards = column()
        button("Show a payment code") { startActivity(Intent(this, CodeActivity::class.java)) }
        button("Pay a shop's code") { startActivity(Intent(this, MerchantActivity::class.java)) }
        button("Lock, unlock, PIN and fingerprint") { startActivity(Intent(this, PersonActivity::class.java)) }
        button("Connect to a provider") { startActivity(Intent(this, EnrolActivity::class.java)) }
        button("Add a card") { startActivity(Intent(this, AddCardActivity::class.java)) }
        button("Refresh") { sync() }
        payments = text("")
    }

    override fun onResume() {
        super.onResume()
        shell.lookForRisk()
        show()
        sync()
    }

    override fun heed(event: WalletEvent) = show()

    private fun show() {
        run {
            val now = wallet.status()
            status.text = when {
                !now.enrolled -> "Not connected yet."
                now.cards == 0u -> "Connected. Add a card to pay."
                else -> now.refusal?.let(::refused)
                    ?: "${now.tapsLeft} payments and ${now.codesLeft} codes without a network"
            }
            show(wallet.cards())
            payments.text = wallet.statement().joinToString("\n\n") { line(it) }
        }
    }

    private fun show(held: List<PaymentCard>) {
        cards.removeAllViews()
        for (card in held) {
            val open = Button(this)
            open.text = line(card)
            open.setOnClickListener { startActivity(CardActivity.of(this, card)) }
            cards.addView(open)
        }
    }

    private fun sync() {
        run {
            try {
                wallet.sync()
            } catch (_: WalletException.NotEnrolled) {
                // Said by the status line already.
            }
            show()
        }
    }
}
