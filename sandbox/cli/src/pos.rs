//! `tapcore pos`: the sandbox's point of sale on the command line.

use std::io::{Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use sandbox_terminal::amount;
use sandbox_terminal::tap::{Listener, Order, Pos, Report};

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
    Tap(TapArgs),
}

#[derive(Debug, Args)]
struct TapArgs {
    /// What is to be paid, such as 12.50
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    amount: String,
    /// Where the card is, host and port
    #[arg(long, value_name = "ADDR")]
    card: String,
    /// The acquirer's address
    #[arg(long, value_name = "URL")]
    acquirer: String,
    /// The only root certificate to trust, PEM
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Ask the card for offline data authentication and check it
    #[arg(long)]
    oda: bool,
    /// Ask the card for verification of the cardholder
    #[arg(long)]
    cvm: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
    /// Decode every APDU on standard error
    #[arg(long)]
    trace: bool,
    /// Lie: present the same cryptogram again
    #[arg(long, hide = true)]
    present_twice: bool,
    /// Lie: tell the network another amount than the card
    #[arg(long, hide = true, value_name = "AMOUNT", allow_hyphen_values = true)]
    send_amount: Option<String>,
}

/// Runs the command. Exit codes: 0 approved, 3 declined, 1 unclear.
pub(crate) async fn run(args: PosArgs) -> anyhow::Result<ExitCode> {
    let PosCommand::Tap(tap) = args.command;
    let order = Order {
        amount_minor: money("--amount", &tap.amount)?,
        card: tap.card,
        oda: tap.oda,
        cvm: tap.cvm,
        present_twice: tap.present_twice,
        send_amount: tap
            .send_amount
            .as_deref()
            .map(|text| money("--send-amount", text))
            .transpose()?,
    };
    let ca = std::fs::read(&tap.ca)
        .with_context(|| format!("the certificate file {} cannot be read", tap.ca.display()))?;
    let folder = match args.data {
        Some(folder) => folder,
        // Kept when the command ends: the receipt in it is part of the result.
        None => tempfile::Builder::new()
            .prefix("tapcore-pos-")
            .tempdir()
            .context("no temporary folder can be made")?
            .keep(),
    };

    let pos = Pos::open(&folder, &tap.acquirer, &ca).await?;
    let listener = tap.trace.then(|| -> Listener {
        // A trace that nobody reads is no reason to break off a payment.
        Box::new(|text| drop(write!(stderr(), "{text}")))
    });
    let report = pos
        .tap(&order, listener, |progress| {
            drop(writeln!(stderr(), "{progress}"))
        })
        .await?;

    if tap.json {
        writeln!(stdout(), "{}", serde_json::to_string(&report)?)?;
    } else {
        write!(stdout(), "{}", for_a_person(&report, Style::stdout()))?;
    }
    Ok(match report.result.as_str() {
        "approved" => ExitCode::SUCCESS,
        "declined" => ExitCode::from(3),
        _ => {
            let why = report
                .detail
                .as_deref()
                .unwrap_or("the acquirer gave no answer");
            eprintln!(
                "Whether the payment went through is unclear: {why}. Ask the acquirer before you take it again."
            );
            ExitCode::FAILURE
        }
    })
}

fn money(option: &str, text: &str) -> anyhow::Result<i64> {
    amount::parse(text).map_err(|why| anyhow!("{option} {text:?} is refused: {why}"))
}

fn for_a_person(report: &Report, style: Style) -> String {
    let verdict = match report.result.as_str() {
        "approved" => style.green("approved"),
        "declined" => style.red("declined"),
        other => style.yellow(other),
    };
    let mut text = format!(
        "{verdict}  {} {} at {}\n",
        amount::show(report.amount_minor),
        report.currency,
        report.merchant
    );
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("  {name:<14}{value}\n"));
        }
    };
    line("reason", report.reason.clone());
    line("detail", report.detail.clone());
    line("token", report.token.clone());
    line("counter", report.atc.map(|atc| atc.to_string()));
    line("authorisation", report.authorisation.clone());
    line(
        "card genuine",
        (report.oda != "not_asked").then(|| report.oda.to_owned()),
    );
    line("told network", report.sent_amount_minor.map(amount::show));
    line(
        "again",
        report
            .presented_twice
            .as_ref()
            .map(|again| match &again.reason {
                Some(reason) => format!("{}, {reason}", again.result),
                None => again.result.clone(),
            }),
    );
    line(
        "receipt",
        report
            .receipt
            .as_deref()
            .map(Path::display)
            .map(|path| path.to_string()),
    );
    text
}
