//! Enrolment: the provider learns the device key, the phone learns whom to trust.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::arm::retire_older;
use super::open::{Opened, Opening, check, is_lost};
use super::{Wallet, WalletError};
use crate::backend::protocol::{EnrolmentAnswer, EnrolmentChallenge, EnrolmentRequest, Policy};
use crate::backend::{Backend, BackendError, Identity, Trust, fresh_key};
use crate::bind::{bind, extend};
use crate::vault::KeyStoreError;

/// Name of the record in the vault.
pub(super) const RECORD: &str = "enrolment";

/// What an enrolled wallet knows of its provider.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Enrolment {
    pub(super) provider_url: String,
    pub(super) ca_pem: String,
    pub(super) answer: EnrolmentAnswer,
}

impl Wallet {
    /// Enrols this device; with a code from another phone ([`create_link_code`](Self::create_link_code)) as the same
    /// person's. Where the databases or their keys are lost, it starts over with empty ones.
    ///
    /// Once begun it goes on to its end, even when nobody waits for it any more.
    ///
    /// # Errors
    /// [`WalletError::EnrolledAlready`]; [`BackendError`] when the provider cannot be reached or is not trusted; then
    /// nothing has changed and enrolling can be tried again.
    pub async fn enrol(
        self: &Arc<Self>,
        provider_url: &str,
        ca_pem: &str,
        link_code: Option<&str>,
    ) -> Result<(), WalletError> {
        let wallet = Arc::clone(self);
        let (provider_url, ca_pem) = (provider_url.to_owned(), ca_pem.to_owned());
        let link_code = link_code.map(|code| code.trim().to_ascii_uppercase());
        let task = self
            .runtime
            .spawn(async move { wallet.enrol_once(provider_url, ca_pem, link_code).await });
        task.await.map_err(|_| WalletError::Interrupted)?
    }

    async fn enrol_once(
        self: &Arc<Self>,
        provider_url: String,
        ca_pem: String,
        link_code: Option<String>,
    ) -> Result<(), WalletError> {
        let _enrolling = self.enrolling.lock().await;
        self.closed.store(false, Ordering::Relaxed);
        self.open_with(Opening::StartingOver).await?;
        let sound = self.with_keys(|_, opened| {
            let arming = opened.arming()?;
            check(&opened.hierarchy, &opened.vault, &arming)
        });
        if sound.await.is_err_and(|error| is_lost(&error)) {
            // This wallet can pay no more: close it, and let opening start over. That closing fails is part of it.
            let tapping = self.started.load(Ordering::Relaxed);
            drop(self.close().await);
            self.closed.store(false, Ordering::Relaxed);
            self.open_with(Opening::StartingOver).await?;
            self.started.store(tapping, Ordering::Relaxed);
        }
        match self.enrolment().await {
            Err(WalletError::NotEnrolled) => {}
            Err(error) => return Err(error),
            Ok(_) => return Err(WalletError::EnrolledAlready),
        }
        let trust = Trust {
            provider_url: &provider_url,
            ca_pem: &ca_pem,
            pins: &[],
        };
        let clock = Arc::clone(&self.clock);
        let backend = Backend::new(&trust, None, move || clock.now().wall_ms)?;
        let nothing = serde_json::Map::new();
        let challenge: EnrolmentChallenge = backend
            .post_unsigned("/v1/enrolment-challenges", &nothing, &fresh_key())
            .await?;
        let challenge_bytes =
            hex::decode(&challenge.challenge).map_err(|_| BackendError::Malformed)?;
        let app_version = self.config.app_version.clone();
        let request = self
            .blocking(move |_, opened| {
                let device = opened.hierarchy.renew_device_key(&challenge_bytes)?;
                let key_store = opened.hierarchy.security_level().as_str();
                let certificates: Vec<&[u8]> =
                    device.attestation.iter().map(Vec::as_slice).collect();
                let mut attestation = Vec::new();
                extend(&mut attestation, &certificates);
                let message = bind(
                    "tapcore-enrol-v1",
                    &[
                        &challenge_bytes,
                        &device.public,
                        key_store.as_bytes(),
                        digest(&SHA256, &attestation).as_ref(),
                        link_code.as_deref().unwrap_or_default().as_bytes(),
                    ],
                );
                Ok(EnrolmentRequest {
                    challenge: challenge.challenge,
                    device_key: hex::encode_upper(&device.public),
                    key_store: key_store.to_owned(),
                    app_version,
                    attestation: certificates.iter().map(hex::encode_upper).collect(),
                    link_code,
                    proof: hex::encode_upper(opened.hierarchy.sign(&message)?),
                })
            })
            .await?;
        let answer: EnrolmentAnswer = backend
            .post_unsigned("/v1/enrolments", &request, &fresh_key())
            .await?;
        // One in use and a spare: with fewer, pinning would be off, or a lost key would end every wallet.
        let pins = answer.pins.iter().map(|pin| pin.to_ascii_uppercase());
        let distinct = pins.collect::<BTreeSet<_>>().len();
        if distinct < 2 {
            return Err(BackendError::Malformed.into());
        }
        let enrolment = Enrolment {
            provider_url,
            ca_pem,
            answer,
        };
        // Pins and key must work before they are relied on.
        self.client(&enrolment)?.check().await?;
        self.with_keys(move |_, opened| {
            let arming = opened.arming()?;
            let ((), record) =
                opened.commit(arming, |tx| Ok(tx.set_guarded(RECORD, Some(&enrolment))?))?;
            tracing::info!(device = enrolment.answer.device_id, "enrolled");
            retire_older(opened, &record)
        })
        .await
    }

    /// What the wallet knows of its provider.
    pub(super) async fn enrolment(self: &Arc<Self>) -> Result<Enrolment, WalletError> {
        self.blocking(|wallet, opened| wallet.enrolment_in(opened))
            .await
    }

    pub(super) fn enrolment_in(&self, opened: &Opened) -> Result<Enrolment, WalletError> {
        let enrolment = opened.vault.read(|tx| tx.record(RECORD))?;
        enrolment.ok_or(WalletError::NotEnrolled)
    }

    /// What the provider has configured, the defaults before enrolment.
    pub(super) fn policy_in(&self, opened: &Opened) -> Result<Policy, WalletError> {
        match self.enrolment_in(opened) {
            Ok(enrolment) => Ok(enrolment.answer.policy),
            Err(WalletError::NotEnrolled) => Ok(Policy::default()),
            Err(error) => Err(error),
        }
    }

    /// The provider's client, kept with its session while the wallet is open.
    pub(super) async fn backend(
        self: &Arc<Self>,
    ) -> Result<(Arc<Backend>, Enrolment), WalletError> {
        let enrolment = self.enrolment().await?;
        let mut held = self.backend.lock().await;
        let backend = match held.as_ref() {
            Some(backend) => Arc::clone(backend),
            None => {
                let backend = Arc::new(self.client(&enrolment)?);
                *held = Some(Arc::clone(&backend));
                backend
            }
        };
        Ok((backend, enrolment))
    }

    fn client(&self, enrolment: &Enrolment) -> Result<Backend, WalletError> {
        let trust = Trust {
            provider_url: &enrolment.provider_url,
            ca_pem: &enrolment.ca_pem,
            pins: &enrolment.answer.pins,
        };
        // Not kept open by the client: a request under way must not hold a folder that was freed.
        let opened = Arc::downgrade(&self.opened()?);
        let identity = Identity {
            device_id: enrolment.answer.device_id.clone(),
            app_version: self.config.app_version.clone(),
            sign: Arc::new(move |message| match opened.upgrade() {
                Some(opened) => opened.hierarchy.sign(message),
                None => Err(KeyStoreError::Unavailable.into()),
            }),
        };
        let clock = Arc::clone(&self.clock);
        Ok(Backend::new(&trust, Some(identity), move || {
            clock.now().wall_ms
        })?)
    }
}
