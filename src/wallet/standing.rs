//! Whether this phone may pay now: locked or not, new enough, safe enough.

use std::sync::{Arc, Weak};

use super::open::Opened;
use super::{Wallet, WalletError, WalletEvent, enrol};
use crate::backend::BackendError;
use crate::backend::protocol::Policy;
use crate::risk::RiskSignals;

/// Why no reader is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapRefusal {
    /// The person has locked the wallet.
    Locked,
    /// The app is older than the provider admits.
    Outdated,
    /// The phone looks unsafe.
    Risk,
    /// The screen is locked, and the provider lets no locked phone pay.
    ScreenLocked,
}

impl Wallet {
    /// Takes in what the shell sees of the phone, in place of what it said before. It counts from the next command of a
    /// reader on.
    pub fn report_risk(&self, signals: RiskSignals) {
        self.tap.report_risk(signals);
    }

    pub(super) fn standing(&self, opened: &Opened, policy: &Policy) -> Option<TapRefusal> {
        match (
            opened.known().locked,
            policy.admits(&self.config.app_version),
        ) {
            (true, _) => Some(TapRefusal::Locked),
            (false, false) => Some(TapRefusal::Outdated),
            (false, true) => None,
        }
    }

    /// Does work that talks to the provider, and heeds an answer that concerns the whole phone: it was wiped from
    /// elsewhere, or its app is too old.
    ///
    /// # Errors
    /// [`WalletError::Wiped`], [`WalletError::Outdated`], or what the work fails with.
    pub async fn contact<T>(
        self: &Arc<Self>,
        work: impl Future<Output = Result<T, WalletError>>,
    ) -> Result<T, WalletError> {
        // Not kept open by the question: it must not hold a folder that is to be freed.
        let asked_by = self.opened().ok().map(|opened| Arc::downgrade(&opened));
        match work.await {
            Err(error) => Err(Box::pin(self.heed(error, asked_by)).await),
            done => done,
        }
    }

    /// What comes of a failure: the provider's word on the whole phone is carried out. Not generic, so that all that talks to
    /// the provider shares this code.
    async fn heed(
        self: &Arc<Self>,
        error: WalletError,
        asked_by: Option<Weak<Opened>>,
    ) -> WalletError {
        let WalletError::Backend(BackendError::Refused(refusal)) = &error else {
            return error;
        };
        match refusal.code.as_str() {
            "device_wiped" => {
                // An answer to a wallet that was wiped meanwhile is none to the one that took its place.
                let now = self.opened().ok().map(|opened| Arc::downgrade(&opened));
                let same = match (&asked_by, &now) {
                    (Some(asked_by), Some(now)) => asked_by.ptr_eq(now),
                    (None, _) => true,
                    (Some(_), None) => false,
                };
                if !same {
                    return WalletError::Interrupted;
                }
                if let Err(error) = self.wipe().await {
                    return error;
                }
                self.tell(WalletEvent::Wiped);
                WalletError::Wiped
            }
            "version_too_old" => {
                let minimum = refusal.minimum_version.clone();
                if let Some(minimum) = minimum.clone() {
                    // Where it cannot be written down now, the next contact says it again.
                    drop(self.note_minimum(minimum).await);
                }
                WalletError::Outdated(minimum.unwrap_or_else(|| "its newest".into()))
            }
            _ => error,
        }
    }

    async fn note_minimum(self: &Arc<Self>, minimum: String) -> Result<(), WalletError> {
        self.with_keys(move |wallet, opened| {
            let mut policy = wallet.policy_in(opened)?;
            policy.minimum_app_version = minimum;
            wallet.set_policy(opened, policy)
        })
        .await
    }

    /// Takes in what the provider configures, where it differs from what is known.
    pub(super) fn set_policy(&self, opened: &Opened, policy: Policy) -> Result<(), WalletError> {
        let mut enrolment = self.enrolment_in(opened)?;
        if enrolment.answer.policy == policy {
            return Ok(());
        }
        enrolment.answer.policy = policy;
        let arming = opened.arming()?;
        let ((), record) = opened.commit(arming, |tx| {
            Ok(tx.set_guarded(enrol::RECORD, Some(&enrolment))?)
        })?;
        self.tap.look(
            enrolment.answer.policy.clone(),
            self.standing(opened, &enrolment.answer.policy),
            opened.sees_clock_jump(),
        );
        super::arm::retire_older(opened, &record)
    }
}
