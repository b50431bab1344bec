//! Arming: a fresh key under a fresh alias, sealing what must never go back.
//!
//! One arming follows another in three steps: [`Arming::begin_next`] makes the alias and the key, [`Arming::seal_next`]
//! seals the state for the commit that makes it durable, and [`Hierarchy::retire_older`](super::Hierarchy::retire_older)
//! deletes the alias of the one before. Only then may anything leave that the new state gives out.

use std::collections::BTreeMap;
use std::sync::Arc;

use ring::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::hierarchy::{alias, fresh_alias};
use super::sealing::{SealingKey, random};
use super::{PersonalKey, PlatformKeyStore, SealedBox, VaultError};
use crate::bind::bind;
use crate::clock::Anchor;
use crate::emv::verification::Tally;
use crate::secret::{Secret, SecretBytes};
use crate::store::{ArmingRecord, ManifestRoot, Place};
use crate::token::{KeyStock, TokenRef};

const ARMING: &str = "tapcore arming v1";
const PAYMENT: &str = "tapcore payment v1";
const LOCK: &[u8] = b"tapcore lock v1";

/// What must never go back: counters given out and uses left, what was sealed so far, and the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmingState {
    /// By token reference.
    pub tokens: BTreeMap<TokenRef, TokenState>,
    /// How many values the keys below the storage key have sealed, at least.
    pub seals: u64,
    /// When it was, last time anybody knew.
    pub anchor: Anchor,
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
    /// The journal position up to which its payments are in the tally, and in what its keys have spent.
    pub noted_through: i64,
    /// Its payments since its person was last verified for one.
    pub tally: Tally,
}

/// What the arming key seals behind the payment key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    state: ArmingState,
    /// The manifest's root, in hexadecimal.
    root: String,
    /// The payment key while the wallet is locked, sealed to the lock key of a person.
    locked: Option<SealedBox>,
}

/// An arming in the making: the payment key is open until this is dropped, unless the wallet is locked.
pub struct Arming {
    key_store: Arc<dyn PlatformKeyStore>,
    installation: [u8; 16],
    payment: Option<Secret<32>>,
    locked: Option<SealedBox>,
    generation: i64,
    state: ArmingState,
}

/// The key of the next arming, before anything is sealed by it.
pub struct NextArming {
    generation: i64,
    alias: String,
    wrapped: Vec<u8>,
    key: SealingKey,
}

impl Arming {
    pub(super) fn first(
        key_store: Arc<dyn PlatformKeyStore>,
        installation: [u8; 16],
        anchor: Anchor,
    ) -> Result<Self, VaultError> {
        Ok(Self {
            key_store,
            installation,
            payment: Some(Secret::fill(|bytes| random(bytes))?),
            locked: None,
            generation: 0,
            state: ArmingState {
                tokens: BTreeMap::new(),
                seals: 0,
                anchor,
            },
        })
    }

    pub(super) fn open(
        key_store: Arc<dyn PlatformKeyStore>,
        installation: [u8; 16],
        record: &ArmingRecord,
        root: &ManifestRoot,
    ) -> Result<Self, VaultError> {
        let aliases = key_store.aliases()?;
        if !aliases.contains(&record.alias) {
            let any = alias(&installation, "arming.");
            return Err(match aliases.iter().any(|held| held.starts_with(&any)) {
                true => VaultError::PutBack,
                false => VaultError::KeysGone,
            });
        }
        let arming = key_store.unwrap(&record.alias, &record.wrapped)?;
        let arming = Secret::<32>::take(arming).ok_or(VaultError::Unsealable)?;
        let key = SealingKey::new(&arming, ARMING, installation)?;
        drop(arming);
        let generation = record.generation.to_be_bytes();
        let plain = key.open(&place(&generation), &record.sealed)?;
        let (payment, sealed) = plain
            .expose()
            .split_at_checked(32)
            .ok_or(VaultError::Unsealable)?;
        let sealed: Sealed =
            serde_json::from_slice(sealed).map_err(|_| VaultError::UnknownFormat)?;
        let sealed_root = hex::decode(&sealed.root).map_err(|_| VaultError::UnknownFormat)?;
        if sealed_root != root {
            return Err(VaultError::RolledBack);
        }
        Ok(Self {
            key_store,
            installation,
            payment: match sealed.locked {
                Some(_) => None,
                None => Some(Secret::copy_of(payment).ok_or(VaultError::Unsealable)?),
            },
            locked: sealed.locked,
            generation: record.generation,
            state: sealed.state,
        })
    }

    /// The state as the current record has it, or as changed since.
    pub fn state(&self) -> &ArmingState {
        &self.state
    }

    /// For changes that the next record makes durable.
    pub fn state_mut(&mut self) -> &mut ArmingState {
        &mut self.state
    }

    /// Whether the payment key is sealed to a person.
    pub fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    /// Seals the payment key to the lock key of a person (SEC1 uncompressed); from the next record on nothing pays
    /// without that person. Locking what is locked changes nothing.
    ///
    /// # Errors
    /// [`VaultError::Foreign`] when the key is none.
    pub fn lock(&mut self, lock_key: &[u8]) -> Result<(), VaultError> {
        if let Some(payment) = &self.payment {
            let sealed = SealedBox::seal(lock_key, LOCK, &self.installation, payment.expose())?;
            self.locked = Some(sealed);
            self.payment = None;
        }
        Ok(())
    }

    /// Opens the payment key by what a person opened.
    ///
    /// # Errors
    /// [`VaultError::Foreign`] when it was sealed to another key.
    pub fn unlock(&mut self, key: &PersonalKey) -> Result<(), VaultError> {
        if let Some(sealed) = &self.locked {
            let payment = key.lock_key()?.open(sealed, LOCK, &self.installation)?;
            self.payment = Some(payment.to_secret().ok_or(VaultError::Foreign)?);
            self.locked = None;
        }
        Ok(())
    }

    /// Seals a secret that can pay.
    ///
    /// # Errors
    /// [`VaultError::Locked`]; or when the random number generator fails.
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
    /// [`VaultError::Locked`]; or when it was not sealed here under this name.
    pub fn open_secret(
        &self,
        token: &TokenRef,
        name: &str,
        sealed: &[u8],
    ) -> Result<SecretBytes, VaultError> {
        self.payment_key()?
            .open(&secret_place(&secret_row(token, name)), sealed)
    }

    /// Seals the seed of payment codes, which pays as a key does.
    ///
    /// # Errors
    /// As [`seal_secret`](Self::seal_secret).
    pub fn seal_seed(&self, seed: &Secret<32>) -> Result<Vec<u8>, VaultError> {
        self.payment_key()?.seal(&SEED, seed.expose())
    }

    /// Opens the seed of payment codes.
    ///
    /// # Errors
    /// As [`open_secret`](Self::open_secret).
    pub fn open_seed(&self, sealed: &[u8]) -> Result<Secret<32>, VaultError> {
        let plain = self.payment_key()?.open(&SEED, sealed)?;
        plain.to_secret().ok_or(VaultError::Unsealable)
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
        Ok(hmac::Key::new(hmac::HMAC_SHA256, secret.expose()))
    }

    fn payment_key(&self) -> Result<SealingKey, VaultError> {
        let payment = self.payment.as_ref().ok_or(VaultError::Locked)?;
        SealingKey::new(payment, PAYMENT, self.installation)
    }

    /// A fresh key under a fresh alias, for the next generation. An alias that comes to nothing is deleted when the next
    /// arming retires the older ones, or the wallet is opened.
    ///
    /// # Errors
    /// When the key store or the random number generator fails.
    pub fn begin_next(&self) -> Result<NextArming, VaultError> {
        let generation = self.generation + 1;
        let alias = fresh_alias(&self.installation, &format!("arming.{generation}"))?;
        self.key_store.create_wrapping_key(&alias)?;
        let arming = Secret::<32>::fill(|bytes| random(bytes))?;
        Ok(NextArming {
            generation,
            wrapped: self.key_store.wrap(&alias, arming.expose())?,
            alias,
            key: SealingKey::new(&arming, ARMING, self.installation)?,
        })
    }

    /// The state and the manifest's root, sealed by the next key, for the commit that makes both durable.
    ///
    /// # Errors
    /// When the random number generator fails.
    pub fn seal_next(
        &mut self,
        next: &NextArming,
        root: ManifestRoot,
    ) -> Result<ArmingRecord, VaultError> {
        let sealed = Sealed {
            state: self.state.clone(),
            root: hex::encode_upper(root),
            locked: self.locked.clone(),
        };
        let sealed = serde_json::to_vec(&sealed).map_err(|_| VaultError::UnknownFormat)?;
        let mut plain = Zeroizing::new(vec![0; 32]);
        plain.reserve_exact(sealed.len());
        if let Some(payment) = &self.payment {
            plain.copy_from_slice(payment.expose());
        }
        plain.extend_from_slice(&sealed);
        self.generation = next.generation;
        Ok(ArmingRecord {
            generation: next.generation,
            alias: next.alias.clone(),
            wrapped: next.wrapped.clone(),
            sealed: next
                .key
                .seal(&place(&next.generation.to_be_bytes()), &plain)?,
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

/// Where the seed of payment codes stands: inside the record of codes, of which there is one.
const SEED: Place<'static> = Place {
    table: "record",
    column: "code_seed",
    row: b"codes",
};

fn secret_row(token: &TokenRef, name: &str) -> Vec<u8> {
    bind(
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
