//! What can go wrong with the databases, sorted by what a person can do about it.

use rusqlite::ErrorCode;

use super::SealError;

/// A store operation failed; nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder.
    #[error("another process (id {0}) uses this wallet's folder")]
    InUse(u32),
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// A database file is damaged.
    #[error("a database file is damaged")]
    Damaged,
    /// A database file is another one: somebody else's, or the wallet's own of another purpose.
    #[error("a database file stands in another one's place")]
    Misplaced,
    /// A newer version of the app wrote the file.
    #[error("a database file was written by a newer version")]
    Newer,
    /// Another arming was committed since this one was begun.
    #[error("another arming came between")]
    Overtaken,
    /// What should be changed is not there.
    #[error("what should be changed is not there")]
    Absent,
    /// A row does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The file system refused.
    #[error("the wallet's folder cannot be used")]
    Folder(#[source] std::io::Error),
    /// SQLite failed in another way.
    #[error("the database failed")]
    Sql(#[source] rusqlite::Error),
}

impl StoreError {
    /// Whether what the file holds cannot be read any more, by this version.
    pub fn is_loss(&self) -> bool {
        let unreadable = [SealError::Unsealable, SealError::UnknownFormat];
        match self {
            Self::Damaged | Self::Misplaced | Self::Newer => true,
            Self::Seal(error) => unreadable.contains(error),
            _ => false,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged,
            _ => Self::Sql(error),
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull => Self::Full,
            _ => Self::Folder(error),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    /// Rows are written by this code: one that opens but does not parse comes from another version.
    fn from(_: serde_json::Error) -> Self {
        Self::Newer
    }
}
