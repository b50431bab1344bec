//! `tapcore phone`: a phone without a screen, one wallet per folder.
//!
//! It is a shell like those in Kotlin and Swift and uses nothing but the core's facade. [`platform`] plays the phone's
//! key hardware and clock, [`serve`] its NFC controller.

mod platform;
mod serve;

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use tapcore::ffi::{CardChallenge, EntryState, StatementEntry, Wallet, WalletConfig, WalletError};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::platform::{SoftwareKeyStore, SystemClock};

/// A phone without a screen.
#[derive(Debug, Args)]
pub(crate) struct PhoneArgs {
    /// Folder of the wallet
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Folder that plays the phone's key hardware [default: the wallet's folder with `-platform` appended]
    #[arg(long, value_name = "DIR")]
    platform: Option<PathBuf>,
    #[command(subcommand)]
    command: PhoneCommand,
}

#[derive(Debug, Subcommand)]
enum PhoneCommand {
    /// Make this phone known to a wallet provider
    Enrol {
        /// The provider's address, https://host:port
        #[arg(long, value_name = "URL")]
        provider: String,
        /// The only root certificate to trust, PEM
        #[arg(long, value_name = "FILE")]
        ca: PathBuf,
    },
    /// The cards in the wallet
    Card {
        #[command(subcommand)]
        command: CardCommand,
    },
    /// Be a card that readers can tap
    Serve {
        /// Where to listen for readers, such as 127.0.0.1:0
        #[arg(long, value_name = "ADDR")]
        tcp: String,
    },
    /// Take in what the issuer knows
    Sync {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show the payments, newest first
    Statement {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum CardCommand {
    /// Turn a bank card into a payment token; its bank sends a code by SMS
    Add {
        /// The card number
        #[arg(long, value_name = "PAN")]
        number: String,
        /// When the card expires
        #[arg(long, value_name = "MM/YY")]
        expiry: String,
        /// The code, for a card that was begun before
        #[arg(long, value_name = "CODE")]
        sms: Option<String>,
    },
}

/// Runs the command. Exit codes: 0 done, 3 refused by another party, 1 any other error.
pub(crate) async fn run(args: PhoneArgs) -> anyhow::Result<ExitCode> {
    let wallet = open(&args)?;
    let done = match args.command {
        PhoneCommand::Enrol { provider, ca } => enrol(&wallet, provider, ca).await,
        PhoneCommand::Card {
            command:
                CardCommand::Add {
                    number,
                    expiry,
                    sms,
                },
        } => add_card(&wallet, number, expiry, sms).await,
        PhoneCommand::Serve { tcp } => serve::serve(&wallet, &tcp).await,
        PhoneCommand::Sync { json } => sync(&wallet, json).await,
        PhoneCommand::Statement { json } => statement(&wallet, json).await,
    };
    let shut_down = wallet.shut_down().await;
    match done {
        Ok(()) => shut_down.map(|()| ExitCode::SUCCESS).or_else(refused),
        Err(error) => match error.downcast::<WalletError>() {
            Ok(error) => refused(error),
            Err(error) => Err(error),
        },
    }
}

/// A refusal by another party has an exit code of its own.
fn refused(error: WalletError) -> anyhow::Result<ExitCode> {
    match error {
        WalletError::Rejected { detail, .. } => {
            eprintln!("{detail}");
            Ok(ExitCode::from(3))
        }
        error => Err(error.into()),
    }
}

fn open(args: &PhoneArgs) -> anyhow::Result<Arc<Wallet>> {
    // `phone/` and `phone` are one folder and must have one platform beside it, never inside it.
    let data: PathBuf = std::path::absolute(&args.data)?.components().collect();
    let platform = args.platform.clone().unwrap_or_else(|| {
        let mut beside = data.clone().into_os_string();
        beside.push("-platform");
        beside.into()
    });
    if !matches!(args.command, PhoneCommand::Enrol { .. }) && !data.is_dir() {
        bail!("there is no wallet in {}: enrol it first", data.display());
    }
    let config = WalletConfig {
        data_dir: data
            .to_str()
            .context("the wallet's folder must have a name in UTF-8")?
            .to_owned(),
        app_version: env!("CARGO_PKG_VERSION").to_owned(),
        production: false,
    };
    let key_store = Arc::new(SoftwareKeyStore::open(platform)?);
    Ok(Wallet::new(
        config,
        key_store,
        Arc::new(SystemClock::new()),
    )?)
}

async fn enrol(wallet: &Wallet, provider: String, ca: PathBuf) -> anyhow::Result<()> {
    let ca_pem = std::fs::read_to_string(&ca)
        .with_context(|| format!("the certificate file {} cannot be read", ca.display()))?;
    wallet.enrol(provider, ca_pem).await?;
    let status = wallet.status().await?;
    print(format_args!(
        "Enrolled as {}.",
        status.device_id.unwrap_or_default()
    ))?;
    Ok(())
}

async fn add_card(
    wallet: &Wallet,
    number: String,
    expiry: String,
    sms: Option<String>,
) -> anyhow::Result<()> {
    wallet.open().await?;
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    let last_four: String = digits.iter().skip(digits.len().saturating_sub(4)).collect();
    let (challenge, code) = match sms {
        Some(code) => {
            let open = wallet.open_challenges().await?;
            let challenge = open
                .into_iter()
                .find(|challenge| challenge.masked_card.ends_with(&last_four));
            let challenge = challenge.context(
                "no code is awaited for this card: run the command without --sms, and its bank will send one",
            )?;
            (challenge, Some(code))
        }
        None => (wallet.begin_add_card(number, expiry).await?, None),
    };
    let card = match code {
        Some(code) => wallet.finish_add_card(challenge.id, code).await?,
        None => ask_until_right(wallet, challenge).await?,
    };
    print(format_args!(
        "Card {} of {} pays as token {} until {}.",
        card.masked_card, card.bank, card.masked_token, card.expiry
    ))?;
    Ok(())
}

/// Reads codes from standard input. A person may try again; a pipe gets one line.
async fn ask_until_right(
    wallet: &Wallet,
    challenge: CardChallenge,
) -> anyhow::Result<tapcore::ffi::PaymentCard> {
    let person = std::io::stdin().is_terminal();
    loop {
        eprintln!(
            "{} has sent a code by SMS for card {}. Code:",
            challenge.bank, challenge.masked_card
        );
        let mut line = String::new();
        let read = std::io::stdin()
            .lock()
            .read_line(&mut line)
            .context("standard input cannot be read")?;
        if read == 0 || line.trim().is_empty() {
            bail!(
                "no code was given; the bank still waits for it: run the same command with --sms CODE"
            );
        }
        match wallet
            .finish_add_card(challenge.id.clone(), line.trim().to_owned())
            .await
        {
            Err(WalletError::Rejected { reason, detail })
                if person && reason == "sms_code_wrong" =>
            {
                eprintln!("{detail}")
            }
            answer => return Ok(answer?),
        }
    }
}

/// Prints a line of the result; a reader that has gone away is an error like any other.
fn print(line: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("standard output cannot be written")
}

async fn sync(wallet: &Wallet, json: bool) -> anyhow::Result<()> {
    wallet.open().await?;
    let report = wallet.sync().await?;
    match json {
        true => print(json!({ "new": report.new_entries, "keys": report.keys_received })),
        false => print(format_args!(
            "{} new, {} keys received.",
            report.new_entries, report.keys_received
        )),
    }
}

async fn statement(wallet: &Wallet, json: bool) -> anyhow::Result<()> {
    wallet.open().await?;
    let entries = wallet.statement().await?;
    if json {
        let entries = entries
            .iter()
            .map(entry_json)
            .collect::<anyhow::Result<Vec<_>>>()?;
        return print(json!({ "entries": entries }));
    }
    if entries.is_empty() {
        print("No payments yet.")?;
    }
    for entry in entries {
        let (whole, fraction) = (entry.amount_minor / 100, entry.amount_minor % 100);
        print(format_args!(
            "{}  {:>10}.{fraction:02} {}  {:<10}  {:<24}  {}",
            at(&entry)?,
            whole,
            entry.currency,
            state(entry.state),
            entry.merchant.as_deref().unwrap_or("-"),
            entry.account,
        ))?;
    }
    Ok(())
}

fn entry_json(entry: &StatementEntry) -> anyhow::Result<serde_json::Value> {
    Ok(json!({
        "id": entry.id,
        "at": at(entry)?,
        "state": state(entry.state),
        "amount_minor": entry.amount_minor,
        "currency": entry.currency,
        "merchant": entry.merchant,
        "account": entry.account,
        "atc": entry.atc,
    }))
}

fn at(entry: &StatementEntry) -> anyhow::Result<String> {
    let instant = OffsetDateTime::from_unix_timestamp(entry.at_ms.div_euclid(1000))?;
    instant.format(&Rfc3339).map_err(|error| anyhow!(error))
}

fn state(state: EntryState) -> &'static str {
    match state {
        EntryState::Incomplete => "incomplete",
        EntryState::Pending => "pending",
        EntryState::Matched => "matched",
        EntryState::Declined => "declined",
        EntryState::Expired => "expired",
    }
}
