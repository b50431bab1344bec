//! The API step: a schema fuzzer (schemathesis) against the sandbox's provider, by the driver in
//! `tests/api`, in a virtual environment under the target folder.

use crate::bindings;
use crate::count::{self, Count};
use crate::paths;
use crate::step::{Step, path_with};
use crate::venv::Venv;
use anyhow::{Result, bail};
use std::fs;
use std::process::Command;

/// What the driver and its signing hook import.
const VENV: Venv = Venv {
    name: "api-venv",
    packages: &["schemathesis==4.32.5", "cryptography==50.0.2"],
};

/// Fetches the Python packages, unless these very ones are there.
pub(crate) fn prepare(step: &Step) -> Result<()> {
    VENV.prepare(step)
}

/// Runs the driver against a sandbox that it starts by itself.
pub(crate) fn run(step: &mut Step, may_set_up: bool) -> Result<Count> {
    if may_set_up {
        prepare(step)?;
    }
    VENV.require()?;
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
            .env("PATH", path_with(&VENV.bin()))
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
