//! An event as one line of text: its message, then its fields as `name=value`.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use zeroize::Zeroize;

use super::redact::{self, HIDDEN};

/// Longest line, in bytes before redaction.
pub(super) const LIMIT: usize = 4096;

/// Collects an event. What it held before redaction is wiped when it is dropped.
pub(super) struct Line {
    text: String,
    is_cut: bool,
}

impl Line {
    pub(super) fn new() -> Self {
        // All of it at once: growing would leave copies behind.
        Self {
            text: String::with_capacity(LIMIT),
            is_cut: false,
        }
    }

    /// The line, redacted.
    pub(super) fn redacted(mut self) -> String {
        if !self.is_cut {
            return redact::redact(&self.text).into_owned();
        }
        // The cut may have left a part of a number too short to be known as one.
        while self.text.pop().is_some_and(redact::may_be_of_a_number) {}
        let mut text = redact::redact(&self.text).into_owned();
        text.push('…');
        text
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

impl Write for Line {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.is_cut {
            return Err(fmt::Error);
        }
        let room = part.floor_char_boundary(LIMIT - self.text.len());
        self.text.push_str(&part[..room]);
        self.is_cut = room < part.len();
        if self.is_cut {
            // Ends the formatting of a value that may be endless.
            return Err(fmt::Error);
        }
        Ok(())
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let separator = if self.text.is_empty() { "" } else { " " };
        let name = field.name();
        // The only error is that the line is full, which it remembers.
        let _ = if name == "message" {
            write!(self, "{separator}{value:?}")
        } else if redact::is_secret_name(name) {
            write!(self, "{separator}{name}={HIDDEN}")
        } else {
            write!(self, "{separator}{name}={value:?}")
        };
    }

    /// Without the quotes and escapes of `Debug`, which only make a line harder to read.
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
