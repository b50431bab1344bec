//! Opening the wallet: folder, databases, keys; and starting over where they are lost.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Status, Wallet, WalletError};
use crate::store::{FolderLock, SealError, StatementDb, StoreError, VaultDb, VaultFile};
use crate::vault::{Arming, Hierarchy, PlatformKeyStore, VaultError};

/// What an opened wallet holds.
pub(super) struct Opened {
    _lock: FolderLock,
    pub(super) hierarchy: Hierarchy,
    pub(super) vault: VaultDb,
    pub(super) statement: StatementDb,
}

/// What opening may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Open what is there.
    Usual,
    /// Begin with empty databases where what is there is lost.
    StartingOver,
}

const VAULT: &str = "vault.db";
const STATEMENT: &str = "statement.db";
/// How long closing waits for work under way.
const CLOSING: Duration = Duration::from_secs(5);

impl Opened {
    /// The arming in force.
    pub(super) fn arming(&self) -> Result<Arming, WalletError> {
        let record = self.vault.read(|tx| tx.arming())?;
        Ok(self
            .hierarchy
            .arming(&record.ok_or(VaultError::KeysGone)?)?)
    }
}

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

    /// Opened and armed, unless the wallet was shut down: a tap does not open it again.
    pub(super) async fn ready(self: &Arc<Self>) -> Result<(), WalletError> {
        self.open_with(Opening::Usual).await?;
        self.started.store(true, Ordering::Relaxed);
        self.arm().await
    }

    /// Opens the wallet without arming, for work that does not tap.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn open(self: &Arc<Self>) -> Result<(), WalletError> {
        self.closed.store(false, Ordering::Relaxed);
        self.open_with(Opening::Usual).await
    }

    pub(super) async fn open_with(self: &Arc<Self>, how: Opening) -> Result<(), WalletError> {
        let turn = Arc::clone(&self.opening).lock_owned().await;
        let wallet = Arc::clone(self);
        let task = self.runtime.spawn_blocking(move || {
            let _turn = turn;
            // Shutting down takes this turn as well, so what it has closed is not opened behind its back.
            if wallet.closed.load(Ordering::Relaxed) {
                return Err(WalletError::NotStarted);
            }
            if wallet.held().is_none() {
                let opened = Arc::new(wallet.open_files(how)?);
                *wallet.held() = Some(opened);
            }
            Ok(())
        });
        task.await.map_err(|_| WalletError::Interrupted)?
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<Opened>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_files(&self, how: Opening) -> Result<Opened, WalletError> {
        let folder = &self.config.folder;
        let lock = FolderLock::take(folder)?;
        let opened = self.open_vault().and_then(|(hierarchy, vault)| {
            if how == Opening::StartingOver {
                check(&hierarchy, &vault)?;
            }
            Ok((hierarchy, vault))
        });
        let (hierarchy, vault) = match opened {
            Err(error) if how == Opening::StartingOver && is_lost(&error) => {
                // Another wallet of this app may have keys of its own.
                let known =
                    VaultFile::open(&folder.join(VAULT)).and_then(|file| file.installation());
                let installation = known.ok().flatten().map(|record| record.installation);
                Hierarchy::destroy(self.key_store.as_ref(), installation.as_ref())?;
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
        let mut file = VaultFile::open(&self.config.folder.join(VAULT))?;
        let key_store: Arc<dyn PlatformKeyStore> = Arc::clone(&self.key_store);
        let hierarchy = match file.installation()? {
            Some(record) => Hierarchy::open(key_store, &record)?,
            None => {
                let (hierarchy, record, arming) = Hierarchy::create(key_store)?;
                file.create_installation(&record, &arming)?;
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
        // There is an arming from the first commit on; a file without one is older than the wallet.
        let record = record.ok_or(VaultError::KeysGone)?;
        hierarchy.arming(&record)?;
        hierarchy.retire_older(&record)?;
        Ok((hierarchy, vault))
    }

    /// Ends the wallet's work: the field is left, reserved payments that were not used are given back, the folder is free.
    ///
    /// # Errors
    /// When giving back failed, or the last taps could not be written down; the reserved ATCs are then burnt, and the
    /// wallet is closed all the same.
    pub async fn close(self: &Arc<Self>) -> Result<(), WalletError> {
        self.closed.store(true, Ordering::Relaxed);
        self.started.store(false, Ordering::Relaxed);
        let _turn = self.opening.lock().await;
        let given_back = match self.opened() {
            Ok(_) => {
                self.deactivated();
                let settled = self.settled().await;
                self.disarm().await.and(settled)
            }
            Err(_) => Ok(()),
        };
        let opened = self.held().take();
        *self.backend.lock().await = None;
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
    let arming = hierarchy.arming(&record.ok_or(VaultError::KeysGone)?)?;
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
