//! The one error that crosses to Kotlin and Swift.

use super::CodeRefusal;
use crate::backend::BackendError;
use crate::code::symbol::SymbolError;
use crate::store::{SealError, StoreError};
use crate::vault::{KeyStoreError, VaultError};
use crate::wallet::WalletError as Inner;

/// Why something was not done. Each variant is one that an app acts on differently.
///
/// `detail` is a sentence for a person, without personal data; [`code`](Self::code) is stable, for support and tests.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum WalletError {
    /// Enrol first.
    #[error("{detail}")]
    NotEnrolled {
        /// What to do.
        detail: String,
    },
    /// The phone's key store wants something of the person first.
    #[error("{detail}")]
    Locked {
        /// What to do.
        detail: String,
    },
    /// The person closed a prompt.
    #[error("{detail}")]
    Cancelled {
        /// What to do.
        detail: String,
    },
    /// This phone or this state does not allow it.
    #[error("{detail}")]
    Blocked {
        /// What to do.
        detail: String,
    },
    /// Another process has the wallet's folder.
    #[error("{detail}")]
    InUse {
        /// Names the process.
        detail: String,
    },
    /// The provider cannot be reached: try again.
    #[error("{detail}")]
    Network {
        /// What to do.
        detail: String,
    },
    /// Somebody answered who is not the provider: do not try again, tell the person.
    #[error("{detail}")]
    NotTrusted {
        /// What to do.
        detail: String,
    },
    /// The provider, the network or the bank refused.
    #[error("{detail}")]
    Rejected {
        /// A stable reason, `snake_case`.
        reason: String,
        /// What to do.
        detail: String,
    },
    /// The wallet's data is lost or not this phone's: enrol again.
    #[error("{detail}")]
    Corrupt {
        /// What has become of it.
        reason: Damage,
        /// What to do.
        detail: String,
    },
    /// The disk is full or the folder cannot be written.
    #[error("{detail}")]
    Storage {
        /// What to do.
        detail: String,
    },
    /// What was entered is not well-formed.
    #[error("{detail}")]
    Invalid {
        /// What is wrong with it.
        detail: String,
    },
    /// The app is older than the wallet's data or the provider: update it.
    #[error("{detail}")]
    Outdated {
        /// What is newer.
        reason: Newer,
        /// What to do.
        detail: String,
    },
    /// A fault in the core.
    #[error("{detail}")]
    Internal {
        /// What to do.
        detail: String,
    },
    /// The person was not verified: ask again, or offer another way in.
    #[error("{detail}")]
    NotVerified {
        /// A stable reason: `pin_wrong`, `pin_wait`, `pin_spent`, `password_wrong`, `not_set_up`, `biometric_changed`,
        /// `no_verified_keys` or `verification_over`.
        reason: String,
        /// What to do.
        detail: String,
    },
    /// The wallet was wiped from elsewhere: nothing of it is on this phone any more.
    #[error("{detail}")]
    Wiped {
        /// What to do.
        detail: String,
    },
    /// No payment code can be shown.
    #[error("{detail}")]
    CodesUnavailable {
        /// Why.
        reason: CodeRefusal,
        /// What to do.
        detail: String,
    },
}

/// What has become of the wallet's data. The way forward is the same, to enrol again; support wants to know which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Damage {
    /// No key of this data is on this phone: it was copied from another one, or the phone's keys were cleared.
    OtherPhone,
    /// One of the phone's keys is gone, others are there.
    KeyGone,
    /// One of the phone's keys was invalidated, or is another than the one that wrapped what it should unwrap.
    KeyInvalidated,
    /// The whole of it is older than the phone's keys: it was put back from a copy, or a write-ahead log was lost.
    PutBack,
    /// A row is older than the others, was put in or taken away.
    RowPutBack,
    /// A row was changed, moved, or sealed by another key.
    RowChanged,
    /// A file is cut short, or is no database.
    FileDamaged,
    /// A file stands in another one's place.
    FileMisplaced,
    /// The key has sealed as many rows as it may in its life.
    KeyWorn,
}

/// What is newer than this app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Newer {
    /// The wallet's data on this phone.
    Data,
    /// The oldest app that the provider serves.
    Provider,
    /// What the provider answered, which this app does not understand.
    Answer,
}

impl Damage {
    /// Stable, `snake_case`.
    fn name(self) -> &'static str {
        match self {
            Self::OtherPhone => "other_phone",
            Self::KeyGone => "key_gone",
            Self::KeyInvalidated => "key_invalidated",
            Self::PutBack => "put_back",
            Self::RowPutBack => "row_put_back",
            Self::RowChanged => "row_changed",
            Self::FileDamaged => "file_damaged",
            Self::FileMisplaced => "file_misplaced",
            Self::KeyWorn => "key_worn",
        }
    }
}

impl Newer {
    /// Stable, `snake_case`.
    fn name(self) -> &'static str {
        match self {
            Self::Data => "data_newer",
            Self::Provider => "app_too_old",
            Self::Answer => "answer_not_understood",
        }
    }
}

#[uniffi::export]
impl WalletError {
    /// A stable reason, `snake_case`, where there is more than one for the [`code`](Self::code).
    pub fn reason_name(&self) -> Option<String> {
        match self {
            Self::Rejected { reason, .. } | Self::NotVerified { reason, .. } => {
                Some(reason.clone())
            }
            Self::Corrupt { reason, .. } => Some(reason.name().into()),
            Self::Outdated { reason, .. } => Some(reason.name().into()),
            Self::CodesUnavailable { reason, .. } => Some(reason.name().into()),
            _ => None,
        }
    }

    /// A number that never changes its meaning.
    pub fn code(&self) -> u32 {
        match self {
            Self::NotEnrolled { .. } => 1,
            Self::Locked { .. } => 2,
            Self::Cancelled { .. } => 3,
            Self::Blocked { .. } => 4,
            Self::InUse { .. } => 5,
            Self::Network { .. } => 6,
            Self::NotTrusted { .. } => 7,
            Self::Rejected { .. } => 8,
            Self::Corrupt { .. } => 9,
            Self::Storage { .. } => 10,
            Self::Invalid { .. } => 11,
            Self::Outdated { .. } => 12,
            Self::Internal { .. } => 13,
            Self::NotVerified { .. } => 14,
            Self::Wiped { .. } => 15,
            Self::CodesUnavailable { .. } => 16,
        }
    }
}

impl From<Inner> for WalletError {
    fn from(error: Inner) -> Self {
        let detail = error.to_string();
        match error {
            Inner::NotEnrolled => Self::NotEnrolled { detail },
            Inner::NotStarted | Inner::EnrolledAlready | Inner::Insecure => {
                Self::Blocked { detail }
            }
            Inner::Input(_) | Inner::NoChallenge | Inner::NoSuchCard | Inner::MerchantCode(_) => {
                Self::Invalid { detail }
            }
            Inner::Code(refusal) => Self::CodesUnavailable {
                reason: refusal.into(),
                detail,
            },
            Inner::NoPerson => not_verified("not_set_up", detail),
            Inner::PinWrong(_) => not_verified("pin_wrong", detail),
            Inner::PinWait(_) => not_verified("pin_wait", detail),
            Inner::PinSpent => not_verified("pin_spent", detail),
            Inner::PasswordWrong(_) => not_verified("password_wrong", detail),
            Inner::NoVerifiedKeys => not_verified("no_verified_keys", detail),
            Inner::NotVerified => not_verified("verification_over", detail),
            Inner::VerificationVoided => not_verified("biometric_changed", detail),
            Inner::Outdated(_) => Self::Outdated {
                reason: Newer::Provider,
                detail,
            },
            Inner::Wiped => Self::Wiped { detail },
            Inner::Provisioning(_) => Self::Rejected {
                reason: "provisioning_invalid".into(),
                detail,
            },
            Inner::Profile(_) => Self::Outdated {
                reason: Newer::Answer,
                detail,
            },
            Inner::Unwritten => Self::Storage { detail },
            Inner::Interrupted => Self::Internal { detail },
            Inner::Backend(error) => error.into(),
            Inner::Store(error) => error.into(),
            Inner::Vault(error) => error.into(),
        }
    }
}

impl From<BackendError> for WalletError {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Unreachable => Self::Network {
                detail: "The wallet's provider cannot be reached: check the network and try again.".into(),
            },
            BackendError::NotTrusted => Self::NotTrusted {
                detail: "The server that answered is not the wallet's provider (its certificate or key is another): use a different network and try again.".into(),
            },
            BackendError::Refused(refusal) => Self::Rejected {
                detail: match refusal.detail.is_empty() {
                    true => format!("The provider refused with {}: try again later.", refusal.status),
                    false => refusal.detail,
                },
                reason: refusal.code,
            },
            BackendError::Malformed => Self::Outdated {
                reason: Newer::Answer,
                detail: "The provider's answer cannot be understood: update the app, or try again later.".into(),
            },
            BackendError::Configuration(detail) => Self::Invalid {
                detail: format!("Check what was given: {detail}."),
            },
            BackendError::Vault(error) => error.into(),
        }
    }
}

impl From<SymbolError> for WalletError {
    fn from(error: SymbolError) -> Self {
        Self::Invalid {
            detail: error.to_string(),
        }
    }
}

impl From<StoreError> for WalletError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::InUse(process) => Self::InUse {
                detail: format!("The wallet's folder is in use by process {process}: stop it first."),
            },
            StoreError::Full => Self::Storage {
                detail: "The disk is full: free some space and try again; nothing was lost.".into(),
            },
            StoreError::Seal(SealError::Exhausted) => exhausted(),
            StoreError::Absent => Self::Internal {
                detail: "Something the wallet looked for is not there: try again.".into(),
            },
            StoreError::Overtaken => Self::Internal {
                detail: "The wallet was busy arming: try again.".into(),
            },
            StoreError::Folder(_) | StoreError::Sql(_) => Self::Storage {
                detail: "The wallet's folder cannot be read or written: check that it exists, belongs to this user, and that the disk has space.".into(),
            },
            StoreError::Damaged => damaged(Damage::FileDamaged),
            StoreError::Misplaced => damaged(Damage::FileMisplaced),
            StoreError::Seal(SealError::Unsealable) => damaged(Damage::RowChanged),
            StoreError::Newer | StoreError::Seal(SealError::UnknownFormat) => newer_data(),
            StoreError::Seal(SealError::Random) => random(),
        }
    }
}

impl From<VaultError> for WalletError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::KeyStore(KeyStoreError::UserCancelled) => Self::Cancelled {
                detail: "The prompt was closed: try again when ready.".into(),
            },
            VaultError::KeyStore(KeyStoreError::Unavailable) => Self::Locked {
                detail: "The phone's key store cannot be used now: unlock the phone, see that it has space left, and try again.".into(),
            },
            VaultError::OtherPhone => estranged(Damage::OtherPhone),
            VaultError::KeyStore(KeyStoreError::NotFound) | VaultError::KeysGone => {
                estranged(Damage::KeyGone)
            }
            VaultError::KeyStore(KeyStoreError::Invalidated) => estranged(Damage::KeyInvalidated),
            VaultError::PutBack => estranged(Damage::PutBack),
            VaultError::Unsealable => damaged(Damage::RowChanged),
            VaultError::UnknownFormat => newer_data(),
            VaultError::Foreign => Self::Rejected {
                reason: "provisioning_invalid".into(),
                detail: "What the provider sent is not signed by the payment network: try again, and tell the provider if it stays.".into(),
            },
            VaultError::RolledBack => Self::Corrupt {
                reason: Damage::RowPutBack,
                detail: "Part of this wallet's data is older than the rest (it was put back from a copy): enrol again. Payments made are safe with the bank.".into(),
            },
            VaultError::Locked => Self::Locked {
                detail: "The wallet is locked: unlock it first.".into(),
            },
            VaultError::WrongPin => not_verified("pin_wrong", "The PIN is wrong.".into()),
            VaultError::WrongPassword => {
                not_verified("password_wrong", "The payment password is wrong.".into())
            }
            VaultError::Exhausted => exhausted(),
            VaultError::Random => random(),
        }
    }
}

fn not_verified(reason: &str, detail: String) -> WalletError {
    WalletError::NotVerified {
        reason: reason.into(),
        detail,
    }
}

fn damaged(reason: Damage) -> WalletError {
    WalletError::Corrupt {
        reason,
        detail: "The wallet's data is damaged: enrol again. Payments made are safe with the bank."
            .into(),
    }
}

/// Data and keys that do not belong together.
fn estranged(reason: Damage) -> WalletError {
    WalletError::Corrupt {
        reason,
        detail: "This wallet's data does not belong to this phone's keys (it was copied, put back from a copy, or the keys were cleared): enrol again.".into(),
    }
}

fn newer_data() -> WalletError {
    WalletError::Outdated {
        reason: Newer::Data,
        detail: "The wallet's data was written by a newer version: update the app.".into(),
    }
}

fn exhausted() -> WalletError {
    WalletError::Corrupt {
        reason: Damage::KeyWorn,
        detail: "This wallet's key has sealed all it may in its life: enrol again.".into(),
    }
}

fn random() -> WalletError {
    WalletError::Internal {
        detail: "The phone's random number generator failed: restart the phone.".into(),
    }
}
