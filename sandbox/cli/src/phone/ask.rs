//! What a person types: one line of standard input each, asked for on standard error.
//!
//! A pipe is read the same way, so that a script gives several answers as several lines.

use std::io::{BufRead, IsTerminal};

use anyhow::Context;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// A secret: as it was given, or the next line that is typed, which the terminal does not show.
pub(super) fn secret(given: Option<String>, name: &str) -> anyhow::Result<String> {
    if let Some(given) = given {
        return Ok(given);
    }
    let typed = {
        let _hidden = Hidden::start();
        line(name)?
    };
    typed.with_context(|| format!("no {name} was given: type it, or give it as an option"))
}

/// The next line; nothing at the end of input or when it is empty.
pub(super) fn line(prompt: &str) -> anyhow::Result<Option<String>> {
    eprintln!("{prompt}:");
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("standard input cannot be read")?;
    let typed = line.trim_end_matches(['\r', '\n']);
    Ok((!typed.trim().is_empty()).then(|| typed.to_owned()))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn start() -> Option<Self> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return None;
        }
        let usual = tcgetattr(&stdin).ok()?;
        let mut hidden = usual.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &hidden).ok()?;
        Some(Self(usual))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that has gone away shows nothing any more.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
