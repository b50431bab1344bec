//! `cargo xtask test`: everything that must hold before a change goes in, in one command.
//!
//! Steps run one after the other and none stops the next. The large Swift toolchain is fetched beside
//! the Rust steps, which need the processor and not the network.

use crate::count::Count;
use crate::paths;
use crate::setup::{self, Tool};
use crate::step::{Missing, Step, clock};
use crate::{api, deny, fuzz, kotlin, pcsc, rust, scan, size, swift, targets};
use anyhow::{Result, anyhow};
use clap::ValueEnum;
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// The steps, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// Format.
    Fmt,
    /// Lints.
    Clippy,
    /// Documentation.
    Doc,
    /// Licences, versions and sources of what the project is built from.
    Deny,
    /// Rust tests.
    Rust,
    /// Kotlin tests, and the Android shell.
    Kotlin,
    /// Swift tests, and the iOS shell.
    Swift,
    /// The provider against its OpenAPI document.
    Api,
    /// The phone in a virtual PC/SC reader.
    Pcsc,
    /// Symbols before other people's readers, codes before their libraries.
    Scan,
    /// The card and what it reads, under a fuzzer.
    Fuzz,
    /// The core for phone targets.
    Targets,
    /// The library's size.
    Size,
}

impl Name {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Doc => "doc",
            Self::Deny => "deny",
            Self::Rust => "rust",
            Self::Kotlin => "kotlin",
            Self::Swift => "swift",
            Self::Api => "api",
            Self::Pcsc => "pcsc",
            Self::Scan => "scan",
            Self::Fuzz => "fuzz",
            Self::Targets => "targets",
            Self::Size => "size",
        }
    }

    fn tools(self) -> &'static [Tool] {
        match self {
            Self::Kotlin => &[Tool::Java, Tool::Maven],
            Self::Api | Self::Deny => &[Tool::Python],
            Self::Pcsc => &[Tool::PcSc],
            Self::Scan => scan::TOOLS,
            Self::Fuzz => &[Tool::Cpp, Tool::Python],
            Self::Swift => swift::tools(),
            Self::Targets if targets::by_debian() => &[Tool::PhoneCompilers],
            _ => &[],
        }
    }
}

/// Runs the chosen steps (none named: all). Answers whether all of them passed.
pub(crate) fn run(only: &[Name], may_set_up: bool) -> Result<bool> {
    let begun = Instant::now();
    let chosen: Vec<Name> = Name::value_variants()
        .iter()
        .copied()
        .filter(|name| only.is_empty() || only.contains(name))
        .collect();
    let swift = if may_set_up { set_up(&chosen)? } else { None };

    let mut swift = swift;
    let mut total = Count::NONE;
    let mut failed = Vec::new();
    for name in chosen {
        let mut step = Step::begin(name.as_str())?;
        if name == Name::Swift
            && let Some(fetching) = swift.take()
        {
            finish(fetching)?;
        }
        let result = one(name, &mut step, may_set_up);
        if result.is_err() {
            failed.push(name.as_str());
        }
        total += step.report(&result);
    }
    println!("took {}", clock(begun.elapsed()));
    if !failed.is_empty() {
        println!("not passed: {}", failed.join(", "));
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(failed.is_empty())
}

fn one(name: Name, step: &mut Step, may_set_up: bool) -> Result<Count> {
    match name {
        Name::Fmt => rust::fmt(step),
        Name::Clippy => rust::clippy(step),
        Name::Doc => rust::doc(step),
        Name::Deny => deny::run(step, may_set_up),
        Name::Rust => rust::test(step),
        Name::Kotlin => kotlin::run(step),
        Name::Swift => swift::run(step),
        Name::Api => api::run(step, may_set_up),
        Name::Pcsc => pcsc::run(step),
        Name::Scan => scan::run(step, may_set_up),
        Name::Fuzz => fuzz::run(step, may_set_up),
        Name::Targets => {
            if may_set_up {
                targets::prepare(step)?;
            }
            targets::run(step)
        }
        Name::Size => size::run(step, None),
    }
}

/// Installs everything, for `cargo xtask setup`.
pub(crate) fn setup_only() -> Result<bool> {
    let fetching = set_up(Name::value_variants())?;
    let step = Step::begin("setup-rest")?;
    // Each is tried, whatever becomes of the others.
    let fetched = [
        api::prepare(&step),
        deny::prepare(&step),
        fuzz::prepare(&step),
        scan::prepare(&step),
        targets::prepare(&step),
        fetching.map_or(Ok(()), finish),
    ];
    let result = fetched
        .into_iter()
        .collect::<Result<()>>()
        .and_then(|()| missing().map_or(Ok(Count::NONE), Err));
    let passed = result.is_ok();
    step.report(&result);
    Ok(passed)
}

/// What is still not there.
fn missing() -> Option<anyhow::Error> {
    let tools = [
        Tool::Java,
        Tool::Maven,
        Tool::Python,
        Tool::PcSc,
        Tool::Cpp,
        Tool::Scanners,
    ];
    if let Some(error) = tools.iter().find_map(|tool| tool.require().err()) {
        return Some(error);
    }
    if swift::is_absent() {
        return Some(Missing("Swift".to_owned()).into());
    }
    (!targets::is_ready()).then(|| Missing("compilers for the phone targets".to_owned()).into())
}

/// Says what will be installed and fetched, installs the system's part, and begins to fetch Swift.
fn set_up(chosen: &[Name]) -> Result<Option<JoinHandle<Result<()>>>> {
    let needs_swift = chosen.contains(&Name::Swift) && swift::is_absent();
    if needs_swift {
        println!("setup: about to fetch {}", swift::announcement());
    }
    if chosen.contains(&Name::Kotlin) {
        println!(
            "setup: Maven keeps what it fetches (Kotlin, JUnit, Android's framework classes) in its own cache"
        );
    }
    if [Name::Api, Name::Deny, Name::Fuzz, Name::Scan]
        .iter()
        .any(|name| chosen.contains(name))
    {
        println!(
            "setup: Python packages for the API, deny, fuzz and scan steps go to {}",
            paths::scratch().display()
        );
    }
    let tools: Vec<Tool> = chosen
        .iter()
        .flat_map(|name| name.tools())
        .copied()
        .collect();
    setup::install(&tools)?;
    if !needs_swift {
        return Ok(None);
    }
    let step = Step::quiet("swift-toolchain")?;
    Ok(Some(thread::spawn(move || {
        let fetched = swift::prepare(&step);
        if let Err(error) = &fetched {
            step.note(&format!("{error:#}"))?;
        }
        fetched
    })))
}

/// Waits for the toolchain. That it could not be had is no error here: the step itself says so.
fn finish(fetching: JoinHandle<Result<()>>) -> Result<()> {
    let fetched = fetching
        .join()
        .map_err(|_| anyhow!("fetching the Swift toolchain broke off"))?;
    if let Err(error) = fetched {
        println!("setup: no Swift toolchain: {error:#} (target/xtask/swift-toolchain.log)");
    }
    Ok(())
}
