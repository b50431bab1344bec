//! What can go wrong with keys and seals.

use super::KeyStoreError;

/// A vault operation failed.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The phone's key store refused or failed.
    #[error("the phone's key store: {0}")]
    KeyStore(#[from] KeyStoreError),
    /// The platform key that the database names is not there: the data came from a copy, or the key store was cleared.
    #[error("this phone does not hold the keys of this wallet's data")]
    KeysGone,
    /// A sealed value does not open: it was changed, moved, or sealed by another key.
    #[error("a sealed value does not open")]
    Unsealable,
    /// A sealed value has a version or algorithm that this version does not know.
    #[error("a sealed value was written by a newer version")]
    UnknownFormat,
    /// A key or signature from outside is not what it must be.
    #[error("a key or signature from the network is not valid")]
    Foreign,
    /// The platform's random number generator failed.
    #[error("the random number generator failed")]
    Random,
}

impl VaultError {
    /// Whether a key or what it sealed is lost for good, so that only a new enrolment helps.
    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::KeysGone
                | Self::Unsealable
                | Self::KeyStore(KeyStoreError::NotFound | KeyStoreError::Invalidated)
        )
    }
}
