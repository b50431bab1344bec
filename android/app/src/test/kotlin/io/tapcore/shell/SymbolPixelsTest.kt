package io.tapcore.shell

import io.tapcore.CodeSymbol
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

/** How modules become pixels. */
class SymbolPixelsTest {
    /** Dark in the upper left and the lower right. */
    private val square = CodeSymbol(width = 2u, rows = 2u, rowHeight = 1u, modules = byteArrayOf(1, 0, 0, 1), svg = "")

    @Test
    fun `modules are whole pixels, as many as there is room for`() {
        assertEquals(listOf(8, 8), square.pixels(9).let { listOf(it.width, it.height) })
        assertEquals(listOf(6, 6), square.pixels(1).let { listOf(it.width, it.height) }, "three at the least")
    }

    @Test
    fun `a square is seen whole, however wide the window is`() {
        val bars = CodeSymbol(width = 3u, rows = 1u, rowHeight = 2u, modules = byteArrayOf(0, 1, 0), svg = "")
        assertEquals(600, square.room(2000, 1000))
        assertEquals(500, square.room(500, 1000))
        assertEquals(2000, bars.room(2000, 1000))
    }

    @Test
    fun `light modules are drawn as well`() = assertEquals(
        """
        ###...
        ###...
        ###...
        ...###
        ...###
        ...###
        """.trimIndent(),
        drawn(square.pixels(6)),
    )

    @Test
    fun `bars are as high as they say`() {
        val bars = CodeSymbol(width = 3u, rows = 1u, rowHeight = 2u, modules = byteArrayOf(0, 1, 0), svg = "")
        assertEquals(List(6) { "...###..." }.joinToString("\n"), drawn(bars.pixels(9)))
    }

    private fun drawn(pixels: Pixels): String = pixels.argb.toList().chunked(pixels.width).joinToString("\n") { row ->
        row.joinToString("") {
            when (it) {
                0xFF000000.toInt() -> "#"
                0xFFFFFFFF.toInt() -> "."
                else -> "?"
            }
        }
    }
}
