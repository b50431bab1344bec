//! The statement: entries, and how what the phone did meets what the issuer says. Pure.
//!
//! An entry is about one payment, named by token and ATC, or by the provider where a code was paid. It is `incomplete` when a cryptogram left, `pending` when the
//! reader had read everything, `matched` or `declined` when the issuer's record came; the order in which news arrive
//! does not matter, and an approval is never taken back by a refused replay.

mod entry;
mod event;

pub use entry::{Entry, EntryState};
pub use event::{IssuerRecord, JournalEvent, Mark, Payment, Verdict};
