package io.tapcore

import java.nio.file.Path
import java.util.Base64
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.fail
import org.junit.jupiter.api.io.TempDir

/** Payment codes: shown, scanned, ended, revealed; and a shop's code, read and paid. */
class CodesTest : SandboxTest() {
    @Test
    fun `a shop scans what is shown, and the view says so by itself`(@TempDir folder: Path) =
        withWallet(folder) { wallet ->
            val card = cardWithCodes(wallet)
            val heard = Heard(wallet)
            wallet.showCode(CodeKind.NUMERIC).use { view ->
                val shown = view.showing()
                assertTrue(shown.code.matches(Regex("73\\d{16}")), "18 digits of the sandbox's prefix")
                assertEquals(shown.code.length, shown.digits.length)
                assertEquals(shown.code.take(4), shown.digits.take(4))
                assertTrue(shown.digits.drop(4).none { it.isDigit() }, "the rest is masked")
                assertFalse(shown.revealed)
                assertTrue(shown.secondsLeft in 1u..30u)
                assertEquals(card.tokenRef, shown.tokenRef)
                assertEquals(14u, shown.offlineLeft)
                assertEquals("CodeShown", "$shown")

                val receipt = sandbox.scan(shown.code, "12.50")
                assertEquals("approved", receipt["result"].asString, "$receipt")
                val used = view.until { it.payment?.state == CodePaymentState.APPROVED }
                val payment = used.payment ?: fail("it is not used")
                assertEquals(1250, payment.amountMinor)
                assertEquals("CNY", payment.currency)
                assertEquals(card.tokenRef, payment.tokenRef)
                assertEquals(receipt["merchant"].asString, payment.merchant)
                assertEquals("", used.code)
                assertEquals(used, view.now())
                assertEquals(payment.paymentId, heard.next<WalletEvent.CodeUsed>().payment.paymentId)

                val again = sandbox.scan(shown.code, "12.50")
                assertEquals("code_used", again["reason"].asString, "$again")

                view.renew()
                assertNotEquals(alias(shown), alias(view.showing()))
            }
        }

    @Test
    fun `a code that was closed pays no more`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        cardWithCodes(wallet)
        wallet.showCode(CodeKind.NUMERIC).use { view ->
            val shown = view.showing()
            view.end()
            assertEquals(CodeState.Ended(CodeEnd.CLOSED), view.until { it.state is CodeState.Ended }.state)
            assertNull(view.next())
            assertEquals("", view.now().code)
            assertDead(shown)
        }
    }

    @Test
    fun `a new showing ends the one before`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        cardWithCodes(wallet)
        wallet.showCode(CodeKind.NUMERIC).use { first ->
            val before = first.showing()
            wallet.showCode(CodeKind.NUMERIC).use { second ->
                first.until { it.state is CodeState.Ended }
                val shown = second.showing()
                assertNotEquals(alias(before), alias(shown))
                assertEquals("approved", sandbox.scan(shown.code, "3.00")["result"].asString)
            }
        }
    }

    @Test
    fun `digits are seen by who was verified, and another code shows them`(@TempDir folder: Path) =
        withWallet(folder) { wallet ->
            cardWithCodes(wallet)
            wallet.setPin(PIN, null)
            wallet.showCode(CodeKind.NUMERIC).use { view ->
                val masked = view.showing()
                val verified = wallet.verifyWithPin(PIN, Purpose.Access)
                view.reveal(verified)
                val clear = view.until { it.revealed && it.state is CodeState.Showing }
                assertEquals(clear.code, clear.digits)
                assertNotEquals(alias(masked), alias(clear))
                assertEquals("approved", sandbox.scan(clear.code, "3.00")["result"].asString)
                assertDead(masked)

                refusal<WalletException.NotVerified> { view.renew() }
                view.renew(wallet.verifyWithPin(PIN, Purpose.Access))
                assertFalse(view.showing().revealed)
                assertEquals("verification_over", refusal<WalletException.NotVerified> { view.reveal(verified) }.reason)
            }
        }

    @Test
    fun `a screenshot ends the code, and the next one asks for the person`(@TempDir folder: Path) =
        withWallet(folder) { wallet ->
            cardWithCodes(wallet)
            wallet.setPin(PIN, null)
            wallet.showCode(CodeKind.NUMERIC).use { view ->
                val shown = view.showing()
                view.photographed()
                assertEquals(CodeState.Ended(CodeEnd.PHOTOGRAPHED), view.until { it.state is CodeState.Ended }.state)
                refusal<WalletException.NotVerified> { view.renew() }
                refusal<WalletException.NotVerified> { wallet.showCode(CodeKind.NUMERIC) }
                view.renew(wallet.verifyWithPin(PIN, Purpose.Access))
                assertNotEquals(alias(shown), alias(view.showing()))
                assertDead(shown)
            }
        }

    @Test
    fun `a consumer-presented code is shown and paid`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        val card = cardWithCodes(wallet)
        wallet.showCode(CodeKind.CONSUMER_PRESENTED, card.tokenRef).use { view ->
            val shown = view.showing()
            assertEquals(CodeKind.CONSUMER_PRESENTED, shown.kind)
            // Payload format indicator: tag 85, five bytes.
            val code = Base64.getDecoder().decode(shown.code)
            assertEquals("8505" + "CPV01".toByteArray().toHexString(), code.copyOf(7).toHexString())
            assertEquals("", shown.digits)
            val receipt = sandbox.scan(shown.code, "12.50")
            assertEquals("approved", receipt["result"].asString, "$receipt")
            assertEquals(1250L, view.until { it.payment?.state == CodePaymentState.APPROVED }.payment?.amountMinor)
        }
    }

    @Test
    fun `above an amount the till waits for the payment password`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        cardWithCodes(wallet)
        wallet.setPaymentPassword("plum blossom")
        wallet.showCode(CodeKind.NUMERIC).use { view ->
            val shown = view.showing()
            coroutineScope {
                val till = async(Dispatchers.IO) { sandbox.scan(shown.code, "1200.00") }
                val waiting = view.until { it.payment?.wantsPassword == true }.payment ?: fail("it does not wait")
                assertEquals(CodePaymentState.PENDING, waiting.state)
                assertEquals(120_000, waiting.amountMinor)
                val wrong = refusal<WalletException.NotVerified> {
                    wallet.confirmCodePaymentWithPassword(waiting, "peach blossom")
                }
                assertEquals("password_wrong", wrong.reason)
                val confirmed = wallet.confirmCodePaymentWithPassword(waiting, "plum blossom")
                assertEquals(CodePaymentState.APPROVED, confirmed.state)
                val receipt = till.await()
                assertEquals("approved", receipt["result"].asString, "$receipt")
                val paid = view.until { it.payment?.state == CodePaymentState.APPROVED }.payment
                assertEquals(confirmed.paymentId, paid?.paymentId)
            }
        }
    }

    @Test
    fun `a verification for the amount confirms it as well, and for no other`(@TempDir folder: Path) =
        withWallet(folder) { wallet ->
            cardWithCodes(wallet)
            wallet.setPin(PIN, null)
            // Without it the provider knows of no way to confirm yet, and declines.
            wallet.setPaymentPassword("plum blossom")
            wallet.showCode(CodeKind.NUMERIC).use { view ->
                val shown = view.showing()
                coroutineScope {
                    val till = async(Dispatchers.IO) { sandbox.scan(shown.code, "1200.00") }
                    val waiting = view.until { it.payment?.wantsPassword == true }.payment ?: fail("it does not wait")
                    val less = wallet.verifyWithPin(PIN, Purpose.Payment(waiting.amountMinor - 1, waiting.currency))
                    val refused = refusal<WalletException.NotVerified> { wallet.confirmCodePayment(waiting, less) }
                    assertEquals("verification_over", refused.reason)
                    val verified = wallet.verifyWithPin(PIN, Purpose.Payment(waiting.amountMinor, waiting.currency))
                    assertEquals(CodePaymentState.APPROVED, wallet.confirmCodePayment(waiting, verified).state)
                    val receipt = till.await()
                    assertEquals("approved", receipt["result"].asString, "$receipt")
                }
            }
        }

    @Test
    fun `a shop's code is read and paid once`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        val card = addCard(wallet, NUMBER)
        val code = sandbox.request("38.00")
        val offer = wallet.readMerchantCode(code)
        assertTrue(offer.payee.isNotBlank())
        assertEquals(3800L, offer.amountMinor)
        assertEquals("CNY", offer.currency)
        assertTrue(offer.once)

        refusal<WalletException> { wallet.payMerchant(offer, 3801) }
        val paid = wallet.payMerchant(offer, 3800)
        assertEquals(CodePaymentState.APPROVED, paid.state, "$paid")
        assertEquals(card.tokenRef, paid.tokenRef)
        assertEquals(offer.payee, paid.merchant)
        // As after a lost answer.
        assertEquals(paid.paymentId, wallet.payMerchant(offer, 3800).paymentId)

        val damaged = code.dropLast(1) + if (code.endsWith("0")) "1" else "0"
        assertEquals(11u, refusal<WalletException.Invalid> { wallet.readMerchantCode(damaged) }.code())
    }

    @Test
    fun `where codes are not taken is told before the counter`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        val acceptance = wallet.codeAcceptance()
        assertTrue("class_gambling" in acceptance.refusedClasses.map { it.reason }, "$acceptance")
        assertTrue("0156" in acceptance.countries)
        assertEquals("place_abroad", acceptance.elsewhere)
        assertEquals(100_000, acceptance.passwordAboveMinor)
        assertEquals("CNY", acceptance.currency)
    }

    private suspend fun cardWithCodes(wallet: Wallet): PaymentCard {
        val card = addCard(wallet, NUMBER)
        wallet.refillCodes()
        assertEquals(15u, wallet.status().codesLeft)
        return card
    }

    private fun assertDead(shown: CodeShown) {
        val receipt = sandbox.scan(shown.code, "12.50")
        assertEquals("declined", receipt["result"].asString, "$receipt")
        assertEquals("code_void", receipt["reason"].asString, "$receipt")
    }

    /** The part of a code that lives for one showing. */
    private fun alias(shown: CodeShown) = shown.code.drop(2).take(10)

    private companion object {
        const val PIN = "194917"
        const val NUMBER = "6228480000000015"
    }
}

/** Codes without a network, at a provider that lets a phone hold two. */
class OfflineCodesTest : SandboxTest() {
    @Test
    fun `codes are shown without a network until none is left`(@TempDir folder: Path) {
        sandbox.policy("""{"codes":{"aliases":2,"refill_below":2}}""")
        val keys = SoftwareKeyStore()
        withWallet(folder, keys = keys) { wallet ->
            addCard(wallet, "6228480000000015")
            wallet.sync()
            assertEquals(2u, wallet.status().codesLeft)
            stopSandbox()
            wallet.assertShows(left = 1u)
        }
        runBlocking {
            wallet(folder, keys).use { wallet ->
                val heard = Heard(wallet)
                wallet.start()
                assertEquals(1u, heard.next<WalletEvent.CodesLow>().left)
                wallet.assertShows(left = 0u)
                val none = refusal<WalletException.CodesUnavailable> { wallet.showCode(CodeKind.NUMERIC) }
                assertEquals(CodeRefusal.NONE_LEFT, none.reason)
                assertEquals("none_left", none.reasonName())
                assertEquals(16u, none.code())
                assertTrue(none.detail.isNotBlank())
                wallet.shutDown()
            }
        }
    }

    private suspend fun Wallet.assertShows(left: UInt) = showCode(CodeKind.NUMERIC).use { view ->
        val shown = view.showing()
        assertEquals(left, shown.offlineLeft)
        assertTrue(shown.runsLow)
    }
}

/** What a view shows once it is as [wanted]. It is asked no more often than it tells. */
private suspend fun CodeView.until(wanted: (CodeShown) -> Boolean): CodeShown = withTimeout(40_000) {
    var shown: CodeShown
    do {
        shown = next() ?: fail("the view was over before")
    } while (!wanted(shown))
    shown
}

private suspend fun CodeView.showing() = until { it.state is CodeState.Showing }

private val CodeShown.payment: CodePayment? get() = (state as? CodeState.Used)?.payment
