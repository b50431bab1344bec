//! Several phones of one person, and what a person may ask about their data.

use std::sync::Arc;

use serde_json::json;

use super::{Wallet, WalletError};
use crate::backend::protocol::{DeviceAnswer, LinkCodeAnswer, LinkCodeRequest, LinkKind, Phone};
use crate::backend::{fresh_key, rfc3339};

impl Wallet {
    /// The person's phones, as the provider knows them.
    ///
    /// # Errors
    /// When the provider cannot be reached.
    pub async fn phones(self: &Arc<Self>) -> Result<Vec<Phone>, WalletError> {
        let (backend, _) = self.backend().await?;
        let answer: DeviceAnswer = backend.get("/v1/device").await?;
        Ok(answer.phones)
    }

    /// Wipes a phone of the same person: the network refuses its cards at once, the phone wipes itself at its next
    /// contact. Doing it again does no harm.
    ///
    /// # Errors
    /// [`BackendError::Refused`](crate::backend::BackendError) with `phone_unknown` when it is not this person's.
    pub async fn wipe_phone(self: &Arc<Self>, device_id: &str) -> Result<(), WalletError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if device_id.is_empty() || !device_id.bytes().all(plain) {
            return Err(WalletError::Input(
                "a phone's identifier looks like dev_… and stands in the list of phones",
            ));
        }
        let (backend, _) = self.backend().await?;
        let path = format!("/v1/phones/{device_id}/wipe");
        let _: serde_json::Value = backend.post(&path, &json!({}), &fresh_key()).await?;
        Ok(())
    }

    /// A code with which another phone enrols as the same person's: beside this one, or in its place.
    ///
    /// # Errors
    /// When the provider cannot be reached.
    pub async fn create_link_code(
        self: &Arc<Self>,
        kind: LinkKind,
    ) -> Result<LinkCodeAnswer, WalletError> {
        let (backend, _) = self.backend().await?;
        Ok(backend
            .post("/v1/link-codes", &LinkCodeRequest { kind }, &fresh_key())
            .await?)
    }

    /// Everything personal that phone and provider hold, as one JSON document. No key and no card number is in it: the
    /// phone shows neither, and keeps no number.
    ///
    /// # Errors
    /// When the provider cannot be reached, or the databases cannot be read.
    pub async fn export_data(self: &Arc<Self>) -> Result<String, WalletError> {
        let (backend, enrolment) = self.backend().await?;
        let provider: serde_json::Value = backend.get("/v1/export").await?;
        let cards = self.cards().await?;
        let payments = self.statement().await?;
        let document = json!({
            "phone": {
                "device_id": enrolment.answer.device_id,
                "user_id": enrolment.answer.user_id,
                "provider": enrolment.provider_url,
                "cards": cards.iter().map(|(card, state)| json!({
                    "card": card.masked_card,
                    "bank": card.bank,
                    "token": card.masked_number,
                    "expiry": card.expiry,
                    "state": state,
                })).collect::<Vec<_>>(),
                "payments": payments.iter().map(|line| json!({
                    "at": rfc3339(line.at_ms),
                    "amount_minor": line.money.minor,
                    "currency": line.money.currency,
                    "merchant": line.merchant,
                    "account": line.account,
                    "atc": line.atc,
                })).collect::<Vec<_>>(),
            },
            "provider": provider,
        });
        serde_json::to_string_pretty(&document).map_err(|_| WalletError::Interrupted)
    }

    /// Deletes everything personal at the provider, then wipes this phone.
    ///
    /// # Errors
    /// When the provider cannot be reached: then nothing is deleted.
    pub async fn erase(self: &Arc<Self>) -> Result<(), WalletError> {
        let (backend, _) = self.backend().await?;
        let _: serde_json::Value = backend
            .post("/v1/erasure", &json!({}), &fresh_key())
            .await?;
        self.wipe().await
    }
}
