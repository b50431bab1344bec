//! What can go wrong with keys and seals.

use super::KeyStoreError;

/// A vault operation failed.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The phone's key store refused or failed.
    #[error("the phone's key store: {0}")]
    KeyStore(#[from] KeyStoreError),
    /// None of the platform keys of this data is there: it came from another phone, or the key store was cleared.
    #[error("this phone holds no key of this wallet's data")]
    OtherPhone,
    /// A platform key that the database names is not there, though others of them are.
    #[error("this phone does not hold all the keys of this wallet's data")]
    KeysGone,
    /// The platform key of the arming that the database names was deleted when a later one came: the database is an
    /// older copy, or has lost its write-ahead log.
    #[error("this wallet's data is older than this phone's keys")]
    PutBack,
    /// A sealed value does not open: it was changed, moved, or sealed by another key.
    #[error("a sealed value does not open")]
    Unsealable,
    /// A sealed value has a version or algorithm that this version does not know.
    #[error("a sealed value was written by a newer version")]
    UnknownFormat,
    /// A key or signature from outside is not what it must be.
    #[error("a key or signature from the network is not valid")]
    Foreign,
    /// A row that must not go back is not the newest one, or one of them is missing.
    #[error("part of this wallet's data is older than the rest")]
    RolledBack,
    /// The wallet is locked: what pays is sealed to a key that only a person opens.
    #[error("the wallet is locked")]
    Locked,
    /// What a person gave does not open what it must.
    #[error("the PIN is wrong")]
    WrongPin,
    /// The payment password is not the one that was set.
    #[error("the payment password is wrong")]
    WrongPassword,
    /// A key has sealed as many values as it may.
    #[error("a key has sealed as many values as it may")]
    Exhausted,
    /// The platform's random number generator failed.
    #[error("the random number generator failed")]
    Random,
}

impl VaultError {
    /// Whether a key or what it sealed is lost for good, so that only a new enrolment helps.
    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::OtherPhone
                | Self::KeysGone
                | Self::PutBack
                | Self::RolledBack
                | Self::Exhausted
                | Self::Unsealable
                | Self::KeyStore(KeyStoreError::NotFound | KeyStoreError::Invalidated)
        )
    }
}
