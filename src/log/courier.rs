//! Delivery: a bounded queue and the thread that calls the sink.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use tracing::Level;

use super::Sink;

/// Events that wait for the sink at most; with [`super::line::LIMIT`] this bounds the memory.
const QUEUE: usize = 256;
/// Stack of the thread, in bytes; a Java virtual machine that the sink lives in needs its share.
const STACK: usize = 512 * 1024;

thread_local! {
    static DELIVERING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is one that calls a sink. Its own events are not logged: a sink that causes some for each line it
/// takes would never come to rest.
pub(super) fn is_delivering() -> bool {
    DELIVERING.get()
}

/// One event, ready to be shown.
pub(super) struct Record {
    pub(super) level: Level,
    pub(super) target: String,
    pub(super) message: String,
}

/// The way to one sink. Dropping it ends the thread, once the sink has what was queued.
pub(super) struct Courier {
    queue: SyncSender<Record>,
    lost: Arc<AtomicU64>,
}

impl Courier {
    /// Starts the thread; nothing when the system gives none.
    pub(super) fn start(sink: Arc<dyn Sink>) -> Option<Self> {
        let (queue, records) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        thread::Builder::new()
            .name("tapcore-log".into())
            .stack_size(STACK)
            .spawn(move || deliver_all(&records, &*sink, &counted))
            .ok()?;
        Some(Self { queue, lost })
    }

    /// Queues a record, or counts it as lost. Never waits.
    pub(super) fn send(&self, record: Record) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(record) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn deliver_all(records: &Receiver<Record>, sink: &dyn Sink, lost: &AtomicU64) {
    DELIVERING.set(true);
    // Events are lost while the queue is full only, so there is always a record after them to bring the note along.
    for record in records {
        let count = lost.swap(0, Ordering::Relaxed);
        if count > 0 {
            deliver(
                sink,
                &Record {
                    level: Level::WARN,
                    target: module_path!().into(),
                    message: format!("the log sink is too slow: lost {count} events"),
                },
            );
        }
        deliver(sink, &record);
    }
}

fn deliver(sink: &dyn Sink, record: &Record) {
    // A sink that panics has lost this line, and nothing else.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        sink.log(record.level, &record.target, &record.message);
    }));
}
