//! Arming: a fresh key under a fresh alias, sealing what must never go back.

use std::collections::BTreeMap;
use std::sync::Arc;

use ring::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::hierarchy::alias;
use super::sealing::{SealingKey, random};
use super::{PlatformKeyStore, VaultError};
use crate::secret::{Secret, SecretBytes};
use crate::store::{ArmingRecord, Place};
use crate::token::{KeyStock, TokenRef};

/// What must never go back: counters given out and uses left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmingState {
    /// By token reference.
    pub tokens: BTreeMap<TokenRef, TokenState>,
}

/// What must never go back of one token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenState {
    /// The first ATC that was never given out, 65536 when there is none left.
    pub next_atc: u32,
    /// The limited-use keys.
    pub keys: KeyStock,
    /// The journal position up to which the network has taken the payment log.
    pub logged_through: i64,
}

/// An arming in the making: the payment key is open until this is dropped.
pub struct Arming {
    key_store: Arc<dyn PlatformKeyStore>,
    installation: [u8; 16],
    payment: Secret<32>,
    generation: i64,
    state: ArmingState,
}

impl Arming {
    pub(super) fn first(
        key_store: Arc<dyn PlatformKeyStore>,
        installation: [u8; 16],
    ) -> Result<Self, VaultError> {
        Ok(Self {
            key_store,
            installation,
            payment: Secret::fill(|bytes| random(bytes))?,
            generation: 0,
            state: ArmingState::default(),
        })
    }

    pub(super) fn open(
        key_store: Arc<dyn PlatformKeyStore>,
        installation: [u8; 16],
        record: &ArmingRecord,
    ) -> Result<Self, VaultError> {
        if !key_store.aliases()?.contains(&record.alias) {
            return Err(VaultError::KeysGone);
        }
        let arming = key_store.unwrap(&record.alias, &record.wrapped)?;
        let arming = Secret::<32>::take(arming).ok_or(VaultError::Unsealable)?;
        let key = SealingKey::new(&arming, "tapcore arming v1", installation)?;
        let generation = record.generation.to_be_bytes();
        let plain = key.open(&place(&generation), &record.sealed)?;
        let (payment, state) = plain.split_at_checked(32).ok_or(VaultError::Unsealable)?;
        Ok(Self {
            key_store,
            installation,
            payment: Secret::copy_of(payment).ok_or(VaultError::Unsealable)?,
            generation: record.generation,
            state: serde_json::from_slice(state).map_err(|_| VaultError::UnknownFormat)?,
        })
    }

    /// The state as the current record has it, or as changed since.
    pub fn state(&self) -> &ArmingState {
        &self.state
    }

    /// For changes that the next [`record`](Self::record) makes durable.
    pub fn state_mut(&mut self) -> &mut ArmingState {
        &mut self.state
    }

    /// Seals a secret that can pay.
    ///
    /// # Errors
    /// When the random number generator fails.
    pub fn seal_secret(
        &self,
        token: &TokenRef,
        name: &str,
        plain: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        self.payment_key()?
            .seal(&secret_place(&secret_row(token, name)), plain)
    }

    /// Opens a secret that can pay.
    ///
    /// # Errors
    /// When it was not sealed here under this name.
    pub fn open_secret(
        &self,
        token: &TokenRef,
        name: &str,
        sealed: &[u8],
    ) -> Result<SecretBytes, VaultError> {
        self.payment_key()?
            .open(&secret_place(&secret_row(token, name)), sealed)
    }

    /// A token's secret as a key for HMAC-SHA-256.
    ///
    /// # Errors
    /// As [`open_secret`](Self::open_secret).
    pub fn mac_key(
        &self,
        token: &TokenRef,
        name: &str,
        sealed: &[u8],
    ) -> Result<hmac::Key, VaultError> {
        let secret = self.open_secret(token, name, sealed)?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &secret))
    }

    fn payment_key(&self) -> Result<SealingKey, VaultError> {
        SealingKey::new(&self.payment, "tapcore payment v1", self.installation)
    }

    /// The next generation: a fresh alias, a fresh arming key, the state sealed by it.
    ///
    /// The caller commits the record durably, then calls
    /// [`Hierarchy::retire_older`](super::Hierarchy::retire_older); before both are done, nothing that the new state
    /// gives out may leave.
    ///
    /// # Errors
    /// When the key store or the random number generator fails; a new alias that was made by then is deleted when the
    /// wallet is opened next.
    pub fn record(&mut self) -> Result<ArmingRecord, VaultError> {
        self.generation += 1;
        let mut fresh = [0; 4];
        random(&mut fresh)?;
        // A random part keeps the alias fresh even where a failed commit left one of the same generation behind.
        let purpose = format!("arming.{}.{}", self.generation, hex::encode(fresh));
        let alias = alias(&self.installation, &purpose);
        self.key_store.create_wrapping_key(&alias)?;
        let arming = Secret::<32>::fill(|bytes| random(bytes))?;
        let wrapped = self.key_store.wrap(&alias, arming.expose())?;
        let key = SealingKey::new(&arming, "tapcore arming v1", self.installation)?;
        let state = serde_json::to_vec(&self.state).map_err(|_| VaultError::UnknownFormat)?;
        let mut plain = Zeroizing::new(Vec::with_capacity(32 + state.len()));
        plain.extend_from_slice(self.payment.expose());
        plain.extend_from_slice(&state);
        let generation = self.generation.to_be_bytes();
        Ok(ArmingRecord {
            generation: self.generation,
            alias,
            wrapped,
            sealed: key.seal(&place(&generation), &plain)?,
        })
    }
}

fn place(generation: &[u8]) -> Place<'_> {
    Place {
        table: "arming",
        column: "sealed",
        row: generation,
    }
}

fn secret_row(token: &TokenRef, name: &str) -> Vec<u8> {
    crate::bind::bind(
        "token_secret",
        &[token.as_str().as_bytes(), name.as_bytes()],
    )
}

fn secret_place(row: &[u8]) -> Place<'_> {
    Place {
        table: "token_secret",
        column: "sealed",
        row,
    }
}
