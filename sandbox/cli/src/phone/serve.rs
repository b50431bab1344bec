//! The phone as a card on TCP: each connection is one stay in a reader's field.
//!
//! An APDU is a two-byte big-endian length and that many bytes, both ways. Closing the connection is deactivation.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::statement::instant;
use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tapcore::ffi::{
    Answer, RiskSignals, TapDecision, TapOutcome, TapResponder, Wallet, WalletEvent, WalletObserver,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::MissedTickBehavior;

/// Answer to a command of no bytes: wrong length.
const WRONG_LENGTH: [u8; 2] = [0x67, 0x00];
/// What a reader gets when no answer came at all.
const NO_ANSWER: [u8; 2] = [0x6F, 0x00];
/// How long an answer that comes later is waited for; the core's own patience is far shorter.
const LATER: Duration = Duration::from_secs(5);
/// How often the phone looks for news of the issuer while nobody taps.
const LOOK: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(super) struct ServeArgs {
    /// Where to listen for readers, such as 127.0.0.1:0
    #[arg(long, value_name = "ADDR")]
    tcp: String,
    /// What the phone sees of an attack, separated by commas
    #[arg(long, value_name = "SIGNALS", value_delimiter = ',')]
    signals: Vec<Signal>,
}

/// A sign of an attack that a phone can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Signal {
    /// Somebody has root.
    Rooted,
    /// The phone is none.
    Emulator,
    /// The app's code is rerouted.
    Hooked,
    /// A debugger is attached.
    Debugger,
}

/// Serves readers until it is asked to stop.
pub(super) async fn serve(wallet: &Arc<Wallet>, args: ServeArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind(&args.tcp)
        .await
        .with_context(|| format!("{} cannot be listened on; try 127.0.0.1:0", args.tcp))?;
    let seen = |signal| args.signals.contains(&signal);
    wallet.report_risk(RiskSignals {
        rooted: seen(Signal::Rooted),
        emulator: seen(Signal::Emulator),
        hooked: seen(Signal::Hooked),
        debugger: seen(Signal::Debugger),
    });
    wallet.set_observer(Arc::new(Printer));
    let (later, mut answers) = unbounded_channel();
    wallet.set_responder(Arc::new(Later(Mutex::new(later))));
    wallet.start().await?;
    print(&json!({ "event": "ready", "addr": listener.local_addr()?.to_string() }));
    let mut stop = std::pin::pin!(stopped()?);
    let mut look = tokio::time::interval(LOOK);
    // After a long stay in the field one look is enough.
    look.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            accepted = listener.accept() => {
                // A reader that is gone before it was greeted is no reason to stop.
                let Ok((mut reader, _)) = accepted else { continue };
                tokio::select! {
                    () = &mut stop => return Ok(()),
                    // A reader that breaks off has left the field, nothing more.
                    left = field(wallet, &mut reader, &mut answers) => drop(left),
                }
                wallet.deactivated();
            }
            _ = look.tick() => {
                let wallet = Arc::clone(wallet);
                // Without a network this fails, and the next look comes.
                tokio::spawn(async move { drop(wallet.sync().await) });
            }
        }
    }
}

/// One stay in the field.
async fn field(
    wallet: &Wallet,
    reader: &mut TcpStream,
    answers: &mut UnboundedReceiver<Vec<u8>>,
) -> std::io::Result<()> {
    reader.set_nodelay(true)?;
    // An answer that came after its reader had left is nobody's.
    while answers.try_recv().is_ok() {}
    loop {
        let length = reader.read_u16().await?;
        let mut apdu = vec![0; usize::from(length)];
        reader.read_exact(&mut apdu).await?;
        let answer = match apdu.is_empty() {
            true => WRONG_LENGTH.to_vec(),
            false => match wallet.process_apdu(apdu) {
                Answer::Now { bytes } => bytes,
                Answer::Later => match tokio::time::timeout(LATER, answers.recv()).await {
                    Ok(Some(bytes)) => bytes,
                    _ => NO_ANSWER.to_vec(),
                },
            },
        };
        let length = u16::try_from(answer.len()).map_err(std::io::Error::other)?;
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        reader.write_all(&framed).await?;
    }
}

/// Passes answers that come later to the stay in the field.
struct Later(Mutex<UnboundedSender<Vec<u8>>>);

impl TapResponder for Later {
    fn respond(&self, answer: Vec<u8>) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Fails only when serving has ended.
        drop(sender.send(answer));
    }
}

/// Prints events as JSON lines.
struct Printer;

impl WalletObserver for Printer {
    fn on_event(&self, event: WalletEvent) {
        print(&match event {
            WalletEvent::Tap {
                atc,
                outcome,
                amount_minor,
                currency,
                merchant,
                country,
                token_ref,
                at_ms,
                verified,
                decision,
            } => json!({
                "event": "tap",
                "atc": atc,
                "outcome": match outcome {
                    TapOutcome::Complete => "complete",
                    TapOutcome::Incomplete => "incomplete",
                },
                "amount_minor": amount_minor,
                "currency": currency,
                "merchant": merchant,
                "country": country,
                "token_ref": token_ref,
                "at": instant(at_ms).ok(),
                "verified": verified,
                "decision": match decision {
                    TapDecision::Online => "online",
                    TapDecision::Declined => "declined",
                },
            }),
            WalletEvent::PersonWanted {
                token_ref,
                amount_minor,
                currency,
                merchant,
            } => json!({
                "event": "person_wanted",
                "token_ref": token_ref,
                "amount_minor": amount_minor,
                "currency": currency,
                "merchant": merchant,
            }),
            WalletEvent::AboveLimit {
                token_ref,
                amount_minor,
                currency,
                merchant,
            } => json!({
                "event": "above_limit",
                "token_ref": token_ref,
                "amount_minor": amount_minor,
                "currency": currency,
                "merchant": merchant,
            }),
            WalletEvent::Synced { new_entries } => json!({ "event": "synced", "new": new_entries }),
            WalletEvent::Replenished { keys } => json!({ "event": "replenished", "keys": keys }),
            WalletEvent::Wiped => json!({ "event": "wiped" }),
        });
    }
}

fn print(event: &Value) {
    // A reader of the events that has gone away is no reason to stop paying.
    drop(writeln!(std::io::stdout(), "{event}"));
}

/// Ends when the process is asked to stop.
fn stopped() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
