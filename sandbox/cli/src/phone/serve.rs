//! The phone as a card: on TCP, where each connection is one stay in a reader's field, and in a virtual PC/SC reader.
//!
//! Meanwhile [`console`] takes the words of a person on standard input.
//!
//! On TCP an APDU is a two-byte big-endian length and that many bytes, both ways. Closing the connection is
//! deactivation. The phone is in one field at a time, whichever way readers come.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tapcore::ffi::{RiskSignals, TapDecision, TapOutcome, Wallet, WalletEvent, WalletObserver};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;

use super::code::payment_json;
use super::field::Field;
use super::live::Live;
use super::statement::instant;
use super::{Phone, console, vpcd};

/// Answer to a command of no bytes: wrong length.
const WRONG_LENGTH: [u8; 2] = [0x67, 0x00];
/// How often the phone looks for news of the issuer while nobody taps.
const LOOK: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(super) struct ServeArgs {
    /// Where to listen for readers, such as 127.0.0.1:0
    #[arg(long, value_name = "ADDR", required_unless_present = "vpcd")]
    tcp: Option<String>,
    /// The virtual PC/SC reader to be a card in, such as 127.0.0.1:35963; one that goes away is waited for
    #[arg(long, value_name = "HOST:PORT")]
    vpcd: Option<String>,
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
pub(super) async fn serve(phone: &Phone, args: ServeArgs) -> anyhow::Result<()> {
    let wallet = &phone.wallet;
    let listener = match &args.tcp {
        Some(addr) => Some(listen(addr).await?),
        None => None,
    };
    let reader = match &args.vpcd {
        Some(addr) => Some((addr.as_str(), vpcd::connect(addr).await?)),
        None => None,
    };
    let seen = |signal| args.signals.contains(&signal);
    wallet.report_risk(RiskSignals {
        rooted: seen(Signal::Rooted),
        emulator: seen(Signal::Emulator),
        hooked: seen(Signal::Hooked),
        debugger: seen(Signal::Debugger),
    });
    wallet.set_observer(Arc::new(Printer));
    let field = Field::of(wallet);
    wallet.start().await?;
    let stop = stopped()?;
    print(&ready(listener.as_ref(), args.vpcd.as_deref())?);
    let at_readers = async {
        match &listener {
            Some(listener) => tcp(listener, &field).await,
            None => std::future::pending().await,
        }
    };
    let in_reader = async {
        match reader {
            Some((addr, reader)) => vpcd::serve(addr, reader, &field).await,
            None => std::future::pending().await,
        }
    };
    let mut live = Live::default();
    tokio::select! {
        () = stop => {}
        () = at_readers => {}
        () = in_reader => {}
        () = look(wallet, &field) => {}
        () = console::listen(phone, &mut live) => {}
    }
    live.leave().await;
    Ok(())
}

async fn listen(addr: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr)
        .await
        .with_context(|| format!("{addr} cannot be listened on; try 127.0.0.1:0"))
}

/// The event that says where readers find the phone.
fn ready(listener: Option<&TcpListener>, vpcd: Option<&str>) -> anyhow::Result<Value> {
    let mut ready = json!({ "event": "ready" });
    if let Some(listener) = listener {
        ready["addr"] = listener.local_addr()?.to_string().into();
    }
    if let Some(addr) = vpcd {
        ready["vpcd"] = addr.into();
    }
    Ok(ready)
}

/// Serves readers on TCP, one after the other.
async fn tcp(listener: &TcpListener, field: &Field) {
    loop {
        // A reader that is gone before it was greeted is no reason to stop.
        if let Ok((mut reader, _)) = listener.accept().await {
            // One that breaks off has left the field, nothing more.
            drop(stay(&mut reader, field).await);
        }
    }
}

/// One stay in the field of a reader on TCP.
async fn stay(reader: &mut TcpStream, field: &Field) -> std::io::Result<()> {
    reader.set_nodelay(true)?;
    let mut stay = field.enter().await;
    loop {
        let length = reader.read_u16().await?;
        let mut apdu = vec![0; usize::from(length)];
        reader.read_exact(&mut apdu).await?;
        let answer = match apdu.is_empty() {
            true => WRONG_LENGTH.to_vec(),
            false => stay.answer(apdu).await,
        };
        let length = u16::try_from(answer.len()).map_err(std::io::Error::other)?;
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        reader.write_all(&framed).await?;
    }
}

/// Looks for news of the issuer now and then, while nobody taps.
async fn look(wallet: &Arc<Wallet>, field: &Field) {
    let mut looks = tokio::time::interval(LOOK);
    // After a long stay in the field one look is enough.
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        looks.tick().await;
        field.left().await;
        let wallet = Arc::clone(wallet);
        // Without a network this fails, and the next look comes.
        tokio::spawn(async move { drop(wallet.sync().await) });
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
            WalletEvent::CodesLow { left } => json!({ "event": "codes_low", "left": left }),
            WalletEvent::CodeUsed { payment } => {
                json!({ "event": "code_used", "payment": payment_json(&payment) })
            }
        });
    }
}

pub(super) fn print(event: &Value) {
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
