//! What a person does with the phone while it is held to readers: words on standard input, a line each, answered by JSON
//! lines on standard output. One process has the wallet's folder, so it is told here. What has a blank in it is quoted.

use std::io::BufRead;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tapcore::ffi::{Purpose, WalletError};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::card::find;
use super::code::{self, CodeArgs};
use super::confirm::money;
use super::live::Live;
use super::pay::{self, Asking, PayArgs, ProofArgs};
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
    /// Show a payment code and watch it
    Code(CodeArgs),
    /// Go on with the code: a fresh one after a pause, a payment or an end
    Touch(AccessArgs),
    /// Uncover the code's digits: a fresh code in clear takes its place
    Reveal(AccessArgs),
    /// The system saw a screenshot of the code
    Photographed,
    /// Close the code
    Close,
    /// Pay a shop's code
    Pay(PayArgs),
    /// Confirm the payment by code that waits for the person
    Confirm(ProofArgs),
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

/// How the person is verified for a code, where that is asked for.
#[derive(Args)]
struct AccessArgs {
    /// By PIN
    #[arg(long, value_name = "PIN")]
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
pub(super) async fn listen(phone: &Phone, live: &mut Live) {
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        let words = match split(&line) {
            Ok(words) => words,
            Err(why) => {
                serve::print(&failed("", why));
                continue;
            }
        };
        // As it would be typed to a shell.
        let words = match words.as_slice() {
            [first, words @ ..] if first == "phone" => words,
            words => words,
        };
        let Some(first) = words.first() else {
            continue;
        };
        let answer = match Line::try_parse_from(words) {
            Err(error) => Some(failed(first, &usage(&error))),
            Ok(line) => match obey(phone, live, line.word).await {
                Ok(done) => done,
                Err(error) => Some(match error.downcast::<WalletError>() {
                    Ok(error) => refused(first, &error),
                    Err(error) => failed(first, &format!("{error:#}")),
                }),
            },
        };
        if let Some(answer) = answer {
            serve::print(&answer);
        }
    }
    // Nobody types any more; readers may still come.
    std::future::pending::<()>().await;
}

/// The words of a line. Blanks are between them, unless they stand in quotation marks.
fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut mark = None;
    for letter in line.chars() {
        match mark {
            Some(open) if letter == open => mark = None,
            None if letter == '"' || letter == '\'' => {
                mark = Some(letter);
                word.get_or_insert_default();
            }
            None if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    match mark {
        None => Ok(words),
        Some(_) => Err("a quotation mark is not closed: repeat the line"),
    }
}

/// Answers what there is to say; a code that is shown speaks for itself.
async fn obey(phone: &Phone, live: &mut Live, word: Word) -> anyhow::Result<Option<Value>> {
    let wallet = &phone.wallet;
    let done = match word {
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
            json!({ "event": "verified" })
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
            json!({ "event": "card_chosen" })
        }
        Word::Screen { state } => {
            wallet.set_screen_locked(matches!(state, Screen::Locked));
            json!({ "event": "screen" })
        }
        Word::Sync => {
            let report = wallet.sync().await?;
            json!({ "event": "sync_done", "new": report.new_entries, "keys": report.keys_received })
        }
        Word::Code(args) => {
            live.show(phone, &args).await?;
            return Ok(None);
        }
        Word::Touch(args) => {
            live.touch(access(phone, args).await?).await?;
            return Ok(None);
        }
        Word::Reveal(args) => {
            let verification = access(phone, args).await?;
            let verification = verification.context("say who looks: --pin PIN or --finger")?;
            live.reveal(verification).await?;
            return Ok(None);
        }
        Word::Photographed => {
            live.photographed().await?;
            return Ok(None);
        }
        Word::Close => {
            live.close().await?;
            return Ok(None);
        }
        Word::Pay(args) => {
            let (offer, payment) = pay::by_word(phone, &args).await?;
            live.remember(&payment);
            let mut paid = pay::as_json(&offer, &payment);
            paid["event"] = "paid".into();
            paid["wants_password"] = payment.wants_password.into();
            paid
        }
        Word::Confirm(proof) => {
            let waiting = live.waiting()?;
            let confirmed = pay::confirm(phone, waiting, &proof, Asking::Nobody).await?;
            live.remember(&confirmed);
            json!({ "event": "confirmed", "payment": code::payment_json(&confirmed) })
        }
    };
    Ok(Some(done))
}

/// A verification for a code, by the way that was named.
async fn access(phone: &Phone, args: AccessArgs) -> anyhow::Result<Option<String>> {
    Ok(match (args.pin, args.finger) {
        (Some(pin), _) => Some(phone.wallet.verify_with_pin(pin, Purpose::Access).await?),
        (None, true) => Some(verify_by_finger(phone, Purpose::Access, false).await?),
        (None, false) => None,
    })
}

fn refused(word: &str, error: &WalletError) -> Value {
    json!({
        "event": "error", "word": word, "error": error.to_string(),
        "code": error.code(), "reason": error.reason_name(), "detail": error.to_string(),
    })
}

fn failed(word: &str, detail: &str) -> Value {
    json!({ "event": "error", "word": word, "error": detail, "detail": detail })
}

/// The first line of clap's message, which is the one that says what is wrong.
fn usage(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_quotation_marks_belong_to_a_word() {
        let words = |line: &str| split(line).unwrap();
        assert_eq!(
            words(" code  --format\tcpm \n"),
            ["code", "--format", "cpm"]
        );
        assert_eq!(
            words("pay \"BEST TRANSPORT\" ''"),
            ["pay", "BEST TRANSPORT", ""]
        );
        assert_eq!(words("pay it's fine'"), ["pay", "its fine"]);
        assert_eq!(words("pay \"it's\""), ["pay", "it's"]);
        assert!(words("  ").is_empty());
        assert!(split("pay \"BEST").is_err());
    }
}
