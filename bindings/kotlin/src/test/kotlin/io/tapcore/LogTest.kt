package io.tapcore

import java.nio.file.Path
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** The log as an app receives it. */
class LogTest : SandboxTest() {
    @Test
    fun `what happened is told in a line of its own`(@TempDir folder: Path) {
        val enrolled = CountDownLatch(1)
        setLogSink(LogLevel.INFO, object : LogSink {
            override fun log(level: LogLevel, target: String, message: String) {
                if (level == LogLevel.INFO && target.startsWith("tapcore") && message.startsWith("enrolled")) {
                    enrolled.countDown()
                }
            }
        })
        withWallet(folder) { assertTrue(enrolled.await(10, TimeUnit.SECONDS), "the log says nothing") }
    }

    @Test
    fun `at its most talkative, the log holds none of a person's secrets`(@TempDir folder: Path) {
        val lines = CopyOnWriteArrayList<String>()
        setLogSink(LogLevel.TRACE, object : LogSink {
            override fun log(level: LogLevel, target: String, message: String) {
                lines.add("$level $target $message")
            }
        })
        val secrets = mutableListOf("6228480000000015", "194917", "271828", "plum blossom")
        withWallet(folder) { wallet ->
            val challenge = wallet.beginAddCard(secrets[0], EXPIRY)
            secrets += sandbox.smsCode()
            wallet.finishAddCard(challenge.id, secrets.last())
            wallet.setPin(secrets[1], null)
            refusal<WalletException.NotVerified> { wallet.verifyWithPin(secrets[2], Purpose.Access) }
            refusal<WalletException> { wallet.confirmWithPassword(1250, "CNY", "Mapo Tofu House", secrets[3]) }
            secrets += wallet.createLinkCode(LinkKind.SECOND_PHONE).code
            wallet.isSeenByReaders()
        }
        // In place of the first, which gets no more than what is queued.
        setLogSink(LogLevel.ERROR, object : LogSink {
            override fun log(level: LogLevel, target: String, message: String) = Unit
        })

        assertTrue(lines.isNotEmpty(), "nothing was logged")
        // As words of their own: any six digits may stand inside a longer number.
        val patterns = secrets.map { Regex("(?<!\\d)${Regex.escape(it)}(?!\\d)") }
        assertEquals(emptyList<String>(), lines.filter { line -> patterns.any { it in line } })
    }
}
