//! What can go wrong in a use case.

use super::CodeRefusal;
use crate::backend::BackendError;
use crate::code::mpm::MpmError;
use crate::emv::profile::ProfileError;
use crate::store::StoreError;
use crate::vault::VaultError;

/// A use case failed; nothing half-done remains.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// [`Wallet::start`](super::Wallet::start) was not called, or the wallet is closed.
    #[error("the wallet is not started: call start() first")]
    NotStarted,
    /// The device is not enrolled.
    #[error("this wallet is not enrolled: enrol it first")]
    NotEnrolled,
    /// The device is enrolled already.
    #[error("this wallet is enrolled already: use another folder for another enrolment")]
    EnrolledAlready,
    /// The key store is in software and the app is a production one.
    #[error("this phone keeps keys in software only, which this app does not allow")]
    Insecure,
    /// What a person entered is not well-formed.
    #[error("{0}")]
    Input(&'static str),
    /// There is no such challenge, or it is over.
    #[error("no card is waiting for this code: start adding the card again")]
    NoChallenge,
    /// What was provisioned is not what was asked for.
    #[error("the provider sent a card that does not fit this phone: {0}")]
    Provisioning(&'static str),
    /// The profile cannot be used.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The provider refused, or could not be reached.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The databases.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Nobody can be verified: neither PIN nor biometric is set.
    #[error("set a PIN or a fingerprint first; where both are lost, enrol again")]
    NoPerson,
    /// The PIN is wrong; so many tries are left.
    #[error("the PIN is wrong, tries left: {0}")]
    PinWrong(u32),
    /// The PIN may be tried again after so many seconds.
    #[error("wait {0} seconds before the next try")]
    PinWait(u32),
    /// The PIN was tried too often.
    #[error("the PIN was wrong too often: use the fingerprint, or enrol again")]
    PinSpent,
    /// The person was not verified for this: nothing was finished, it is over, was used, or was for something else.
    #[error("this needs a fresh verification of the person: ask for it again")]
    NotVerified,
    /// The network has given no keys for payments with the person verified, or they are used up.
    #[error("no verified payment can be made yet: connect to the network once and try again")]
    NoVerifiedKeys,
    /// The enrolled biometrics changed.
    #[error(
        "the fingerprints or faces on this phone changed: set verification up again with the PIN"
    )]
    VerificationVoided,
    /// The payment password is wrong; so many tries are left.
    #[error("the payment password is wrong, tries left: {0}")]
    PasswordWrong(u32),
    /// There is no such card in this wallet.
    #[error("there is no such card in this wallet")]
    NoSuchCard,
    /// No payment code can be shown.
    #[error(transparent)]
    Code(#[from] CodeRefusal),
    /// A shop's code cannot be read.
    #[error(transparent)]
    MerchantCode(#[from] MpmError),
    /// The app is older than the provider admits.
    #[error("this app is too old to pay: update it to version {0} or newer")]
    Outdated(String),
    /// The wallet was wiped from elsewhere.
    #[error("this wallet was wiped from elsewhere: enrol again if this phone is yours")]
    Wiped,
    /// The last taps are not in the journal.
    #[error("the last payments could not be written down: free some space; the bank knows them")]
    Unwritten,
    /// The work was stopped before it ended.
    #[error("the work was stopped before it ended: try again")]
    Interrupted,
}

impl WalletError {
    /// Whether what the provider answered is at fault, so that the same answer will never do.
    pub(super) fn is_about_the_answer(&self) -> bool {
        matches!(
            self,
            Self::Provisioning(_)
                | Self::Profile(_)
                | Self::Backend(BackendError::Malformed)
                | Self::Vault(VaultError::Foreign)
        )
    }
}
