//! Verification of the person, in two phases: the core asks, the shell's prompt opens the verified key, the core uses it
//! once, for what it was asked for, within its time.

use std::sync::{Arc, PoisonError};

use zeroize::Zeroizing;

use super::person::{keep, person_in};
use super::{Wallet, WalletError};
use crate::account::Money;
use crate::backend::fresh_key;
use crate::clock::Span;
use crate::emv::verification::Covers;
use crate::vault::{KeyStoreError, PersonalKey, VaultError};

/// How long a prompt may stay open, in milliseconds.
const PROMPT_MS: i64 = 120_000;

/// What a person is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// One payment of this amount, which the person sees (two-tap).
    Payment(Money),
    /// One payment up to this amount, ahead of knowing it (one-tap).
    UpTo(Money),
    /// Unlocking the wallet, or changing the ways in.
    Access,
}

impl Purpose {
    /// Which payment it is for, where it is for one.
    fn covers(self) -> Option<Covers> {
        match self {
            Self::Payment(money) => Some(Covers::Exactly(money)),
            Self::UpTo(ceiling) => Some(Covers::UpTo(ceiling)),
            Self::Access => None,
        }
    }
}

/// What the shell's prompt must open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationRequest {
    /// To be given back with the outcome.
    pub id: String,
    /// The platform key that needs the person.
    pub alias: String,
    /// What it must unwrap.
    pub wrapped: Vec<u8>,
}

/// How the prompt ended.
pub enum PromptOutcome {
    /// The person was there: what was unwrapped.
    Unwrapped(Zeroizing<Vec<u8>>),
    /// The person closed the prompt.
    Cancelled,
    /// The platform has invalidated the key: the enrolled biometrics changed.
    Invalidated,
}

/// A verification that was asked for or is done. One at a time.
pub(super) struct Verification {
    id: String,
    purpose: Purpose,
    good_for: Span,
    key: Option<PersonalKey>,
}

impl Wallet {
    /// Begins a verification by fingerprint or face, in place of an earlier one.
    ///
    /// # Errors
    /// [`WalletError::NoPerson`] when it is not set up, [`WalletError::VerificationVoided`] when a change of the enrolled
    /// biometrics took it away; [`WalletError::Input`] for an amount above the ceiling.
    pub async fn begin_verification(
        self: &Arc<Self>,
        purpose: Purpose,
    ) -> Result<VerificationRequest, WalletError> {
        self.blocking(move |wallet, opened| {
            wallet.check_purpose(opened, purpose)?;
            let person = person_in(opened)?.ok_or(WalletError::NoPerson)?;
            let biometric = match person.biometric {
                Some(biometric) => biometric,
                None if person.voided => return Err(WalletError::VerificationVoided),
                None => return Err(WalletError::NoPerson),
            };
            let request = VerificationRequest {
                id: fresh_key(),
                alias: biometric.alias,
                wrapped: hex::decode(&biometric.wrapped).map_err(|_| VaultError::UnknownFormat)?,
            };
            wallet.hold(Verification {
                id: request.id.clone(),
                purpose,
                good_for: Span::new(&wallet.clock.now(), PROMPT_MS),
                key: None,
            });
            Ok(request)
        })
        .await
    }

    /// Ends a verification. What it was for must follow within the issuer's time.
    ///
    /// # Errors
    /// [`WalletError::NotVerified`] when it is over or was replaced, or what was unwrapped is not the key;
    /// [`WalletError::VerificationVoided`]; [`KeyStoreError::UserCancelled`].
    pub async fn finish_verification(
        self: &Arc<Self>,
        id: &str,
        outcome: PromptOutcome,
    ) -> Result<(), WalletError> {
        // Taken, not looked at: a verification has one outcome.
        let asked = self.verification().take();
        let asked = asked.filter(|asked| asked.id == id && asked.key.is_none());
        let asked = asked.ok_or(WalletError::NotVerified)?;
        self.with_keys(move |wallet, opened| {
            let mut person = person_in(opened)?.ok_or(WalletError::NoPerson)?;
            let bytes = match outcome {
                PromptOutcome::Unwrapped(bytes) => bytes,
                PromptOutcome::Cancelled => {
                    return Err(VaultError::KeyStore(KeyStoreError::UserCancelled).into());
                }
                PromptOutcome::Invalidated => {
                    tracing::warn!("the enrolled biometrics have changed");
                    person.biometric = None;
                    person.voided = true;
                    keep(opened, &person)?;
                    return Err(WalletError::VerificationVoided);
                }
            };
            let key = PersonalKey::take(bytes.to_vec())?;
            let genuine = key.public_halves()? == person.public;
            if !genuine || !asked.good_for.permits(&wallet.clock.now()) {
                return Err(WalletError::NotVerified);
            }
            let window_s = wallet.policy_in(opened)?.verification_window_s;
            wallet.hold_open(asked.id, asked.purpose, key, window_s);
            Ok(())
        })
        .await
    }

    /// Verifies the person by the PIN; answers the verification's identifier.
    ///
    /// # Errors
    /// As [`unlock`](Self::unlock).
    pub async fn verify_with_pin(
        self: &Arc<Self>,
        pin: Zeroizing<String>,
        purpose: Purpose,
    ) -> Result<String, WalletError> {
        self.with_keys(move |wallet, opened| {
            wallet.check_purpose(opened, purpose)?;
            let key = wallet.open_with_pin(opened, &pin)?;
            let window_s = wallet.policy_in(opened)?.verification_window_s;
            let id = fresh_key();
            wallet.hold_open(id.clone(), purpose, key, window_s);
            Ok(id)
        })
        .await
    }

    /// Drops a verification that is asked for or done.
    pub(super) fn forget_verification(&self) {
        *self.verification() = None;
    }

    /// Uses a verification for a payment, once: whatever it was for, it is gone afterwards.
    pub(super) fn take_for_payment(
        &self,
        id: &str,
        money: Money,
    ) -> Result<PersonalKey, WalletError> {
        let admits = |covers: Covers| covers.admits(money);
        self.take(id, |purpose| purpose.covers().is_some_and(admits))
    }

    /// Uses a verification for a tap: what it covers, the key it opened, and how long it is good.
    pub(super) fn take_for_tap(
        &self,
        id: &str,
    ) -> Result<(Covers, PersonalKey, Span), WalletError> {
        let held = self.verification().take();
        let held = held.filter(|held| held.id == id && held.good_for.permits(&self.clock.now()));
        let held = held.ok_or(WalletError::NotVerified)?;
        let covers = held.purpose.covers().ok_or(WalletError::NotVerified)?;
        let key = held.key.ok_or(WalletError::NotVerified)?;
        Ok((covers, key, held.good_for))
    }

    /// Uses a verification for access.
    pub(super) fn take_access(&self, id: &str) -> Result<PersonalKey, WalletError> {
        self.take(id, |purpose| purpose == Purpose::Access)
    }

    fn take(&self, id: &str, covers: impl Fn(Purpose) -> bool) -> Result<PersonalKey, WalletError> {
        let held = self.verification().take();
        let held = held.filter(|held| {
            held.id == id && held.good_for.permits(&self.clock.now()) && covers(held.purpose)
        });
        held.and_then(|held| held.key)
            .ok_or(WalletError::NotVerified)
    }

    fn check_purpose(
        &self,
        opened: &super::open::Opened,
        purpose: Purpose,
    ) -> Result<(), WalletError> {
        let ceiling = self.policy_in(opened)?.one_tap_ceiling_minor;
        match purpose {
            Purpose::Payment(money) | Purpose::UpTo(money) if money.minor <= 0 => {
                Err(WalletError::Input("the amount must be above zero"))
            }
            Purpose::UpTo(money) if money.minor > ceiling => Err(WalletError::Input(
                "this amount must be confirmed when it is known, not ahead",
            )),
            _ => Ok(()),
        }
    }

    fn hold_open(&self, id: String, purpose: Purpose, key: PersonalKey, window_s: u32) {
        let window = Span::new(&self.clock.now(), i64::from(window_s) * 1_000);
        self.hold(Verification {
            id,
            purpose,
            good_for: window,
            key: Some(key),
        });
        // The key must not outlive its use: nobody may come to take it.
        let wallet = self.this.clone();
        let wait = std::time::Duration::from_secs(u64::from(window_s));
        self.runtime.spawn(async move {
            tokio::time::sleep(wait).await;
            if let Some(wallet) = wallet.upgrade() {
                let now = wallet.clock.now();
                wallet
                    .verification()
                    .take_if(|held| !held.good_for.permits(&now));
            }
        });
    }

    fn hold(&self, verification: Verification) {
        *self.verification() = Some(verification);
    }

    fn verification(&self) -> std::sync::MutexGuard<'_, Option<Verification>> {
        self.verification
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
