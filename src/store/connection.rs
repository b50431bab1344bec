//! Opening a database file: settings, health, migrations.
//!
//! The life of a file: it is opened, its settings are made, its health is checked when the last process did not close it,
//! and its schema is carried forward one short step at a time, each in a transaction of its own.

use std::path::Path;

use rusqlite::Connection;

use super::StoreError;

/// What distinguishes the two files.
pub(super) struct Kind {
    /// `FULL` for the truth, `NORMAL` for the projection.
    pub(super) synchronous: &'static str,
    /// `ON` overwrites freed space at once, `FAST` where that costs no extra write.
    pub(super) secure_delete: &'static str,
    /// Tells the two files apart, and both from others' (SQLite's application id).
    pub(super) application_id: i32,
    /// The steps from an empty file to today's schema.
    pub(super) migrations: &'static [&'static str],
}

/// Opens a file, which is made when it is not there.
pub(super) fn open(path: &Path, kind: &Kind) -> Result<Connection, StoreError> {
    // A WAL with content means that the last process ended without closing.
    let unclean = std::fs::metadata(wal(path)).is_ok_and(|wal| wal.len() > 0);
    let mut connection = Connection::open(path)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = {};
         PRAGMA fullfsync = {};
         PRAGMA secure_delete = {};
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA busy_timeout = 5000;",
        kind.synchronous,
        // Only Apple's systems know it; there fsync alone does not reach the platter.
        i32::from(cfg!(target_vendor = "apple")),
        kind.secure_delete,
    ))?;
    if unclean {
        check(&connection)?;
    }
    migrate(&mut connection, kind)?;
    Ok(connection)
}

/// Looks at every page of a database.
///
/// # Errors
/// [`StoreError::Damaged`] when one is not sound.
pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match verdict.as_str() {
        "ok" => Ok(()),
        _ => Err(StoreError::Damaged),
    }
}

/// The name of the write-ahead log beside a database file.
fn wal(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn migrate(connection: &mut Connection, kind: &Kind) -> Result<(), StoreError> {
    let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let version = u32::try_from(number("PRAGMA user_version")?).map_err(|_| StoreError::Damaged)?;
    let application = number("PRAGMA application_id")?;
    // Another's file, or the wallet's other one, was put in this one's place.
    if version > 0 && application != i64::from(kind.application_id) {
        return Err(StoreError::Misplaced);
    }
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    let pending = kind.migrations.get(done..).ok_or(StoreError::Newer)?;
    for (sql, version) in pending.iter().zip(version + 1..) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", kind.application_id)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
