//! The API step: a schema fuzzer (schemathesis) against the sandbox's provider, by the driver in
//! `tests/api`, in a virtual environment under the target folder.

use crate::count::{self, Count};
use crate::paths;
use crate::setup::Tool;
use crate::step::{Missing, Step, cargo};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn environment() -> PathBuf {
    paths::scratch().join("api-venv")
}

/// Fetches the Python packages that `tests/api/requirements.txt` pins, unless these very ones are there.
pub(crate) fn prepare(step: &Step) -> Result<()> {
    let wanted = paths::root().join("tests/api/requirements.txt");
    let text =
        fs::read_to_string(&wanted).with_context(|| format!("cannot read {}", wanted.display()))?;
    let mark = environment().join("installed.txt");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == text) {
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
            .args(["-m", "pip", "install", "--quiet", "-r"])
            .arg(&wanted),
    )?;
    fs::write(mark, text).map_err(Into::into)
}

/// Runs the driver against a sandbox that it starts by itself.
pub(crate) fn run(step: &mut Step, may_set_up: bool) -> Result<Count> {
    if may_set_up {
        prepare(step)?;
    } else if !environment().join("installed.txt").is_file() {
        return Err(Missing("the Python packages of tests/api/requirements.txt".to_owned()).into());
    }
    step.run(cargo().args(["build", "--workspace"]))?;
    let (log, succeeded) = step.watch(
        Command::new(environment().join("bin/python"))
            .current_dir(paths::root())
            .arg("tests/api/run.py")
            .env("TAPCORE", paths::debug().join("tapcore"))
            .env("PYTHONUNBUFFERED", "1"),
    )?;
    step.counted = count::closing_line(&log).unwrap_or_default();
    if !succeeded {
        bail!("the provider and docs/backend-api.yaml do not agree");
    }
    if step.counted.passed == 0 {
        bail!("the driver ran no test");
    }
    Ok(step.counted)
}
