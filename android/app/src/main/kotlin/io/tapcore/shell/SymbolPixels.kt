package io.tapcore.shell

import io.tapcore.CodeSymbol

/** The fewest pixels to a module: with fewer, scanners that see it a little blurred do not read it. */
private const val LEAST = 3
private const val DARK: Byte = 1
private const val BLACK = 0xFF000000.toInt()
private const val WHITE = 0xFFFFFFFF.toInt()

/** A picture of [width] times [height] opaque pixels, row after row. */
class Pixels(val width: Int, val height: Int, val argb: IntArray)

/**
 * The pixels that it may be wide in a window: all of [width], but a square one is to be seen whole, with room for what is said
 * under it.
 */
fun CodeSymbol.room(width: Int, windowHeight: Int): Int =
    if (rows == this.width) minOf(width, windowHeight / 10 * 6) else width

/**
 * The symbol, as wide as [available] pixels allow. Each module is a whole number of pixels, since grey edges are misread; the
 * light ones are drawn as well, quiet zone included, since on a dark theme no scanner finds it otherwise.
 */
fun CodeSymbol.pixels(available: Int): Pixels {
    val modules = width.toInt()
    val scale = maxOf(available / modules, LEAST)
    val (across, down) = modules * scale to rows.toInt() * rowHeight.toInt() * scale
    val argb = IntArray(across * down) { at ->
        val row = at / across / scale / rowHeight.toInt()
        val column = at % across / scale
        if (this.modules[row * modules + column] == DARK) BLACK else WHITE
    }
    return Pixels(across, down, argb)
}
