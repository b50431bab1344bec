//! `tapcore sandbox`: provider, network, two banks and an acquirer in one process, each with its own folder, database
//! and listener; and what can be asked of its folder at any time: `emv-ca`, `ledger`, and the support desk's `policy` and
//! `wipe`.
//!
//! stdout is JSON lines, the first of them `ready`. Everything that others hold on to (CA, server keys, the network's
//! keys) lies in the folder and survives a restart; ports do not, but for the provider's when `--listen` names one.

mod desk;
mod parties;

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand, ValueEnum};
use sandbox_kit::event::{Event, Events};
use sandbox_kit::ledger::Ledger;
use sandbox_network::CaPublicKey;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;

use parties::Parties;

/// Runs the other side of the counter: provider, network, banks and acquirer.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct SandboxArgs {
    #[command(subcommand)]
    question: Option<Question>,
    /// Folder that keeps the sandbox's keys and databases; made when missing.
    #[arg(long, value_name = "DIR", required = true)]
    data: Option<PathBuf>,
    /// Address of the provider; the other parties take ports from the system.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[derive(Subcommand)]
enum Question {
    /// Prints the public keys of the schemes' CA, for terminals of your own.
    EmvCa {
        /// The sandbox's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Prints the books of a party.
    Ledger {
        /// The sandbox's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Whose books.
        #[arg(long)]
        party: Party,
        /// One JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Changes what the provider tells phones to keep to, and prints it.
    Policy(desk::PolicyArgs),
    /// Wipes a phone, as the provider's support desk does for a caller who has lost it.
    Wipe(desk::WipeArgs),
}

/// A party of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Party {
    /// The bank with BIN 622848.
    BankA,
    /// The bank with BIN 621700.
    BankB,
    /// The wallet provider.
    Provider,
    /// The payment network.
    Network,
    /// The acquirer.
    Acquirer,
}

/// Runs `tapcore sandbox …` to its end.
pub(crate) async fn run(args: SandboxArgs) -> anyhow::Result<ExitCode> {
    match (args.question, args.data) {
        (Some(Question::EmvCa { data }), _) => {
            existing(&data)?;
            print_line(&SchemeKeys::read(&data)?)?;
        }
        (Some(Question::Ledger { data, party, json }), _) => {
            existing(&data)?;
            let ledger = parties::read_ledger(&data, party).await?;
            if json {
                print_line(&ledger)?
            } else {
                print_table(&ledger)?
            }
        }
        (Some(Question::Policy(args)), _) => desk::policy(args).await?,
        (Some(Question::Wipe(args)), _) => desk::wipe(args).await?,
        (None, Some(data)) => serve(&data, args.listen).await?,
        // clap requires one of the two.
        (None, None) => anyhow::bail!("say with --data which folder the sandbox keeps its data in"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The schemes' CA keys: UnionPay's on its own, as it was before there were others, then all of them.
#[derive(Serialize)]
struct SchemeKeys {
    #[serde(flatten)]
    unionpay: CaPublicKey,
    keys: Vec<CaPublicKey>,
}

impl SchemeKeys {
    fn read(data: &Path) -> anyhow::Result<Self> {
        let keys = sandbox_network::read_ca_keys(&data.join("network"))?;
        let unionpay = keys.first().cloned().context("the network has no CA key")?;
        Ok(Self { unionpay, keys })
    }
}

/// Runs the parties until the process is asked to end.
async fn serve(data: &Path, listen: SocketAddr) -> anyhow::Result<()> {
    // Handlers first: a signal during the start must not leave it half done either.
    let stop = stop_signal()?;
    let _lock = Lock::take(data)?;
    let (events, mut heard) = Events::channel();
    let parties = Parties::start(data, listen, &events).await?;
    print_line(&parties.ready())?;
    tokio::select! {
        () = tell(&mut heard) => {}
        () = stop => {}
    }
    parties.stop().await;
    Ok(())
}

/// Prints events for as long as there are any.
async fn tell(heard: &mut UnboundedReceiver<Event>) {
    while let Some(event) = heard.recv().await {
        // A reader that has gone away is no reason for the parties to stop.
        let _ = print_line(&event);
    }
}

/// Resolves when the process is asked to end.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// One running sandbox per folder; the system gives the lock back however the process ends.
struct Lock {
    _file: File,
}

impl Lock {
    fn take(data: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(data).with_context(|| {
            format!(
                "cannot make {}; choose a folder you may write to",
                data.display()
            )
        })?;
        let path = data.join("sandbox.lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| {
                format!(
                    "cannot write {}; choose a folder you may write to",
                    path.display()
                )
            })?;
        file.try_lock().ok().with_context(|| {
            format!(
                "another sandbox runs on {}; stop it or choose another folder",
                data.display()
            )
        })?;
        Ok(Self { _file: file })
    }
}

/// Refuses a folder that no sandbox has ever run on, rather than making an empty one there.
fn existing(data: &Path) -> anyhow::Result<()> {
    ensure!(
        data.join("ca.pem").exists(),
        "{} holds no sandbox; run `tapcore sandbox --data {}` first",
        data.display(),
        data.display()
    );
    Ok(())
}

fn print_line(value: &impl Serialize) -> anyhow::Result<()> {
    let line = serde_json::to_string(value)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn print_table(ledger: &Ledger) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for entry in &ledger.entries {
        let moved = match (entry.debit.as_str(), entry.credit.as_str()) {
            ("", "") => "moves nothing".to_owned(),
            (debit, credit) => format!("{debit} → {credit}"),
        };
        let (yuan, fen) = (
            entry.amount_minor / 100,
            entry.amount_minor.unsigned_abs() % 100,
        );
        let reason = entry
            .reason
            .as_deref()
            .map(|reason| format!(" ({reason})"))
            .unwrap_or_default();
        writeln!(
            out,
            "{}  {:<9} {yuan:>8}.{fen:02} {}  {}{reason}  {}  {moved}",
            entry.at, entry.kind, entry.currency, entry.result, entry.merchant
        )?;
    }
    let state = if ledger.balanced {
        "balanced"
    } else {
        "NOT balanced"
    };
    writeln!(
        out,
        "{}: {} entries, {state}",
        ledger.party,
        ledger.entries.len()
    )?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use sandbox_kit::client::Client;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SandboxArgs,
    }

    fn parse(line: &str) -> Result<SandboxArgs, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.args)
    }

    #[test]
    fn the_forms_of_the_command_line() {
        let args = parse("sandbox --data d").unwrap();
        assert_eq!(args.listen, SocketAddr::from(([127, 0, 0, 1], 0)));
        assert!(parse("sandbox --data d --listen 127.0.0.1:8443").is_ok());
        assert!(parse("sandbox emv-ca --data d").is_ok());
        assert!(parse("sandbox ledger --data d --party bank-b --json").is_ok());
        for wrong in [
            "sandbox",
            "sandbox emv-ca",
            "sandbox ledger --data d",
            "sandbox --data d --listen x",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn all_parties_answer_and_keys_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        assert!(existing(data).is_err());
        let lock = Lock::take(data).unwrap();
        assert!(Lock::take(data).is_err());
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut ca = None;
        for _ in 0..2 {
            let (events, _heard) = Events::channel();
            let parties = Parties::start(data, listen, &events).await.unwrap();
            let ready = serde_json::to_value(parties.ready()).unwrap();
            assert_eq!(ready["event"], "ready");
            let pem = std::fs::read(ready["ca"].as_str().unwrap()).unwrap();
            let client = Client::unsigned(&pem).unwrap();
            let url = format!(
                "{}/v1/enrolment-challenges",
                ready["provider"].as_str().unwrap()
            );
            let challenge: serde_json::Value = client.post_empty(&url).await.unwrap();
            assert_eq!(challenge["challenge"].as_str().unwrap().len(), 64);

            let read = SchemeKeys::read(data).unwrap();
            let rids: Vec<_> = read.keys.iter().map(|key| key.rid.as_str()).collect();
            assert_eq!(rids, ["A000000333", "A000000003", "A000000004"]);
            let key = read.unionpay;
            assert_eq!(
                (key.rid.as_str(), key.exponent.as_str()),
                ("A000000333", "03")
            );
            assert_eq!(*ca.get_or_insert((pem.clone(), key.clone())), (pem, key));
            // Books are read beside a running sandbox …
            assert!(
                parties::read_ledger(data, Party::Provider)
                    .await
                    .unwrap()
                    .balanced
            );
            parties.stop().await;
        }
        drop(lock);
        // … and without one.
        for party in Party::value_variants() {
            let ledger = parties::read_ledger(data, *party).await.unwrap();
            assert!(ledger.balanced && ledger.entries.is_empty());
            assert_eq!(ledger.party, party.to_possible_value().unwrap().get_name());
        }
    }
}
