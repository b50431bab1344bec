//! A virtual environment of Python under the target folder, for tools that come as Python packages.

use crate::paths;
use crate::setup::Tool;
use crate::step::{Missing, Step};
use anyhow::Result;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// An environment and what is in it, in the versions that its step was written for.
pub(crate) struct Venv {
    pub(crate) name: &'static str,
    pub(crate) packages: &'static [&'static str],
}

impl Venv {
    fn folder(&self) -> PathBuf {
        paths::scratch().join(self.name)
    }

    /// Where its programs lie.
    pub(crate) fn bin(&self) -> PathBuf {
        self.folder().join("bin")
    }

    /// Says which packages the environment holds, once all of them are in.
    fn mark(&self) -> PathBuf {
        self.folder().join("installed.txt")
    }

    fn wanted(&self) -> String {
        self.packages.join("\n")
    }

    fn is_ready(&self) -> bool {
        fs::read_to_string(self.mark()).is_ok_and(|installed| installed == self.wanted())
    }

    /// An error that names the packages, unless these very ones are there.
    pub(crate) fn require(&self) -> Result<()> {
        if self.is_ready() {
            return Ok(());
        }
        let text = format!("the Python packages {}", self.packages.join(" and "));
        Err(Missing(text).into())
    }

    /// Fetches the packages, unless these very ones are there.
    pub(crate) fn prepare(&self, step: &Step) -> Result<()> {
        if self.is_ready() {
            return Ok(());
        }
        Tool::Python.require()?;
        step.run(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(self.folder()),
        )?;
        step.run(
            Command::new(self.bin().join("python"))
                .args(["-m", "pip", "install", "--quiet"])
                .args(self.packages),
        )?;
        fs::write(self.mark(), self.wanted()).map_err(Into::into)
    }
}
