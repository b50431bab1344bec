package io.tapcore

import java.nio.file.Path
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicLong
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.TestInstance
import org.junit.jupiter.api.fail

/** Tests of wallets against a sandbox that runs beside them, one for each class. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class SandboxTest {
    protected lateinit var sandbox: Sandbox

    @BeforeAll
    fun startSandbox() {
        sandbox = Sandbox()
    }

    @AfterAll
    fun stopSandbox() = sandbox.close()

    /** A started wallet in [folder], closed at the end. */
    protected fun withWallet(
        folder: Path,
        enrol: Boolean = true,
        keys: SoftwareKeyStore = SoftwareKeyStore(),
        clock: PlatformClock = SystemClock,
        use: suspend (Wallet) -> Unit,
    ) = runBlocking {
        wallet(folder, keys, clock).use { wallet ->
            wallet.start()
            if (enrol) wallet.enrol(sandbox.provider, sandbox.caPem)
            use(wallet)
            wallet.shutDown()
        }
    }

    /** One that nothing was done with yet. */
    protected fun wallet(folder: Path, keys: SoftwareKeyStore = SoftwareKeyStore(), clock: PlatformClock = SystemClock) =
        Wallet(WalletConfig(dataDir = "$folder", appVersion = "0.1.0", production = false), keys, clock)

    protected suspend fun addCard(wallet: Wallet, number: String, scheme: String? = null): PaymentCard {
        val challenge = wallet.beginAddCard(number, EXPIRY, scheme)
        return wallet.finishAddCard(challenge.id, sandbox.smsCode())
    }

    protected companion object {
        /** Of the sandbox's test cards, any expiry holds that has not passed. */
        const val EXPIRY = "12/29"
    }
}

/** This machine's clock, ahead by what a test lets pass. */
class MovableClock : PlatformClock {
    private val passed = AtomicLong()

    fun pass(seconds: Long) {
        passed.addAndGet(seconds * 1_000)
    }

    override fun now() = SystemClock.now().let {
        it.copy(wallMs = it.wallMs + passed.get(), sinceBootMs = it.sinceBootMs + passed.get())
    }
}

/** What a wallet tells, in its order: one that is listened to by no other observer. */
class Heard(wallet: Wallet) {
    val events = LinkedBlockingQueue<WalletEvent>()

    init {
        wallet.setObserver(object : WalletObserver {
            override fun onEvent(event: WalletEvent) {
                events.add(event)
            }
        })
    }

    /** The next event of one kind; those of other kinds before it are passed over. */
    inline fun <reified E : WalletEvent> next(): E {
        while (true) {
            val event = events.poll(10, TimeUnit.SECONDS) ?: fail("no ${E::class.simpleName} was told")
            if (event is E) return event
        }
    }
}

/** What [work] is refused with, which must be a [T]. */
inline fun <reified T : WalletException> refusal(work: () -> Unit): T {
    try {
        work()
    } catch (error: WalletException) {
        return assertInstanceOf(T::class.java, error)
    }
    fail("it was not refused")
}

/** Whether a reader that asks for the payment directory is answered with one. */
fun Wallet.isSeenByReaders(): Boolean {
    val directory = "2PAY.SYS.DDF01".toByteArray()
    val select = byteArrayOf(0x00, 0xA4.toByte(), 0x04, 0x00, directory.size.toByte()) + directory + 0x00
    val answer = answer(select)
    deactivated()
    return answer.takeLast(2) == listOf(0x90.toByte(), 0x00.toByte())
}
