//! The `tracing` subscriber: events in, redacted records out. Spans are never enabled.
//!
//! It is our own: the usual one brings a registry of spans and a language of filters that nothing here needs, and layers
//! through which an event could pass unredacted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record as SpanRecord};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use super::Sink;
use super::courier::{self, Courier, Record};
use super::line::Line;
use super::redact::redact;

/// The process's one logger.
pub(super) static LOGGER: Logger = Logger::new();

/// The levels by number; 0 is none.
const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

/// Which events are wanted, and by whom.
pub(super) struct Logger {
    level: AtomicUsize,
    courier: RwLock<Option<Arc<Courier>>>,
}

impl Logger {
    pub(super) const fn new() -> Self {
        Self {
            level: AtomicUsize::new(0),
            courier: RwLock::new(None),
        }
    }

    pub(super) fn set_sink(&self, level: Level, sink: Arc<dyn Sink>) {
        // A phone without a thread to spare keeps the sink that it has.
        let Some(courier) = Courier::start(sink) else {
            return;
        };
        let wanted = LEVELS.iter().position(|known| *known == level).unwrap_or(0);
        let mut place = self.courier.write().unwrap_or_else(PoisonError::into_inner);
        let former = place.replace(Arc::new(courier));
        self.level.store(wanted, Ordering::Relaxed);
        drop(place);
        // The former sink is foreign code, so it goes when nothing is locked.
        drop(former);
    }

    fn level(&self) -> LevelFilter {
        let number = self.level.load(Ordering::Relaxed);
        LEVELS.get(number).copied().unwrap_or(LevelFilter::OFF)
    }

    fn courier(&self) -> Option<Arc<Courier>> {
        let courier = self.courier.read().unwrap_or_else(PoisonError::into_inner);
        courier.clone()
    }
}

/// Whether an event is the core's own.
fn is_ours(target: &str) -> bool {
    let rest = target.strip_prefix("tapcore");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

impl Subscriber for &'static Logger {
    /// Asked for each event, since the level may change at any time.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match metadata.is_event() {
            true => Interest::sometimes(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = self.level();
        metadata.is_event()
            && *metadata.level() <= level
            && (level == LevelFilter::TRACE || is_ours(metadata.target()))
    }

    fn event(&self, event: &Event<'_>) {
        if courier::is_delivering() {
            return;
        }
        let Some(courier) = self.courier() else {
            return;
        };
        let mut line = Line::new();
        event.record(&mut line);
        courier.send(Record {
            level: *event.metadata().level(),
            target: redact(event.metadata().target()).into_owned(),
            message: line.redacted(),
        });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &SpanRecord<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
