//! Paying at a reader with the person verified: which card pays, and the keys that only the person opens.

use std::sync::Arc;
use std::time::Duration;

use super::arm::{can_pay, retire_older, take_back, today, verified_name};
use super::open::Opened;
use super::paid::note_paid;
use super::tap::Returned;
use super::{Wallet, WalletError};
use crate::account::Money;
use crate::clock::Span;
use crate::emv::verification::{Consent, Covers, VerifiedKey};
use crate::secret::Secret;
use crate::store::{ArmingRecord, StoredToken};
use crate::token::{KeyIndex, KeyState, Overrun, TokenLife, TokenRef};
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
            // Without a card in the field there is nothing to permit.
            if !wallet.tap.is_armed() {
                return Err(WalletError::NotStarted);
            }
            // An earlier permission ends here, whatever comes of this one.
            wallet.tap.revoke();
            let returned = wallet.tap.take_returned();
            let permitted = open_all(opened, &returned, covers, &key);
            let (keys, record) = match permitted {
                Ok(permitted) => permitted,
                Err(error) => {
                    wallet.not_written(returned, &error);
                    return Err(error);
                }
            };
            // From here on it is written down, whatever comes: it must not be given back a second time.
            retire_older(opened, &record)?;
            if keys.is_empty() {
                return Err(WalletError::NoVerifiedKeys);
            }
            wallet.end_permission_after(&good_for);
            wallet.tap.permit(Consent { covers, keys }, good_for);
            Ok(())
        })
        .await
    }

    /// A permission that nobody uses ends with its time: its keys must not lie open for longer.
    fn end_permission_after(&self, good_for: &Span) {
        let wait = good_for.wait_ms(&self.clock.now());
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0));
        let wallet = self.this.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(wait).await;
            if let Some(wallet) = wallet.upgrade() {
                wallet.end_permission();
            }
        });
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
    /// [`WalletError::NoSuchCard`] when there is no such card, or it does not pay now.
    pub async fn use_card_next(
        self: &Arc<Self>,
        token: Option<TokenRef>,
    ) -> Result<(), WalletError> {
        self.blocking(move |wallet, opened| {
            if let Some(token) = &token {
                let paying = paying(opened)?;
                if !paying.iter().any(|stored| stored.token.reference == *token) {
                    return Err(WalletError::NoSuchCard);
                }
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

/// The cards that pay now, in that order.
pub(super) fn paying(opened: &Opened) -> Result<Vec<StoredToken>, WalletError> {
    let today = today(opened.time_ms());
    let tokens = opened.vault.read(|tx| tx.tokens())?.into_iter();
    let mut paying: Vec<_> = tokens.filter(|stored| can_pay(stored, &today)).collect();
    arrange(&mut paying, &order(opened)?);
    Ok(paying)
}

/// Puts cards into an order; those that it does not name come last, as they came.
pub(super) fn arrange(cards: &mut [StoredToken], order: &[TokenRef]) {
    cards.sort_by_key(|stored| {
        let mut order = order.iter();
        let place = order.position(|known| *known == stored.token.reference);
        place.unwrap_or(usize::MAX)
    });
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

/// One use of a key of each card, taken off durably before the key can pay; the caller [retires](retire_older) the arming
/// before.
fn open_all(
    opened: &Opened,
    returned: &Returned,
    covers: Covers,
    person: &PersonalKey,
) -> Result<(Vec<VerifiedKey>, ArmingRecord), WalletError> {
    let now_ms = opened.time_ms();
    // How much will be paid up to a ceiling is not known: a key that may pay anything will do.
    let least = match covers {
        Covers::Exactly(money) => money,
        Covers::UpTo(ceiling) => Money {
            minor: 1,
            ..ceiling
        },
    };
    let mut arming = opened.arming()?;
    take_back(&mut arming, returned);
    let mut keys = Vec::new();
    for stored in paying(opened)? {
        keys.extend(open_one(
            opened,
            &mut arming,
            &stored,
            (person, least),
            now_ms,
        )?);
    }
    let ((), record) = opened.commit(arming, |_| Ok(()))?;
    Ok((keys, record))
}

/// One use of the key that pays next with the person verified, taken off `arming`: of one that may pay `least` yet.
fn open_one(
    opened: &Opened,
    arming: &mut Arming,
    stored: &StoredToken,
    (person, least): (&PersonalKey, Money),
    now_ms: i64,
) -> Result<Option<VerifiedKey>, WalletError> {
    let token = &stored.token.reference;
    let Some(state) = arming.state_mut().tokens.get_mut(token) else {
        return Ok(None);
    };
    note_paid(opened, token, state)?;
    // A key of which too little is left gives way to the next one.
    let fits = |key: &KeyState| key.allowance().check(least, false) != Err(Overrun::Spent);
    loop {
        let state = arming.state_mut().tokens.get_mut(token);
        let reserved = state.and_then(|state| state.keys.reserve_of(1, now_ms, true, fits));
        let Some((key, _)) = reserved else {
            return Ok(None);
        };
        if let Some(opened_key) = open_key(opened, arming, token, &key.index, person)? {
            return Ok(Some(VerifiedKey {
                token: token.clone(),
                key: opened_key,
                allowance: key.allowance(),
                key_index: key.index,
            }));
        }
        // Nobody opens it any more; new ones will be asked for.
        if let Some(state) = arming.state_mut().tokens.get_mut(token) {
            state.keys.wear(&key.index);
        }
    }
}

/// A key for verified payments; nothing where it is not there, or sealed to a person who was set up anew since.
fn open_key(
    opened: &Opened,
    arming: &Arming,
    token: &TokenRef,
    index: &KeyIndex,
    person: &PersonalKey,
) -> Result<Option<Secret<16>>, WalletError> {
    let name = verified_name(index);
    let Some(sealed) = opened.vault.read(|tx| tx.secret(token, &name))? else {
        return Ok(None);
    };
    let plain = arming.open_secret(token, &name, &sealed)?;
    let sealed: SealedBox = plain.parse().map_err(|_| VaultError::UnknownFormat)?;
    Ok(person.open_payment_key(token, index, &sealed).ok())
}
