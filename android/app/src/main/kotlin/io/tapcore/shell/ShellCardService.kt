package io.tapcore.shell

import io.tapcore.Wallet
import io.tapcore.WalletException
import io.tapcore.android.CardService

/** The card that readers see. */
class ShellCardService : CardService() {
    override fun wallet(): Wallet? =
        try {
            (application as ShellApplication).wallet
        } catch (_: WalletException) {
            // The main screen says why.
            null
        }
}
