package io.tapcore

import com.google.gson.JsonObject
import com.google.gson.JsonParser
import java.io.File
import java.net.ServerSocket
import java.nio.file.Files
import java.nio.file.Path
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread

/** The other side of the counter, as a process of its own: provider, network, banks, acquirer. */
class Sandbox : AutoCloseable {
    private val folder: Path = Files.createTempDirectory("tapcore-sandbox")
    private val process: Process = ProcessBuilder(TAPCORE, "sandbox", "--data", "$folder")
        .redirectError(folder.resolve("sandbox.log").toFile())
        .start()
    private val events = LinkedBlockingQueue<JsonObject>()
    private val ready: JsonObject

    init {
        thread(isDaemon = true) {
            process.inputStream.bufferedReader().forEachLine { events.add(parse(it)) }
        }
        // If the tests are killed, their sandbox must not outlive them.
        Runtime.getRuntime().addShutdownHook(thread(start = false) { process.destroyForcibly() })
        ready = await("ready")
    }

    /** Base address of the wallet provider. */
    val provider: String get() = ready["provider"].asString

    /** The only root that its certificates go back to. */
    val caPem: String get() = File(ready["ca"].asString).readText()

    /** The newest code that a bank sent. */
    fun smsCode(): String = await("sms")["code"].asString

    /** The provider's support desk lays a JSON merge patch over its policy; a phone follows with its next sync. */
    fun policy(patch: String) {
        val desk = ProcessBuilder(TAPCORE, "sandbox", "policy", "--data", "$folder", "--patch", patch)
            .redirectErrorStream(true)
            .start()
        val said = desk.inputStream.bufferedReader().readText()
        check(desk.waitFor(60, TimeUnit.SECONDS) && desk.exitValue() == 0) { "the policy was not changed: $said" }
    }

    /**
     * A POS takes a payment by the card at [card], an address of host and port, with further [options] of the command
     * line. Answers what it printed.
     */
    fun tap(amount: String, card: String, vararg options: String): JsonObject =
        pos("tap", "--amount", amount, "--card", card, *options)

    /** A POS scans a payment code, and answers what it printed. */
    fun scan(code: String, amount: String): JsonObject = pos("scan", code, "--amount", amount)

    /** A POS shows a code for a payment of [amount]: what stands in it. */
    fun request(amount: String): String = pos("request", "--amount", amount)["code"].asString

    private fun pos(command: String, vararg arguments: String): JsonObject {
        val errors = folder.resolve("pos.log").toFile()
        val pos = ProcessBuilder(
            TAPCORE, "pos", "--data", "${folder.resolve("pos")}", command, *arguments,
            "--acquirer", ready["acquirer"].asString, "--ca", ready["ca"].asString, "--json",
        ).redirectError(errors).start()
        val printed = pos.inputStream.bufferedReader().readText()
        check(pos.waitFor(60, TimeUnit.SECONDS)) { "the POS did not end" }
        check(printed.isNotBlank()) { "the POS printed nothing: ${errors.readText()}" }
        return parse(printed)
    }

    private fun await(event: String): JsonObject {
        while (true) {
            val next = events.poll(60, TimeUnit.SECONDS)
                ?: error("no $event from the sandbox: ${folder.resolve("sandbox.log").toFile().readText()}")
            if (next["event"].asString == event) return next
        }
    }

    override fun close() {
        process.destroy()
        if (!process.waitFor(10, TimeUnit.SECONDS)) process.destroyForcibly()
        folder.toFile().deleteRecursively()
    }

    private companion object {
        val TAPCORE: String = File(System.getProperty("tapcore.build"), "tapcore").path

        fun parse(line: String): JsonObject = JsonParser.parseString(line).asJsonObject
    }
}

/**
 * The contactless field between a POS and a wallet, over TCP: each APDU is two bytes of length,
 * big-endian, and the bytes, both ways. A connection is one stay in the field.
 */
class Field(private val wallet: Wallet) : AutoCloseable {
    private val listener = ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress())

    /** Where a POS finds the card. */
    val address: String get() = "127.0.0.1:${listener.localPort}"

    /** What the card answered last, status word included. */
    @Volatile
    var lastAnswer = byteArrayOf()
        private set

    init {
        thread(isDaemon = true) {
            while (!listener.isClosed) {
                val stay = runCatching { listener.accept() }.getOrNull() ?: break
                stay.use {
                    val from = java.io.DataInputStream(it.getInputStream())
                    val to = java.io.DataOutputStream(it.getOutputStream())
                    runCatching {
                        while (true) {
                            val command = ByteArray(from.readUnsignedShort()).also(from::readFully)
                            val answer = wallet.answer(command).also { lastAnswer = it }
                            to.writeShort(answer.size)
                            to.write(answer)
                            to.flush()
                        }
                    }
                }
                wallet.deactivated()
            }
        }
    }

    override fun close() = listener.close()
}

/** One APDU; a wallet that is armed answers at once. */
fun Wallet.answer(command: ByteArray): ByteArray = when (val answer = processApdu(command)) {
    is Answer.Now -> answer.bytes
    is Answer.Later -> error("the wallet was not armed")
}
