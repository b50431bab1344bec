//! Opening the wallet: folder, databases, keys; and starting over where they are lost.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Status, Wallet, WalletError};
use crate::store::{FolderLock, SealError, StatementDb, StoreError, VaultDb, VaultFile};
use crate::vault::{Hierarchy, PlatformKeyStore};

/// What an opened wallet holds.
pub(super) struct Opened {
    _lock: FolderLock,
    pub(super) hierarchy: Hierarchy,
    pub(super) vault: VaultDb,
    pub(super) statement: StatementDb,
}

const VAULT: &str = "vault.db";
const STATEMENT: &str = "statement.db";
/// How long closing waits for work under way.
const CLOSING: Duration = Duration::from_secs(5);

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
        let turn = Arc::clone(&self.opening).lock_owned().await;
        let wallet = Arc::clone(self);
        let task = self.runtime.spawn_blocking(move || {
            let _turn = turn;
            if wallet.held().is_none() {
                let opened = Arc::new(wallet.open_files(start_over)?);
                *wallet.held() = Some(opened);
            }
            Ok(())
        });
        task.await.map_err(|_| WalletError::Interrupted)?
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<Opened>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_files(&self, start_over: bool) -> Result<Opened, WalletError> {
        let folder = &self.config.folder;
        let lock = FolderLock::take(folder)?;
        let opened = self.open_vault().and_then(|(hierarchy, vault)| {
            if start_over {
                check(&hierarchy, &vault)?;
            }
            Ok((hierarchy, vault))
        });
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
        let record = vault.read(|tx| {
            // Every row is opened once: what is damaged must be noticed while enrolling again can still be offered.
            tx.tokens()?;
            tx.record::<serde_json::Value>(super::enrol::RECORD)?;
            tx.record::<serde_json::Value>(super::add_card::RECORD)?;
            tx.journal_after(0)?;
            tx.arming()
        })?;
        if let Some(record) = record {
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
        let opened = self.held().take();
        // Work under way still uses the databases; SQLite checkpoints and closes with the last of it. Both block.
        let task = self.runtime.spawn_blocking(move || {
            let Some(opened) = opened else { return };
            let patience = Instant::now() + CLOSING;
            while Arc::strong_count(&opened) > 1 && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        task.await.map_err(|_| WalletError::Interrupted)?;
        given_back
    }
}

/// Uses every key and opens every secret once. Whoever may start over wants to know whether all of it still works;
/// others find out when they use it.
pub(super) fn check(hierarchy: &Hierarchy, vault: &VaultDb) -> Result<(), WalletError> {
    hierarchy.probe()?;
    let (record, tokens) = vault.read(|tx| Ok((tx.arming()?, tx.tokens()?)))?;
    let arming = hierarchy.arming(record.as_ref())?;
    for stored in tokens {
        let token = stored.token.reference;
        for (name, sealed) in vault.read(|tx| tx.secrets(&token))? {
            arming.open_secret(&token, &name, &sealed)?;
        }
    }
    Ok(())
}

/// Whether the data can never be used again, so that only a new enrolment helps. What a newer version wrote is not lost.
pub(super) fn is_lost(error: &WalletError) -> bool {
    match error {
        WalletError::Vault(error) => error.is_gone(),
        WalletError::Store(StoreError::Damaged | StoreError::Seal(SealError::Unsealable)) => true,
        _ => false,
    }
}

fn remove(path: &std::path::Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
