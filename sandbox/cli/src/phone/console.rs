//! What a person does with the phone while it is held to readers: words on standard input, a line each, answered by JSON
//! lines on standard output. One process has the wallet's folder, so it is told here.

use std::io::BufRead;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tapcore::ffi::{Purpose, WalletError};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::card::find;
use super::confirm::money;
use super::person::verify_by_finger;
use super::{Phone, serve};

const CURRENCY: &str = "CNY";

/// A line.
#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Line {
    #[command(subcommand)]
    word: Word,
}

#[derive(Subcommand)]
enum Word {
    /// Verify the person for the next tap
    Verify(VerifyArgs),
    /// Which card pays
    Card {
        #[command(subcommand)]
        word: CardWord,
    },
    /// The phone's screen
    Screen { state: Screen },
    /// Take in what the issuer knows
    Sync,
}

#[derive(Args)]
struct VerifyArgs {
    /// For this amount, which the person has seen
    #[arg(long, value_name = "AMOUNT", required_unless_present = "up_to")]
    amount: Option<String>,
    /// For any amount up to this
    #[arg(long, value_name = "AMOUNT", conflicts_with = "amount")]
    up_to: Option<String>,
    /// By PIN
    #[arg(long, value_name = "PIN", required_unless_present = "finger")]
    pin: Option<String>,
    /// By fingerprint
    #[arg(long, conflicts_with = "pin")]
    finger: bool,
}

#[derive(Subcommand)]
enum CardWord {
    /// Make a card the default one
    Default(Which),
    /// Let one card alone pay the next tap; without one, all again
    Use(MaybeWhich),
}

#[derive(Args)]
struct Which {
    #[arg(long, value_name = "REF")]
    token: String,
}

#[derive(Args)]
struct MaybeWhich {
    #[arg(long, value_name = "REF")]
    token: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Screen {
    Locked,
    Unlocked,
}

/// The lines of standard input, read on a thread of its own: waiting for one must not keep the phone from ending.
fn lines() -> UnboundedReceiver<String> {
    let (sender, lines) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Does what the lines say, one after the other, for as long as the phone is held to readers.
pub(super) async fn listen(phone: &Phone) {
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        serve::print(&match Line::try_parse_from(&words) {
            Err(error) => failed(words[0], &usage(&error)),
            Ok(line) => match obey(phone, line.word).await {
                Ok(done) => done,
                Err(error) => match error.downcast::<WalletError>() {
                    Ok(error) => refused(words[0], &error),
                    Err(error) => failed(words[0], &format!("{error:#}")),
                },
            },
        });
    }
    // Nobody types any more; readers may still come.
    std::future::pending::<()>().await;
}

async fn obey(phone: &Phone, word: Word) -> anyhow::Result<Value> {
    let wallet = &phone.wallet;
    match word {
        Word::Verify(args) => {
            let currency = CURRENCY.to_owned();
            let purpose = match (&args.amount, &args.up_to) {
                (Some(text), _) => Purpose::Payment {
                    amount_minor: money("--amount", text)?,
                    currency,
                },
                (None, ceiling) => Purpose::UpTo {
                    amount_minor: money("--up-to", ceiling.as_deref().unwrap_or_default())?,
                    currency,
                },
            };
            let id = match args.pin {
                Some(pin) => wallet.verify_with_pin(pin, purpose).await?,
                None => verify_by_finger(phone, purpose, false).await?,
            };
            wallet.permit_tap(id).await?;
            Ok(json!({ "event": "verified" }))
        }
        Word::Card { word } => {
            match word {
                CardWord::Default(which) => {
                    let card = find(wallet, &which.token).await?;
                    wallet.set_default_card(card.token_ref).await?;
                }
                CardWord::Use(which) => {
                    let token_ref = match which.token {
                        Some(which) => Some(find(wallet, &which).await?.token_ref),
                        None => None,
                    };
                    wallet.use_card_next(token_ref).await?;
                }
            }
            Ok(json!({ "event": "card_chosen" }))
        }
        Word::Screen { state } => {
            wallet.set_screen_locked(matches!(state, Screen::Locked));
            Ok(json!({ "event": "screen" }))
        }
        Word::Sync => {
            let report = wallet.sync().await?;
            Ok(
                json!({ "event": "sync_done", "new": report.new_entries, "keys": report.keys_received }),
            )
        }
    }
}

fn refused(word: &str, error: &WalletError) -> Value {
    json!({
        "event": "error", "word": word,
        "code": error.code(), "reason": error.reason_name(), "detail": error.to_string(),
    })
}

fn failed(word: &str, detail: &str) -> Value {
    json!({ "event": "error", "word": word, "detail": detail })
}

/// The first line of clap's message, which is the one that says what is wrong.
fn usage(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
