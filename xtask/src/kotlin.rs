//! The Kotlin step: the generated binding and its tests on the JVM, and the Android shell, compiled
//! against the framework's classes, with its own. Maven fetches every library and the Kotlin compiler.

use crate::bindings;
use crate::count::{self, Count};
use crate::paths;
use crate::setup::Tool;
use crate::step::Step;
use anyhow::{Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Writes the bindings, then runs both Maven modules.
pub(crate) fn run(step: &mut Step) -> Result<Count> {
    Tool::Java.require()?;
    Tool::Maven.require()?;
    bindings::run(step)?;

    let mut failed = Vec::new();
    for module in ["bindings/kotlin", "android"] {
        let reports = paths::root().join(module).join("target/surefire-reports");
        if reports.exists() {
            // A class that no longer exists must not be counted.
            fs::remove_dir_all(&reports)?;
        }
        let (_, succeeded) = step.watch(maven(module).arg("test"))?;
        if reports.exists() {
            step.counted += count::surefire(&reports)?;
        }
        if !succeeded {
            failed.push(module);
        }
    }
    if !failed.is_empty() {
        bail!("Maven failed in {}", failed.join(" and "));
    }
    Ok(step.counted)
}

fn maven(folder: &str) -> Command {
    let mut command = Command::new("mvn");
    command
        .current_dir(paths::root().join(Path::new(folder)))
        .args(["--batch-mode", "--no-transfer-progress"])
        .arg(format!("-Dtapcore.build={}", paths::debug().display()));
    command
}
