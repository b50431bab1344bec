//! How the demo speaks: one line per step on standard output, signs of life on standard error.

use std::future::Future;
use std::io::{Write, stderr, stdout};
use std::time::Duration;

use sandbox_terminal::amount;
use serde_json::Value;
use tokio::time::{Instant, interval_at};

use super::evidence::Statement;
use crate::style::Style;

/// The voice of the demo. With `--json` it says nothing on standard output but the result.
pub(super) struct Teller {
    json: bool,
    out: Style,
    err: Style,
}

impl Teller {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            out: Style::stdout(),
            err: Style::stderr(),
        }
    }

    /// Colours for what is said.
    pub(super) fn style(&self) -> Style {
        self.out
    }

    /// A step that is done.
    pub(super) fn say(&self, heading: &str, text: &str) {
        self.line(&format!(
            "{} {text}",
            self.out.bold(&format!("{heading:<12}"))
        ));
    }

    /// Anything else for the person who reads the story.
    pub(super) fn line(&self, text: &str) {
        if !self.json {
            // A reader that has gone away is no reason to leave the story half-done.
            let _ = writeln!(stdout(), "{text}");
        }
    }

    /// A block that stands a little to the right.
    pub(super) fn block(&self, text: &str) {
        for line in text.lines() {
            self.line(&format!("             {}", self.out.dim(line)));
        }
    }

    /// Decoded APDUs: part of the story, or beside the result when that is JSON.
    pub(super) fn trace(&self, text: &str) {
        if self.json {
            let _ = write!(stderr(), "{text}");
        } else {
            self.block(text);
        }
    }

    /// The statement, one entry per line.
    pub(super) fn statement(&self, statement: &Statement) {
        for entry in &statement.entries {
            let text = |name: &str| {
                entry
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or("-")
                    .to_owned()
            };
            let minor = entry
                .get("amount_minor")
                .and_then(Value::as_i64)
                .unwrap_or_default();
            let state = text("state");
            let padded = format!("{state:<11}");
            let state = match state.as_str() {
                "matched" => self.out.green(&padded),
                "declined" | "expired" => self.out.red(&padded),
                _ => self.out.yellow(&padded),
            };
            let atc = entry
                .get("atc")
                .and_then(Value::as_u64)
                .map_or_else(|| "-".into(), |atc| atc.to_string());
            let amount = amount::show(minor);
            self.line(&format!(
                "             {state} {amount:>10} {}  counter {atc:<4} {}",
                text("currency"),
                text("merchant")
            ));
        }
    }

    /// Waits for `work`; once it has taken a second, shows that something is going on.
    pub(super) async fn during<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let second = Duration::from_secs(1);
        let started = Instant::now();
        let mut ticks = interval_at(started + second, second);
        let mut shown = false;
        tokio::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = ticks.tick() => {
                    if self.err.is_terminal() {
                        let text = self.err.dim(&format!("{what} ... {} s", started.elapsed().as_secs()));
                        let _ = write!(stderr(), "\r{text}");
                    } else if !shown {
                        let _ = writeln!(stderr(), "{what} ...");
                    }
                    let _ = stderr().flush();
                    shown = true;
                }
            }
        };
        if shown && self.err.is_terminal() {
            let _ = write!(stderr(), "\r{:width$}\r", "", width = what.len() + 12);
        }
        done
    }
}
