//! `--log`: the core's log on standard error, a line each.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use clap::ValueEnum;
use tapcore::ffi::{LogLevel, LogSink, set_log_sink};

/// How long the end waits for lines that are on their way.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is logged: this level and graver ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    /// Nothing.
    Off,
    /// What a person will notice.
    Error,
    /// What was mended, or will be.
    Warn,
    /// What support wants to know.
    Info,
    /// Each step.
    Debug,
    /// Everything, the libraries under the core included.
    Trace,
}

/// A log that may still have lines on their way.
pub(super) struct Log(Option<Receiver<()>>);

/// Sends the core's log to standard error.
pub(super) fn start(level: Level) -> Log {
    let level = match level {
        Level::Off => return Log(None),
        Level::Error => LogLevel::Error,
        Level::Warn => LogLevel::Warn,
        Level::Info => LogLevel::Info,
        Level::Debug => LogLevel::Debug,
        Level::Trace => LogLevel::Trace,
    };
    let (written, all_written) = channel();
    set_log_sink(level, Arc::new(Printer(written)));
    Log(Some(all_written))
}

impl Log {
    /// Waits until everything is written.
    pub(super) fn finish(self) {
        let Some(all_written) = self.0 else { return };
        // The core lets the former sink go once it has everything that was logged.
        set_log_sink(LogLevel::Error, Arc::new(Nobody));
        // Past its patience the end comes without the last lines.
        let _ = all_written.recv_timeout(PATIENCE);
    }
}

/// Writes lines, and says when no more will come.
struct Printer(Sender<()>);

impl LogSink for Printer {
    fn log(&self, level: LogLevel, target: String, message: String) {
        let level = match level {
            LogLevel::Error => "ERROR",
            LogLevel::Warn => "WARN",
            LogLevel::Info => "INFO",
            LogLevel::Debug => "DEBUG",
            LogLevel::Trace => "TRACE",
        };
        eprintln!("{level:<5} {target}  {message}");
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        // Nobody listens any more when the end has lost its patience.
        let _ = self.0.send(());
    }
}

struct Nobody;

impl LogSink for Nobody {
    fn log(&self, _: LogLevel, _: String, _: String) {}
}
