package io.tapcore

import java.net.ServerSocket
import java.nio.file.Path
import kotlin.io.path.writeBytes
import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.io.TempDir

/** A wallet used from Kotlin as an Android app uses it, against a sandbox that runs beside it. */
class WalletTest : SandboxTest() {
    @Test
    fun `a tap at the POS is approved, stands in the statement, and is matched by a sync`(@TempDir folder: Path) =
        withWallet(folder) { wallet ->
            val heard = Heard(wallet)
            val card = addCard(wallet, "6228480000000015")

            val receipt = Field(wallet).use { sandbox.tap("12.50", it.address) }
            assertEquals("approved", receipt["result"].asString, "$receipt")
            assertEquals(1250, receipt["amount_minor"].asLong)

            val tap = heard.next<WalletEvent.Tap>()
            assertEquals(TapOutcome.COMPLETE, tap.outcome)
            assertEquals(TapDecision.ONLINE, tap.decision)
            assertEquals(card.tokenRef, tap.tokenRef)
            assertEquals(1250, tap.amountMinor)
            assertEquals("0156", tap.country)
            assertFalse(tap.verified)
            val pending = wallet.statement().single()
            assertEquals(EntryState.PENDING, pending.state)
            assertEquals(1250, pending.amountMinor)
            assertEquals("CNY", pending.currency)
            assertEquals(receipt["atc"].asInt, pending.atc?.toInt())

            // The network's notice travels to the provider by itself; a phone asks until it is there.
            withTimeout(20_000) {
                while (wallet.statement().single().state != EntryState.MATCHED) {
                    wallet.sync()
                    delay(200)
                }
            }
            assertEquals(receipt["merchant"].asString, wallet.statement().single().merchant)
        }

    @Test
    fun `a wallet that is not enrolled says so`(@TempDir folder: Path) = withWallet(folder, enrol = false) { wallet ->
        assertFalse(wallet.status().enrolled)
        val error = assertThrows<WalletException.NotEnrolled> {
            runBlocking { wallet.beginAddCard("6228480000000015", "12/29") }
        }
        assertTrue(error.detail.isNotBlank())
    }

    @Test
    fun `lost data says what has become of it`(@TempDir folder: Path) {
        withWallet(folder) {}
        folder.resolve("vault.db").writeBytes(ByteArray(9000) { 0x5A })
        val error = runBlocking { wallet(folder).use { lost -> refusal<WalletException.Corrupt> { lost.start() } } }
        assertEquals(Damage.FILE_DAMAGED, error.reason)
        assertEquals(9u, error.code())
        assertEquals("file_damaged", error.reasonName())
        assertTrue(error.detail.isNotBlank())
    }

    @Test
    fun `a wrong code is refused with its reason, and the right one still goes through`(@TempDir folder: Path) =
        withWallet(folder) { wallet ->
            val challenge = wallet.beginAddCard("6217000000000030", EXPIRY)
            val code = sandbox.smsCode()
            val wrong = if (code == "000000") "000001" else "000000"
            val error = assertThrows<WalletException.Rejected> {
                runBlocking { wallet.finishAddCard(challenge.id, wrong) }
            }
            assertEquals("sms_code_wrong", error.reason)
            assertFalse(error.detail.contains(wrong))
            assertEquals(challenge.id, wallet.openChallenges().firstOrNull()?.id)

            assertEquals("bank-b", wallet.finishAddCard(challenge.id, code).bank)
            assertTrue(wallet.openChallenges().isEmpty())
        }

    @Test
    fun `a card that no bank knows is rejected`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        val error = assertThrows<WalletException.Rejected> {
            runBlocking { wallet.beginAddCard("6250940000000001", EXPIRY) }
        }
        assertEquals("card_unknown", error.reason)
        assertTrue(wallet.cards().isEmpty())
    }

    @Test
    fun `a cancelled coroutine lets go of the wallet`(@TempDir folder: Path) =
        withWallet(folder, enrol = false) { wallet ->
            // Takes connections and never says a word.
            ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress()).use { silent ->
                assertThrows<TimeoutCancellationException> {
                    runBlocking {
                        withTimeout(500) { wallet.enrol("https://127.0.0.1:${silent.localPort}", sandbox.caPem) }
                    }
                }
            }
            assertFalse(wallet.status().enrolled)
            wallet.enrol(sandbox.provider, sandbox.caPem)
            assertTrue(wallet.status().enrolled)
        }

    @Test
    fun `any bytes as an APDU get a status word`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        val odd = listOf("", "00", "00A404", "00A4040002", "FFFFFFFFFF", "80A8000002830000", "00B2FFFF00")
        for (command in odd) {
            val answer = wallet.answer(command.hexToByteArray())
            assertTrue(answer.size >= 2, "$command: ${answer.toHexString()}")
        }
        assertEquals("6700", wallet.answer(byteArrayOf()).toHexString())
    }
}
