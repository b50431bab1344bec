//! Opening the wallet: folder, databases, keys; and starting over where they are lost.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::{Status, Wallet, WalletError};
use crate::store::{FolderLock, StatementDb, StoreError, VaultDb, VaultFile};
use crate::vault::{Hierarchy, PlatformKeyStore, VaultError};

/// What an opened wallet holds.
pub(super) struct Opened {
    _lock: FolderLock,
    pub(super) hierarchy: Hierarchy,
    pub(super) vault: VaultDb,
    pub(super) statement: StatementDb,
}

const VAULT: &str = "vault.db";
const STATEMENT: &str = "statement.db";

impl Wallet {
    /// Opens the wallet and arms its cards. Calling it again does no harm.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has the folder; [`VaultError::KeysGone`] when the data was copied from
    /// elsewhere or put back from a copy; [`StoreError::Damaged`]. After the latter two, [`enrol`](Self::enrol) starts
    /// over.
    pub async fn start(self: &Arc<Self>) -> Result<Status, WalletError> {
        self.closed.store(false, Ordering::Relaxed);
        self.ready().await?;
        self.status().await
    }

    /// Opened and armed.
    pub(super) async fn ready(self: &Arc<Self>) -> Result<(), WalletError> {
        self.open().await?;
        self.started.store(true, Ordering::Relaxed);
        self.arm().await
    }

    /// Opens the wallet without arming, for work that does not tap.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn open(self: &Arc<Self>) -> Result<(), WalletError> {
        self.open_with(false).await
    }

    pub(super) async fn open_with(self: &Arc<Self>, start_over: bool) -> Result<(), WalletError> {
        let wallet = Arc::clone(self);
        let task = self.runtime.spawn_blocking(move || {
            let mut held = wallet.opened.lock().unwrap_or_else(PoisonError::into_inner);
            if held.is_none() {
                *held = Some(Arc::new(wallet.open_files(start_over)?));
            }
            Ok(())
        });
        task.await.map_err(|_| WalletError::Interrupted)?
    }

    fn open_files(&self, start_over: bool) -> Result<Opened, WalletError> {
        let folder = &self.config.folder;
        let lock = FolderLock::take(folder)?;
        let opened = self.open_vault();
        let (hierarchy, vault) = match opened {
            Err(error) if start_over && is_lost(&error) => {
                Hierarchy::destroy_all(self.key_store.as_ref())?;
                for name in [VAULT, STATEMENT] {
                    for suffix in ["", "-wal", "-shm"] {
                        remove(&folder.join(format!("{name}{suffix}")))?;
                    }
                }
                self.open_vault()?
            }
            opened => opened?,
        };
        let statement = StatementDb::open(&folder.join(STATEMENT), hierarchy.sealer())?;
        Ok(Opened {
            _lock: lock,
            hierarchy,
            vault,
            statement,
        })
    }

    fn open_vault(&self) -> Result<(Hierarchy, VaultDb), WalletError> {
        let file = VaultFile::open(&self.config.folder.join(VAULT))?;
        let key_store: Arc<dyn PlatformKeyStore> = Arc::clone(&self.key_store);
        let hierarchy = match file.installation()? {
            Some(record) => Hierarchy::open(key_store, &record)?,
            None => {
                let (hierarchy, record) = Hierarchy::create(key_store)?;
                file.create_installation(&record)?;
                hierarchy
            }
        };
        let vault = file.unlock(hierarchy.sealer());
        // A crash may have fallen between a commit and the deletion of the older alias; and an older database is
        // noticed here, before anything is done with it.
        if let Some(record) = vault.read(|tx| tx.arming())? {
            hierarchy.arming(Some(&record))?;
            hierarchy.retire_older(&record)?;
        }
        Ok((hierarchy, vault))
    }

    /// Ends the wallet's work: the field is left, reserved payments that were not used are given back, the folder is free.
    ///
    /// # Errors
    /// When giving back failed; the reserved ATCs are then burnt, and the wallet is closed all the same.
    pub async fn close(self: &Arc<Self>) -> Result<(), WalletError> {
        self.closed.store(true, Ordering::Relaxed);
        self.started.store(false, Ordering::Relaxed);
        let given_back = match self.opened() {
            Ok(_) => {
                self.deactivated();
                self.settled().await;
                self.disarm().await
            }
            Err(_) => Ok(()),
        };
        *self.backend.lock().await = None;
        let opened = self
            .opened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // SQLite checkpoints and closes on the last drop, which blocks.
        let task = self.runtime.spawn_blocking(move || drop(opened));
        task.await.map_err(|_| WalletError::Interrupted)?;
        given_back
    }
}

/// Whether the data can never be used again, so that only a new enrolment helps.
fn is_lost(error: &WalletError) -> bool {
    matches!(
        error,
        WalletError::Vault(VaultError::KeysGone | VaultError::Unsealable)
            | WalletError::Store(StoreError::Damaged | StoreError::Seal(_))
    )
}

fn remove(path: &std::path::Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
