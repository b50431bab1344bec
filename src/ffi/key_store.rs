//! The platform's key store, implemented in Kotlin or Swift.

use std::sync::Arc;

use crate::vault;

/// Where platform keys live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum SecurityLevel {
    /// In software; refused in production.
    Software,
    /// In a trusted execution environment.
    Tee,
    /// In Android's StrongBox.
    StrongBox,
    /// In Apple's Secure Enclave.
    SecureEnclave,
}

/// Why the key store did not do it. No text crosses: the platform's could name keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum KeyStoreError {
    /// There is no key of that alias.
    #[error("not found")]
    NotFound,
    /// The person closed the prompt.
    #[error("cancelled")]
    UserCancelled,
    /// The platform has invalidated the key.
    #[error("invalidated")]
    Invalidated,
    /// It cannot be used now.
    #[error("unavailable")]
    Unavailable,
}

/// An exception that was not declared: its text is dropped here.
impl From<uniffi::UnexpectedUniFFICallbackError> for KeyStoreError {
    fn from(_: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Unavailable
    }
}

/// A signing key that was made.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct AttestedKey {
    /// SEC1 uncompressed, 65 bytes.
    pub public_key: Vec<u8>,
    /// DER certificates that prove where it lives (Android's key attestation), its own first; none where the platform
    /// gives no such proof.
    pub attestation: Vec<Vec<u8>>,
}

/// Keys that cannot be exported. Calls are synchronous and short and come from worker threads.
#[uniffi::export(foreign)]
pub trait PlatformKeyStore: Send + Sync {
    /// Where its keys live.
    fn security_level(&self) -> SecurityLevel;
    /// Makes a wrapping key of at least 128-bit strength under a new alias.
    fn create_wrapping_key(&self, alias: String) -> Result<(), KeyStoreError>;
    /// Wraps 32 bytes, which the implementation wipes afterwards.
    fn wrap(&self, alias: String, key: Vec<u8>) -> Result<Vec<u8>, KeyStoreError>;
    /// Unwraps what `wrap` gave.
    fn unwrap(&self, alias: String, wrapped: Vec<u8>) -> Result<Vec<u8>, KeyStoreError>;
    /// Makes a wrapping key whose unwrapping needs a person each time, and which a change of the enrolled biometrics
    /// invalidates. `wrap` with it needs nobody. The core never calls `unwrap` with it: the app does, inside its prompt,
    /// between `begin_verification` and `finish_verification`.
    fn create_verified_key(&self, alias: String) -> Result<(), KeyStoreError>;
    /// Makes a P-256 signing key under a new alias, attested over `challenge` where the platform can.
    fn create_signing_key(
        &self,
        alias: String,
        challenge: Vec<u8>,
    ) -> Result<AttestedKey, KeyStoreError>;
    /// Signs with ECDSA and SHA-256: r ‖ s, 64 bytes, never DER.
    fn sign(&self, alias: String, message: Vec<u8>) -> Result<Vec<u8>, KeyStoreError>;
    /// Deletes a key for good; one that is not there is no error.
    fn delete(&self, alias: String) -> Result<(), KeyStoreError>;
    /// The aliases of every key that this app holds.
    fn aliases(&self) -> Result<Vec<String>, KeyStoreError>;
}

/// The foreign key store as the vault sees it.
pub(super) struct Foreign(pub(super) Arc<dyn PlatformKeyStore>);

impl vault::PlatformKeyStore for Foreign {
    fn security_level(&self) -> vault::SecurityLevel {
        match self.0.security_level() {
            SecurityLevel::Software => vault::SecurityLevel::Software,
            SecurityLevel::Tee => vault::SecurityLevel::Tee,
            SecurityLevel::StrongBox => vault::SecurityLevel::StrongBox,
            SecurityLevel::SecureEnclave => vault::SecurityLevel::SecureEnclave,
        }
    }

    fn create_wrapping_key(&self, alias: &str) -> Result<(), vault::KeyStoreError> {
        Ok(self.0.create_wrapping_key(alias.into())?)
    }

    fn wrap(&self, alias: &str, key: &[u8]) -> Result<Vec<u8>, vault::KeyStoreError> {
        Ok(self.0.wrap(alias.into(), key.into())?)
    }

    fn unwrap(&self, alias: &str, wrapped: &[u8]) -> Result<Vec<u8>, vault::KeyStoreError> {
        Ok(self.0.unwrap(alias.into(), wrapped.into())?)
    }

    fn create_verified_key(&self, alias: &str) -> Result<(), vault::KeyStoreError> {
        Ok(self.0.create_verified_key(alias.into())?)
    }

    fn create_signing_key(
        &self,
        alias: &str,
        challenge: &[u8],
    ) -> Result<vault::AttestedKey, vault::KeyStoreError> {
        let made = self.0.create_signing_key(alias.into(), challenge.into())?;
        Ok(vault::AttestedKey {
            public: made.public_key,
            attestation: made.attestation,
        })
    }

    fn sign(&self, alias: &str, message: &[u8]) -> Result<Vec<u8>, vault::KeyStoreError> {
        Ok(self.0.sign(alias.into(), message.into())?)
    }

    fn delete(&self, alias: &str) -> Result<(), vault::KeyStoreError> {
        Ok(self.0.delete(alias.into())?)
    }

    fn aliases(&self) -> Result<Vec<String>, vault::KeyStoreError> {
        Ok(self.0.aliases()?)
    }
}

impl From<KeyStoreError> for vault::KeyStoreError {
    fn from(error: KeyStoreError) -> Self {
        match error {
            KeyStoreError::NotFound => Self::NotFound,
            KeyStoreError::UserCancelled => Self::UserCancelled,
            KeyStoreError::Invalidated => Self::Invalidated,
            KeyStoreError::Unavailable => Self::Unavailable,
        }
    }
}
