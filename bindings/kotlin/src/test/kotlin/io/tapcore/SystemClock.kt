package io.tapcore

import java.io.File

/** The clock of this machine. Linux gives the boot's id; elsewhere one run of the tests counts as one boot. */
object SystemClock : PlatformClock {
    private val bootId = File("/proc/sys/kernel/random/boot_id").run {
        if (isFile) readText().trim() else "run-${ProcessHandle.current().pid()}"
    }

    override fun now() = ClockReading(
        wallMs = System.currentTimeMillis(),
        bootId = bootId,
        sinceBootMs = System.nanoTime() / 1_000_000,
    )
}
