//! A key store that outlives its process, for a phone whose app is started again and again.

use std::path::{Path, PathBuf};

use tapcore::vault::{AttestedKey, KeyStoreError, PlatformKeyStore, SecurityLevel};

use crate::installed::MemoryKeyStore;

/// The key store in memory, with its keys in a file as well.
pub(crate) struct KeptKeyStore {
    keys: MemoryKeyStore,
    file: PathBuf,
}

impl KeptKeyStore {
    /// One that finds its keys in this file, if it is there, and keeps them in it.
    pub(crate) fn at(file: &Path) -> Self {
        let keys = MemoryKeyStore::default();
        let text = std::fs::read_to_string(file).unwrap_or_default();
        for line in text.lines() {
            let (key, alias) = line.split_once(' ').unwrap();
            let mut held = keys.keys.lock().unwrap();
            held.insert(alias.to_owned(), hex::decode(key).unwrap());
        }
        Self {
            keys,
            file: file.to_owned(),
        }
    }

    fn kept<T>(&self, changed: T) -> T {
        let keys = self.keys.keys.lock().unwrap();
        let lines = keys
            .iter()
            .map(|(alias, key)| format!("{} {alias}\n", hex::encode(key)));
        std::fs::write(&self.file, lines.collect::<String>()).unwrap();
        changed
    }
}

impl PlatformKeyStore for KeptKeyStore {
    fn security_level(&self) -> SecurityLevel {
        self.keys.security_level()
    }

    fn create_wrapping_key(&self, alias: &str) -> Result<(), KeyStoreError> {
        let created = self.keys.create_wrapping_key(alias);
        self.kept(created)
    }

    fn create_verified_key(&self, alias: &str) -> Result<(), KeyStoreError> {
        let created = self.keys.create_verified_key(alias);
        self.kept(created)
    }

    fn create_signing_key(
        &self,
        alias: &str,
        challenge: &[u8],
    ) -> Result<AttestedKey, KeyStoreError> {
        let created = self.keys.create_signing_key(alias, challenge);
        self.kept(created)
    }

    fn wrap(&self, alias: &str, key: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.keys.wrap(alias, key)
    }

    fn unwrap(&self, alias: &str, wrapped: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.keys.unwrap(alias, wrapped)
    }

    fn sign(&self, alias: &str, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.keys.sign(alias, message)
    }

    fn delete(&self, alias: &str) -> Result<(), KeyStoreError> {
        let deleted = self.keys.delete(alias);
        self.kept(deleted)
    }

    fn aliases(&self) -> Result<Vec<String>, KeyStoreError> {
        self.keys.aliases()
    }
}
