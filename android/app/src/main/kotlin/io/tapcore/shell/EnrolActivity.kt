package io.tapcore.shell

import android.text.InputType

/** Connects the phone to a wallet provider. */
class EnrolActivity : Screen() {
    override fun build() {
        val address = field("Provider's address, https://…", InputType.TYPE_TEXT_VARIATION_URI)
        val authority = field(
            "Provider's certificate authority (PEM)",
            InputType.TYPE_CLASS_TEXT or InputType.TYPE_TEXT_FLAG_MULTI_LINE,
        )
        button("Connect") {
            run {
                wallet.enrol("${address.text}".trim(), "${authority.text}")
                finish()
            }
        }
    }
}
