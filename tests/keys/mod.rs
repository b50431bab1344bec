//! A phone's key store in memory, for tests and benches that need one that works and nothing more.

use std::collections::HashMap;
use std::sync::Mutex;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use tapcore::vault::{AttestedKey, KeyStoreError, PlatformKeyStore, SecurityLevel};

/// Keys by alias: 32 bytes for AES-256-GCM, as in a phone's key store, or a signing key as PKCS #8.
#[derive(Default)]
pub(crate) struct MemoryKeyStore {
    pub(crate) keys: Mutex<HashMap<String, Vec<u8>>>,
}

impl MemoryKeyStore {
    fn key(&self, alias: &str) -> Result<Vec<u8>, KeyStoreError> {
        let keys = self.keys.lock().unwrap();
        keys.get(alias).cloned().ok_or(KeyStoreError::NotFound)
    }

    fn wrapping_key(&self, alias: &str) -> Result<LessSafeKey, KeyStoreError> {
        let key = UnboundKey::new(&AES_256_GCM, &self.key(alias)?);
        key.map(LessSafeKey::new)
            .map_err(|_| KeyStoreError::Invalidated)
    }

    fn put(&self, alias: &str, key: &[u8]) {
        self.keys.lock().unwrap().insert(alias.into(), key.into());
    }
}

impl PlatformKeyStore for MemoryKeyStore {
    fn security_level(&self) -> SecurityLevel {
        SecurityLevel::Software
    }

    fn create_wrapping_key(&self, alias: &str) -> Result<(), KeyStoreError> {
        self.put(alias, &random::<32>());
        Ok(())
    }

    fn create_verified_key(&self, alias: &str) -> Result<(), KeyStoreError> {
        self.create_wrapping_key(alias)
    }

    fn wrap(&self, alias: &str, key: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        let nonce = random::<NONCE_LEN>();
        let mut body = key.to_vec();
        self.wrapping_key(alias)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut body)
            .unwrap();
        Ok([nonce.as_slice(), &body].concat())
    }

    fn unwrap(&self, alias: &str, wrapped: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        let key = self.wrapping_key(alias)?;
        let (nonce, body) = wrapped
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(KeyStoreError::Invalidated)?;
        let (nonce, mut body) = (Nonce::assume_unique_for_key(*nonce), body.to_vec());
        let plain = key.open_in_place(nonce, Aad::empty(), &mut body);
        Ok(plain.map_err(|_| KeyStoreError::Invalidated)?.to_vec())
    }

    fn create_signing_key(&self, alias: &str, _: &[u8]) -> Result<AttestedKey, KeyStoreError> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        self.put(alias, document.as_ref());
        Ok(AttestedKey {
            public: signing_key(document.as_ref())?.public_key().as_ref().into(),
            attestation: Vec::new(),
        })
    }

    fn sign(&self, alias: &str, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        let signature = signing_key(&self.key(alias)?)?
            .sign(&SystemRandom::new(), message)
            .unwrap();
        Ok(signature.as_ref().to_vec())
    }

    fn delete(&self, alias: &str) -> Result<(), KeyStoreError> {
        self.keys.lock().unwrap().remove(alias);
        Ok(())
    }

    fn aliases(&self) -> Result<Vec<String>, KeyStoreError> {
        Ok(self.keys.lock().unwrap().keys().cloned().collect())
    }
}

fn signing_key(document: &[u8]) -> Result<EcdsaKeyPair, KeyStoreError> {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    EcdsaKeyPair::from_pkcs8(algorithm, document, &SystemRandom::new())
        .map_err(|_| KeyStoreError::Invalidated)
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).unwrap();
    bytes
}
