package io.tapcore.shell

import android.view.View
import android.view.WindowManager.LayoutParams
import android.widget.Button
import android.widget.EditText
import android.widget.TextView
import io.tapcore.CodeKind
import io.tapcore.CodePayment
import io.tapcore.CodeShown
import io.tapcore.CodeState
import io.tapcore.CodeViewInterface
import io.tapcore.Purpose
import io.tapcore.android.ScreenshotWatch
import io.tapcore.android.VerificationPrompt
import io.tapcore.barcodeSymbol
import io.tapcore.qrSymbol

/** A payment code for a shop's scanner: it lives as long as this screen is seen. */
class CodeActivity : Screen(), CodeDesk {
    private lateinit var model: CodeModel
    private lateinit var qr: SymbolView
    private lateinit var bars: SymbolView
    private lateinit var digits: TextView
    private lateinit var standing: TextView
    private lateinit var again: View
    private lateinit var pin: EditText
    private lateinit var confirming: List<View>
    private lateinit var other: Button
    private val prompt by lazy { VerificationPrompt(this) }
    private val screenshots = ScreenshotWatch(this) { ask { model.photographed() } }
    private var drawn = ""

    override fun build() {
        // Whoever has a picture of it could pay with it: no screenshot, none in the list of recent apps.
        window.addFlags(LayoutParams.FLAG_SECURE)
        qr = add(SymbolView(this)).apply { contentDescription = "Payment code" }
        bars = add(SymbolView(this)).apply { contentDescription = "Payment code, as a bar code" }
        digits = text("")
        standing = text("")
        for (place in listOf(qr, bars, standing)) place.setOnClickListener { ask { model.touch() } }
        digits.setOnClickListener { ask { model.reveal() } }
        again = button("Try again") { model.show() }
        pin = pinField("PIN, where no finger or face is set up")
        confirming = confirmation { model.confirm(it) }
        other = button("") { model.show(another()) }
        // Only now, when all that it draws is there.
        val kept = lastNonConfigurationInstance as? CodeModel
        model = kept?.also { it.desk = this } ?: CodeModel(shell.scope, this)
    }

    /** Turning the phone costs no code: the next screen goes on with this one's. */
    override fun onRetainNonConfigurationInstance(): Any = model

    override fun onStart() {
        super.onStart()
        brightness(LayoutParams.BRIGHTNESS_OVERRIDE_FULL)
        screenshots.start()
        if (model.isShowing) draw() else model.show()
    }

    /** Not `onPause`: the system's prompt for a finger may pause the screen, and the code is to live on behind it. */
    override fun onStop() {
        if (!isChangingConfigurations) model.hide()
        screenshots.stop()
        brightness(LayoutParams.BRIGHTNESS_OVERRIDE_NONE)
        super.onStop()
    }

    override fun onDestroy() {
        if (!isChangingConfigurations) model.close()
        super.onDestroy()
    }

    override suspend fun show(kind: CodeKind, verificationId: String?): CodeViewInterface {
        shell.ready()
        return wallet.showCode(kind, null, verificationId)
    }

    override suspend fun verify(): String {
        val person = wallet.status()
        if (person.biometric) return prompt.verify(wallet, Purpose.Access, "Show a payment code")
        // Where a PIN is set, nothing entered is no try.
        if (person.pinTriesLeft != null) return pin.need("PIN") { wallet.verifyWithPin(it, Purpose.Access) }
        return wallet.verifyWithPin("", Purpose.Access)
    }

    override suspend fun confirm(payment: CodePayment, password: String) {
        wallet.confirmCodePaymentWithPassword(payment, password)
    }

    override fun draw() {
        val shown = model.shown
        val isOpen = shown?.state is CodeState.Showing
        drawSymbols(shown)
        drawDigits(shown)
        say(model.problem)
        // Each state is read out, and not each second.
        standing.accessibilityLiveRegion =
            if (isOpen) View.ACCESSIBILITY_LIVE_REGION_NONE else View.ACCESSIBILITY_LIVE_REGION_POLITE
        standing.show(shown?.let { said(it) }.orEmpty())
        // While a scanner is waited for, the screen stays on.
        standing.keepScreenOn = isOpen
        again.seen(model.canTryAgain)
        other.text = if (another() == CodeKind.NUMERIC) "Show digits" else "Show the card's own code"
        other.isEnabled = !model.isBusy && shown?.waiting == null
        confirming.forEach {
            it.seen(shown?.waiting != null)
            it.isEnabled = !model.isBusy
        }
    }

    private fun drawSymbols(shown: CodeShown?) {
        val code = shown?.code.orEmpty()
        if (code != drawn) {
            drawn = code
            qr.symbol = code.takeIf { it.isNotEmpty() }?.let { qrSymbol(it) }
            bars.symbol = code.takeIf { it.isNotEmpty() && shown?.kind == CodeKind.NUMERIC }?.let { barcodeSymbol(it) }
        }
        for (symbol in listOf(qr, bars)) symbol.seen(symbol.symbol != null)
    }

    private fun drawDigits(shown: CodeShown?) {
        val text = shown?.digits.orEmpty()
        val isMasked = shown?.revealed == false
        digits.seen(text.isNotEmpty())
        digits.isClickable = isMasked
        digits.show(if (isMasked) "$text\nTouch to show the digits." else text)
        digits.contentDescription = if (isMasked) "Show the digits" else spelled(text)
    }

    private fun another() = if (model.kind == CodeKind.NUMERIC) CodeKind.CONSUMER_PRESENTED else CodeKind.NUMERIC

    /** Of this window, while it is seen; the person's own setting stays. */
    private fun brightness(value: Float) {
        window.attributes = window.attributes.apply { screenBrightness = value }
    }
}
