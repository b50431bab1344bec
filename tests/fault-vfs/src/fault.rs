//! Which operation fails, and how.

/// What is counted: everything that changes a file or a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A file is opened, and made where it is not there.
    Open,
    /// Bytes are written.
    Write,
    /// A file is cut.
    Truncate,
    /// A file is synced.
    Sync,
    /// A file is deleted.
    Delete,
}

/// Operations so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files opened.
    pub opens: u64,
    /// Writes.
    pub writes: u64,
    /// Files cut.
    pub truncates: u64,
    /// Syncs.
    pub syncs: u64,
    /// Files deleted.
    pub deletes: u64,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.opens + self.writes + self.truncates + self.syncs + self.deletes
    }

    pub(crate) fn add(&mut self, operation: Operation) {
        *match operation {
            Operation::Open => &mut self.opens,
            Operation::Write => &mut self.writes,
            Operation::Truncate => &mut self.truncates,
            Operation::Sync => &mut self.syncs,
            Operation::Delete => &mut self.deletes,
        } += 1;
    }
}

/// What SQLite is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// `SQLITE_IOERR_*`, `SQLITE_CANTOPEN` for an open.
    Io,
    /// `SQLITE_FULL`. It hits writes that make a file grow, from the given operation on; others succeed, as they do on a
    /// full disk.
    Full,
}

/// A fault; operations are counted from 1, beginning with [`Disk::plan`](crate::Disk::plan).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One operation fails.
    Once {
        /// Which one.
        at: u64,
        /// How.
        code: Code,
    },
    /// An operation fails and all after it.
    Lasting {
        /// The first.
        at: u64,
        /// How.
        code: Code,
    },
    /// The power goes in the middle of an operation.
    Cut {
        /// Which one.
        at: u64,
    },
}

impl Fault {
    /// Whether it hits this operation, the `count`th, given whether it has hit before.
    pub(crate) fn hits(self, operation: Operation, count: u64, grows: bool, before: bool) -> bool {
        let fits = |code| code == Code::Io || (operation == Operation::Write && grows);
        match self {
            Self::Once { at, code } => !before && count >= at && fits(code),
            Self::Lasting { at, code } => count >= at && fits(code),
            Self::Cut { at } => count >= at,
        }
    }
}
