//! Arming: keys into memory, ATCs durably reserved, before a reader can ask.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::open::Opened;
use super::payload::OdaKey;
use super::{Wallet, WalletError};
use crate::backend::rfc3339;
use crate::emv::atc::AtcBlock;
use crate::emv::card::ArmedToken;
use crate::emv::oda::CardKey;
use crate::emv::profile::CardProfile;
use crate::secret::Secret;
use crate::store::{ArmingRecord, StoredToken};
use crate::token::{KeyIndex, TokenRef};
use crate::vault::{Arming, VaultError};

/// Name of the key under which the payment log is authenticated.
pub(super) const SECRET_LOG: &str = "log";
/// Name of the card's RSA key.
pub(super) const SECRET_ODA: &str = "oda";
/// A block with fewer ATCs than this is topped up.
const LOW: u32 = 2;

/// Name of a limited-use key.
pub(super) fn secret_name(index: &KeyIndex) -> String {
    format!("luk {}", index.as_str())
}

/// The date in UTC, `YYYY-MM-DD`.
pub(super) fn today(now_ms: i64) -> String {
    let mut instant = rfc3339(now_ms);
    instant.truncate(10);
    instant
}

/// What the card holds of a token already.
struct Held {
    key_index: KeyIndex,
    atcs: AtcBlock,
}

/// What one arming gives a token.
struct Grant {
    stored: StoredToken,
    key_index: KeyIndex,
    key: Secret<16>,
    card_key: Option<OdaKey>,
    atcs: AtcBlock,
}

impl Wallet {
    /// Arms every card that is low: reserves ATCs, opens the key that pays next. Does nothing where all are armed, or
    /// before [`start`](Self::start).
    ///
    /// A card without keys stays unarmed; it is no error, replenishment cures it.
    ///
    /// # Errors
    /// When the databases or the key store fail; the cards stay as they were.
    pub async fn arm(self: &Arc<Self>) -> Result<(), WalletError> {
        let _keys = self.keys.lock().await;
        self.arm_holding_keys().await
    }

    pub(super) async fn arm_holding_keys(self: &Arc<Self>) -> Result<(), WalletError> {
        if !self.started.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.blocking(|wallet, opened| {
            let policy = wallet.policy_in(opened)?;
            wallet.tap.prepare(policy);
            let tokens = opened.vault.read(|tx| tx.tokens())?;
            let low: Vec<_> = tokens
                .into_iter()
                .filter(|stored| wallet.is_low(&stored.token.reference))
                .collect();
            if low.is_empty() {
                return Ok(());
            }
            let current = opened.vault.read(|tx| tx.arming())?;
            let mut arming = opened.hierarchy.arming(current.as_ref())?;
            let mut grants = Vec::new();
            for stored in low {
                grants.extend(wallet.grant(opened, &mut arming, stored, policy.atc_block)?);
            }
            if grants.is_empty() {
                return Ok(());
            }
            let record = arming.record()?;
            drop(arming);
            opened.vault.write(|tx| tx.set_arming(&record))?;
            opened.hierarchy.retire_older(&record)?;
            // The block is durable and the older arming key is gone: from here on its ATCs may leave.
            let armed = grants
                .into_iter()
                .map(Grant::into_token)
                .collect::<Result<Vec<_>, _>>()?;
            wallet.tap.arm(armed);
            Ok(())
        })
        .await
    }

    fn is_low(&self, token: &TokenRef) -> bool {
        self.tap
            .held(token, |held| held.atcs.left())
            .is_none_or(|left| left < LOW)
    }

    fn grant(
        &self,
        opened: &Opened,
        arming: &mut Arming,
        stored: StoredToken,
        block: u32,
    ) -> Result<Option<Grant>, WalletError> {
        let reference = stored.token.reference.clone();
        let held = self.tap.held(&reference, |held| Held {
            key_index: held.key_index.clone(),
            atcs: held.atcs,
        });
        let now_ms = self.now_ms();
        if stored.token.is_expired(&today(now_ms)) {
            return Ok(None);
        }
        let Some(state) = arming.state_mut().tokens.get_mut(&reference) else {
            return Ok(None);
        };
        let atcs_left = 0x1_0000_u32.saturating_sub(state.next_atc);
        let Some((key_index, uses)) = state
            .keys
            .reserve(block.min(atcs_left), now_ms)
            .filter(|(_, uses)| *uses > 0)
        else {
            return Ok(None);
        };
        let first = state.next_atc;
        state.next_atc += uses;
        let end = state.next_atc;
        // A block that follows the one held, under the same key, extends it; else what is left of the old one is burnt.
        let start = match held {
            Some(held) if held.key_index == key_index && held.atcs.end() == first => {
                first - held.atcs.left()
            }
            _ => first,
        };
        let name = secret_name(&key_index);
        let sealed = opened
            .vault
            .read(|tx| tx.secret(&reference, &name))?
            .ok_or(VaultError::Unsealable)?;
        let plain = arming.open_secret(&reference, &name, &sealed)?;
        let key = Secret::copy_of(&plain).ok_or(VaultError::Unsealable)?;
        let card_key = match opened.vault.read(|tx| tx.secret(&reference, SECRET_ODA))? {
            Some(sealed) => {
                let plain = arming.open_secret(&reference, SECRET_ODA, &sealed)?;
                Some(serde_json::from_slice(&plain).map_err(|_| VaultError::UnknownFormat)?)
            }
            None => None,
        };
        Ok(Some(Grant {
            stored,
            key_index,
            key,
            card_key,
            atcs: AtcBlock::new(start, end),
        }))
    }

    /// Payments that are left beyond those reserved in memory.
    pub(super) fn stocked_uses(
        &self,
        opened: &Opened,
        tokens: &[StoredToken],
    ) -> Result<u32, WalletError> {
        let record = opened.vault.read(|tx| tx.arming())?;
        let Some(record) = record.filter(|_| !tokens.is_empty()) else {
            return Ok(0);
        };
        let arming = opened.hierarchy.arming(Some(&record))?;
        let now_ms = self.now_ms();
        let today = today(now_ms);
        let living = tokens
            .iter()
            .filter(|stored| !stored.token.is_expired(&today));
        let states = living.filter_map(|stored| arming.state().tokens.get(&stored.token.reference));
        Ok(states
            .map(|state| state.keys.uses_left(now_ms))
            .fold(0, u32::saturating_add))
    }

    /// Takes the cards out of the field for good and gives back the payments that were reserved and not used.
    pub(super) async fn disarm(self: &Arc<Self>) -> Result<(), WalletError> {
        let _keys = self.keys.lock().await;
        self.blocking(|wallet, opened| {
            let unused = wallet.tap.disarm();
            if unused.iter().all(|(_, _, left)| *left == 0) {
                return Ok(());
            }
            let current = opened.vault.read(|tx| tx.arming())?;
            let mut arming = opened.hierarchy.arming(current.as_ref())?;
            for (token, key_index, left) in unused {
                if let Some(state) = arming.state_mut().tokens.get_mut(&token) {
                    // The ATCs stay burnt: gaps are accepted, repetitions never.
                    state.keys.give_back(&key_index, left);
                }
            }
            let record: ArmingRecord = arming.record()?;
            opened.vault.write(|tx| tx.set_arming(&record))?;
            Ok(opened.hierarchy.retire_older(&record)?)
        })
        .await
    }
}

impl Grant {
    fn into_token(self) -> Result<ArmedToken, WalletError> {
        let damaged = || WalletError::Vault(VaultError::Foreign);
        let card_key = match self.card_key {
            Some(parts) => {
                let decode = |text: &str| {
                    hex::decode(text)
                        .map(zeroize::Zeroizing::new)
                        .map_err(|_| damaged())
                };
                let (prime1, prime2) = (decode(&parts.prime1)?, decode(&parts.prime2)?);
                let key = CardKey::from_parts(
                    &decode(&parts.modulus)?,
                    &decode(&parts.exponent)?,
                    [&prime1, &prime2],
                );
                Some(Arc::new(key.map_err(|_| damaged())?))
            }
            None => None,
        };
        Ok(ArmedToken {
            token: self.stored.token.reference,
            profile: Arc::new(CardProfile::parse(&self.stored.profile)?),
            card_key,
            key: self.key,
            key_index: self.key_index,
            atcs: self.atcs,
        })
    }
}
