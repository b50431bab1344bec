package io.tapcore

import com.google.gson.JsonParser
import java.nio.file.Path
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** The life of cards and phones, and what a person may ask about their data. */
class LifecycleTest : SandboxTest() {
    @Test
    fun `a suspended card is not seen by readers until it is resumed`(@TempDir folder: Path) =
        withWallet(folder) { wallet ->
            val card = addCard(wallet, "6228480000000015")
            assertEquals(CardState.ACTIVE, card.state)

            wallet.suspendCard(card.tokenRef)
            assertEquals(CardState.SUSPENDED, wallet.cards().single().state)
            assertFalse(wallet.isSeenByReaders())

            // The network hears of both, in this order.
            wallet.sync()
            wallet.resumeCard(card.tokenRef)
            assertEquals(CardState.ACTIVE, wallet.cards().single().state)
            val receipt = Field(wallet).use { sandbox.tap("3.00", it.address) }
            assertEquals("approved", receipt["result"].asString, "$receipt")
        }

    @Test
    fun `a deleted card stays deleted`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        val card = addCard(wallet, "6228480000000015")
        wallet.deleteCard(card.tokenRef)
        assertEquals(0u, wallet.status().cards)
        assertFalse(wallet.isSeenByReaders())
        wallet.sync()

        // The phone knows by itself, whether or not the network was told.
        assertEquals(11u, refusal<WalletException.Invalid> { wallet.resumeCard(card.tokenRef) }.code())
        assertEquals(11u, refusal<WalletException.Invalid> { wallet.suspendCard("tok_of_nobody") }.code())
    }

    @Test
    fun `a lost phone is wiped from another one of the same person`(@TempDir first: Path, @TempDir second: Path) =
        withWallet(first) { mine ->
            val code = mine.createLinkCode(LinkKind.SECOND_PHONE)
            withWallet(second, enrol = false) { lost ->
                lost.join(sandbox.provider, sandbox.caPem, code.code)
                addCard(lost, "6228480000000023")
                val used = refusal<WalletException.Rejected> {
                    wallet(folder = second.resolve("third").also { it.toFile().mkdir() }).use { third ->
                        third.start()
                        third.join(sandbox.provider, sandbox.caPem, code.code)
                    }
                }
                assertEquals("link_code_invalid", used.reason)

                val phones = mine.phones()
                assertEquals(listOf(false, true), phones.map { it.`this` }.sorted())
                val other = phones.single { !it.`this` }
                assertEquals(lost.status().deviceId, other.deviceId)
                mine.wipePhone(other.deviceId)
                assertTrue(mine.phones().single { it.deviceId == other.deviceId }.wiped)

                val heard = CountDownLatch(1)
                lost.setObserver(object : WalletObserver {
                    override fun onEvent(event: WalletEvent) {
                        if (event is WalletEvent.Wiped) heard.countDown()
                    }
                })
                assertEquals(15u, refusal<WalletException.Wiped> { lost.sync() }.code())
                assertTrue(heard.await(10, TimeUnit.SECONDS), "the observer heard nothing")
                assertFalse(lost.isSeenByReaders())
                // What is left can be enrolled anew, by whoever has the phone then.
                lost.enrol(sandbox.provider, sandbox.caPem)
                assertTrue(lost.cards().isEmpty())
                assertEquals(2, mine.phones().size, "another person's")
            }
        }

    @Test
    fun `a move wipes the phone that is left behind`(@TempDir old: Path, @TempDir new: Path) = withWallet(old) { left ->
        val code = left.createLinkCode(LinkKind.MOVE)
        withWallet(new, enrol = false) { taken ->
            taken.join(sandbox.provider, sandbox.caPem, code.code)
            refusal<WalletException.Wiped> { left.sync() }
            assertTrue(taken.status().enrolled)
        }
    }

    @Test
    fun `the person's data can be had, and made to go away`(@TempDir folder: Path) {
        withWallet(folder) { wallet ->
            addCard(wallet, "6228480000000015")
            val export = wallet.exportData()
            val phone = JsonParser.parseString(export).asJsonObject["phone"].asJsonObject
            assertEquals(wallet.status().deviceId, phone["device_id"].asString)
            assertTrue(phone["cards"].asJsonArray.single().asJsonObject["card"].asString.endsWith("0015"))
            assertFalse(export.contains("6228480000000015"))
            wallet.erase()
        }
        withWallet(folder, enrol = false) { wallet ->
            assertFalse(wallet.status().enrolled)
            assertEquals(1u, refusal<WalletException.NotEnrolled> { wallet.sync() }.code())
        }
    }

    @Test
    fun `an unsafe phone is not seen by readers while it is unsafe`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        addCard(wallet, "6228480000000015")
        val safe = RiskSignals(rooted = false, emulator = false, hooked = false, debugger = false)
        for (unsafe in listOf(safe.copy(rooted = true), safe.copy(hooked = true))) {
            wallet.reportRisk(unsafe)
            assertEquals(TapRefusal.RISK, wallet.status().refusal)
            assertFalse(wallet.isSeenByReaders())
            wallet.reportRisk(safe)
            assertNull(wallet.status().refusal)
            assertTrue(wallet.isSeenByReaders())
        }
    }
}
