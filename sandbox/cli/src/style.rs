//! Colour for a person at a terminal, plain text for everybody else.
//!
//! A stream gets colour when it is a terminal and the environment does not ask otherwise (`NO_COLOR`, or a terminal
//! that calls itself dumb). The words never depend on it.

use std::io::{IsTerminal, stderr, stdout};

/// How to write to one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    terminal: bool,
    colour: bool,
}

impl Style {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self::of(stdout().is_terminal())
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self::of(stderr().is_terminal())
    }

    /// For a file or a pipe.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self {
            terminal: false,
            colour: false,
        }
    }

    fn of(terminal: bool) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            terminal,
            colour: terminal && !unwanted,
        }
    }

    /// Whether a line may be rewritten in place.
    pub(crate) fn is_terminal(self) -> bool {
        self.terminal
    }

    /// A heading.
    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What may be skipped when reading.
    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// Good.
    pub(crate) fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Refused or wrong.
    pub(crate) fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// Not decided yet.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// Whether colours are used.
    pub(crate) fn colours(self) -> bool {
        self.colour
    }

    /// As on paper, whatever the terminal is like.
    pub(crate) fn black_on_white(self, text: &str) -> String {
        self.wrap("30;107", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_with_and_without_colour() {
        let plain = Style::plain();
        let colour = Style {
            terminal: true,
            colour: true,
        };
        assert_eq!(plain.green("approved"), "approved");
        assert_eq!(colour.green("approved"), "\x1b[32mapproved\x1b[0m");
    }
}
