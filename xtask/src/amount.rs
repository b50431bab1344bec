//! How much a step does: a default for every day, and more where an environment variable says so.

use anyhow::{Context, Result};
use std::env;

/// The number that `variable` holds, `otherwise` when it is not set.
pub(crate) fn amount(variable: &str, otherwise: u64) -> Result<u64> {
    let Some(text) = env::var_os(variable) else {
        return Ok(otherwise);
    };
    let number = text.to_string_lossy().parse::<u64>().ok();
    number
        .filter(|number| *number > 0)
        .with_context(|| format!("{variable} must be a number, 1 or more"))
}
