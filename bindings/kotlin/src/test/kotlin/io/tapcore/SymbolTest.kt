package io.tapcore

import com.google.zxing.BinaryBitmap
import com.google.zxing.RGBLuminanceSource
import com.google.zxing.Reader
import com.google.zxing.common.HybridBinarizer
import com.google.zxing.oned.Code128Reader
import com.google.zxing.qrcode.QRCodeReader
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Codes as a screen draws them from their modules, read by a library that nobody here wrote. */
class SymbolTest {
    @Test
    fun `a QR code is read off a dark page`() {
        for (code in listOf(EVEN, ODD, PRESENTED)) {
            assertEquals(code, qrSymbol(code).read(QRCodeReader()))
        }
    }

    @Test
    fun `a bar code is read off a dark page, odd lengths as well`() {
        for (code in listOf(EVEN, ODD)) {
            assertEquals(code, barcodeSymbol(code).read(Code128Reader()))
        }
    }

    @Test
    fun `the quiet zone is part of the modules`() {
        val qr = qrSymbol(EVEN)
        val (width, rows) = qr.width.toInt() to qr.rows.toInt()
        assertEquals(listOf(21 + 2 * QR_QUIET, 21 + 2 * QR_QUIET), listOf(width, rows))
        assertEquals(1u, qr.rowHeight)
        for (row in 0 until rows) {
            for (column in 0 until width) {
                val isInside = listOf(row, column).all { it in QR_QUIET until width - QR_QUIET }
                assertTrue(isInside || !qr.isDark(column, row), "$column, $row")
            }
        }
        // The corner of a finder pattern.
        assertTrue(qr.isDark(QR_QUIET, QR_QUIET))

        val bars = barcodeSymbol(EVEN)
        assertEquals(134 + 2 * BAR_QUIET, bars.width.toInt())
        assertEquals(1u, bars.rows)
        assertTrue(bars.rowHeight > 1u)
        val light = bars.modules.indices.filter { !bars.isDark(it, 0) }
        assertTrue(light.containsAll((0 until BAR_QUIET) + (bars.modules.size - BAR_QUIET until bars.modules.size)))
        assertTrue(bars.isDark(BAR_QUIET, 0))
    }

    @Test
    fun `a picture comes with it, and neither prints the code`() {
        val symbol = qrSymbol(EVEN)
        assertTrue(symbol.svg.startsWith("<svg"))
        assertEquals("CodeSymbol", "$symbol")
        assertFalse(symbol.svg.contains(EVEN))
    }

    @Test
    fun `what no symbol holds is refused`() {
        assertEquals(11u, refusal<WalletException.Invalid> { qrSymbol("") }.code())
        assertEquals(11u, refusal<WalletException.Invalid> { barcodeSymbol(PRESENTED) }.code())
    }

    private fun CodeSymbol.isDark(column: Int, row: Int) = modules[row * width.toInt() + column] == DARK

    /** What a reader makes of the symbol, drawn as the shells draw it: a whole number of pixels to a module. */
    private fun CodeSymbol.read(reader: Reader): String {
        val across = width.toInt() * SCALE + 2 * MARGIN
        val down = rows.toInt() * rowHeight.toInt() * SCALE + 2 * MARGIN
        // Dark, but for the symbol's light modules.
        val page = IntArray(across * down)
        for (y in MARGIN until down - MARGIN) {
            val row = (y - MARGIN) / SCALE / rowHeight.toInt()
            for (x in MARGIN until across - MARGIN) {
                if (!isDark((x - MARGIN) / SCALE, row)) page[y * across + x] = WHITE
            }
        }
        return reader.decode(BinaryBitmap(HybridBinarizer(RGBLuminanceSource(across, down, page)))).text
    }

    private companion object {
        const val EVEN = "737394850263403002"
        const val ODD = "7373948502637184925"

        /** The form of a consumer-presented code: base64, about 200 characters. */
        val PRESENTED = "hQVDUFYwMWGBkk8HoAAAAzMBAVcRYlgH" + "AbCdEf+/0123456789ghIJKlmnopQRST".repeat(5) + "nzYCAAE="
        const val QR_QUIET = 4
        const val BAR_QUIET = 10

        /** Pixels to a module, and around the symbol. */
        const val SCALE = 3
        const val MARGIN = 60
        const val WHITE = 0xFFFFFF
        const val DARK: Byte = 1
    }
}
