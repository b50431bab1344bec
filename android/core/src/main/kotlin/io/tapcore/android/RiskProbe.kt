package io.tapcore.android

import android.content.Context
import android.content.pm.PackageManager
import android.os.Build
import android.os.Debug
import io.tapcore.RiskSignals
import java.io.File

/**
 * Signs of an unsafe phone. They are heuristics: each can be hidden by whoever has root and takes the trouble, and the
 * provider's rules say what they count. Call [look] at the start and when the app comes to the front, and hand it to
 * `Wallet.reportRisk`. It reads a few small files, so keep it off the main thread.
 *
 * - rooted: a build that is signed with test keys, a `su` on the usual paths, a root manager's package
 * - emulator: the names that emulators give to hardware and build
 * - hooked: libraries of hooking frameworks mapped into this process
 * - debugger: one attached to the Java virtual machine, or a tracer on the process
 */
class RiskProbe(private val context: Context) {
    /** What is seen now. */
    fun look(): RiskSignals = Sight(
        tags = Build.TAGS.orEmpty(),
        build = listOf(Build.FINGERPRINT, Build.HARDWARE, Build.PRODUCT, Build.MODEL).map { it.orEmpty() },
        rootTools = SU_PATHS.any { File(it).exists() } || ROOT_MANAGERS.any(::isInstalled),
        javaDebugger = Debug.isDebuggerConnected() || Debug.waitingForDebugger(),
        status = read("/proc/self/status"),
        maps = read("/proc/self/maps"),
    ).signals()

    private fun isInstalled(name: String): Boolean =
        try {
            context.packageManager.getPackageInfo(name, 0)
            true
        } catch (_: PackageManager.NameNotFoundException) {
            false
        }

    private fun read(path: String): String =
        try {
            File(path).readText()
        } catch (_: java.io.IOException) {
            ""
        }

    private companion object {
        val SU_PATHS = listOf(
            "/sbin/su", "/system/bin/su", "/system/xbin/su", "/system/sd/xbin/su", "/system/bin/failsafe/su",
            "/vendor/bin/su", "/su/bin/su", "/data/local/su", "/data/local/bin/su", "/data/local/xbin/su",
            "/data/adb/magisk", "/data/adb/ksu",
        )

        /** Android shows an app others only where its manifest names them: these stand there. */
        val ROOT_MANAGERS = listOf("com.topjohnwu.magisk", "me.weishu.kernelsu")
    }
}

/** What a probe has found, before anything is made of it. */
internal data class Sight(
    val tags: String,
    val build: List<String>,
    val rootTools: Boolean,
    val javaDebugger: Boolean,
    val status: String,
    val maps: String,
) {
    fun signals() = RiskSignals(
        rooted = rootTools || tags.split(',').any { it.trim() == "test-keys" },
        emulator = build.any { name -> EMULATORS.any { name.contains(it, ignoreCase = true) } },
        hooked = maps.lineSequence().any { line -> HOOKS.any { line.contains(it, ignoreCase = true) } },
        debugger = javaDebugger || tracer() != 0,
    )

    /** The process that traces this one, by Linux's own account; 0 is nobody. */
    private fun tracer(): Int =
        status.lineSequence().firstOrNull { it.startsWith(TRACER) }?.removePrefix(TRACER)?.trim()?.toIntOrNull() ?: 0

    private companion object {
        const val TRACER = "TracerPid:"
        val EMULATORS = listOf("goldfish", "ranchu", "sdk_gphone", "sdk_phone", "emulator", "genymotion", "vbox86", "generic_x86")
        val HOOKS = listOf("frida-", "libfrida", "xposedbridge", "lsposed", "libsubstrate", "libriru", "libsandhook")
    }
}
