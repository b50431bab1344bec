package io.tapcore.android

import android.content.Context
import android.os.SystemClock
import android.provider.Settings
import io.tapcore.ClockReading
import io.tapcore.PlatformClock

/**
 * The phone's clocks: the wall clock, which anyone can set, and the time since boot, which counts sleep
 * and which nobody can turn back without a restart.
 */
class DeviceClock(context: Context) : PlatformClock {
    private val bootId: String =
        "boot-" + Settings.Global.getInt(context.contentResolver, Settings.Global.BOOT_COUNT, 0)

    override fun now() = ClockReading(
        wallMs = System.currentTimeMillis(),
        bootId = bootId,
        sinceBootMs = SystemClock.elapsedRealtime(),
    )
}
