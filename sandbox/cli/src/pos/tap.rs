//! `tapcore pos tap`.

use std::io::{Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use sandbox_terminal::amount;
use sandbox_terminal::tap::{Listener, Order, Report};

use super::{AcquirerArgs, Words, exit_code, money};
use crate::style::Style;

#[derive(Debug, Args)]
pub(super) struct TapArgs {
    /// What is to be paid, such as 12.50
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    amount: String,
    /// Where the card is, host and port
    #[arg(long, value_name = "ADDR")]
    card: String,
    #[command(flatten)]
    acquirer: AcquirerArgs,
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
pub(super) async fn run(data: Option<PathBuf>, tap: TapArgs) -> anyhow::Result<ExitCode> {
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
    let pos = tap.acquirer.contact(data).await?;
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
    Ok(exit_code(&report.result, report.detail.as_deref()))
}

fn for_a_person(report: &Report, style: Style) -> String {
    let mut words = Words::begin(
        style,
        &report.result,
        report.amount_minor,
        &report.currency,
        &report.merchant,
    );
    let mut line = |name: &str, value: Option<String>| words.line(name, value);
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
    words.0
}
