//! A disk for SQLite in tests: it fails on demand, and loses at a power cut what was not synced.
//!
//! [`Disk::at`] takes a folder into care. From then on every file that SQLite opens there goes through a VFS shim,
//! registered as the process's default, so that what is tested needs no hook; files elsewhere are passed through
//! untouched. [`Disk::plan`] says which operation fails, how, and from when on; [`Disk::hit`] says whether it came to that.
//! After the test's process has "died", [`Disk::revive`] writes what is left into another folder, to be opened anew.
//!
//! Files are kept twice: in the folder, as the running process sees them (the page cache, so to say), and in memory, as
//! they are on the platter: the content at the last sync and every change since. A kill keeps the former; a power cut
//! keeps the latter with as much of the changes as the chosen [`Loss`] leaves. Names are synced as POSIX has it, with
//! their folder: SQLite does that at the first sync of a new journal or WAL and where a deletion asks for it.
//!
//! `fsync` itself is not called: what is on the real disk after a real power cut is no concern of a test.
//!
//! ```
//! use fault_vfs::{Disk, Fault, Loss};
//!
//! let folder = tempfile::tempdir().unwrap();
//! let disk = Disk::at(folder.path());
//! disk.plan(Fault::Cut { at: 3 });
//! let database = rusqlite::Connection::open(folder.path().join("some.db"));
//! let made = database.and_then(|database| database.execute_batch("CREATE TABLE t (a)"));
//! assert!(made.is_err() && disk.hit().is_some());
//! let after = tempfile::tempdir().unwrap();
//! disk.revive(Loss::Unsynced, after.path());
//! ```

mod disk;
mod fault;
mod platter;
mod vfs;

pub use disk::{Disk, Hit};
pub use fault::{Code, Counts, Fault, Operation};
pub use platter::Loss;
