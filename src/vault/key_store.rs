//! The phone's key hardware, as the vault sees it.

/// Why the platform's key store did not do what it was asked. No text of the platform comes along: it could name keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyStoreError {
    /// There is no key of that alias.
    #[error("the key is not there")]
    NotFound,
    /// The person closed the prompt.
    #[error("the prompt was closed")]
    UserCancelled,
    /// The platform has invalidated the key, as after a change of the enrolled biometrics.
    #[error("the key was invalidated by the phone")]
    Invalidated,
    /// It cannot be reached now.
    #[error("it cannot be reached now")]
    Unavailable,
}

/// Where platform keys live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityLevel {
    /// In software. Refused in production.
    Software,
    /// In a trusted execution environment.
    Tee,
    /// In a secure element of the phone (StrongBox).
    StrongBox,
    /// In Apple's Secure Enclave.
    SecureEnclave,
}

impl SecurityLevel {
    /// As the provider is told.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Tee => "tee",
            Self::StrongBox => "strongbox",
            Self::SecureEnclave => "secure_enclave",
        }
    }
}

/// A signing key that was made, and what proves where it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestedKey {
    /// SEC1 uncompressed, 65 bytes.
    pub public: Vec<u8>,
    /// DER certificates, the key's own first; none where the platform gives no such proof.
    pub attestation: Vec<Vec<u8>>,
}

/// The platform's key store: keys that cannot be exported, under aliases that survive the app's own files.
///
/// Every call is synchronous and short; what needs a person is prepared before. Calls come from worker threads.
pub trait PlatformKeyStore: Send + Sync {
    /// Where its keys live.
    fn security_level(&self) -> SecurityLevel;

    /// Makes a wrapping key of at least 128-bit strength under a new alias.
    ///
    /// # Errors
    /// When the key cannot be made.
    fn create_wrapping_key(&self, alias: &str) -> Result<(), KeyStoreError>;

    /// Makes a wrapping key whose unwrapping needs a person each time, and which a change of the enrolled biometrics
    /// invalidates. Wrapping needs nobody. The core never unwraps with it: the shell does, inside its prompt.
    ///
    /// # Errors
    /// When the key cannot be made, as where no biometric is enrolled.
    fn create_verified_key(&self, alias: &str) -> Result<(), KeyStoreError>;

    /// Wraps 32 bytes.
    ///
    /// # Errors
    /// When there is no such key or it cannot be used now.
    fn wrap(&self, alias: &str, key: &[u8]) -> Result<Vec<u8>, KeyStoreError>;

    /// Unwraps what [`wrap`](Self::wrap) gave.
    ///
    /// # Errors
    /// When there is no such key, it cannot be used now, or it did not wrap this.
    fn unwrap(&self, alias: &str, wrapped: &[u8]) -> Result<Vec<u8>, KeyStoreError>;

    /// Makes a P-256 signing key under a new alias, attested over `challenge` where the platform can.
    ///
    /// # Errors
    /// When the key cannot be made.
    fn create_signing_key(
        &self,
        alias: &str,
        challenge: &[u8],
    ) -> Result<AttestedKey, KeyStoreError>;

    /// Signs with ECDSA and SHA-256; the signature is r ‖ s, 64 bytes.
    ///
    /// # Errors
    /// When there is no such key or it cannot be used now.
    fn sign(&self, alias: &str, message: &[u8]) -> Result<Vec<u8>, KeyStoreError>;

    /// Deletes a key for good; one that is not there is no error.
    ///
    /// # Errors
    /// When the key may still be there.
    fn delete(&self, alias: &str) -> Result<(), KeyStoreError>;

    /// The aliases of every key that this app holds.
    ///
    /// # Errors
    /// When they cannot be listed now.
    fn aliases(&self) -> Result<Vec<String>, KeyStoreError>;
}
