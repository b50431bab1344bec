package io.tapcore.android

import android.app.Activity
import android.os.Build

/**
 * Tells when a screenshot of [screen] was taken, on the main thread. Android 14 or later; before it nobody tells, and
 * `FLAG_SECURE` alone keeps pictures from being taken.
 */
class ScreenshotWatch(private val screen: Activity, private val seen: () -> Unit) {
    /** Older systems do not know its type. */
    private var callback: Any? = null

    /** From `onStart`. */
    fun start() {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.UPSIDE_DOWN_CAKE) return
        val callback = Activity.ScreenCaptureCallback { seen() }
        screen.registerScreenCaptureCallback(screen.mainExecutor, callback)
        this.callback = callback
    }

    /** From `onStop`. */
    fun stop() {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.UPSIDE_DOWN_CAKE) return
        (callback as? Activity.ScreenCaptureCallback)?.let { screen.unregisterScreenCaptureCallback(it) }
        callback = null
    }
}
