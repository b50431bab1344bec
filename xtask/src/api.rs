//! The API step: a schema fuzzer (schemathesis) against the sandbox's provider, by the driver in
//! `tests/api`, in a virtual environment under the target folder.

use crate::bindings;
use crate::count::{self, Count};
use crate::paths;
use crate::setup::Tool;
use crate::step::{Missing, Step, path_with};
use anyhow::{Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What the driver and its signing hook import, in the versions they were written for.
const PACKAGES: [&str; 2] = ["schemathesis==4.32.5", "cryptography==50.0.2"];

fn environment() -> PathBuf {
    paths::scratch().join("api-venv")
}

/// Says which packages the environment holds, once all of them are in.
fn mark() -> PathBuf {
    environment().join("installed.txt")
}

fn is_ready() -> bool {
    fs::read_to_string(mark()).is_ok_and(|installed| installed == PACKAGES.join("\n"))
}

/// Fetches the Python packages, unless these very ones are there.
pub(crate) fn prepare(step: &Step) -> Result<()> {
    if is_ready() {
        return Ok(());
    }
    Tool::Python.require()?;
    step.run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(environment()),
    )?;
    step.run(
        Command::new(environment().join("bin/python"))
            .args(["-m", "pip", "install", "--quiet"])
            .args(PACKAGES),
    )?;
    fs::write(mark(), PACKAGES.join("\n")).map_err(Into::into)
}

/// Runs the driver against a sandbox that it starts by itself.
pub(crate) fn run(step: &mut Step, may_set_up: bool) -> Result<Count> {
    if may_set_up {
        prepare(step)?;
    } else if !is_ready() {
        let text = format!("the Python packages {}", PACKAGES.join(" and "));
        return Err(Missing(text).into());
    }
    bindings::build(step)?;
    let report = paths::scratch().join("api.xml");
    if report.exists() {
        // One of an earlier run must not be counted.
        fs::remove_file(&report)?;
    }
    let (_, succeeded) = step.watch(
        Command::new(paths::root().join("tests/api/run.sh"))
            .current_dir(paths::root())
            .arg(paths::debug().join("tapcore"))
            .args(["--no-color", "--report", "junit", "--report-junit-path"])
            .arg(&report)
            .env("PATH", path_with(&environment().join("bin")))
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )?;
    if report.exists() {
        step.counted = count::junit(&fs::read_to_string(&report)?);
    }
    if !succeeded {
        bail!("the provider and docs/backend-api.yaml do not agree");
    }
    if step.counted.passed == 0 {
        bail!("the driver ran no test");
    }
    Ok(step.counted)
}
