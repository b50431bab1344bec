package io.tapcore.shell

import android.text.InputType
import android.view.View
import android.view.WindowManager.LayoutParams
import android.widget.Button
import android.widget.EditText
import android.widget.TextView
import io.tapcore.CodeKind
import io.tapcore.CodePayment
import io.tapcore.CodeShown
import io.tapcore.CodeViewInterface
import io.tapcore.Purpose
import io.tapcore.WalletException
import io.tapcore.android.ScreenshotWatch
import io.tapcore.android.VerificationPrompt
import io.tapcore.barcodeSymbol
import io.tapcore.qrSymbol
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancelAndJoin

/** A payment code for a shop's scanner: it lives as long as this screen is seen. */
class CodeActivity : Screen(), CodeDesk {
    private lateinit var qr: SymbolView
    private lateinit var bars: SymbolView
    private lateinit var digits: TextView
    private lateinit var standing: TextView
    private lateinit var pin: EditText
    private lateinit var confirming: List<View>
    private lateinit var other: Button
    private val model = CodeModel(this, ::draw)
    private val prompt by lazy { VerificationPrompt(this) }
    private val screenshots = ScreenshotWatch(this) { run { model.photographed() } }
    private var kind = CodeKind.NUMERIC
    private var showing: Job? = null
    private var drawn = ""

    override fun build() {
        // Whoever has a picture of it could pay with it: no screenshot, none in the list of recent apps.
        window.addFlags(LayoutParams.FLAG_SECURE)
        qr = add(SymbolView(this))
        bars = add(SymbolView(this))
        digits = text("")
        standing = text("")
        for (place in listOf(qr, bars, standing)) place.setOnClickListener { run { model.touch() } }
        digits.setOnClickListener { run { model.reveal() } }
        pin = field("PIN, where no finger or face is set up", PIN)
        val password = field("Payment password", PASSWORD)
        val confirm = button("Confirm the payment") { run { password.use { model.confirm(it) } } }
        confirming = listOf(password, confirm).onEach { it.visibility = View.GONE }
        other = button("") { show(if (kind == CodeKind.NUMERIC) CodeKind.CONSUMER_PRESENTED else CodeKind.NUMERIC) }
    }

    override fun onStart() {
        super.onStart()
        brightness(LayoutParams.BRIGHTNESS_OVERRIDE_FULL)
        screenshots.start()
        show(kind)
    }

    /** Not `onPause`: the system's prompt for a finger may pause the screen, and the code is to live on behind it. */
    override fun onStop() {
        showing?.cancel()
        screenshots.stop()
        brightness(LayoutParams.BRIGHTNESS_OVERRIDE_NONE)
        super.onStop()
    }

    override suspend fun show(kind: CodeKind, verificationId: String?): CodeViewInterface =
        wallet.showCode(kind, null, verificationId)

    override suspend fun verify(): String {
        val person = wallet.status()
        if (person.biometric) return prompt.verify(wallet, Purpose.Access, "Show a payment code")
        // Nothing entered is no try.
        if (person.pinTriesLeft != null && pin.text.isEmpty()) throw WalletException.Cancelled("Enter the PIN first.")
        return pin.use { wallet.verifyWithPin(it, Purpose.Access) }
    }

    override suspend fun confirm(payment: CodePayment, password: String) {
        wallet.confirmCodePaymentWithPassword(payment, password)
    }

    private fun show(chosen: CodeKind) {
        kind = chosen
        other.text = if (chosen == CodeKind.NUMERIC) "Show the card's own code" else "Show digits"
        val before = showing
        showing = run {
            before?.cancelAndJoin()
            model.run(chosen)
        }
    }

    private fun draw(shown: CodeShown) {
        if (shown.code != drawn) {
            drawn = shown.code
            val isNumeric = shown.kind == CodeKind.NUMERIC
            qr.symbol = drawn.takeIf { it.isNotEmpty() }?.let { qrSymbol(it) }
            bars.symbol = drawn.takeIf { it.isNotEmpty() && isNumeric }?.let { barcodeSymbol(it) }
        }
        digits.text = shown.digits
        standing.text = said(shown)
        confirming.forEach { it.visibility = if (shown.waiting == null) View.GONE else View.VISIBLE }
    }

    /** Of this window, while it is seen; the person's own setting stays. */
    private fun brightness(value: Float) {
        window.attributes = window.attributes.apply { screenBrightness = value }
    }

    private companion object {
        const val PIN = InputType.TYPE_CLASS_NUMBER or InputType.TYPE_NUMBER_VARIATION_PASSWORD
        const val PASSWORD = InputType.TYPE_CLASS_TEXT or InputType.TYPE_TEXT_VARIATION_PASSWORD
    }
}
