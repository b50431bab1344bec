package io.tapcore.android

import android.app.KeyguardManager
import android.nfc.cardemulation.HostApduService
import android.os.Bundle
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
    private val keyguard by lazy { getSystemService(KeyguardManager::class.java) }

    /** Whether the next command is the first one in a reader's field. */
    private var isEntering = true

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
        val wallet = wallet() ?: return NOT_FOUND
        if (isEntering) {
            // Once, and not for every command: another process is asked.
            wallet.setScreenLocked(keyguard?.isKeyguardLocked == true)
            isEntering = false
        }
        return when (val answer = wallet.processApdu(command)) {
            is Answer.Now -> answer.bytes
            // Null tells Android that `respond` follows.
            is Answer.Later -> null
        }
    }

    /** Called by the wallet, from a thread of its own. */
    override fun respond(answer: ByteArray) = sendResponseApdu(answer)

    /**
     * For both reasons, a lost link and another application that the reader has chosen. The wallet itself waits for
     * readers that come back.
     */
    override fun onDeactivated(reason: Int) {
        isEntering = true
        wallet()?.deactivated()
    }

    private companion object {
        /** ISO 7816-4, 6A82: no such file or application. */
        val NOT_FOUND = byteArrayOf(0x6A, 0x82.toByte())
    }
}
