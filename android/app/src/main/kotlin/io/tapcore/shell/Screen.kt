package io.tapcore.shell

import android.app.Activity
import android.content.ComponentName
import android.nfc.NfcAdapter
import android.nfc.cardemulation.CardEmulation
import android.os.Bundle
import android.text.InputType
import android.view.View
import android.view.ViewGroup.LayoutParams
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView
import io.tapcore.Wallet
import io.tapcore.WalletEvent
import io.tapcore.WalletException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch

/** What the screens share: a column of widgets, the wallet, and work that ends with the screen. */
abstract class Screen : Activity() {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Main.immediate)
    private lateinit var column: LinearLayout
    private lateinit var problem: TextView
    private val secrets = mutableListOf<EditText>()

    /** The process's wallet. */
    protected val wallet: Wallet get() = shell.wallet

    /** The application that holds it. */
    protected val shell: ShellApplication get() = application as ShellApplication

    /** Whether the system made this screen anew, such as when the phone was turned. */
    protected var isAnew = false
        private set

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        isAnew = state != null
        val margin = (16 * resources.displayMetrics.density).toInt()
        column = LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            setPadding(margin, margin, margin, margin)
        }
        setContentView(ScrollView(this).apply { addView(column) })
        problem = text("")
        problem.accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_POLITE
        build()
    }

    override fun onResume() {
        super.onResume()
        shell.seen = ::heed
        // While a screen of this app is seen, no other payment app takes the tap.
        emulation()?.setPreferredService(this, ComponentName(this, ShellCardService::class.java))
    }

    override fun onPause() {
        emulation()?.unsetPreferredService(this)
        shell.seen = null
        super.onPause()
    }

    /** What is typed and not sent is nobody's to find later. */
    override fun onStop() {
        if (!isChangingConfigurations) secrets.forEach { it.text.clear() }
        super.onStop()
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    /** Adds the screen's widgets. */
    protected abstract fun build()

    /** What happens while this screen is seen. */
    protected open fun heed(event: WalletEvent) {}

    /** Runs [work]; a refusal's sentence is shown. */
    protected fun run(work: suspend () -> Unit): Job = scope.launch {
        problem.text = ""
        try {
            shell.ready()
            work()
        } catch (error: WalletException) {
            problem.text = sentence(error)
        }
    }

    /** Has a model do what outlives this screen; the model says what hinders it. */
    protected fun ask(work: suspend () -> Unit) {
        shell.scope.launch { work() }
    }

    /** Shows a refusal's sentence, or none. */
    protected fun say(sentence: String?) {
        problem.show(sentence.orEmpty())
    }

    protected fun text(content: String) = TextView(this).also {
        it.text = content
        add(it)
    }

    protected fun field(label: String, type: Int = InputType.TYPE_CLASS_TEXT) = EditText(this).also {
        it.hint = label
        it.inputType = type
        add(it)
    }

    protected fun pinField(label: String = "PIN") =
        secretField(label, InputType.TYPE_CLASS_NUMBER or InputType.TYPE_NUMBER_VARIATION_PASSWORD)

    private fun secretField(label: String, type: Int) = field(label, type).also { secrets += it }

    /** Where a payment that waits is confirmed: the password's field and its button. */
    protected fun confirmation(confirm: suspend (String) -> Unit): List<View> {
        val password = secretField("Payment password", InputType.TYPE_CLASS_TEXT or InputType.TYPE_TEXT_VARIATION_PASSWORD)
        return listOf(password, button("Confirm the payment") { ask { password.use(confirm) } })
    }

    protected fun button(label: String, pressed: () -> Unit) = Button(this).also {
        it.text = label
        it.setOnClickListener { pressed() }
        add(it)
    }

    /** What was entered, which is gone from the screen whatever comes of it. */
    protected suspend fun <T> EditText.use(work: suspend (String) -> T): T {
        val entered = "$text"
        text.clear()
        return work(entered)
    }

    /** As [use]; nothing entered is no try. */
    protected suspend fun <T> EditText.need(what: String, work: suspend (String) -> T): T {
        if (text.isEmpty()) throw WalletException.Cancelled("Enter the $what first.")
        return use(work)
    }

    /** Says it, where that is new: a screen reader would say it again. */
    protected fun TextView.show(content: String) {
        if ("$text" != content) text = content
    }

    protected fun View.seen(isSeen: Boolean) {
        visibility = if (isSeen) View.VISIBLE else View.GONE
    }

    /** A place for widgets that come and go. */
    protected fun column() = LinearLayout(this).also {
        it.orientation = LinearLayout.VERTICAL
        add(it)
    }

    private fun emulation(): CardEmulation? = NfcAdapter.getDefaultAdapter(this)?.let(CardEmulation::getInstance)

    /** Adds a widget at the end. */
    protected fun <V : View> add(view: V): V {
        column.addView(view, LayoutParams.MATCH_PARENT, LayoutParams.WRAP_CONTENT)
        return view
    }
}
