//! The log as the app receives it.

use std::sync::Arc;

use crate::log::{self, Level};

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum LogLevel {
    /// Something failed that a person will notice.
    Error,
    /// Something failed and was mended, or will be.
    Warn,
    /// Something happened once that support wants to know.
    Info,
    /// Each step.
    Debug,
    /// Everything, the libraries under the core included.
    Trace,
}

/// Takes the log, on a background thread. Card numbers, keys and codes are hidden before it is called.
#[uniffi::export(foreign)]
pub trait LogSink: Send + Sync {
    /// Takes one event. While this is busy others wait, and past a few hundred they are dropped and counted.
    fn log(&self, level: LogLevel, target: String, message: String);
}

/// Sends the log of `level` and graver to `sink`, in place of the sink and level that were set before.
#[uniffi::export]
pub fn set_log_sink(level: LogLevel, sink: Arc<dyn LogSink>) {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    log::set_sink(level, Arc::new(Foreign(sink)));
}

/// The foreign sink as the log sees it.
struct Foreign(Arc<dyn LogSink>);

impl log::Sink for Foreign {
    fn log(&self, level: Level, target: &str, message: &str) {
        let level = match level {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG => LogLevel::Debug,
            Level::TRACE => LogLevel::Trace,
        };
        self.0.log(level, target.into(), message.into());
    }
}
