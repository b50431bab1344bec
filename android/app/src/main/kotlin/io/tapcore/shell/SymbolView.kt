package io.tapcore.shell

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.os.Build
import android.view.View
import io.tapcore.CodeSymbol

/** A QR code or a bar code, as large as the window has room. */
class SymbolView(context: Context) : View(context) {
    private var picture: Bitmap? = null

    /** What it shows; null for nothing. */
    var symbol: CodeSymbol? = null
        set(value) {
            field = value
            requestLayout()
            invalidate()
        }

    init {
        // The system's own darkening would turn it over.
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) isForceDarkAllowed = false
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val available = MeasureSpec.getSize(widthSpec)
        val window = resources.displayMetrics.heightPixels
        picture = symbol?.let { it.pixels(it.room(available, window)) }?.let {
            val drawn = Bitmap.createBitmap(it.argb, it.width, it.height, Bitmap.Config.ARGB_8888)
            // Pixels as they are, whatever the screen's density.
            drawn.apply { density = Bitmap.DENSITY_NONE }
        }
        setMeasuredDimension(available, picture?.height ?: 0)
    }

    override fun onDraw(canvas: Canvas) {
        super.onDraw(canvas)
        val picture = picture ?: return
        canvas.drawBitmap(picture, ((width - picture.width) / 2).toFloat(), 0f, null)
    }
}
