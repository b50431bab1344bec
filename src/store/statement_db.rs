//! `statement.db`: the projection that a person sees.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::connection::{self, Kind};
use super::{Place, Sealer, StoreError};
use crate::bind::bind;
use crate::statement::{Entry, Mark, Payment};

const KIND: Kind = Kind {
    synchronous: "NORMAL",
    secure_delete: "FAST",
    application_id: i32::from_be_bytes(*b"TapS"),
    migrations: &[include_str!("migrations/statement/001_first.sql")],
};

/// The statement's database. All of it comes back, so it is never a reason to fail: see [`StatementDb::reset`].
pub struct StatementDb {
    path: PathBuf,
    /// Nothing before its first use, and while the file could not be made anew; the next use tries again.
    connection: Mutex<Option<Connection>>,
    sealer: Arc<dyn Sealer>,
}

impl StatementDb {
    /// The statement in this file. A tap needs none of it, so it is opened at its first use; one that is damaged, foreign or
    /// newer is deleted and made anew then.
    pub fn new(path: &Path, sealer: Arc<dyn Sealer>) -> Self {
        Self {
            path: path.to_owned(),
            connection: Mutex::new(None),
            sealer,
        }
    }

    /// Throws everything away, so that issuer and journal are taken in from their beginnings.
    ///
    /// # Errors
    /// When the folder cannot be written or the disk is full.
    pub fn reset(&self) -> Result<(), StoreError> {
        let mut held = self.lock();
        // The file must be closed before it is deleted.
        drop(held.take());
        *held = Some(recreate(&self.path)?);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut held = self.lock();
        let connection = match held.take() {
            Some(connection) => connection,
            None => match connection::open(&self.path, &KIND) {
                Err(error) if error.is_loss() => recreate(&self.path)?,
                opened => opened?,
            },
        };
        work(held.insert(connection))
    }

    /// Reads and writes in one transaction.
    ///
    /// # Errors
    /// What `work` fails with, or the commit.
    pub fn write<T>(
        &self,
        work: impl FnOnce(&StatementTx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&StatementTx {
                transaction: &transaction,
                sealer: self.sealer.as_ref(),
            })?;
            transaction.commit()?;
            Ok(done)
        })
    }

    /// The newest entries that a person should see, newest first, with their identifiers.
    ///
    /// # Errors
    /// When they cannot be read or opened.
    pub fn newest(&self, limit: u32) -> Result<Vec<(String, Entry)>, StoreError> {
        let sql =
            "SELECT id, sealed FROM entry WHERE shown ORDER BY at_ms DESC, rowid DESC LIMIT ?1";
        self.with(|connection| {
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([limit], |row| {
                Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, Vec<u8>>(1)?))
            })?;
            rows.map(|row| {
                let (id, sealed) = row?;
                let plain = self.sealer.open(&place(&id), sealed)?;
                Ok((hex::encode(id), serde_json::from_slice(&plain)?))
            })
            .collect()
        })
    }
}

/// A transaction of `statement.db`.
pub struct StatementTx<'a> {
    transaction: &'a Transaction<'a>,
    sealer: &'a dyn Sealer,
}

impl StatementTx<'_> {
    /// How far a source was taken in, 0 at the start.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn position(&self, name: &'static str) -> Result<i64, StoreError> {
        let sql = "SELECT value FROM position WHERE name = ?1";
        let value = self
            .transaction
            .query_row(sql, [name], |row| row.get(0))
            .optional()?;
        Ok(value.unwrap_or(0))
    }

    /// Records how far a source was taken in, in the same transaction as what was taken.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_position(&self, name: &'static str, value: i64) -> Result<(), StoreError> {
        self.transaction.execute(
            "INSERT INTO position (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
            (name, value),
        )?;
        Ok(())
    }

    /// The entry about a payment.
    ///
    /// # Errors
    /// When it cannot be read or opened.
    pub fn entry(&self, payment: &Payment) -> Result<Option<Entry>, StoreError> {
        let id = self.id(payment);
        let sealed: Option<Vec<u8>> = self
            .transaction
            .query_row("SELECT sealed FROM entry WHERE id = ?1", [id], |row| {
                row.get(0)
            })
            .optional()?;
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        let plain = self.sealer.open(&place(&id), sealed)?;
        Ok(Some(serde_json::from_slice(&plain)?))
    }

    /// Writes the entry about its payment.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_entry(&self, entry: &Entry) -> Result<(), StoreError> {
        let id = self.id(&entry.payment);
        let sealed = self.sealer.seal(&place(&id), &serde_json::to_vec(entry)?)?;
        self.transaction.execute(
            "INSERT INTO entry (id, at_ms, shown, sealed) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET at_ms = ?2, shown = ?3, sealed = ?4",
            (id, entry.at_ms, entry.is_shown(), sealed),
        )?;
        Ok(())
    }

    fn id(&self, payment: &Payment) -> [u8; 16] {
        let token = payment.token.as_str().as_bytes();
        let key = match &payment.mark {
            Mark::Card { atc } => bind("payment", &[token, &atc.to_be_bytes()]),
            Mark::Code { payment_id } => bind("code payment", &[token, payment_id.as_bytes()]),
        };
        self.sealer.lookup("entry", &key)
    }
}

fn recreate(path: &Path) -> Result<Connection, StoreError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    connection::open(path, &KIND)
}

fn place(row: &[u8]) -> Place<'_> {
    Place {
        table: "entry",
        column: "sealed",
        row,
    }
}
