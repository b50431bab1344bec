//! The scan step: our symbols before zbar, ZXing and zxing-cpp, and our codes before other people's libraries, by the
//! driver in `tests/scan`.
//!
//! `TAPCORE_SCAN_CODES` says of how many codes the masks are compared, two hundred if nothing does. What must be read is
//! the same always. The figures of `docs/scan-rates.md` come from longer runs of the driver by itself.

use crate::amount::amount;
use crate::count::{self, Count};
use crate::paths;
use crate::setup::Tool;
use crate::step::{Missing, Step, cargo};
use crate::venv::Venv;
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// Tools that come from the system.
pub(crate) const TOOLS: &[Tool] = &[Tool::Python, Tool::Java, Tool::Maven, Tool::Scanners];

/// One reader, what draws for all of them, and the libraries that check codes.
const VENV: Venv = Venv {
    name: "scan-venv",
    packages: &[
        "zxing-cpp==3.1.1",
        "pillow==13.0.0",
        "numpy==2.4.6",
        "pyotp==2.12.0",
        "pyemv==1.5.0",
        "cemacqr==0.1.2",
    ],
};

/// Another reader.
const ZXING: &str = "com.google.zxing:core:3.5.3";
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";

/// How many codes the masks are compared with where nobody says so.
const CODES: u64 = 200;

/// Where ZXing's library lies once it was fetched.
fn jar() -> PathBuf {
    paths::scratch().join("scan-jars/core-3.5.3.jar")
}

/// Fetches the Python packages and ZXing, unless they are there.
pub(crate) fn prepare(step: &Step) -> Result<()> {
    VENV.prepare(step)?;
    let jar = jar();
    if jar.is_file() {
        return Ok(());
    }
    Tool::Maven.require()?;
    let folder = jar.parent().unwrap_or(&jar);
    step.run(
        Command::new("mvn")
            .current_dir(paths::root())
            .args(["--batch-mode", "--no-transfer-progress", COPY])
            .arg(format!("-Dartifact={ZXING}"))
            .arg(format!("-DoutputDirectory={}", folder.display())),
    )
}

/// Draws the symbols and has them read.
pub(crate) fn run(step: &mut Step, may_set_up: bool) -> Result<Count> {
    for tool in TOOLS {
        tool.require()?;
    }
    if may_set_up {
        prepare(step)?;
    }
    VENV.require()?;
    if !jar().is_file() {
        return Err(Missing(format!("the Java library {ZXING}")).into());
    }
    let codes = amount("TAPCORE_SCAN_CODES", CODES)?;
    let folder = paths::scratch().join("scan");
    step.run(
        cargo()
            .args(["run", "--package", "tapcore", "--example", "codes", "--"])
            .arg(&folder)
            .args(["--masks", &codes.to_string()]),
    )?;
    let (output, succeeded) = step.watch(
        Command::new(VENV.bin().join("python"))
            .arg(paths::root().join("tests/scan/run.py"))
            .arg(&folder)
            .arg("--jar")
            .arg(jar()),
    )?;
    // Its last line is a test runner's.
    step.counted = count::cargo(&output);
    if !succeeded {
        bail!("a reader or a library of others does not read what we show");
    }
    if step.counted.passed == 0 {
        bail!("the driver ran no check");
    }
    Ok(step.counted)
}
