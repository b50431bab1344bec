//! Arming: keys into memory, ATCs durably reserved, before a reader can ask.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use zeroize::Zeroizing;

use super::open::Opened;
use super::paid::note_paid;
use super::payload::OdaKey;
use super::permit::order;
use super::tap::Returned;
use super::{Wallet, WalletError};
use crate::backend::rfc3339;
use crate::emv::atc::AtcBlock;
use crate::emv::card::ArmedToken;
use crate::emv::oda::CardKey;
use crate::emv::profile::CardProfile;
use crate::secret::{Secret, wipe_stack};
use crate::store::{ArmingRecord, StoredToken};
use crate::token::{KeyIndex, TokenLife, TokenRef};
use crate::vault::{Arming, VaultError};

/// Name of the key under which the payment log is authenticated.
pub(super) const SECRET_LOG: &str = "log";
/// Name of the card's RSA key.
pub(super) const SECRET_ODA: &str = "oda";
/// A token with fewer reserved payments than this is topped up.
const LOW: u32 = 2;
/// How far the time that is written down may lag behind, in milliseconds: so much a clock set back over a boot may gain.
const ANCHOR_MS: i64 = 3_600_000;
/// Attempts to delete the older arming key, which a busy key store may refuse once.
const RETIREMENTS: u32 = 3;

/// Name of a limited-use key.
pub(super) fn secret_name(index: &KeyIndex) -> String {
    format!("luk {}", index.as_str())
}

/// Name of a limited-use key that pays with the person verified.
pub(super) fn verified_name(index: &KeyIndex) -> String {
    format!("verified luk {}", index.as_str())
}

/// The date in UTC, `YYYY-MM-DD`.
pub(super) fn today(now_ms: i64) -> String {
    let mut instant = rfc3339(now_ms);
    instant.truncate(10);
    instant
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
        self.with_keys(|wallet, opened| wallet.arm_now(opened))
            .await
    }

    /// Arms, for callers of [`with_keys`](Self::with_keys).
    pub(super) fn arm_now(&self, opened: &Opened) -> Result<(), WalletError> {
        let may_tap = self.started.load(Ordering::Relaxed) && !self.closed.load(Ordering::Relaxed);
        if !may_tap {
            return Ok(());
        }
        let policy = self.policy_in(opened)?;
        let standing = self.standing(opened, &policy);
        self.tap
            .look(policy.clone(), standing, opened.sees_clock_jump());
        if standing.is_some() {
            return Ok(());
        }
        let now_ms = opened.time_ms();
        let today = today(now_ms);
        let tokens = opened.vault.read(|tx| tx.tokens())?;
        let (living, ended): (Vec<_>, Vec<_>) = tokens
            .into_iter()
            .partition(|stored| can_pay(stored, &today));
        let ended = ended.iter().map(|stored| &stored.token.reference);
        self.tap.expire(now_ms, ended);
        self.tap.prefer(order(opened)?);
        let returned = self.tap.take_returned();
        let low: Vec<_> = living
            .into_iter()
            .filter(|stored| self.tap.left(&stored.token.reference) < LOW)
            .collect();
        let stale = now_ms
            .saturating_sub(opened.known().written_ms)
            .saturating_abs()
            >= ANCHOR_MS;
        if low.is_empty() && !stale && returned.set_aside.is_empty() {
            // What was spared waits for the next commit.
            self.tap.put_back(returned);
            self.tap.arm(policy, Vec::new());
            self.arm_when_expired(now_ms);
            return Ok(());
        }
        let granted = grant_all(opened, &returned, &low, policy.atc_block, stale, now_ms);
        let (armed, record) = match granted {
            Ok(granted) => granted,
            Err(error) => {
                self.not_written(returned, &error);
                return Err(error);
            }
        };
        // From here on it is written down, whatever comes: it must not be given back a second time.
        if let Some(record) = record {
            retire_older(opened, &record)?;
        }
        // The blocks are durable and the older arming key is gone: from here on their ATCs may leave, unless the wallet
        // was closed meanwhile.
        if self.closed.load(Ordering::Relaxed) {
            // Whoever closes gives back what nobody can use any more.
            for unused in armed {
                let left = unused.atcs.left();
                self.tap.spare(Some((unused.token, unused.key_index, left)));
            }
            return Ok(());
        }
        // What is made from here on lives as long as the process, and a value that is moved takes along what lay where it
        // has nothing: the stack below must be clean.
        wipe_stack();
        self.tap.arm(policy, armed);
        self.arm_when_expired(now_ms);
        Ok(())
    }

    /// What the card gave back goes back to it when it was surely not written down. A commit that failed may have been made
    /// all the same; then the uses are lost rather than counted twice.
    pub(super) fn not_written(&self, returned: Returned, error: &WalletError) {
        if !matches!(error, WalletError::Store(_)) {
            self.tap.put_back(returned);
        }
    }

    /// Arms again when the first key in memory comes to its end, so that a phone which lies idle does not pay with it.
    // Its frame must lie in the stack that the caller has wiped.
    #[inline(never)]
    fn arm_when_expired(&self, now_ms: i64) {
        let Some(end_ms) = self.tap.first_end() else {
            return;
        };
        let turn = self.expiries.fetch_add(1, Ordering::Relaxed) + 1;
        let wait = u64::try_from(end_ms.saturating_sub(now_ms)).unwrap_or(0);
        // A timer does not count sleep and the clock may be set: look again after a day at the latest.
        let wait = Duration::from_millis(wait.clamp(1_000, 86_400_000));
        let wallet = self.this.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(wait).await;
            if let Some(wallet) = wallet.upgrade()
                && wallet.expiries.load(Ordering::Relaxed) == turn
            {
                // A failure shows at the next tap, which arms as well.
                drop(wallet.arm().await);
            }
        });
    }

    /// Payments that are left beyond those reserved in memory.
    pub(super) fn stocked_uses(&self, opened: &Opened, tokens: &[StoredToken]) -> u32 {
        let known = opened.known();
        let now_ms = opened.time_ms();
        let today = today(now_ms);
        let living = tokens.iter().filter(|stored| can_pay(stored, &today));
        let states = living.filter_map(|stored| known.state.tokens.get(&stored.token.reference));
        states
            .map(|state| state.keys.uses_left(now_ms, false))
            .fold(0, u32::saturating_add)
    }

    /// Takes the cards out of the field for good and gives back the payments that were reserved and not used.
    pub(super) async fn disarm(self: &Arc<Self>) -> Result<(), WalletError> {
        self.with_keys(|wallet, opened| {
            // One that was on its way to the screen when the wallet was closed as well.
            wallet.take_code_away();
            let unused = wallet.tap.disarm();
            if unused.iter().all(|(_, _, left)| *left == 0) {
                return Ok(());
            }
            let mut arming = opened.arming()?;
            give_back(&mut arming, unused);
            let ((), record) = opened.commit(arming, |_| Ok(()))?;
            retire_older(opened, &record)
        })
        .await
    }
}

/// Gives back the payments that were reserved and not used. Their ATCs stay burnt: gaps are accepted, repetitions never.
pub(super) fn give_back(arming: &mut Arming, unused: Vec<(TokenRef, KeyIndex, u32)>) {
    for (token, key_index, left) in unused {
        if let Some(state) = arming.state_mut().tokens.get_mut(&token) {
            state.keys.give_back(&key_index, left);
        }
    }
}

/// Takes in what the card has given back.
pub(super) fn take_back(arming: &mut Arming, returned: &Returned) {
    give_back(arming, returned.spared.clone());
    for (token, key_index) in &returned.set_aside {
        if let Some(state) = arming.state_mut().tokens.get_mut(token) {
            state.keys.set_aside(key_index);
        }
    }
}

/// The next blocks of the cards that are low, made durable; the caller [retires](retire_older) the arming before.
fn grant_all(
    opened: &Opened,
    returned: &Returned,
    low: &[StoredToken],
    block: u32,
    stale: bool,
    now_ms: i64,
) -> Result<(Vec<ArmedToken>, Option<ArmingRecord>), WalletError> {
    let mut arming = opened.arming()?;
    take_back(&mut arming, returned);
    let mut armed = Vec::new();
    for stored in low {
        armed.extend(grant(opened, &mut arming, stored, block, now_ms)?);
    }
    if armed.is_empty() && !stale && returned.is_empty() {
        return Ok((armed, None));
    }
    let ((), record) = opened.commit(arming, |_| Ok(()))?;
    tracing::debug!(generation = record.generation, cards = armed.len(), "armed");
    Ok((armed, Some(record)))
}

pub(super) fn can_pay(stored: &StoredToken, today: &str) -> bool {
    stored.state == TokenLife::Active
        && stored.token.home.is_none()
        && !stored.token.is_expired(today)
}

/// Deletes the older arming keys, with patience: the block that depends on it is durable already.
pub(super) fn retire_older(opened: &Opened, record: &ArmingRecord) -> Result<(), WalletError> {
    let mut retired = opened.hierarchy.retire_older(record);
    for _ in 1..RETIREMENTS {
        if retired.is_err() {
            retired = opened.hierarchy.retire_older(record);
        }
    }
    Ok(retired?)
}

/// A token's next block under the key that pays next, taken off `arming`; nothing when it has no key or no counter left,
/// or when what was provisioned for it cannot be used: one bad card does not keep the others from paying.
pub(super) fn grant(
    opened: &Opened,
    arming: &mut Arming,
    stored: &StoredToken,
    block: u32,
    now_ms: i64,
) -> Result<Option<ArmedToken>, WalletError> {
    let token = &stored.token.reference;
    let Some(state) = arming.state().tokens.get(token) else {
        return Ok(None);
    };
    if state.keys.uses_left(now_ms, false) == 0 {
        return Ok(None);
    }
    let mut state = state.clone();
    note_paid(opened, token, &mut state)?;
    let atcs_left = 0x1_0000_u32.saturating_sub(state.next_atc);
    let Some((key, uses)) = state.keys.reserve(block.min(atcs_left), now_ms, false) else {
        return Ok(None);
    };
    if uses == 0 {
        return Ok(None);
    }
    let first = state.next_atc;
    state.next_atc += uses;
    let armed = ArmedToken {
        token: token.clone(),
        profile: match CardProfile::parse(&stored.profile) {
            Ok(profile) => Arc::new(profile),
            Err(_) => return Ok(None),
        },
        card_key: card_key(opened, arming, token)?,
        key: limited_use_key(opened, arming, token, &key.index)?,
        allowance: key.allowance(),
        tally: state.tally,
        key_index: key.index,
        not_after_ms: key.not_after_ms,
        atcs: AtcBlock::new(first, state.next_atc),
    };
    arming.state_mut().tokens.insert(token.clone(), state);
    Ok(Some(armed))
}

fn limited_use_key(
    opened: &Opened,
    arming: &Arming,
    token: &TokenRef,
    index: &KeyIndex,
) -> Result<Secret<16>, WalletError> {
    let name = secret_name(index);
    let sealed = opened.vault.read(|tx| tx.secret(token, &name))?;
    let sealed = sealed.ok_or(VaultError::Unsealable)?;
    let plain = arming.open_secret(token, &name, &sealed)?;
    Ok(plain.to_secret().ok_or(VaultError::Unsealable)?)
}

fn card_key(
    opened: &Opened,
    arming: &Arming,
    token: &TokenRef,
) -> Result<Option<Arc<CardKey>>, WalletError> {
    let Some(sealed) = opened.vault.read(|tx| tx.secret(token, SECRET_ODA))? else {
        return Ok(None);
    };
    let plain = arming.open_secret(token, SECRET_ODA, &sealed)?;
    let parts: OdaKey = plain.parse().map_err(|_| VaultError::UnknownFormat)?;
    Ok(Some(Arc::new(parts.key()?)))
}

impl OdaKey {
    /// The key that the parts make.
    pub(super) fn key(&self) -> Result<CardKey, WalletError> {
        let damaged =
            || WalletError::Provisioning("its key for offline data authentication is damaged");
        let decode = |text: &str| hex::decode(text).map(Zeroizing::new).map_err(|_| damaged());
        let (prime1, prime2) = (decode(&self.prime1)?, decode(&self.prime2)?);
        CardKey::from_parts(
            &decode(&self.modulus)?,
            &decode(&self.exponent)?,
            [&prime1, &prime2],
        )
        .map_err(|_| damaged())
    }
}
