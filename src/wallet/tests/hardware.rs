//! Key hardware for tests: it can be slow, fail, lose keys, and stand still in the middle of a call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::phone::PATIENCE;
use crate::vault::{AttestedKey, KeyStoreError, PlatformKeyStore, SecurityLevel};

/// Key hardware that can be slow, and can fail from its Nth call on.
#[derive(Default)]
pub(super) struct Hardware {
    keys: Mutex<HashMap<String, Vec<Vec<u8>>>>,
    /// Of those that a phone counts: questions for the names of keys are not among them.
    pub(super) calls: AtomicU64,
    fails_at: AtomicU64,
    lasting: AtomicBool,
    gate: Mutex<Gate>,
    moved: Condvar,
    pub(super) delay_ms: AtomicU64,
    /// How often a key crossed to the core.
    pub(super) unwraps: AtomicU64,
}

/// Where calls to the key hardware stand still, until a test lets them go on.
#[derive(Default, PartialEq, Eq)]
enum Gate {
    #[default]
    Open,
    /// The next call is held.
    Closed,
    /// A call is being held.
    Held,
}

impl Hardware {
    /// Holds the next call, however long.
    pub(super) fn hold_next(&self) {
        *self.gate.lock().unwrap() = Gate::Closed;
    }

    /// Waits until a call is held.
    pub(super) fn is_held(&self) {
        let gate = self.gate.lock().unwrap();
        let closed = |gate: &mut Gate| *gate != Gate::Held;
        let waited = self.moved.wait_timeout_while(gate, PATIENCE, closed);
        assert!(!waited.unwrap().1.timed_out(), "nobody calls");
    }

    /// Lets it go on.
    pub(super) fn let_go(&self) {
        *self.gate.lock().unwrap() = Gate::Open;
        self.moved.notify_all();
    }

    fn pass_the_gate(&self) {
        let mut gate = self.gate.lock().unwrap();
        if *gate == Gate::Closed {
            *gate = Gate::Held;
            self.moved.notify_all();
            drop(self.moved.wait_while(gate, |gate| *gate == Gate::Held));
        }
    }

    fn call(&self) -> Result<(), KeyStoreError> {
        self.pass_the_gate();
        std::thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst)));
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        match self.fails_at.load(Ordering::SeqCst) {
            at if at == call => Err(KeyStoreError::Unavailable),
            at if at > 0 && at < call && self.lasting.load(Ordering::SeqCst) => {
                Err(KeyStoreError::Unavailable)
            }
            _ => Ok(()),
        }
    }

    /// Makes the Nth call from now fail, once; 0 for none.
    pub(super) fn fail_in(&self, calls: u64) {
        self.calls.store(0, Ordering::SeqCst);
        self.lasting.store(false, Ordering::SeqCst);
        self.fails_at.store(calls, Ordering::SeqCst);
    }

    /// Makes every call fail from the Nth on.
    pub(super) fn fails_from(&self, calls: u64) {
        self.fail_in(calls);
        self.lasting.store(true, Ordering::SeqCst);
    }

    /// Loses a key, as when the platform invalidates it.
    pub(super) fn lose(&self, alias: &str) {
        self.keys.lock().unwrap().remove(alias);
    }

    /// Everything that was ever wrapped and whose key is still there.
    pub(super) fn wrapped(&self) -> Vec<Vec<u8>> {
        self.keys
            .lock()
            .unwrap()
            .values()
            .flatten()
            .cloned()
            .collect()
    }

    /// What the prompt does, with the person there.
    pub(super) fn open(&self, alias: &str, wrapped: &[u8]) -> Vec<u8> {
        self.keys.lock().unwrap()[alias][usize::from(wrapped[0])].clone()
    }

    /// The aliases that hold this text.
    pub(super) fn aliases_with(&self, text: &str) -> Vec<String> {
        let keys = self.keys.lock().unwrap();
        let held = keys.keys().filter(|alias| alias.contains(text));
        held.cloned().collect()
    }
}

impl PlatformKeyStore for Hardware {
    fn security_level(&self) -> SecurityLevel {
        SecurityLevel::Software
    }

    fn create_wrapping_key(&self, alias: &str) -> Result<(), KeyStoreError> {
        self.call()?;
        self.keys.lock().unwrap().insert(alias.into(), Vec::new());
        Ok(())
    }

    fn wrap(&self, alias: &str, key: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.call()?;
        let mut keys = self.keys.lock().unwrap();
        let held = keys.get_mut(alias).ok_or(KeyStoreError::NotFound)?;
        held.push(key.to_vec());
        Ok(vec![u8::try_from(held.len() - 1).unwrap()])
    }

    fn unwrap(&self, alias: &str, wrapped: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.call()?;
        self.unwraps.fetch_add(1, Ordering::SeqCst);
        let keys = self.keys.lock().unwrap();
        let held = keys.get(alias).ok_or(KeyStoreError::NotFound)?;
        held.get(usize::from(wrapped[0]))
            .cloned()
            .ok_or(KeyStoreError::Invalidated)
    }

    fn create_verified_key(&self, alias: &str) -> Result<(), KeyStoreError> {
        self.create_wrapping_key(alias)
    }

    fn create_signing_key(&self, alias: &str, _: &[u8]) -> Result<AttestedKey, KeyStoreError> {
        self.create_wrapping_key(alias)?;
        Ok(AttestedKey {
            public: vec![4; 65],
            attestation: Vec::new(),
        })
    }

    fn sign(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.call()?;
        Ok(vec![0; 64])
    }

    fn delete(&self, alias: &str) -> Result<(), KeyStoreError> {
        self.call()?;
        self.keys.lock().unwrap().remove(alias);
        Ok(())
    }

    fn aliases(&self) -> Result<Vec<String>, KeyStoreError> {
        self.call()?;
        Ok(self.keys.lock().unwrap().keys().cloned().collect())
    }
}
