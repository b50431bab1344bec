package io.tapcore.android

import io.tapcore.RiskSignals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

/** What is made of what a probe finds. */
class RiskProbeTest {
    private val clean = Sight(
        tags = "release-keys",
        build = listOf("vendor/oriole/oriole:15/AP3A.241005.015/12366759:user/release-keys", "oriole", "oriole", "Pixel 6"),
        rootTools = false,
        javaDebugger = false,
        status = "Name:\tio.tapcore.shell\nTracerPid:\t0\nUid:\t10123\n",
        maps = "7f00-7f10 r-xp 00000000 fe:00 1234 /data/app/exposed/lib/arm64/libtapcore.so\n",
    )
    private val nothing = RiskSignals(rooted = false, emulator = false, hooked = false, debugger = false)

    @Test
    fun `a phone as it is sold shows nothing`() = assertEquals(nothing, clean.signals())

    @Test
    fun `root shows in its tools and in the build's keys`() {
        assertEquals(nothing.copy(rooted = true), clean.copy(rootTools = true).signals())
        assertEquals(nothing.copy(rooted = true), clean.copy(tags = "dev-keys,test-keys").signals())
    }

    @Test
    fun `an emulator shows in the names of its hardware`() =
        assertEquals(nothing.copy(emulator = true), clean.copy(build = listOf("ranchu")).signals())

    @Test
    fun `hooks show in what is mapped`() {
        val maps = clean.maps + "7f20-7f30 r-xp 00000000 fe:00 99 /data/local/tmp/re.frida.server/frida-agent-64.so\n"
        assertEquals(nothing.copy(hooked = true), clean.copy(maps = maps).signals())
    }

    @Test
    fun `a debugger shows in the virtual machine or as a tracer`() {
        assertEquals(nothing.copy(debugger = true), clean.copy(javaDebugger = true).signals())
        assertEquals(nothing.copy(debugger = true), clean.copy(status = "TracerPid:\t4711\n").signals())
        assertEquals(nothing, clean.copy(status = "").signals())
    }
}
