//! The library's size as an app ships it: mobile profile, stripped, and what it adds to a download.
//!
//! The figure in `bindings/size.json` is committed with the reason why it is what it is. Growth beyond
//! its tolerance fails until somebody explains it: `cargo xtask size --accept "reason"`.

use crate::count::Count;
use crate::paths;
use crate::step::{Step, cargo};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What one build weighs, as `target/size.json` says it.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Size {
    so_bytes: u64,
    so_gzip_bytes: u64,
}

/// The committed figure.
#[derive(Serialize, Deserialize)]
struct Figure {
    #[serde(flatten)]
    size: Size,
    tolerance_percent: u64,
    reason: String,
}

fn committed() -> PathBuf {
    paths::root().join("bindings/size.json")
}

/// Builds, strips, measures, compares.
pub(crate) fn run(step: &mut Step, accept: Option<&str>) -> Result<Count> {
    let mut build = cargo();
    build.args([
        "build",
        "--package",
        "tapcore",
        "--lib",
        "--profile",
        "mobile",
        "--features",
        "wiping-allocator",
    ]);
    step.run(build.envs(mobile_settings()?))?;
    let built = paths::target().join("mobile").join(paths::LIBRARY);
    let stripped = paths::scratch().join(paths::LIBRARY);
    // A copy: the binding generator needs the symbols of the original.
    fs::copy(&built, &stripped).with_context(|| format!("no {}", built.display()))?;
    let flag = if cfg!(target_os = "macos") {
        "-x"
    } else {
        "--strip-all"
    };
    step.run(Command::new("strip").arg(flag).arg(&stripped))?;

    let size = Size {
        so_bytes: fs::metadata(&stripped)?.len(),
        so_gzip_bytes: gzipped(&stripped)?,
    };
    let text = serde_json::to_string(&size)?;
    fs::write(paths::target().join("size.json"), format!("{text}\n"))?;
    println!(
        "size: {} stripped, {} gzipped",
        megabytes(size.so_bytes),
        megabytes(size.so_gzip_bytes)
    );
    step.note(&text)?;

    if let Some(reason) = accept {
        record(size, reason)?;
    } else if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        compare(size)?;
    } else {
        println!("size: not compared, the committed figure is for x86_64 Linux");
    }
    Ok(Count::NONE)
}

fn record(size: Size, reason: &str) -> Result<()> {
    if reason.trim().is_empty() {
        bail!("say why the new size is right: `cargo xtask size --accept \"reason\"`");
    }
    let figure = Figure {
        size,
        tolerance_percent: read()?.map_or(2, |old| old.tolerance_percent),
        reason: reason.trim().to_owned(),
    };
    let text = serde_json::to_string_pretty(&figure)?;
    fs::write(committed(), format!("{text}\n")).map_err(Into::into)
}

fn read() -> Result<Option<Figure>> {
    match fs::read_to_string(committed()) {
        Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn compare(size: Size) -> Result<()> {
    let Some(figure) = read()? else {
        bail!(
            "bindings/size.json is missing: record it with `cargo xtask size --accept \"reason\"`"
        );
    };
    let pairs = [
        ("stripped", size.so_bytes, figure.size.so_bytes),
        ("gzipped", size.so_gzip_bytes, figure.size.so_gzip_bytes),
    ];
    for (what, now, then) in pairs {
        let limit = then + then * figure.tolerance_percent / 100;
        if now > limit {
            bail!(
                "the library grew from {then} to {now} bytes ({what}), more than the {} % that \
                 bindings/size.json allows; find out why, then make it smaller or record the reason with \
                 `cargo xtask size --accept \"reason\"`",
                figure.tolerance_percent
            );
        }
        if now + then * figure.tolerance_percent / 100 < then {
            println!(
                "size: {what} is well below the committed figure; lower it with --accept, so that the \
                 gain is kept"
            );
        }
    }
    Ok(())
}

/// The environment of a build for phones. The scripts that build the real packages read the same file.
fn mobile_settings() -> Result<Vec<(String, String)>> {
    let file = paths::root().join("bindings/mobile.env");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    Ok(lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect())
}

fn gzipped(file: &Path) -> Result<u64> {
    let output = Command::new("gzip")
        .args(["-9", "-n", "-c"])
        .stdin(File::open(file)?)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start gzip")?;
    if !output.status.success() {
        bail!("gzip failed");
    }
    Ok(output.stdout.len() as u64)
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{:02} MB", bytes / 1_000_000, bytes % 1_000_000 / 10_000)
}
