//! Wiping: the keys first, then the files. What is begun is finished, at the next opening if need be.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::open::{STATEMENT, VAULT, let_go};
use super::settle::News;
use super::{Wallet, WalletError};
use crate::store::{FolderLock, StoreError, VaultFile};
use crate::vault::{Hierarchy, PlatformKeyStore};

/// Says that a wipe was begun, and of which installation.
const MARKER: &str = "wiping";

impl Wallet {
    /// Wipes the wallet from this phone: taps end at once, then the platform keys go, then the files. Doing it again does
    /// no harm; where it is interrupted, the next opening goes on with it.
    ///
    /// The provider is not told: to end the cards there too, delete them or wipe this phone from another one.
    ///
    /// # Errors
    /// When a key or file may still be there; try again.
    pub async fn wipe(self: &Arc<Self>) -> Result<(), WalletError> {
        let wallet = Arc::clone(self);
        // What is begun goes on, even when nobody waits for it any more.
        let task = self.runtime.spawn(async move { wallet.wipe_now().await });
        task.await.map_err(|_| WalletError::Interrupted)?
    }

    async fn wipe_now(self: &Arc<Self>) -> Result<(), WalletError> {
        // A reader must not open it again.
        self.closed.store(true, Ordering::Relaxed);
        self.started.store(false, Ordering::Relaxed);
        self.take_code_away();
        self.tap.disarm();
        // The card that was to pay alone will be none of the next wallet's.
        self.tap.use_next(None);
        self.forget_verification();
        let turn = Arc::clone(&self.opening).lock_owned().await;
        let keys = Arc::clone(&self.keys).lock_owned().await;
        // An arming or a verification that was under way has put its work back meanwhile.
        self.take_code_away();
        self.tap.disarm();
        self.forget_verification();
        let wallet = Arc::clone(self);
        let task = self.runtime.spawn_blocking(move || {
            let _turns = (turn, keys);
            let opened = wallet.held().take();
            let _lock = match opened {
                Some(_) => None,
                None => Some(FolderLock::take(&wallet.config.folder)?),
            };
            let wiped = wipe(&wallet.config.folder, wallet.key_store.as_ref());
            // Only now is the folder free for others, this wallet's next try among them: work that was under way in the
            // background holds it as well.
            if let Some(opened) = opened {
                let_go(opened);
            }
            wiped
        });
        let wiped = task.await.map_err(|_| WalletError::Interrupted)?;
        // Nobody makes a client of the wallet that was, now that nothing is opened.
        *self.backend.lock().await = None;
        self.tap.announce(News::Forget);
        wiped
    }
}

/// Whether a wipe of this folder was begun and not finished.
pub(super) fn is_under_way(folder: &Path) -> bool {
    folder.join(MARKER).exists()
}

/// Wipes a folder and the platform keys of the wallet in it. The caller has the folder's lock.
pub(super) fn wipe(folder: &Path, key_store: &dyn PlatformKeyStore) -> Result<(), WalletError> {
    tracing::warn!("wiping");
    let marker = folder.join(MARKER);
    if !is_under_way(folder) {
        if !folder.join(VAULT).exists() {
            // There is no wallet here, and other folders' keys are not this one's to delete.
            return Ok(());
        }
        // Another wallet of this app may have keys of its own; where it cannot be known whose they are, all go.
        let known = VaultFile::open(&folder.join(VAULT)).and_then(|file| file.installation());
        let installation = known.ok().flatten().map(|record| record.installation);
        // The keys go whatever becomes of the marker: a full disk must not hold that off.
        let marked = mark(folder, installation.as_ref());
        Hierarchy::destroy(key_store, installation.as_ref())?;
        marked?;
    }
    let named = fs::read_to_string(&marker).map_err(StoreError::from)?;
    let installation: Option<[u8; 16]> = hex::FromHex::from_hex(named.trim()).ok();
    Hierarchy::destroy(key_store, installation.as_ref())?;
    for name in [VAULT, STATEMENT] {
        for suffix in ["-wal", "-shm", ""] {
            remove(&folder.join(format!("{name}{suffix}")))?;
        }
    }
    // The marker goes last, over a power cut as well.
    sync(folder)?;
    remove(&marker)?;
    Ok(sync(folder)?)
}

fn mark(folder: &Path, installation: Option<&[u8; 16]>) -> Result<(), StoreError> {
    let draft = folder.join("wiping.draft");
    let mut file = File::create(&draft)?;
    file.write_all(installation.map(hex::encode).unwrap_or_default().as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, folder.join(MARKER))?;
    sync(folder)
}

fn sync(folder: &Path) -> Result<(), StoreError> {
    Ok(File::open(folder)?.sync_all()?)
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
