//! Opening the wallet: folder, databases, keys; and starting over where they are lost.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::settle::News;
use super::{Clock, Status, Wallet, WalletError, wipe};
use crate::clock::Anchor;
use crate::secret::wipe_stack;
use crate::store::{
    ArmingRecord, FolderLock, SealError, StatementDb, StoreError, VaultDb, VaultFile, VaultTx,
};
use crate::vault::{Arming, ArmingState, Hierarchy, Person, PlatformKeyStore, VaultError};

/// What an opened wallet holds. Of the keys that pay it holds none.
pub(super) struct Opened {
    _lock: FolderLock,
    pub(super) hierarchy: Hierarchy,
    pub(super) vault: VaultDb,
    pub(super) statement: StatementDb,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    /// The arming as opening read it, for whoever arms next: its key crosses from the platform once.
    fresh: Mutex<Option<Arming>>,
}

/// What is known of the arming in force without its key.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) state: ArmingState,
    pub(super) locked: bool,
    /// The time as it was last written down, milliseconds of Unix time.
    pub(super) written_ms: i64,
}

/// What opening may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Open what is there.
    Usual,
    /// Begin with empty databases where what is there is lost.
    StartingOver,
}

pub(super) const VAULT: &str = "vault.db";
pub(super) const STATEMENT: &str = "statement.db";
/// How long closing waits for work under way.
const CLOSING: Duration = Duration::from_secs(5);

impl Opened {
    /// The arming in force.
    pub(super) fn arming(&self) -> Result<Arming, WalletError> {
        let fresh = self
            .fresh
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut arming = match fresh {
            Some(arming) => arming,
            None => arming_in_force(&self.hierarchy, &self.vault)?.0,
        };
        // The provider may have told the time since.
        arming.state_mut().anchor = self.known().state.anchor;
        Ok(arming)
    }

    /// Closes what opening left open for whoever arms next.
    fn settle_down(&self) {
        drop(
            self.fresh
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }

    /// Counters, times and whether the wallet is locked, as last committed.
    pub(super) fn known(&self) -> Known {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The time, as far as setting the phone's clock does not reach it, in milliseconds of Unix time.
    pub(super) fn time_ms(&self) -> i64 {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.state.anchor.now_ms(&self.clock.now())
    }

    /// Whether somebody has set the phone's clock.
    pub(super) fn sees_clock_jump(&self) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.state.anchor.sees_jump(&self.clock.now())
    }

    /// The provider has told the time.
    pub(super) fn set_time(&self, at_ms: i64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.state.anchor = Anchor::new(at_ms, &self.clock.now());
    }

    /// Makes changes durable under the next arming: one commit for the rows that `work` writes, the state, and the
    /// manifest over all that must not go back. The caller then [retires](retire_older) the arming before.
    ///
    /// # Errors
    /// What `work` fails with, or key store and database; nothing has changed then.
    pub(super) fn commit<T>(
        &self,
        mut arming: Arming,
        work: impl FnOnce(&VaultTx<'_>) -> Result<T, WalletError>,
    ) -> Result<(T, ArmingRecord), WalletError> {
        let sealer = self.hierarchy.sealer();
        let seals = sealer.count().used();
        let reading = self.clock.now();
        let state = arming.state_mut();
        state.seals = seals;
        state.anchor = Anchor::new(state.anchor.now_ms(&reading), &reading);
        let next = arming.begin_next()?;
        let committed = self.vault.write(|tx| {
            let done = work(tx)?;
            let record = arming.seal_next(&next, tx.manifest_root()?)?;
            tx.set_arming(&record)?;
            Ok::<_, WalletError>((done, record))
        })?;
        sealer.count().written(seals);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known::of(&arming);
        Ok(committed)
    }
}

impl Known {
    fn of(arming: &Arming) -> Self {
        Self {
            state: arming.state().clone(),
            locked: arming.is_locked(),
            written_ms: arming.state().anchor.at_ms,
        }
    }
}

/// Opens the arming that the database names, with its record.
fn arming_in_force(
    hierarchy: &Hierarchy,
    vault: &VaultDb,
) -> Result<(Arming, ArmingRecord), WalletError> {
    let (record, root) = vault.read(|tx| Ok((tx.arming()?, tx.manifest_root()?)))?;
    // There is an arming from the first commit on; a file without one is older than the wallet.
    let record = record.ok_or(VaultError::PutBack)?;
    Ok((hierarchy.arming(&record, &root)?, record))
}

impl Wallet {
    /// Opens the wallet and arms its cards. Calling it again does no harm.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has the folder; [`VaultError::OtherPhone`] when the data was copied from
    /// elsewhere, [`VaultError::PutBack`] when from an earlier time; [`StoreError::Damaged`]. After any but the first,
    /// [`enrol`](Self::enrol) starts over.
    pub async fn start(self: &Arc<Self>) -> Result<Status, WalletError> {
        self.closed.store(false, Ordering::Relaxed);
        self.ready().await?;
        self.replenish_soon();
        self.refill_soon();
        self.status().await
    }

    /// Opened and armed, unless the wallet was shut down: a tap does not open it again.
    pub(super) async fn ready(self: &Arc<Self>) -> Result<(), WalletError> {
        self.open_with(Opening::Usual).await?;
        self.started.store(true, Ordering::Relaxed);
        let armed = self.arm().await;
        if let Ok(opened) = self.opened() {
            opened.settle_down();
        }
        armed
    }

    /// Opens the wallet without arming, for work that does not tap.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn open(self: &Arc<Self>) -> Result<(), WalletError> {
        self.closed.store(false, Ordering::Relaxed);
        self.open_with(Opening::Usual).await?;
        self.opened()?.settle_down();
        Ok(())
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
                let opened = wallet.open_files(how);
                wipe_stack();
                match &opened {
                    Ok(_) => tracing::info!("opened"),
                    Err(error) => tracing::warn!(%error, "could not be opened"),
                }
                *wallet.held() = Some(Arc::new(opened?));
            }
            Ok(())
        });
        task.await.map_err(|_| WalletError::Interrupted)?
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Option<Arc<Opened>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_files(&self, how: Opening) -> Result<Opened, WalletError> {
        let folder = &self.config.folder;
        let lock = FolderLock::take(folder)?;
        if wipe::is_under_way(folder) {
            wipe::wipe(folder, self.key_store.as_ref())?;
        }
        let opened = self.open_vault().and_then(|(hierarchy, vault, arming)| {
            if how == Opening::StartingOver {
                check(&hierarchy, &vault, &arming)?;
            }
            Ok((hierarchy, vault, arming))
        });
        let (hierarchy, vault, arming) = match opened {
            Err(error) if how == Opening::StartingOver && is_lost(&error) => {
                tracing::warn!(%error, "starting over with an empty wallet");
                wipe::wipe(folder, self.key_store.as_ref())?;
                // Taps that could not be written down were the lost wallet's.
                self.tap.announce(News::Forget);
                self.tap.use_next(None);
                self.open_vault()?
            }
            opened => opened?,
        };
        let statement = StatementDb::new(&folder.join(STATEMENT), hierarchy.sealer());
        Ok(Opened {
            _lock: lock,
            hierarchy,
            vault,
            statement,
            clock: Arc::clone(&self.clock),
            known: Mutex::new(Known::of(&arming)),
            fresh: Mutex::new(Some(arming)),
        })
    }

    fn open_vault(&self) -> Result<(Hierarchy, VaultDb, Arming), WalletError> {
        let mut file = VaultFile::open(&self.config.folder.join(VAULT))?;
        let key_store: Arc<dyn PlatformKeyStore> = Arc::clone(&self.key_store);
        let hierarchy = match file.installation()? {
            Some(record) => Hierarchy::open(key_store, &record)?,
            None => {
                let reading = self.clock.now();
                let anchor = Anchor::new(reading.wall_ms, &reading);
                let root = file.manifest_root()?;
                let (hierarchy, record, arming) = Hierarchy::create(key_store, anchor, root)?;
                if let Err(error) = file.create_installation(&record, &arming) {
                    // Nobody will ever name these keys.
                    let installation = Some(&record.installation);
                    drop(Hierarchy::destroy(self.key_store.as_ref(), installation));
                    return Err(error.into());
                }
                hierarchy
            }
        };
        let vault = file.unlock(hierarchy.sealer());
        // A crash may have fallen between a commit and the deletion of the older alias; and an older database is
        // noticed here, before anything is done with it.
        let (arming, record) = arming_in_force(&hierarchy, &vault)?;
        hierarchy.retire_older(&record)?;
        hierarchy.sealer().count().resume(arming.state().seals);
        Ok((hierarchy, vault, arming))
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
                self.take_code_away();
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
            if let Some(opened) = opened {
                let_go(opened);
            }
        });
        task.await.map_err(|_| WalletError::Interrupted)?;
        given_back
    }
}

/// Lets go of what was opened, once nobody uses it any more or patience has ended: the folder is free then. It blocks.
pub(super) fn let_go(opened: Arc<Opened>) {
    let patience = Instant::now() + CLOSING;
    while Arc::strong_count(&opened) > 1 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Uses every key and opens every secret once. Whoever may start over wants to know whether all of it still works;
/// others find out when they use it.
pub(super) fn check(
    hierarchy: &Hierarchy,
    vault: &VaultDb,
    arming: &Arming,
) -> Result<(), WalletError> {
    hierarchy.probe()?;
    vault.check()?;
    let tokens = vault.read(|tx| {
        tx.journal_after(0)?;
        tx.record::<serde_json::Value>(super::enrol::RECORD)?;
        tx.record::<serde_json::Value>(super::add_card::RECORD)?;
        tx.tokens()
    })?;
    if arming.is_locked() {
        // The secrets are sealed to a person; unlocking shows whether they open. Where nobody can, they are lost.
        let person: Option<Person> = vault.read(|tx| tx.record(super::person::RECORD))?;
        let way_in =
            person.is_some_and(|person| person.pin.is_some() || person.biometric.is_some());
        return match way_in {
            true => Ok(()),
            false => Err(VaultError::KeysGone.into()),
        };
    }
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
        WalletError::Store(
            StoreError::Damaged | StoreError::Misplaced | StoreError::Seal(SealError::Unsealable),
        ) => true,
        _ => false,
    }
}
