package io.tapcore.shell

import android.content.ComponentName
import android.content.Intent
import android.nfc.NfcAdapter
import android.nfc.cardemulation.CardEmulation
import android.widget.TextView
import io.tapcore.WalletEvent
import io.tapcore.WalletException
import io.tapcore.WalletObserver

/** Cards, payments, and the way to the other screens. */
class MainActivity : Screen() {
    private lateinit var status: TextView
    private lateinit var payments: TextView

    override fun build() {
        status = text("")
        button("Connect to a provider") { startActivity(Intent(this, EnrolActivity::class.java)) }
        button("Add a card") { startActivity(Intent(this, AddCardActivity::class.java)) }
        button("Refresh") { sync() }
        payments = text("")
    }

    override fun onResume() {
        super.onResume()
        // While this screen is seen, no other payment app takes the tap.
        emulation()?.setPreferredService(this, ComponentName(this, ShellCardService::class.java))
        run {
            wallet.setObserver(object : WalletObserver {
                // Comes from a thread of the wallet's.
                override fun onEvent(event: WalletEvent) = runOnUiThread { show() }
            })
        }
        show()
        sync()
    }

    override fun onPause() {
        emulation()?.unsetPreferredService(this)
        super.onPause()
    }

    private fun emulation(): CardEmulation? = NfcAdapter.getDefaultAdapter(this)?.let(CardEmulation::getInstance)

    private fun show() {
        run {
            val now = wallet.status()
            status.text = when {
                !now.enrolled -> "Not connected yet."
                now.cards == 0u -> "Connected. Add a card to pay."
                else -> wallet.cards().joinToString("\n") { "${it.bank} ${it.maskedCard}, pays as ${it.maskedToken}" } +
                    "\n${now.tapsLeft} payments without a network"
            }
            payments.text = wallet.statement().joinToString("\n\n", transform = ::line)
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
