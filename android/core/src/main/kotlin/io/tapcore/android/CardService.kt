package io.tapcore.android

import android.nfc.cardemulation.HostApduService
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import io.tapcore.Answer
import io.tapcore.TapResponder
import io.tapcore.Wallet

/**
 * Hands the reader's commands to the wallet. An app extends it, says where its wallet is, and declares
 * the service with the AIDs of its cards, the payment directory's among them.
 *
 * Commands arrive on the main thread and are answered there within the call: the wallet does no I/O on
 * this path. Only a payment that comes before the wallet is armed is answered later.
 */
abstract class CardService : HostApduService(), TapResponder {
    private val main = Handler(Looper.getMainLooper())
    private val leave = Runnable { wallet()?.deactivated() }

    /**
     * The app's one wallet; making it does no I/O, so the first tap may be what makes it. Null where this
     * phone may not hold one: readers are then told that there is no card.
     */
    protected abstract fun wallet(): Wallet?

    override fun onCreate() {
        super.onCreate()
        wallet()?.setResponder(this)
    }

    override fun processCommandApdu(command: ByteArray, extras: Bundle?): ByteArray? {
        main.removeCallbacks(leave)
        val wallet = wallet() ?: return NOT_FOUND
        return when (val answer = wallet.processApdu(command)) {
            is Answer.Now -> answer.bytes
            // Null tells Android that `respond` follows.
            is Answer.Later -> null
        }
    }

    /** Called by the wallet, from a thread of its own. */
    override fun respond(answer: ByteArray) = sendResponseApdu(answer)

    override fun onDeactivated(reason: Int) {
        // Readers that try again drop the field for a moment in between; that is still the same tap.
        main.removeCallbacks(leave)
        main.postDelayed(leave, RETRY_PAUSE_MS)
    }

    override fun onDestroy() {
        if (main.hasCallbacks(leave)) {
            main.removeCallbacks(leave)
            wallet()?.deactivated()
        }
        super.onDestroy()
    }

    private companion object {
        /** Longer than the pause that readers make between two tries, shorter than a second payment. */
        const val RETRY_PAUSE_MS = 400L

        /** ISO 7816-4, 6A82: no such file or application. */
        val NOT_FOUND = byteArrayOf(0x6A, 0x82.toByte())
    }
}
