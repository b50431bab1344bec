//! Limited-use keys: how many payments are left in them, and which one pays next.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Allowance, KeyLimits, Spent};
use crate::account::Money;

/// The index of a limited-use key: seven digits `YHHHHCC`, the last digit of the year, the hour of the year and a counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyIndex([u8; 7]);

/// A key index that is not seven digits.
#[derive(Debug, thiserror::Error)]
#[error("a key index must have seven digits")]
pub struct MalformedKeyIndex;

impl KeyIndex {
    /// The seven digits.
    pub fn as_str(&self) -> &str {
        // Only digits get in, so the fallback is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// `0YHHHHCC` in BCD, as issuer application data carries it.
    pub fn bcd(&self) -> [u8; 4] {
        let mut out = [0; 4];
        let mut digits = self.0.iter().map(|digit| digit - b'0');
        let mut next = || digits.next().unwrap_or(0);
        for (at, byte) in out.iter_mut().enumerate() {
            let high = if at == 0 { 0 } else { next() };
            *byte = high << 4 | next();
        }
        out
    }
}

impl TryFrom<String> for KeyIndex {
    type Error = MalformedKeyIndex;

    fn try_from(text: String) -> Result<Self, MalformedKeyIndex> {
        let digits = text.as_bytes().try_into().ok().map(Self);
        digits
            .filter(|index| index.0.iter().all(u8::is_ascii_digit))
            .ok_or(MalformedKeyIndex)
    }
}

impl From<KeyIndex> for String {
    fn from(index: KeyIndex) -> Self {
        index.as_str().to_owned()
    }
}

impl fmt::Debug for KeyIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is left of one limited-use key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyState {
    /// Which key.
    pub index: KeyIndex,
    /// Payments left, those reserved for a running process already taken off.
    pub uses_left: u32,
    /// Until when it may pay, in milliseconds of Unix time.
    pub not_after_ms: i64,
    /// Whether it pays with the person verified on the phone, and only so.
    #[serde(default)]
    pub verified: bool,
    /// The issuer's limits.
    #[serde(default)]
    pub limits: Option<KeyLimits>,
    /// What was paid with it, as far as it was [noted](KeyStock::note).
    #[serde(default)]
    pub spent: Spent,
    /// Whether the key itself was wiped: it is remembered, and pays no more.
    #[serde(default)]
    pub wiped: bool,
}

impl KeyState {
    /// What it may pay, by what was noted of it.
    pub fn allowance(&self) -> Allowance {
        Allowance::new(self.limits, self.spent)
    }
}

/// A payment, as far as the keys are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// The key that paid.
    pub key_index: KeyIndex,
    /// How much.
    pub money: Money,
    /// Whether abroad.
    pub abroad: bool,
    /// Whether the person was verified for it.
    pub verified: bool,
}

/// The keys of one token, in the order they are used up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStock(Vec<KeyState>);

impl KeyStock {
    /// Adds keys that came from the network; one that is there already is left as it is.
    pub fn add(&mut self, keys: impl IntoIterator<Item = KeyState>) {
        for key in keys {
            if !self.0.iter().any(|held| held.index == key.index) {
                self.0.push(key);
            }
        }
    }

    /// Payments that can be made at `now_ms` without a network, with the person verified or without.
    pub fn uses_left(&self, now_ms: i64, verified: bool) -> u32 {
        self.usable(now_ms, verified)
            .fold(0, |sum, key| sum.saturating_add(key.uses_left))
    }

    /// Takes up to `wanted` uses off the key that pays next: the key as it is then, and how many it could give.
    pub fn reserve(&mut self, wanted: u32, now_ms: i64, verified: bool) -> Option<(KeyState, u32)> {
        self.reserve_of(wanted, now_ms, verified, |_| true)
    }

    /// The same, of the first key that `fits`.
    pub fn reserve_of(
        &mut self,
        wanted: u32,
        now_ms: i64,
        verified: bool,
        fits: impl Fn(&KeyState) -> bool,
    ) -> Option<(KeyState, u32)> {
        let key = self.0.iter_mut().find(|key| {
            key.verified == verified && key.uses_left > 0 && key.not_after_ms > now_ms && fits(key)
        })?;
        let given = wanted.min(key.uses_left);
        key.uses_left -= given;
        Some((key.clone(), given))
    }

    /// Uses a key up that cannot pay any more.
    pub fn wear(&mut self, index: &KeyIndex) {
        if let Some(key) = self.0.iter_mut().find(|key| key.index == *index) {
            key.uses_left = 0;
        }
    }

    /// Lets the keys behind this one pay first.
    pub fn set_aside(&mut self, index: &KeyIndex) {
        if let Some(at) = self.0.iter().position(|key| key.index == *index) {
            let key = self.0.remove(at);
            self.0.push(key);
        }
    }

    /// Uses up every key that pays with the person verified: they were sealed to somebody who is gone.
    pub fn wear_verified(&mut self) {
        for key in self.0.iter_mut().filter(|key| key.verified) {
            key.uses_left = 0;
        }
    }

    /// Takes in a payment.
    pub fn note(&mut self, paid: &Paid) {
        for key in self.0.iter_mut().filter(|key| key.index == paid.key_index) {
            let mut allowance = key.allowance();
            allowance.spend(paid.money, paid.abroad);
            key.spent = allowance.spent();
        }
    }

    /// Gives back uses that were reserved and not used.
    pub fn give_back(&mut self, index: &KeyIndex, uses: u32) {
        let mut keys = self.0.iter_mut();
        // What was in memory of a key may come back after the key was wiped.
        if let Some(key) = keys.find(|key| key.index == *index && !key.wiped) {
            key.uses_left = key.uses_left.saturating_add(uses);
        }
    }

    /// The indices of keys that can never pay again, so that the keys can be wiped. One that is used up is remembered to
    /// the end of its time: an answer that comes again must not fill it up.
    pub fn prune(&mut self, now_ms: i64) -> Vec<KeyIndex> {
        let spent = |key: &&KeyState| key.uses_left == 0 || key.not_after_ms <= now_ms;
        let gone = self.0.iter().filter(spent);
        let gone: Vec<KeyIndex> = gone.map(|key| key.index).collect();
        self.0.retain(|key| key.not_after_ms > now_ms);
        for key in self.0.iter_mut().filter(|key| gone.contains(&key.index)) {
            key.wiped = true;
        }
        gone
    }

    /// Whether a key of this index is here, used up or not.
    pub fn knows(&self, index: &KeyIndex) -> bool {
        self.0.iter().any(|key| key.index == *index)
    }

    fn usable(&self, now_ms: i64, verified: bool) -> impl Iterator<Item = &KeyState> {
        let keys = self.0.iter();
        keys.filter(move |key| key.verified == verified && key.not_after_ms > now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: &str, uses_left: u32, not_after_ms: i64) -> KeyState {
        KeyState {
            index: index.to_owned().try_into().unwrap(),
            uses_left,
            not_after_ms,
            verified: false,
            limits: None,
            spent: Spent::default(),
            wiped: false,
        }
    }

    #[test]
    fn the_index_in_bcd() {
        let index: KeyIndex = "6570201".to_owned().try_into().unwrap();
        assert_eq!(index.bcd(), [0x06, 0x57, 0x02, 0x01]);
        assert!(KeyIndex::try_from("657020".to_owned()).is_err());
        assert!(KeyIndex::try_from("657020A".to_owned()).is_err());
    }

    #[test]
    fn s26_keys_are_used_up_one_after_the_other_and_never_past_their_time() {
        let mut stock = KeyStock::default();
        stock.add([key("6570200", 5, 100), key("6570201", 10, 1000)]);
        assert_eq!(stock.uses_left(50, false), 15);
        assert_eq!(stock.reserve(4, 50, false).unwrap().1, 4);
        assert_eq!(stock.reserve(4, 50, false).unwrap().1, 1);
        let (key, given) = stock.reserve(4, 50, false).unwrap();
        assert_eq!((key.index.as_str(), given), ("6570201", 4));
        stock.give_back(&key.index, 2);
        assert_eq!(stock.uses_left(50, false), 8);
        assert_eq!(stock.reserve(4, 1000, false), None);
        assert_eq!(stock.prune(100).len(), 1);
        assert_eq!(stock.uses_left(50, false), 8);
    }

    #[test]
    fn what_comes_back_of_a_wiped_key_is_not_paid_with() {
        let mut stock = KeyStock::default();
        stock.add([key("6570200", 5, 100), key("6570201", 5, 100)]);
        let (first, _) = stock.reserve(5, 0, false).unwrap();
        assert_eq!(stock.prune(0), [first.index]);
        stock.give_back(&first.index, 3);
        let (next, given) = stock.reserve(5, 0, false).unwrap();
        assert_eq!((next.index.as_str(), given), ("6570201", 5));
        assert_eq!(stock.uses_left(0, false), 0);
    }

    #[test]
    fn a_key_that_is_set_aside_pays_last() {
        let mut stock = KeyStock::default();
        stock.add([key("6570200", 5, 100), key("6570201", 5, 100)]);
        stock.set_aside(&"6570200".to_owned().try_into().unwrap());
        assert_eq!(
            stock.reserve(1, 0, false).unwrap().0.index.as_str(),
            "6570201"
        );
        assert_eq!(stock.uses_left(0, false), 9);
    }

    #[test]
    fn s22_a_key_that_comes_twice_is_not_filled_up_again() {
        let mut stock = KeyStock::default();
        stock.add([key("6570200", 5, 100)]);
        stock.reserve(5, 0, false);
        assert_eq!(stock.prune(0).len(), 1);
        stock.add([key("6570200", 5, 100)]);
        assert_eq!(
            stock.uses_left(0, false),
            0,
            "used up, wiped, and not forgotten"
        );
        assert_eq!(stock.prune(100).len(), 1);
        assert!(!stock.knows(&"6570200".to_owned().try_into().unwrap()));
    }
}
