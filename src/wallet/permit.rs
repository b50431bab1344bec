//! Paying at a reader with the person verified: which card pays, and the keys that only the person opens.

use std::sync::Arc;

use super::arm::{can_pay, give_back, retire_older, today, verified_name};
use super::open::Opened;
use super::{Wallet, WalletError};
use crate::emv::verification::{Consent, VerifiedKey};
use crate::store::StoredToken;
use crate::token::{TokenLife, TokenRef};
use crate::vault::{Arming, PersonalKey, SealedBox, VaultError};

/// Name of the record with the order of the cards, the default one first.
pub(super) const ORDER: &str = "card_order";

impl Wallet {
    /// Uses a verification for the next tap: each card gets one payment with the person verified, of the amount (or up
    /// to the ceiling) that the verification was for, until its time is over. One reader gets it.
    ///
    /// # Errors
    /// [`WalletError::NotVerified`] when the verification is over, was used or was for something else;
    /// [`WalletError::NoVerifiedKeys`] when the network has given none yet.
    pub async fn permit_tap(self: &Arc<Self>, verification_id: &str) -> Result<(), WalletError> {
        // Taken before the turn is waited for: it serves once, whatever comes of it.
        let (covers, key, good_for) = self.take_for_tap(verification_id)?;
        self.with_keys(move |wallet, opened| {
            let now_ms = opened.time_ms();
            let today = today(now_ms);
            let mut arming = opened.arming()?;
            give_back(&mut arming, wallet.tap.take_spared());
            let mut keys = Vec::new();
            for stored in opened.vault.read(|tx| tx.tokens())? {
                if can_pay(&stored, &today) {
                    keys.extend(open_one(opened, &mut arming, &stored, &key, now_ms)?);
                }
            }
            if keys.is_empty() {
                return Err(WalletError::NoVerifiedKeys);
            }
            // A use is taken off durably before its key can pay.
            let ((), record) = opened.commit(arming, |_| Ok(()))?;
            retire_older(opened, &record)?;
            wallet.tap.permit(Consent { covers, keys }, good_for);
            Ok(())
        })
        .await
    }

    /// Makes a card the default one: readers see it first, from the next tap on.
    ///
    /// # Errors
    /// [`WalletError::NoSuchCard`] when there is no such card.
    pub async fn set_default_card(self: &Arc<Self>, token: TokenRef) -> Result<(), WalletError> {
        self.with_keys(move |wallet, opened| {
            known_card(opened, &token)?;
            let mut order = order(opened)?;
            order.retain(|known| *known != token);
            order.insert(0, token);
            opened
                .vault
                .write(|tx| tx.set_record(ORDER, Some(&order)))?;
            wallet.tap.prefer(order);
            // The card that is asked for most has keys first.
            wallet.arm_now(opened)
        })
        .await?;
        self.replenish_soon();
        Ok(())
    }

    /// Lets one card alone pay, the next tap long; without one, takes that back.
    ///
    /// # Errors
    /// [`WalletError::NoSuchCard`] when there is no such card.
    pub async fn use_card_next(
        self: &Arc<Self>,
        token: Option<TokenRef>,
    ) -> Result<(), WalletError> {
        self.blocking(move |wallet, opened| {
            if let Some(token) = &token {
                known_card(opened, token)?;
            }
            wallet.tap.use_next(token);
            Ok(())
        })
        .await
    }

    /// The shell tells whether the phone's screen is locked. It counts from the next command of a reader on.
    pub fn set_screen_locked(&self, locked: bool) {
        self.tap.set_screen_locked(locked);
    }
}

/// The cards in the order that the person gave them.
pub(super) fn order(opened: &Opened) -> Result<Vec<TokenRef>, WalletError> {
    Ok(opened
        .vault
        .read(|tx| tx.record(ORDER))?
        .unwrap_or_default())
}

fn known_card(opened: &Opened, token: &TokenRef) -> Result<(), WalletError> {
    let tokens = opened.vault.read(|tx| tx.tokens())?;
    let living = tokens.iter().any(|stored| {
        stored.token.reference == *token
            && stored.token.home.is_none()
            && stored.state != TokenLife::Deleted
    });
    living.then_some(()).ok_or(WalletError::NoSuchCard)
}

/// One use of the key that pays next with the person verified, taken off `arming`.
fn open_one(
    opened: &Opened,
    arming: &mut Arming,
    stored: &StoredToken,
    person: &PersonalKey,
    now_ms: i64,
) -> Result<Option<VerifiedKey>, WalletError> {
    let token = &stored.token.reference;
    let Some(state) = arming.state_mut().tokens.get_mut(token) else {
        return Ok(None);
    };
    let after = state.logged_through;
    let Some((key, _)) = state.keys.reserve(1, now_ms, true) else {
        return Ok(None);
    };
    let name = verified_name(&key.index);
    let sealed = opened.vault.read(|tx| tx.secret(token, &name))?;
    let sealed = sealed.ok_or(VaultError::Unsealable)?;
    let plain = arming.open_secret(token, &name, &sealed)?;
    let sealed: SealedBox = plain.parse().map_err(|_| VaultError::UnknownFormat)?;
    // Sealed to a person who was set up anew since: new keys will come.
    let Ok(opened_key) = person.open_payment_key(token, &key.index, &sealed) else {
        return Ok(None);
    };
    let paid = super::paid::paid_between(opened, token, after, i64::MAX)?;
    Ok(Some(VerifiedKey {
        token: token.clone(),
        key: opened_key,
        allowance: key.allowance(paid.iter()),
        key_index: key.index,
    }))
}
