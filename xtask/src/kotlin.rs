//! The Kotlin step: the generated binding and its tests on the JVM, and the Android shell compiled
//! against the framework's classes. Maven fetches every library and the Kotlin compiler.

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

    let reports = paths::root().join("bindings/kotlin/target/surefire-reports");
    if reports.exists() {
        // A class that no longer exists must not be counted.
        fs::remove_dir_all(&reports)?;
    }
    let (_, succeeded) = step.watch(maven("bindings/kotlin").arg("test"))?;
    step.counted = count::surefire(&reports)?;
    if !succeeded {
        bail!("the Kotlin tests failed");
    }
    step.run(maven("android").arg("compile"))?;
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
