package io.tapcore

import com.github.devnied.emvnfccard.enums.EmvCardScheme
import com.github.devnied.emvnfccard.model.EmvCard
import com.github.devnied.emvnfccard.model.enums.ApplicationStepEnum
import com.github.devnied.emvnfccard.parser.EmvTemplate
import com.github.devnied.emvnfccard.parser.IProvider
import java.nio.file.Path
import java.text.SimpleDateFormat
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** A card reader that many apps use, and that nobody here wrote, at the cards of this wallet. */
class ReaderLibraryTest : SandboxTest() {
    @Test
    fun `it reads a UnionPay style card`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        assertReads(wallet, addCard(wallet, NUMBERS[0], "unionpay"), UNIONPAY)
    }

    @Test
    fun `it reads a Visa style card`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        assertReads(wallet, addCard(wallet, NUMBERS[0], "visa"), VISA)
    }

    /** Number and expiry of this one stand in its records alone. */
    @Test
    fun `it reads a Mastercard style card`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        assertReads(wallet, addCard(wallet, NUMBERS[0], "mastercard"), MASTERCARD)
    }

    @Test
    fun `it finds every card of a phone, the default one first`(@TempDir folder: Path) = withWallet(folder) { wallet ->
        addCard(wallet, NUMBERS[0], "unionpay")
        addCard(wallet, NUMBERS[1], "visa")
        val mastercard = addCard(wallet, NUMBERS[2], "mastercard")
        assertFinds(wallet, listOf(UNIONPAY, VISA, MASTERCARD))
        wallet.setDefaultCard(mastercard.tokenRef)
        assertFinds(wallet, listOf(MASTERCARD, UNIONPAY, VISA))
    }

    private fun assertReads(wallet: Wallet, card: PaymentCard, expected: Brand) {
        val read = read(wallet, allApplications = false)
        assertEquals(expected.scheme, read.type)
        assertTrue(read.cardNumber.matches(expected.numbers), "token number: ${read.cardNumber}")
        assertTrue(card.maskedToken.endsWith(read.cardNumber.takeLast(4)))
        assertEquals(card.expiry.take(7), SimpleDateFormat("yyyy-MM").format(read.expireDate))

        val application = read.applications.single()
        assertEquals(expected.aid, application.aid.toHexString(HexFormat.UpperCase))
        assertEquals(expected.label, application.applicationLabel)
        assertEquals(1, application.priority)
        assertEquals(ApplicationStepEnum.READ, application.readingStep)
    }

    private fun assertFinds(wallet: Wallet, expected: List<Brand>) {
        val applications = read(wallet, allApplications = true).applications
        assertEquals(expected.map { it.aid }, applications.map { it.aid.toHexString(HexFormat.UpperCase) })
        assertEquals(listOf(1, 2, 3), applications.map { it.priority })
        assertTrue(applications.all { it.readingStep == ApplicationStepEnum.READ })
    }

    private fun read(wallet: Wallet, allApplications: Boolean): EmvCard {
        val provider = object : IProvider {
            override fun transceive(command: ByteArray): ByteArray = wallet.answer(command)

            override fun getAt(): ByteArray = byteArrayOf()
        }
        val config = EmvTemplate.Config()
            .setContactLess(true)
            .setReadAllAids(allApplications)
            .setReadAt(false)
            .setReadTransactions(false)
        val read = EmvTemplate.Builder().setProvider(provider).setConfig(config).build().readEmvCard()
        wallet.deactivated()
        return read
    }

    /** What the sandbox's network makes of a scheme, as this reader is to see it. */
    private class Brand(val scheme: EmvCardScheme, val aid: String, val label: String, val numbers: Regex)

    private companion object {
        /** Cards of the sandbox's first bank. */
        val NUMBERS = listOf("6228480000000015", "6228480000000023", "6228480000000031")
        val UNIONPAY = Brand(EmvCardScheme.UNIONPAY, "A000000333010101", "UnionPay", Regex("62\\d{14}"))
        val VISA = Brand(EmvCardScheme.VISA, "A0000000031010", "VISA", Regex("4895\\d{12}"))
        val MASTERCARD = Brand(EmvCardScheme.MASTER_CARD, "A0000000041010", "Mastercard", Regex("5204\\d{12}"))
    }
}
