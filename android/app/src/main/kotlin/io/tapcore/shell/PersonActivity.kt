package io.tapcore.shell

import android.view.WindowManager
import android.widget.TextView
import io.tapcore.PersonProof
import io.tapcore.Purpose
import io.tapcore.android.VerificationPrompt

/** Locks and unlocks the wallet, by PIN or fingerprint, and sets both up. */
class PersonActivity : Screen() {
    private lateinit var standing: TextView
    private val prompt by lazy { VerificationPrompt(this) }

    override fun build() {
        // PINs are entered here: no screenshot, no picture in the list of recent apps.
        window.addFlags(WindowManager.LayoutParams.FLAG_SECURE)
        standing = text("")
        val pin = pinField()
        val next = pinField("New PIN, 6 to 12 digits")

        button("Lock") { change { wallet.lock() } }
        button("Unlock with the PIN") { change { pin.need("PIN") { wallet.unlock(PersonProof.Pin(it)) } } }
        button("Unlock with fingerprint or face") {
            change {
                val verified = prompt.verify(wallet, Purpose.Access, "Unlock Tapcore")
                wallet.unlock(PersonProof.Verification(verified))
            }
        }
        button("Set the new PIN") { change { pin.use { old -> next.use { wallet.setPin(it, proof(old)) } } } }
        button("Set up fingerprint or face") { change { pin.use { wallet.setUpVerification(proof(it)) } } }
            .isEnabled = prompt.isPossible()
        change {}
    }

    private fun change(work: suspend () -> Unit) {
        run {
            try {
                work()
            } finally {
                show()
            }
        }
    }

    private suspend fun show() {
        val now = wallet.status()
        standing.text = listOfNotNull(
            now.refusal?.let(::refused),
            now.pinTriesLeft?.let { "The PIN has $it tries left." } ?: "No PIN is set.",
            "Wait ${now.pinWaitS} seconds before the next try.".takeIf { now.pinWaitS > 0u },
            "The phone's fingerprints or faces have changed: set yours up again.".takeIf { now.biometricVoided },
        ).joinToString("\n")
    }

    /** The first one needs no proof. */
    private fun proof(pin: String): PersonProof? = if (pin.isEmpty()) null else PersonProof.Pin(pin)
}
