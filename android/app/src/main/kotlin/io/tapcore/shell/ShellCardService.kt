package io.tapcore.shell

import io.tapcore.Wallet
import io.tapcore.android.CardService

/** The card that readers see. */
class ShellCardService : CardService() {
    override fun wallet(): Wallet = (application as ShellApplication).wallet
}
