//! The project's tasks: `cargo xtask test`, `score`, `bench`, `bindings`, `size`,
//! `check-targets`, `deny`, `setup`.
//!
//! Everything here runs on a machine that has Rust and a C compiler and nothing else: a task that needs
//! more says so, installs it through the system's package manager where it may, and otherwise names what
//! is missing. One file per subject; [`step`] runs programs and keeps their output, the others use it.

mod amount;
mod api;
mod bench;
mod bindings;
mod count;
mod deny;
mod excerpt;
mod fuzz;
mod kotlin;
mod paths;
mod pcsc;
mod rust;
mod scan;
mod score;
mod setup;
mod size;
mod step;
mod swift;
mod targets;
mod test;
mod venv;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use step::Step;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The tasks of the Tapcore project")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Sets up what the tests need, then runs all of them.
    Test {
        /// Runs only these steps, in the usual order.
        #[arg(long, num_args = 1.., value_name = "NAME")]
        only: Vec<test::Name>,
        /// Installs nothing: a step whose tools are missing fails and names them.
        #[arg(long)]
        no_setup: bool,
    },
    /// Installs what the tests need, and runs nothing.
    Setup,
    /// Builds the library and writes the Kotlin and Swift bindings.
    Bindings,
    /// Measures the stripped library and compares it with the committed figure.
    Size {
        /// Commits to the new figure; the reason is kept beside it.
        #[arg(long, value_name = "REASON")]
        accept: Option<String>,
    },
    /// Checks that the core compiles for phones: types and cfgs, not linking.
    CheckTargets,
    /// Checks licences, versions and sources of what the project is built from, offline.
    Deny,
    /// Runs the tests of the security score card and prints it.
    Score {
        /// One JSON object instead of lines.
        #[arg(long, conflicts_with = "prove")]
        json: bool,
        /// Breaks the guarded code in a copy, and demands that the tests notice.
        #[arg(long)]
        prove: bool,
        /// Proves this line alone.
        #[arg(long, value_name = "NN", requires = "prove", value_parser = clap::value_parser!(u8).range(1..=44))]
        only: Option<u8>,
    },
    /// Measures the core against the bare libraries under it; also writes target/bench.json.
    Bench {
        /// Runs only the benches whose names begin so.
        #[arg(long, value_name = "PREFIX")]
        only: Option<String>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Test { only, no_setup } => test::run(&only, !no_setup),
        Task::Setup => test::setup_only(),
        Task::Bindings => alone("bindings", bindings::run),
        Task::Size { accept } => alone("size", |step| size::run(step, accept.as_deref())),
        Task::CheckTargets => alone("targets", targets::run),
        Task::Deny => alone("deny", |step| deny::run(step, true)),
        Task::Score {
            prove: true, only, ..
        } => score::prove(only),
        Task::Score { json, .. } => score::run(json),
        Task::Bench { only } => alone("bench", |step| bench::run(step, only.as_deref())),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one task outside the test run, with the same log and the same report.
fn alone(
    name: &str,
    task: impl FnOnce(&mut Step) -> anyhow::Result<count::Count>,
) -> anyhow::Result<bool> {
    let mut step = Step::begin(name)?;
    let result = task(&mut step);
    let passed = result.is_ok();
    step.report(&result);
    Ok(passed)
}
