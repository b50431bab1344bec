//! `vault.db`: opened, unlocked, then read and written in transactions.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::connection::{self, Kind};
use super::manifest::{self, ManifestRoot};
use super::{ArmingRecord, InstallationRecord, Sealer, StoreError, VaultTx, vault_tx};

const KIND: Kind = Kind {
    synchronous: "FULL",
    secure_delete: "ON",
    application_id: i32::from_be_bytes(*b"TapV"),
    migrations: &[include_str!("migrations/vault/001_first.sql")],
};

/// The file before its keys are there.
pub struct VaultFile {
    connection: Connection,
}

impl VaultFile {
    /// Opens the file, which is made when it is not there.
    ///
    /// # Errors
    /// When it is damaged, newer than this code, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = connection::open(path, &KIND)?;
        Ok(Self { connection })
    }

    /// The installation, nothing in a new file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn installation(&self) -> Result<Option<InstallationRecord>, StoreError> {
        let row = self
            .connection
            .query_row(
                "SELECT installation, storage FROM installation",
                [],
                |row| {
                    Ok(InstallationRecord {
                        installation: row.get(0)?,
                        storage: row.get(1)?,
                    })
                },
            )
            .optional()?;
        Ok(row)
    }

    /// The arming in force.
    #[cfg(test)]
    pub(crate) fn arming(&self) -> Result<Option<ArmingRecord>, StoreError> {
        vault_tx::arming(&self.connection)
    }

    /// The manifest's root as it is now.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn manifest_root(&mut self) -> Result<ManifestRoot, StoreError> {
        manifest::root(&self.connection.transaction()?)
    }

    /// Records a new installation with its first arming, in one commit.
    ///
    /// # Errors
    /// When it cannot be written, or there is one.
    pub fn create_installation(
        &mut self,
        record: &InstallationRecord,
        arming: &ArmingRecord,
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO installation (id, installation, storage) VALUES (1, ?1, ?2)",
            (record.installation, &record.storage),
        )?;
        vault_tx::set_arming(&transaction, arming)?;
        Ok(transaction.commit()?)
    }

    /// The database, with the sealer of its installation.
    pub fn unlock(self, sealer: Arc<dyn Sealer>) -> VaultDb {
        VaultDb {
            connection: Mutex::new(self.connection),
            sealer,
        }
    }
}

/// The truth of what happened on this phone.
pub struct VaultDb {
    connection: Mutex<Connection>,
    sealer: Arc<dyn Sealer>,
}

impl VaultDb {
    /// Reads and writes in one transaction, which is durable when this returns without an error and left no trace
    /// otherwise.
    ///
    /// # Errors
    /// What `work` fails with, or the commit.
    pub fn write<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&VaultTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // A panic inside `work` has rolled its transaction back, so the connection is as good as before.
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let done = work(&VaultTx::new(&transaction, self.sealer.as_ref()))?;
        transaction.commit().map_err(StoreError::from)?;
        Ok(done)
    }

    /// Reads in one transaction.
    ///
    /// # Errors
    /// What `work` fails with.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&VaultTx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction()?;
        work(&VaultTx::new(&transaction, self.sealer.as_ref()))
    }

    /// Looks at every page, those that reading alone would not touch included.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn check(&self) -> Result<(), StoreError> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connection::check(&connection)
    }

    /// Lets the file grow by little more than it has.
    #[cfg(test)]
    pub(super) fn limit_pages(&self) {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connection
            .query_row("PRAGMA max_page_count = 40", [], |row| row.get::<_, i64>(0))
            .unwrap();
    }
}
