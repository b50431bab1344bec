//! The platform anchor: what of a phone survives when its app's data is put back.
//!
//! It stands for the phone's key hardware (Android's Keystore, Apple's Secure Enclave and keychain): keys that are made,
//! used, deleted and listed under aliases and cannot be read out. **It has no counter**, because no phone gives an app
//! one that survives a restore of its data: StrongBox and the Secure Enclave keep theirs to themselves, attestation counters
//! live with the vendor's server. So whatever the core notices of an older database, it notices by keys that are gone.
//! It lives in memory, outside of the wallet's folder, as the hardware lies outside of what a backup, a clone or a file
//! manager reaches; a test that restores data keeps the anchor, and one that moves data to "another phone" takes a new one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use fault_vfs::Disk;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use tapcore::ffi::{
    AttestedKey, ClockReading, KeyStoreError, PlatformClock, PlatformKeyStore, SecurityLevel,
};

/// Keys by alias.
type Keys = BTreeMap<String, Vec<u8>>;

/// A phone's key hardware.
#[derive(Default)]
pub(crate) struct Anchor(Mutex<Keys>);

impl Anchor {
    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same hardware in another course of events.
    pub(crate) fn fork(&self) -> Arc<Self> {
        Arc::new(Self(Mutex::new(self.keys().clone())))
    }

    /// All aliases.
    pub(crate) fn aliases(&self) -> Vec<String> {
        self.keys().keys().cloned().collect()
    }

    /// A key is lost.
    pub(crate) fn forget(&self, alias: &str) {
        self.keys().remove(alias);
    }

    /// The aliases under which arming keys lie.
    pub(crate) fn armings(&self) -> Vec<String> {
        let keys = self.keys();
        let armings = keys.keys().filter(|alias| alias.contains(".arming."));
        armings.cloned().collect()
    }
}

/// What happens at one of the calls to the key store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is refused; nothing was done.
    Refused,
    /// It is refused, and all calls after it.
    AllRefused,
    /// It is done, and an error comes back all the same.
    DoneButRefused,
    /// The process is killed before it is done.
    KilledBefore,
    /// The process is killed when it is done.
    KilledAfter,
    /// The platform says that a person closed a prompt; nothing was done.
    Cancelled,
    /// The platform says that there is no such key, though there is; nothing was done.
    Gone,
    /// The platform says that it has invalidated the key; nothing was done.
    Invalidated,
}

impl Trouble {
    /// Refusals and kills.
    pub(crate) const REFUSED: [Self; 5] = [
        Self::Refused,
        Self::AllRefused,
        Self::DoneButRefused,
        Self::KilledBefore,
        Self::KilledAfter,
    ];

    /// What a platform may say besides.
    pub(crate) const TOLD: [Self; 3] = [Self::Cancelled, Self::Gone, Self::Invalidated];

    /// What the platform says.
    pub(crate) fn error(self) -> KeyStoreError {
        match self {
            Self::Cancelled => KeyStoreError::UserCancelled,
            Self::Gone => KeyStoreError::NotFound,
            Self::Invalidated => KeyStoreError::Invalidated,
            _ => KeyStoreError::Unavailable,
        }
    }
}

/// The anchor as one process reaches it. When the process dies, so does this: work that the test could not stop in time
/// changes no key any more.
pub(crate) struct Hardware {
    anchor: Arc<Anchor>,
    disk: Arc<Disk>,
    dead: AtomicBool,
    calls: AtomicU64,
    trouble: Mutex<Option<(u64, Trouble)>>,
    random: SystemRandom,
}

impl Hardware {
    pub(crate) fn new(anchor: Arc<Anchor>, disk: Arc<Disk>) -> Self {
        Self {
            anchor,
            disk,
            dead: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            trouble: Mutex::new(None),
            random: SystemRandom::new(),
        }
    }

    /// Plans trouble at the `at`th call from now.
    pub(crate) fn plan(&self, at: u64, trouble: Trouble) {
        self.calls.store(0, Ordering::SeqCst);
        *self.trouble.lock().unwrap() = Some((at, trouble));
    }

    /// Whether the planned call came; nothing is planned any more.
    pub(crate) fn heal(&self) -> bool {
        let planned = self.trouble.lock().unwrap().take();
        planned.is_some_and(|(at, _)| self.calls.load(Ordering::SeqCst) >= at)
    }

    /// See [`Anchor::armings`].
    pub(crate) fn armings(&self) -> Vec<String> {
        self.anchor.armings()
    }

    /// The process is no more.
    pub(crate) fn die(&self) {
        // In turn with calls: the anchor's lock is held while a call does its work.
        let _turn = self.anchor.keys();
        self.dead.store(true, Ordering::SeqCst);
    }

    fn call<T>(
        &self,
        work: impl FnOnce(&mut Keys) -> Result<T, KeyStoreError>,
    ) -> Result<T, KeyStoreError> {
        let mut keys = self.anchor.keys();
        if self.dead.load(Ordering::SeqCst) || self.disk.is_dead() {
            return Err(KeyStoreError::Unavailable);
        }
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let trouble = match *self.trouble.lock().unwrap() {
            Some((at, trouble)) if at == call => trouble,
            Some((at, Trouble::AllRefused)) if at < call => Trouble::AllRefused,
            _ => return work(&mut keys),
        };
        if matches!(trouble, Trouble::DoneButRefused | Trouble::KilledAfter) {
            drop(work(&mut keys));
        }
        if matches!(trouble, Trouble::KilledBefore | Trouble::KilledAfter) {
            self.dead.store(true, Ordering::SeqCst);
            self.disk.cut();
        }
        Err(trouble.error())
    }

    fn fresh<const N: usize>(&self) -> Result<[u8; N], KeyStoreError> {
        let mut bytes = [0; N];
        let filled = self.random.fill(&mut bytes);
        filled.map_err(|_| KeyStoreError::Unavailable)?;
        Ok(bytes)
    }
}

fn wrapping_key(keys: &Keys, alias: &str) -> Result<LessSafeKey, KeyStoreError> {
    let key = keys.get(alias).ok_or(KeyStoreError::NotFound)?;
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| KeyStoreError::Invalidated)?;
    Ok(LessSafeKey::new(key))
}

impl PlatformKeyStore for Hardware {
    fn security_level(&self) -> SecurityLevel {
        SecurityLevel::Software
    }

    fn create_wrapping_key(&self, alias: String) -> Result<(), KeyStoreError> {
        let key: [u8; 32] = self.fresh()?;
        self.call(|keys| {
            keys.insert(alias, key.to_vec());
            Ok(())
        })
    }

    fn wrap(&self, alias: String, key: Vec<u8>) -> Result<Vec<u8>, KeyStoreError> {
        let nonce: [u8; NONCE_LEN] = self.fresh()?;
        self.call(|keys| {
            let mut sealed = key;
            let unique = Nonce::assume_unique_for_key(nonce);
            let wrapped = wrapping_key(keys, &alias)?.seal_in_place_append_tag(
                unique,
                Aad::empty(),
                &mut sealed,
            );
            wrapped.map_err(|_| KeyStoreError::Unavailable)?;
            Ok([&nonce[..], &sealed].concat())
        })
    }

    fn unwrap(&self, alias: String, wrapped: Vec<u8>) -> Result<Vec<u8>, KeyStoreError> {
        self.call(|keys| {
            let split = wrapped.split_first_chunk::<NONCE_LEN>();
            let (nonce, sealed) = split.ok_or(KeyStoreError::Invalidated)?;
            let mut buffer = sealed.to_vec();
            let unique = Nonce::assume_unique_for_key(*nonce);
            let plain =
                wrapping_key(keys, &alias)?.open_in_place(unique, Aad::empty(), &mut buffer);
            Ok(plain.map_err(|_| KeyStoreError::Invalidated)?.to_vec())
        })
    }

    fn create_verified_key(&self, alias: String) -> Result<(), KeyStoreError> {
        // The person is the test: see `Hardware::prompt`.
        self.create_wrapping_key(alias)
    }

    fn create_signing_key(
        &self,
        alias: String,
        _challenge: Vec<u8>,
    ) -> Result<AttestedKey, KeyStoreError> {
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.random)
            .map_err(|_| KeyStoreError::Unavailable)?;
        self.call(|keys| {
            keys.insert(alias.clone(), pair.as_ref().to_vec());
            Ok(AttestedKey {
                public_key: self.pair(keys, &alias)?.public_key().as_ref().to_vec(),
                // A software key store proves nothing.
                attestation: Vec::new(),
            })
        })
    }

    fn sign(&self, alias: String, message: Vec<u8>) -> Result<Vec<u8>, KeyStoreError> {
        self.call(|keys| {
            let signature = self.pair(keys, &alias)?.sign(&self.random, &message);
            let signature = signature.map_err(|_| KeyStoreError::Unavailable)?;
            Ok(signature.as_ref().to_vec())
        })
    }

    fn delete(&self, alias: String) -> Result<(), KeyStoreError> {
        self.call(|keys| {
            keys.remove(&alias);
            Ok(())
        })
    }

    fn aliases(&self) -> Result<Vec<String>, KeyStoreError> {
        self.call(|keys| Ok(keys.keys().cloned().collect()))
    }
}

impl Hardware {
    fn pair(&self, keys: &Keys, alias: &str) -> Result<EcdsaKeyPair, KeyStoreError> {
        let key = keys.get(alias).ok_or(KeyStoreError::NotFound)?;
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key, &self.random)
            .map_err(|_| KeyStoreError::Invalidated)
    }
}

/// This computer's clocks; the phone is never restarted.
pub(crate) struct SystemClock {
    begun: Instant,
    skipped_ms: AtomicI64,
}

impl SystemClock {
    pub(crate) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            skipped_ms: AtomicI64::new(0),
        }
    }

    /// As if so much time had passed. The next life knows nothing of it, so it must stay below what counts as a clock that
    /// was set, five minutes.
    pub(crate) fn skip(&self, ms: i64) {
        self.skipped_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl PlatformClock for SystemClock {
    fn now(&self) -> ClockReading {
        let skipped_ms = self.skipped_ms.load(Ordering::SeqCst);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let wall_ms = since_epoch.unwrap_or_default().as_millis();
        let since_boot_ms = self.begun.elapsed().as_millis();
        ClockReading {
            wall_ms: i64::try_from(wall_ms).unwrap_or(i64::MAX) + skipped_ms,
            boot_id: "the only one".into(),
            since_boot_ms: i64::try_from(since_boot_ms).unwrap_or(i64::MAX) + skipped_ms,
        }
    }
}
