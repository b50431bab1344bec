package io.tapcore.shell

import android.app.Application
import android.net.ConnectivityManager
import android.net.Network
import android.net.NetworkCapabilities
import android.widget.Toast
import io.tapcore.CodePayment
import io.tapcore.MerchantOffer
import io.tapcore.Wallet
import io.tapcore.WalletConfig
import io.tapcore.WalletEvent
import io.tapcore.WalletException
import io.tapcore.WalletObserver
import io.tapcore.WalletStatus
import io.tapcore.android.DeviceClock
import io.tapcore.android.KeystoreKeyStore
import io.tapcore.android.RiskProbe
import java.io.File
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Deferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.async
import kotlinx.coroutines.launch

/** Holds the one wallet of the process, for screens and card service alike. */
class ShellApplication : Application(), WalletObserver {
    /** Lives as long as the process. */
    val scope = CoroutineScope(SupervisorJob() + Dispatchers.Main.immediate)

    /** Made on first use, by a screen or by a tap; making it does no I/O. */
    val wallet: Wallet by lazy {
        val config = WalletConfig(
            // A folder that no backup takes along.
            dataDir = File(noBackupFilesDir, "wallet").apply { mkdirs() }.path,
            appVersion = packageManager.getPackageInfo(packageName, 0).versionName ?: "0",
            production = true,
        )
        Wallet(config, KeystoreKeyStore(this), DeviceClock(this)).also { begin(it) }
    }

    /** A shop's code that is read and paid, whichever screen shows it. */
    val merchant by lazy { MerchantModel(ShopsCodes()) }

    /** Where the screen that is seen hears of events; null while none is. */
    var seen: ((WalletEvent) -> Unit)? = null

    private var started: Deferred<WalletStatus>? = null

    /** Waits until the wallet is open; throws why it could not be made or opened. */
    suspend fun ready() {
        wallet
        started?.await()
    }

    /** Tells the wallet how safe this phone looks now. */
    fun lookForRisk() {
        scope.launch(Dispatchers.IO) {
            try {
                wallet.reportRisk(RiskProbe(this@ShellApplication).look())
            } catch (_: WalletException) {
                // Whoever uses the wallet hears why there is none.
            }
        }
    }

    /** Called by the wallet, from a thread of its own, whether or not a screen is seen. */
    override fun onEvent(event: WalletEvent) {
        scope.launch {
            when (event) {
                // An app whose card service the system has bound may open a screen from the background.
                is WalletEvent.PersonWanted -> startActivity(PayActivity.of(this@ShellApplication, event))
                is WalletEvent.AboveLimit ->
                    Toast.makeText(this@ShellApplication, aboveLimit(event), Toast.LENGTH_LONG).show()
                // Nothing is left of it; open, it can be enrolled anew.
                is WalletEvent.Wiped -> started = scope.async { wallet.start() }
                else -> Unit
            }
            seen?.invoke(event)
        }
    }

    private fun begin(wallet: Wallet) {
        wallet.setObserver(this)
        lookForRisk()
        // Its failure is kept for `ready`; nothing else hears of it.
        started = scope.async { wallet.start() }
        try {
            getSystemService(ConnectivityManager::class.java)?.registerDefaultNetworkCallback(NetworkIsBack())
        } catch (_: RuntimeException) {
            // A system that does not tell of networks keeps nobody from paying.
        }
    }

    private inner class ShopsCodes : MerchantDesk {
        override suspend fun read(code: String): MerchantOffer {
            ready()
            return wallet.readMerchantCode(code)
        }

        override suspend fun pay(offer: MerchantOffer, amountMinor: Long): CodePayment {
            ready()
            return wallet.payMerchant(offer, amountMinor)
        }

        override suspend fun confirm(payment: CodePayment, password: String): CodePayment {
            ready()
            return wallet.confirmCodePaymentWithPassword(payment, password)
        }
    }

    /** Payments at the counter need no network, their keys do: what ran low meanwhile is fetched when there is one again. */
    private inner class NetworkIsBack : ConnectivityManager.NetworkCallback() {
        private var isValidated = false

        override fun onLost(network: Network) {
            isValidated = false
        }

        /** Told often; a network that is only there may not lead anywhere yet. */
        override fun onCapabilitiesChanged(network: Network, capabilities: NetworkCapabilities) {
            val was = isValidated
            isValidated = capabilities.hasCapability(NetworkCapabilities.NET_CAPABILITY_VALIDATED)
            if (isValidated && !was) scope.launch { sync() }
        }

        private suspend fun sync() {
            try {
                ready()
                wallet.sync()
            } catch (cancelled: CancellationException) {
                throw cancelled
            } catch (_: Exception) {
                // Nobody asked for it. The next occasion comes: a tap, a start, the next network.
            }
        }
    }
}
