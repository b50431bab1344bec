package io.tapcore.shell

import io.tapcore.CardState
import io.tapcore.CodeEnd
import io.tapcore.CodePayment
import io.tapcore.CodePaymentState
import io.tapcore.CodeShown
import io.tapcore.CodeState
import io.tapcore.EntryState
import io.tapcore.MerchantOffer
import io.tapcore.PaymentCard
import io.tapcore.StatementEntry
import io.tapcore.TapRefusal
import io.tapcore.WalletEvent
import io.tapcore.WalletException
import java.math.BigDecimal
import java.text.DateFormat
import java.text.DecimalFormatSymbols
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
    is WalletException.NotVerified -> error.detail
    is WalletException.Wiped -> error.detail
    is WalletException.CodesUnavailable -> error.detail
}

/** Why no reader is answered, where none is. */
fun refused(refusal: TapRefusal): String = when (refusal) {
    TapRefusal.LOCKED -> "Locked: unlock it to pay."
    TapRefusal.OUTDATED -> "This app is too old to pay: update it."
    TapRefusal.RISK -> "This phone looks unsafe, so it does not pay."
    TapRefusal.SCREEN_LOCKED -> "Unlock the phone to pay."
}

/** Why the reader was refused. */
fun aboveLimit(event: WalletEvent.AboveLimit): String =
    "${money(event.amountMinor, event.currency)} is more than this card may pay at once."

/** A card, and whether it pays. */
fun line(card: PaymentCard): String {
    val state = when (card.state) {
        CardState.ACTIVE -> card.home?.let { "pays from the wallet of $it" } ?: "pays as ${card.maskedToken}"
        CardState.SUSPENDED -> "suspended"
        CardState.DELETED -> "deleted"
    }
    return "${card.bank} ${card.maskedCard}, ${card.scheme}, $state"
}

/** An amount as people of this phone's language write it. */
fun money(minor: Long, code: String): String {
    val currency = Currency.getInstance(code)
    val format = NumberFormat.getCurrencyInstance().apply { this.currency = currency }
    return format.format(BigDecimal.valueOf(minor, currency.defaultFractionDigits))
}

/**
 * What was entered as an amount, in minor units; null where it is none, or finer than its currency. The [separator] of this
 * phone's language is taken before its decimals, and a point anywhere.
 */
fun minor(
    entered: String,
    code: String,
    separator: Char = DecimalFormatSymbols.getInstance().decimalSeparator,
): Long? {
    val plain = entered.replace(separator, '.')
    if (!plain.matches(Regex("\\d{1,12}(\\.\\d+)?"))) return null
    val minor = BigDecimal(plain).movePointRight(Currency.getInstance(code).defaultFractionDigits)
    return try {
        minor.longValueExact().takeIf { it > 0 }
    } catch (_: ArithmeticException) {
        null
    }
}

/** What is said under a payment code, or in its place. */
fun said(shown: CodeShown): String = when (val state = shown.state) {
    is CodeState.Showing -> listOfNotNull(
        "Changes in ${shown.secondsLeft} seconds.",
        "${shown.offlineLeft} more without a network: go online soon.".takeIf { shown.runsLow },
    ).joinToString("\n")
    is CodeState.Paused -> "Touch to go on."
    is CodeState.Used -> line(state.payment)
    is CodeState.Ended -> "${ended(state.why)} Touch for a fresh one."
    is CodeState.Refused -> state.detail
}

private fun ended(why: CodeEnd): String = when (why) {
    CodeEnd.CLOSED -> "The code was closed."
    CodeEnd.REVEALED -> "The digits were to be seen, so the code is void."
    CodeEnd.PHOTOGRAPHED -> "A screenshot was taken, so the code is void."
    CodeEnd.EXPIRED -> "The code was not used in time."
    CodeEnd.VOID -> "The provider has ended the code."
}

/** A payment by code. */
fun line(payment: CodePayment): String {
    val amount = money(payment.amountMinor, payment.currency)
    val reason = payment.reason?.let { " ${why(it)}" }.orEmpty()
    return when (payment.state) {
        CodePaymentState.PENDING -> "${if (payment.wantsPassword) "Confirm" else "Paying"} $amount to ${payment.merchant}."
        CodePaymentState.APPROVED -> "Paid $amount to ${payment.merchant}."
        CodePaymentState.DECLINED -> "$amount to ${payment.merchant}: declined.$reason Nothing was paid."
        CodePaymentState.REVOKED -> "${payment.merchant} has taken $amount back. Nothing is paid."
    }
}

/** Why a payment by code was declined; docs/codes.md lists the reasons. */
private fun why(reason: String): String = when (reason) {
    "account_not_active", "token_suspended", "token_deleted", "token_expired" -> "The card does not pay now: choose another one."
    "class_cash" -> "Codes do not pay for cash."
    "class_gambling" -> "Codes do not pay for gambling."
    "class_investment" -> "Codes do not pay for investments."
    "place_abroad" -> "Codes do not pay abroad."
    "currency_not_supported" -> "Codes do not pay in this currency."
    "daily_limit" -> "It is more than codes may pay in a day."
    "password_not_set" -> "It wants a payment password: set one first."
    "password_timeout" -> "It was not confirmed in time."
    "superseded" -> "Another code or phone took its place."
    "revoked" -> "The shop has taken it back."
    "device_wiped" -> "This phone was wiped from elsewhere."
    "network_refused" -> "The payment network has refused it."
    "insufficient_funds" -> "The account does not hold enough."
    "card_reported_lost" -> "The card was reported lost: ask its bank."
    else -> "The bank or its network has refused it: ask the bank."
}

/** Digits as they are read out, one by one. */
fun spelled(digits: String): String = digits.toList().joinToString(" ")

/** Whom a shop's code pays, by the provider's word, and how much. */
fun line(offer: MerchantOffer): String {
    val amount = offer.amountMinor?.let { money(it, offer.currency) } ?: "an amount of your own (${offer.currency})"
    val bill = offer.bill?.let { ", bill $it" }.orEmpty()
    val tip = offer.tip?.let { "\nThe code speaks of a tip or fee as well; it is not added." }.orEmpty()
    return "Pay $amount to ${offer.payee}, ${offer.city}$bill$tip"
}

/** A payment whose answer was lost. */
fun unanswered(offer: MerchantOffer, amountMinor: Long): String =
    "Asked for ${money(amountMinor, offer.currency)} to ${offer.payee}: whether it is paid is not known."

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
