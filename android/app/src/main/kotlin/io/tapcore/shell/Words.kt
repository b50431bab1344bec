package io.tapcore.shell

import io.tapcore.EntryState
import io.tapcore.StatementEntry
import io.tapcore.WalletException
import java.math.BigDecimal
import java.text.DateFormat
import java.text.NumberFormat
import java.util.Currency
import java.util.Date

/** The sentence that the wallet gives with every refusal; it is written for the person. */
fun sentence(error: WalletException): String = when (error) {
    is WalletException.NotEnrolled -> error.detail
    is WalletException.Locked -> error.detail
    is WalletException.Cancelled -> error.detail
    is WalletException.Blocked -> error.detail
    is WalletException.InUse -> error.detail
    is WalletException.Network -> error.detail
    is WalletException.NotTrusted -> error.detail
    is WalletException.Rejected -> error.detail
    is WalletException.Corrupt -> error.detail
    is WalletException.Storage -> error.detail
    is WalletException.Invalid -> error.detail
    is WalletException.Outdated -> error.detail
    is WalletException.Internal -> error.detail
}

/** An amount as people of this phone's language write it. */
fun money(minor: Long, code: String): String {
    val currency = Currency.getInstance(code)
    val format = NumberFormat.getCurrencyInstance().apply { this.currency = currency }
    return format.format(BigDecimal.valueOf(minor, currency.defaultFractionDigits))
}

/** One line of the statement. */
fun line(entry: StatementEntry): String {
    val time = DateFormat.getDateTimeInstance(DateFormat.SHORT, DateFormat.SHORT).format(Date(entry.atMs))
    val state = when (entry.state) {
        EntryState.INCOMPLETE -> "not finished at the reader"
        EntryState.PENDING -> "paid, not yet confirmed"
        EntryState.MATCHED -> "paid"
        EntryState.DECLINED -> "declined"
        EntryState.EXPIRED -> "never confirmed"
    }
    val merchant = entry.merchant ?: "unknown merchant"
    return "$time  $merchant\n${money(entry.amountMinor, entry.currency)}  $state  ${entry.account}"
}
