//! `tapcore phone code`: a payment code, as digits, symbol or picture.
//!
//! The command shows one code and ends, and the code stays good until its time is over or a shop has scanned it. While
//! the phone serves, [`super::live`] shows codes.

use std::io::{IsTerminal, Write, stdout};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tapcore::ffi::{
    CodeKind, CodePayment, CodePaymentState, CodeShown, CodeState, CodeView, WalletError,
    barcode_symbol, qr_symbol,
};

use super::card::find;
use super::statement::instant;
use super::{Phone, print};
use crate::style::Style;
use crate::symbol::{self, PageArgs};

#[derive(Args)]
pub(super) struct CodeArgs {
    /// What kind of code
    #[arg(long, value_name = "FORMAT", default_value = "numeric")]
    format: Format,
    /// The card that pays: its token's reference or the last four digits [default: the default card]
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Draw it as a QR code into a PNG file
    #[arg(long, value_name = "FILE")]
    qr: Option<PathBuf>,
    /// Draw it as a bar code (Code 128) into a PNG file; digits only
    #[arg(long, value_name = "FILE")]
    barcode: Option<PathBuf>,
    /// Draw it as a QR code into an SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    page: PageArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Kinds of codes, as they are named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Digits, which every till reads.
    Numeric,
    /// EMV's consumer-presented code.
    Cpm,
}

pub(super) async fn run(phone: &Phone, args: CodeArgs) -> anyhow::Result<()> {
    phone.wallet.open().await?;
    let view = show(phone, &args).await?;
    let shown = view.now();
    if let Err(error) = told(&shown, &args) {
        // Nobody has seen it.
        drop(view.end().await);
        return Err(error);
    }
    view.detach();
    // What a card's code is made with is fetched with the next tap or sync, and is no reason to wait here.
    if shown.runs_low
        && shown.kind == CodeKind::Numeric
        && let Err(why) = phone.wallet.refill_codes().await
        && !args.json
    {
        eprintln!("No further codes could be fetched: {why}");
    }
    Ok(())
}

/// Draws and prints a code that is shown.
fn told(shown: &CodeShown, args: &CodeArgs) -> anyhow::Result<()> {
    draw(&shown.code, args)?;
    if args.json {
        return print(as_json(shown));
    }
    if stdout().is_terminal() {
        let symbol = qr_symbol(shown.code.clone())?;
        write!(
            stdout(),
            "{}",
            symbol::half_blocks(&symbol, Style::stdout())
        )?;
    }
    print(&shown.code)?;
    eprintln!(
        "Good for {} seconds. {} more can be shown without a network.",
        shown.seconds_left, shown.offline_left
    );
    if shown.runs_low {
        eprintln!("That is few: let the phone go online soon.");
    }
    Ok(())
}

/// Shows a code, once the wallet is open.
pub(super) async fn show(phone: &Phone, args: &CodeArgs) -> anyhow::Result<Arc<CodeView>> {
    let wallet = &phone.wallet;
    let kind = match args.format {
        Format::Numeric => CodeKind::Numeric,
        Format::Cpm => CodeKind::ConsumerPresented,
    };
    if kind == CodeKind::ConsumerPresented && args.barcode.is_some() {
        // Said before a counter of the card is spent on it.
        let detail =
            "A bar code holds digits only: draw this code with --qr, or show a numeric one.";
        let detail = detail.to_owned();
        return Err(WalletError::Invalid { detail }.into());
    }
    let card = match &args.account {
        Some(which) => Some(find(wallet, which).await?.token_ref),
        None => None,
    };
    let view = wallet.show_code(kind, card, None).await?;
    match view.now().state {
        CodeState::Refused { reason, detail } => {
            Err(WalletError::CodesUnavailable { reason, detail }.into())
        }
        _ => Ok(view),
    }
}

/// Draws a code into the files that were asked for.
pub(super) fn draw(code: &str, args: &CodeArgs) -> anyhow::Result<()> {
    if args.qr.is_some() || args.svg.is_some() {
        let symbol = qr_symbol(code.to_owned())?;
        if let Some(file) = &args.qr {
            symbol::keep(file, &symbol::png(&symbol, &args.page)?)?;
        }
        if let Some(file) = &args.svg {
            symbol::keep(file, symbol.svg.as_bytes())?;
        }
    }
    if let Some(file) = &args.barcode {
        let symbol = barcode_symbol(code.to_owned())?;
        symbol::keep(file, &symbol::png(&symbol, &args.page)?)?;
    }
    Ok(())
}

/// A code as scripts read it.
pub(super) fn as_json(shown: &CodeShown) -> Value {
    json!({
        "code": shown.code,
        "format": match shown.kind {
            CodeKind::Numeric => "numeric",
            CodeKind::ConsumerPresented => "cpm",
        },
        "account": shown.token_ref,
        "seconds_left": shown.seconds_left,
        "offline_left": shown.offline_left,
    })
}

/// A payment by code as scripts read it.
pub(super) fn payment_json(payment: &CodePayment) -> Value {
    json!({
        "payment_id": payment.payment_id,
        "state": state(payment.state),
        "wants_password": payment.wants_password,
        "confirm_until": match payment.wants_password {
            true => instant(payment.confirm_until_ms).ok(),
            false => None,
        },
        "account": payment.token_ref,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "merchant": payment.merchant,
        "reason": payment.reason,
        "authorisation": payment.authorisation,
    })
}

pub(super) fn state(state: CodePaymentState) -> &'static str {
    match state {
        CodePaymentState::Pending => "pending",
        CodePaymentState::Approved => "approved",
        CodePaymentState::Declined => "declined",
        CodePaymentState::Revoked => "revoked",
    }
}
