//! `tapcore phone`: a phone without a screen, one wallet per folder.
//!
//! It is a shell like those in Kotlin and Swift and uses nothing but the core's facade. [`platform`] plays the phone's
//! key hardware and clock, [`serve`] its NFC controller, [`vpcd`] puts it into a PC/SC reader; the other files have one
//! subject of the command line each.
//! What only the person knows is given as an option or typed, a line each ([`ask`]), and never printed.

mod ask;
mod card;
mod code;
mod confirm;
mod console;
mod field;
mod live;
mod log;
mod maker;
mod password;
mod pay;
mod person;
mod phones;
mod platform;
mod serve;
mod statement;
mod status;
mod vpcd;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use tapcore::ffi::{Wallet, WalletConfig, WalletError};

use self::platform::{SoftwareKeyStore, SystemClock};

/// A phone without a screen.
#[derive(Args)]
pub(crate) struct PhoneArgs {
    /// Folder of the wallet
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Folder that plays the phone's key hardware [default: the wallet's folder with `-platform` appended]
    #[arg(long, value_name = "DIR")]
    platform: Option<PathBuf>,
    /// Write the core's log to standard error
    #[arg(long, value_name = "LEVEL", default_value = "off", global = true)]
    log: log::Level,
    #[command(subcommand)]
    command: PhoneCommand,
}

#[derive(Subcommand)]
enum PhoneCommand {
    /// Make this phone known to a wallet provider
    Enrol {
        /// The provider's address, https://host:port
        #[arg(long, value_name = "URL")]
        provider: String,
        /// The only root certificate to trust, PEM
        #[arg(long, value_name = "FILE")]
        ca: PathBuf,
        /// A code made by another phone of the same person (`link`)
        #[arg(long, value_name = "CODE")]
        link: Option<String>,
    },
    /// Show how the wallet stands
    Status {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// The cards in the wallet
    Card {
        #[command(subcommand)]
        command: card::CardCommand,
    },
    /// The PIN that unlocks the wallet and confirms payments
    Pin {
        #[command(subcommand)]
        command: person::PinCommand,
    },
    /// Lock the wallet: nothing pays until it is unlocked
    Lock,
    /// Unlock the wallet by PIN or fingerprint
    Unlock(person::UnlockArgs),
    /// The fingerprint, played by the platform folder
    Finger {
        #[command(subcommand)]
        command: person::FingerCommand,
    },
    /// Confirm a payment to the provider by PIN, fingerprint or payment password
    Confirm(confirm::ConfirmArgs),
    /// The payment password, which the provider checks and never receives
    Password {
        #[command(subcommand)]
        command: password::PasswordCommand,
    },
    /// Be a card that readers can tap
    Serve(serve::ServeArgs),
    /// Show a payment code for a shop to scan
    Code(code::CodeArgs),
    /// Pay a shop's own code
    Pay(pay::PayArgs),
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
    /// List the person's phones
    Phones {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make a code with which another phone enrols as the same person's
    Link(phones::LinkArgs),
    /// Wipe this phone, or another one of the same person
    Wipe {
        /// The other phone, as `phones` lists it [default: this one]
        #[arg(long, value_name = "DEV")]
        device: Option<String>,
    },
    /// Print everything personal that phone and provider hold, as JSON
    Export,
    /// Delete everything personal at the provider, and wipe this phone
    Erase {
        /// Yes, for good
        #[arg(long, required = true)]
        yes: bool,
    },
}

/// The wallet and what is around it on this phone.
struct Phone {
    wallet: Arc<Wallet>,
    hardware: Arc<SoftwareKeyStore>,
    /// The wallet's folder.
    data: PathBuf,
}

/// Runs the command. Exit codes: 0 done, 3 declined or refused by another party, 1 any other error.
pub(crate) async fn run(args: PhoneArgs) -> anyhow::Result<ExitCode> {
    let log = log::start(args.log);
    let phone = open(&args)?;
    let json = args.command.prints_json();
    let done = command(&phone, args.command).await;
    let shut_down = phone.wallet.shut_down().await;
    password::forget_with_wallet(&phone);
    log.finish();
    match done {
        Ok(code) => shut_down
            .map(|()| code)
            .or_else(|error| refused(error, json)),
        Err(error) => match error.downcast::<WalletError>() {
            Ok(error) => refused(error, json),
            Err(error) => Err(error),
        },
    }
}

async fn command(phone: &Phone, command: PhoneCommand) -> anyhow::Result<ExitCode> {
    let done = match command {
        PhoneCommand::Enrol { provider, ca, link } => enrol(phone, provider, ca, link).await,
        PhoneCommand::Status { json } => status::show(phone, json).await,
        PhoneCommand::Card { command } => card::run(phone, command).await,
        PhoneCommand::Pin { command } => person::pin(phone, command).await,
        PhoneCommand::Lock => person::lock(phone).await,
        PhoneCommand::Unlock(args) => person::unlock(phone, args).await,
        PhoneCommand::Finger { command } => person::finger(phone, command).await,
        PhoneCommand::Confirm(args) => confirm::run(phone, args).await,
        PhoneCommand::Password { command } => password::run(phone, command).await,
        PhoneCommand::Serve(args) => serve::serve(phone, args).await,
        PhoneCommand::Code(args) => code::run(phone, args).await,
        // It may be declined, which is no error.
        PhoneCommand::Pay(args) => return pay::run(phone, args).await,
        PhoneCommand::Sync { json } => statement::sync(phone, json).await,
        PhoneCommand::Statement { json } => statement::show(phone, json).await,
        PhoneCommand::Phones { json } => phones::list(phone, json).await,
        PhoneCommand::Link(args) => phones::link(phone, args).await,
        PhoneCommand::Wipe { device } => phones::wipe(phone, device).await,
        PhoneCommand::Export => phones::export(phone).await,
        PhoneCommand::Erase { yes: _ } => phones::erase(phone).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}

impl PhoneCommand {
    /// Whether one JSON object is asked for.
    fn prints_json(&self) -> bool {
        match self {
            Self::Status { json }
            | Self::Sync { json }
            | Self::Statement { json }
            | Self::Phones { json } => *json,
            Self::Card { command } => matches!(command, card::CardCommand::List { json: true }),
            // The lie of confirming twice has printed its one object already.
            Self::Confirm(args) => args.json && !args.twice,
            Self::Link(args) => args.json,
            Self::Code(args) => args.json,
            Self::Pay(args) => args.json,
            _ => false,
        }
    }
}

/// A refusal by another party has an exit code of its own. Who asked for JSON gets the error's stable numbers and names
/// so, beside the sentence for a person.
fn refused(error: WalletError, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        let (code, reason, detail) = (error.code(), error.reason_name(), error.to_string());
        print(json!({ "error": { "code": code, "reason": reason, "detail": detail } }))?;
    }
    match error {
        WalletError::Rejected { detail, .. } => {
            eprintln!("{detail}");
            Ok(ExitCode::from(3))
        }
        error => Err(error.into()),
    }
}

fn open(args: &PhoneArgs) -> anyhow::Result<Phone> {
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
    let hardware = Arc::new(SoftwareKeyStore::open(platform)?);
    let clock = Arc::new(SystemClock::new());
    Ok(Phone {
        wallet: Wallet::new(config, Arc::clone(&hardware) as Arc<_>, clock)?,
        hardware,
        data,
    })
}

async fn enrol(
    phone: &Phone,
    provider: String,
    ca: PathBuf,
    link: Option<String>,
) -> anyhow::Result<()> {
    let ca_pem = std::fs::read_to_string(&ca)
        .with_context(|| format!("the certificate file {} cannot be read", ca.display()))?;
    let wallet = &phone.wallet;
    match link {
        Some(code) => wallet.join(provider, ca_pem, code).await?,
        None => wallet.enrol(provider, ca_pem).await?,
    }
    let status = wallet.status().await?;
    print(format_args!(
        "Enrolled as {}.",
        status.device_id.unwrap_or_default()
    ))
}

/// Prints a line of the result; a reader that has gone away is an error like any other.
fn print(line: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("standard output cannot be written")
}
