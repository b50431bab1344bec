//! The PC/SC step: the phone as a card in a virtual reader, tapped by a program through Debian's own daemon, by the
//! driver in `tests/pcsc`.

use crate::bindings;
use crate::count::{self, Count};
use crate::paths;
use crate::setup::Tool;
use crate::step::Step;
use anyhow::{Result, bail};
use std::process::Command;

/// Runs the driver, which starts a sandbox, a phone and a daemon of its own.
pub(crate) fn run(step: &mut Step) -> Result<Count> {
    Tool::PcSc.require()?;
    bindings::build(step)?;
    let (output, succeeded) = step.watch(
        Command::new("python3")
            .arg(paths::root().join("tests/pcsc/run.py"))
            .arg(paths::debug().join("tapcore")),
    )?;
    // Its last line is a test runner's.
    step.counted = count::cargo(&output);
    if !succeeded {
        bail!("a program could not tap the phone through PC/SC");
    }
    if step.counted.passed == 0 {
        bail!("the driver ran no test");
    }
    Ok(step.counted)
}
