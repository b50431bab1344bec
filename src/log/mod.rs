//! The log: events of the core, and at [`Level::TRACE`] of what it is built on, on their way to the app.
//!
//! The core emits `tracing` events; [`set_sink`] names who receives them. Between the two lies one door: every event is
//! written as one line, passed through [`redact`], and handed over on a thread of its own. A sink that is slow costs
//! events, which are counted, and one that panics costs its own line; neither holds up a payment.
//!
//! Redaction is the second line of defence. The first is that secrets have types which cannot be shown
//! ([`crate::secret`]).

mod courier;
mod line;
mod redact;
mod subscriber;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use redact::redact;
pub use tracing::Level;

/// Who receives the log.
pub trait Sink: Send + Sync {
    /// Takes one event, redacted. Called on the log's own thread, one call at a time.
    fn log(&self, level: Level, target: &str, message: &str);
}

/// Sends events of `level` and graver to `sink`, in place of the sink and level that were set before.
///
/// Below [`Level::TRACE`] these are the core's own events only. A Rust program that has installed a `tracing` subscriber
/// of its own keeps it: then events go there, not here, and redaction is that subscriber's task.
pub fn set_sink(level: Level, sink: Arc<dyn Sink>) {
    subscriber::LOGGER.set_sink(level, sink);
    // Refused when there is a subscriber, which from the second call on is this one.
    let _ = tracing::subscriber::set_global_default(&subscriber::LOGGER);
}
