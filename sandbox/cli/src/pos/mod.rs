//! `tapcore pos`: the sandbox's point of sale on the command line.
//!
//! [`tap`] takes contactless payments, [`scan`] payments by code; both answer alike.

mod scan;
mod tap;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use sandbox_terminal::amount;
use sandbox_terminal::tap::Pos;

use crate::style::Style;

/// Plays a shop's terminal.
#[derive(Debug, Args)]
pub(crate) struct PosArgs {
    /// Folder that holds the terminal's key, trace number and receipts [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: PosCommand,
}

#[derive(Debug, Subcommand)]
enum PosCommand {
    /// Take one contactless payment
    Tap(tap::TapArgs),
    /// Take one payment by the code on a customer's phone
    Scan(scan::ScanArgs),
    /// Ask for a code of the shop's own, which customers' phones read and pay
    Request(scan::RequestArgs),
    /// Say how the order of a code of the shop's own stands
    Order(scan::OrderArgs),
    /// Take an order back: what was paid returns to the customer
    Revoke(scan::RevokeArgs),
}

/// Whom the terminal works for.
#[derive(Debug, Args)]
struct AcquirerArgs {
    /// The acquirer's address
    #[arg(long, value_name = "URL")]
    acquirer: String,
    /// The only root certificate to trust, PEM
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
}

impl AcquirerArgs {
    /// Makes contact.
    async fn contact(&self, data: Option<PathBuf>) -> anyhow::Result<Pos> {
        let ca = std::fs::read(&self.ca).with_context(|| {
            format!("the certificate file {} cannot be read", self.ca.display())
        })?;
        let folder = match data {
            Some(folder) => folder,
            // Kept when the command ends: the receipt in it is part of the result.
            None => tempfile::Builder::new()
                .prefix("tapcore-pos-")
                .tempdir()
                .context("no temporary folder can be made")?
                .keep(),
        };
        Pos::open(&folder, &self.acquirer, &ca).await
    }
}

/// Runs the command. Exit codes: 0 approved or done, 3 declined or refused, 1 unclear or another error.
pub(crate) async fn run(args: PosArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        PosCommand::Tap(tap) => tap::run(args.data, tap).await,
        PosCommand::Scan(scan) => scan::scan(args.data, scan).await,
        PosCommand::Request(request) => scan::request(args.data, request).await,
        PosCommand::Order(order) => scan::order(args.data, order).await,
        PosCommand::Revoke(revoke) => scan::revoke(args.data, revoke).await,
    }
}

fn money(option: &str, text: &str) -> anyhow::Result<i64> {
    amount::parse(text).map_err(|why| anyhow!("{option} {text:?} is refused: {why}"))
}

/// The exit code of a result; `detail` says why it is unclear.
fn exit_code(result: &str, detail: Option<&str>) -> ExitCode {
    match result {
        "approved" => ExitCode::SUCCESS,
        "declined" => ExitCode::from(3),
        _ => {
            let why = detail.unwrap_or("the acquirer gave no answer");
            eprintln!(
                "Whether the payment went through is unclear: {why}. Ask the acquirer before you take it again."
            );
            ExitCode::FAILURE
        }
    }
}

/// A result in words, which begin with whether it was paid, how much and where.
struct Words(String);

impl Words {
    fn begin(
        style: Style,
        result: &str,
        amount_minor: i64,
        currency: &str,
        merchant: &str,
    ) -> Self {
        let verdict = match result {
            "approved" => style.green("approved"),
            "declined" => style.red("declined"),
            other => style.yellow(other),
        };
        let amount = amount::show(amount_minor);
        Self(format!("{verdict}  {amount} {currency} at {merchant}\n"))
    }

    /// A line, where there is something to say.
    fn line(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.0.push_str(&format!("  {name:<14}{value}\n"));
        }
    }
}
