//! `tapcore demo`: the whole of a mobile payment, told in a page.
//!
//! Sandbox, phone and POS are separate processes of this same program with separate folders; the demo types what
//! their owners would type and reads what they print. [`story`] is the order of events, [`evidence`] what the
//! parties' books say about it afterwards, [`children`] and [`relay`] the machinery.

mod children;
mod evidence;
mod relay;
mod story;
mod tell;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};

use self::tell::Teller;

/// Shows the whole system at work, from enrolment to receipt.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// New folder to work in and to keep [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Decode every APDU, tag by tag and bit by bit
    #[arg(long)]
    trace: bool,
    /// Print what the parties' books say as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the demo. Exit code 0 only if everything that the story tells is in the parties' books.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let tell = Teller::new(args.json);
    // Declared before any child, so that it is removed after the last of them is gone.
    let mut _temporary = None;
    let folder = match args.data {
        Some(folder) => {
            if !children::is_fresh(&folder) {
                bail!(
                    "{} is not empty; the demo begins from nothing, give it a new folder",
                    folder.display()
                );
            }
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("{} cannot be made", folder.display()))?;
            folder
        }
        None => {
            let made = tempfile::Builder::new()
                .prefix("tapcore-demo-")
                .tempdir()
                .context("no temporary folder can be made")?;
            let path = made.path().to_owned();
            _temporary = Some(made);
            path
        }
    };

    let told = tokio::select! {
        told = story::tell(&tell, &folder, args.trace) => told?,
        () = interrupted() => bail!("the demo was interrupted; its processes have been ended"),
    };
    let evidence = told.evidence(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
    let complaints = told.complaints(&evidence);
    if args.json {
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&evidence)?)?;
    }
    if complaints.is_empty() {
        let done = tell.style().green(
            "all of it happened, as the books of network and bank and the phone's statement say",
        );
        tell.say(
            "Result",
            &format!("{done} ({:.1} s)", started.elapsed().as_secs_f32()),
        );
        return Ok(ExitCode::SUCCESS);
    }
    for complaint in complaints {
        eprintln!("Not as it should be: {complaint}.");
    }
    Ok(ExitCode::FAILURE)
}

/// Waits until somebody wants the demo to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut terminate), Ok(mut hangup)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::hangup()),
        ) {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = hangup.recv() => return,
                Ok(()) = tokio::signal::ctrl_c() => return,
            }
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
