//! `tapcore pos scan`, `request`, `order` and `revoke`: payments by code.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use sandbox_terminal::amount;
use sandbox_terminal::merchant_code::OrderStanding;
use sandbox_terminal::online::Refused;
use sandbox_terminal::picture;
use sandbox_terminal::scan::{Code, Order, Report, fresh_order};
use serde_json::json;
use tapcore::ffi::qr_symbol;

use super::{AcquirerArgs, Words, exit_code, money};
use crate::style::Style;
use crate::symbol::{self, PageArgs};

#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    /// What the customer's phone shows: digits, or a consumer-presented code (base64)
    #[arg(
        value_name = "CODE",
        required_unless_present = "image",
        conflicts_with = "image"
    )]
    code: Option<String>,
    /// A picture of the phone's screen instead, PNG or JPEG
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// What is to be paid, such as 12.50
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    amount: String,
    /// The shop's name for the order, which is paid once [default: a fresh one]
    #[arg(long, value_name = "ID")]
    order: Option<String>,
    #[command(flatten)]
    acquirer: AcquirerArgs,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RequestArgs {
    /// What is to be paid [default: the customer is asked]
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    amount: Option<String>,
    /// The shop's name for the order that the amount is for, up to 25 characters [default: the acquirer makes one up]
    #[arg(long, value_name = "ID", requires = "amount")]
    order: Option<String>,
    #[command(flatten)]
    acquirer: AcquirerArgs,
    /// Draw the code as a QR code into a PNG file
    #[arg(long, value_name = "FILE")]
    qr: Option<PathBuf>,
    #[command(flatten)]
    page: PageArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    /// The shop's name for the order, or the one that the acquirer made up
    #[arg(value_name = "ORDER")]
    order: String,
    #[command(flatten)]
    acquirer: AcquirerArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// The shop's name for the order
    #[arg(long, value_name = "ID")]
    order: String,
    #[command(flatten)]
    acquirer: AcquirerArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Takes a payment. Exit codes: 0 approved, 3 declined or refused, 1 unclear.
pub(super) async fn scan(data: Option<PathBuf>, args: ScanArgs) -> anyhow::Result<ExitCode> {
    let amount_minor = money("--amount", &args.amount)?;
    let text = match (args.code, &args.image) {
        (Some(code), _) => code,
        (None, file) => seen(file.as_deref().unwrap_or(Path::new("")))?,
    };
    let order = Order {
        code: Code::read(&text)?,
        amount_minor,
        order_id: args.order.unwrap_or_else(fresh_order),
    };
    let pos = args.acquirer.contact(data).await?;
    let asked = pos
        .scan(&order, |progress| drop(writeln!(stderr(), "{progress}")))
        .await;
    let report = match asked.map_err(anyhow::Error::downcast::<Refused>) {
        Ok(report) => report,
        Err(refusal) => return refused(refusal),
    };
    match args.json {
        true => writeln!(stdout(), "{}", serde_json::to_string(&report)?)?,
        false => write!(stdout(), "{}", for_a_person(&report, Style::stdout()))?,
    }
    Ok(exit_code(&report.result, report.detail.as_deref()))
}

/// What the code in a picture says.
fn seen(file: &Path) -> anyhow::Result<String> {
    let content = std::fs::read(file)
        .with_context(|| format!("the picture {} cannot be read", file.display()))?;
    picture::code_in(&content).with_context(|| file.display().to_string())
}

fn for_a_person(report: &Report, style: Style) -> String {
    let mut words = Words::begin(
        style,
        &report.result,
        report.amount_minor,
        &report.currency,
        &report.merchant,
    );
    words.line("reason", report.reason.clone());
    words.line("detail", report.detail.clone());
    words.line("order", Some(report.order.clone()));
    words.line("payment", report.payment_id.clone());
    words.line("token", report.token.clone());
    words.line("counter", report.atc.map(|atc| atc.to_string()));
    words.line("authorisation", report.authorisation.clone());
    let receipt = report.receipt.as_deref().map(Path::display);
    words.line("receipt", receipt.map(|path| path.to_string()));
    words.0
}

/// Asks for a code of the shop's own.
pub(super) async fn request(data: Option<PathBuf>, args: RequestArgs) -> anyhow::Result<ExitCode> {
    let amount = args.amount.as_deref();
    let amount_minor = amount.map(|text| money("--amount", text)).transpose()?;
    let pos = args.acquirer.contact(data).await?;
    let asked = pos.merchant_code(amount_minor, args.order.as_deref()).await;
    let told = match asked.map_err(anyhow::Error::downcast::<Refused>) {
        Ok(told) => told,
        Err(refusal) => return refused(refusal),
    };
    let drawn = qr_symbol(told.code.clone())?;
    if let Some(file) = &args.qr {
        symbol::keep(file, &symbol::png(&drawn, &args.page)?)?;
    }
    if args.json {
        let told = json!({
            "code": told.code,
            "order": told.order_id,
            "amount_minor": told.amount_minor,
            "currency": told.currency,
        });
        writeln!(stdout(), "{told}")?;
        return Ok(ExitCode::SUCCESS);
    }
    if stdout().is_terminal() {
        write!(stdout(), "{}", symbol::half_blocks(&drawn, Style::stdout()))?;
    }
    writeln!(stdout(), "{}", told.code)?;
    if let Some(order) = &told.order_id {
        writeln!(stderr(), "For order {order}.")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says how the order of the shop's own code stands.
pub(super) async fn order(data: Option<PathBuf>, args: OrderArgs) -> anyhow::Result<ExitCode> {
    let pos = args.acquirer.contact(data).await?;
    let asked = pos.order_standing(&args.order).await;
    let stands = match asked.map_err(anyhow::Error::downcast::<Refused>) {
        Ok(stands) => stands,
        Err(refusal) => return refused(refusal),
    };
    if args.json {
        let told = json!({
            "order": stands.order_id,
            "state": stands.state,
            "amount_minor": stands.amount_minor,
            "currency": stands.currency,
            "payment": stands.payment,
            "at": stands.at,
        });
        writeln!(stdout(), "{told}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let OrderStanding {
        order_id,
        state,
        currency,
        ..
    } = &stands;
    let amount = amount::show(stands.amount_minor);
    let payment = match &stands.payment {
        Some(payment) => {
            let paid = amount::show(payment.amount_minor);
            format!("payment {} of {paid} {currency}", payment.payment_id)
        }
        None => "no payment".to_owned(),
    };
    writeln!(
        stdout(),
        "Order {order_id} over {amount} {currency}: {state}, {payment}."
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Takes an order back.
pub(super) async fn revoke(data: Option<PathBuf>, args: RevokeArgs) -> anyhow::Result<ExitCode> {
    let pos = args.acquirer.contact(data).await?;
    let asked = pos.revoke(&args.order).await;
    let revoked = match asked.map_err(anyhow::Error::downcast::<Refused>) {
        Ok(revoked) => revoked,
        Err(refusal) => return refused(refusal),
    };
    match (args.json, &revoked.payment_id) {
        (true, _) => writeln!(stdout(), "{}", serde_json::to_string(&revoked)?)?,
        (false, Some(payment)) => writeln!(
            stdout(),
            "Order {} is revoked; what payment {payment} took goes back to the customer.",
            revoked.order_id
        )?,
        (false, None) => writeln!(
            stdout(),
            "Order {} is revoked; nobody had paid it.",
            revoked.order_id
        )?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A refusal by another party has an exit code of its own.
fn refused(why: Result<Refused, anyhow::Error>) -> anyhow::Result<ExitCode> {
    let refusal = why?;
    eprintln!("{refusal}");
    Ok(ExitCode::from(3))
}
