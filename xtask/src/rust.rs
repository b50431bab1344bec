//! The steps that cargo does by itself: format, lints, documentation, tests. All in the dev profile, so
//! that they share what they build.

use crate::count::{self, Count};
use crate::step::{Step, cargo};
use anyhow::{Result, bail};

/// `cargo fmt --check`.
pub(crate) fn fmt(step: &mut Step) -> Result<Count> {
    step.run(cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Count::NONE)
}

/// Clippy over everything, warnings refused.
pub(crate) fn clippy(step: &mut Step) -> Result<Count> {
    step.run(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    Ok(Count::NONE)
}

/// The documentation of our own crates, warnings refused.
pub(crate) fn doc(step: &mut Step) -> Result<Count> {
    step.run(
        cargo()
            .args(["doc", "--no-deps", "--workspace"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    Ok(Count::NONE)
}

/// Every Rust test, documentation examples included.
pub(crate) fn test(step: &mut Step) -> Result<Count> {
    let (log, succeeded) = step.watch(cargo().args(["test", "--workspace", "--no-fail-fast"]))?;
    step.counted = count::cargo(&log);
    if !succeeded {
        bail!("cargo test failed");
    }
    if step.counted.passed == 0 {
        bail!("cargo test ran no test");
    }
    Ok(step.counted)
}
