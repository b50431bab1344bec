//! The aliases that the provider has given out for an account: each serves one showing, and never a second.
//!
//! The stock is sealed as a whole. [`AliasStock::take`] begins a showing, and its result is made durable before the code
//! is seen; the showing ends with [`AliasStock::end`], whether the code was paid, closed, revealed or photographed. What a
//! killed process left showing ends with the next showing at the latest.

use serde::{Deserialize, Serialize};

use super::Alias;

/// How long an alias must live yet to be shown, in milliseconds: a code is taken up to 90 seconds after it was made.
const LEAST_LIFE_MS: i64 = 90_000;

/// Where an alias is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AliasState {
    /// Nobody has seen it.
    Fresh,
    /// It is on the screen, or was when the process ended.
    Showing,
    /// Its showing is over. It is kept until it expires, so that no repeated batch brings it back.
    Spent,
    /// The same, and the provider knows.
    Told,
}

/// One alias of the stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AliasEntry {
    /// The digits.
    pub alias: Alias,
    /// Until when the provider knows it as this account's, milliseconds of Unix time.
    pub not_after_ms: i64,
    /// Where it is in its life.
    pub state: AliasState,
}

impl AliasEntry {
    fn can_show(&self, now_ms: i64) -> bool {
        self.state == AliasState::Fresh && self.not_after_ms.saturating_sub(now_ms) > LEAST_LIFE_MS
    }
}

/// The aliases of one account on this phone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AliasStock(Vec<AliasEntry>);

impl AliasStock {
    /// Takes in a batch from the provider: aliases, each with the end of its life in milliseconds of Unix time. One that is
    /// there already is left as it is, in whatever state; one that is over is not taken in.
    pub fn add(&mut self, batch: impl IntoIterator<Item = (Alias, i64)>, now_ms: i64) {
        self.prune(now_ms);
        for (alias, not_after_ms) in batch {
            if not_after_ms > now_ms && self.position(&alias).is_none() {
                self.0.push(AliasEntry {
                    alias,
                    not_after_ms,
                    state: AliasState::Fresh,
                });
            }
        }
    }

    /// Begins a showing with the alias that expires first, and ends the showing before it (which
    /// [`end_showing`](Self::end_showing) would name, for the provider); nothing when none is left.
    pub fn take(&mut self, now_ms: i64) -> Option<Alias> {
        self.end_showing();
        let usable = self.0.iter_mut().filter(|entry| entry.can_show(now_ms));
        let next = usable.min_by_key(|entry| entry.not_after_ms)?;
        next.state = AliasState::Showing;
        Some(next.alias.clone())
    }

    /// Ends an alias, on the screen or before it came there (the provider voided it): it is never shown again. Answers
    /// whether it was on the screen.
    pub fn end(&mut self, alias: &Alias) -> bool {
        let entry = self.0.iter_mut().find(|entry| entry.alias == *alias);
        entry.is_some_and(|entry| {
            let was = entry.state;
            if was != AliasState::Told {
                entry.state = AliasState::Spent;
            }
            was == AliasState::Showing
        })
    }

    /// Ends the aliases that nobody has seen and nobody will: of another length than the provider's format has by now.
    pub fn end_unfit(&mut self, digits: usize) {
        for entry in &mut self.0 {
            if entry.state == AliasState::Fresh && entry.alias.as_str().len() != digits {
                entry.state = AliasState::Spent;
            }
        }
    }

    /// Ends whatever is on the screen, and answers it: for the start of a process, and for the provider, who is to be told.
    pub fn end_showing(&mut self) -> Option<Alias> {
        let entry = self
            .0
            .iter_mut()
            .find(|entry| entry.state == AliasState::Showing)?;
        entry.state = AliasState::Spent;
        Some(entry.alias.clone())
    }

    #[cfg(test)]
    fn showing(&self, now_ms: i64) -> Option<&Alias> {
        let entry = self
            .0
            .iter()
            .find(|entry| entry.state == AliasState::Showing)?;
        (entry.not_after_ms > now_ms).then_some(&entry.alias)
    }

    /// Until when the provider knows an alias, milliseconds of Unix time.
    pub fn not_after_ms(&self, alias: &Alias) -> Option<i64> {
        let found = self.0.iter().find(|entry| entry.alias == *alias);
        found.map(|entry| entry.not_after_ms)
    }

    /// How many showings are left without a network.
    pub fn left(&self, now_ms: i64) -> usize {
        let usable = self.0.iter().filter(|entry| entry.can_show(now_ms));
        usable.count()
    }

    /// Drops what has expired: the provider does not recycle an alias before, and a repeated batch brings none back that is
    /// over. What is on the screen stays until it is ended.
    pub fn prune(&mut self, now_ms: i64) {
        self.0
            .retain(|entry| entry.state == AliasState::Showing || entry.not_after_ms > now_ms);
    }

    /// What this phone still holds: aliases that nobody has seen, and the one on the screen.
    pub fn held(&self) -> impl Iterator<Item = &Alias> {
        let held =
            |entry: &&AliasEntry| matches!(entry.state, AliasState::Fresh | AliasState::Showing);
        self.0.iter().filter(held).map(|entry| &entry.alias)
    }

    /// Whether the provider does not know yet of every showing that is over.
    pub fn is_untold(&self) -> bool {
        let mut entries = self.0.iter();
        entries.any(|entry| entry.state == AliasState::Spent)
    }

    /// The provider has been told what is held: of everything else it knows that it is over.
    pub fn told(&mut self, held: &[Alias]) {
        for entry in &mut self.0 {
            if entry.state == AliasState::Spent && !held.contains(&entry.alias) {
                entry.state = AliasState::Told;
            }
        }
    }

    #[cfg(test)]
    fn entries(&self) -> &[AliasEntry] {
        &self.0
    }

    fn position(&self, alias: &Alias) -> Option<usize> {
        self.0.iter().position(|entry| entry.alias == *alias)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const DAY: i64 = 86_400_000;

    fn alias(number: u64) -> Alias {
        Alias::try_from(format!("{number:010}")).unwrap()
    }

    fn stock(ends: &[i64]) -> AliasStock {
        let mut stock = AliasStock::default();
        stock.add((0..).map(alias).zip(ends.iter().copied()), 0);
        stock
    }

    #[test]
    fn what_expires_first_is_shown_first() {
        let mut stock = stock(&[3 * DAY, DAY, 2 * DAY]);
        let taken: Vec<_> = std::iter::from_fn(|| stock.take(0)).collect();
        assert_eq!(taken, [alias(1), alias(2), alias(0)]);
        assert_eq!(stock.left(0), 0);
    }

    #[test]
    fn a_showing_ends_once_and_a_new_one_ends_the_one_before() {
        let mut stock = stock(&[DAY, DAY, DAY]);
        let first = stock.take(0).unwrap();
        assert_eq!(stock.showing(0), Some(&first));
        assert!(stock.end(&first));
        assert!(!stock.end(&first));
        assert_eq!(stock.showing(0), None);
        let second = stock.take(0).unwrap();
        let third = stock.take(0).unwrap();
        assert!(!stock.end(&second));
        assert_eq!(stock.end_showing(), Some(third));
        assert_eq!(stock.take(0), None);
    }

    #[test]
    fn an_alias_about_to_expire_is_not_shown() {
        let stock = stock(&[100_000]);
        assert_eq!(stock.left(9_999), 1);
        assert_eq!(stock.left(10_000), 0);
    }

    #[test]
    fn a_showing_goes_on_to_the_end_of_the_alias_and_no_further() {
        let mut stock = stock(&[100_000]);
        let shown = stock.take(0).unwrap();
        assert_eq!(stock.showing(99_999), Some(&shown));
        assert_eq!(stock.showing(100_000), None);
        stock.prune(100_000);
        assert_eq!(stock.end_showing(), Some(shown));
        stock.prune(100_000);
        assert!(stock.entries().is_empty());
    }

    #[test]
    fn a_stock_survives_sealing() {
        let mut stock = stock(&[DAY, DAY]);
        stock.take(0).unwrap();
        let text = serde_json::to_string(&stock).unwrap();
        assert_eq!(
            text,
            r#"[{"alias":"0000000000","not_after_ms":86400000,"state":"showing"},{"alias":"0000000001","not_after_ms":86400000,"state":"fresh"}]"#
        );
        assert_eq!(serde_json::from_str::<AliasStock>(&text).unwrap(), stock);
        let damaged = text.replace("0000000001", "000000000x");
        assert!(serde_json::from_str::<AliasStock>(&damaged).is_err());
    }

    /// Batches that come again, late or twice, showings, kills and time, mixed: no alias is handed out twice in its life.
    #[test]
    fn whatever_happens_no_alias_is_shown_twice() {
        // Marsaglia's xorshift64.
        let mut state = 0x5EED_u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut stock = AliasStock::default();
        let mut sent: Vec<(Alias, i64)> = Vec::new();
        let mut shown: BTreeMap<Alias, i64> = BTreeMap::new();
        let mut now_ms = 0;
        let mut next = 0;
        let mut showings = 0;
        for _ in 0..5_000 {
            match random(6) {
                0 => {
                    for _ in 0..random(5) {
                        sent.push((
                            alias(next),
                            now_ms + i64::try_from(random(4)).unwrap() * DAY,
                        ));
                        next += 1;
                    }
                    // An answer that comes late brings old batches again.
                    let from = sent.len().saturating_sub(12);
                    stock.add(sent[from..].iter().cloned(), now_ms);
                }
                1 | 2 => {
                    let left = stock.left(now_ms);
                    let taken = stock.take(now_ms);
                    assert_eq!(taken.is_some(), left > 0);
                    if let Some(alias) = taken {
                        assert_eq!(stock.left(now_ms), left - 1);
                        assert!(shown.insert(alias, now_ms).is_none(), "shown twice");
                        showings += 1;
                    }
                }
                3 => {
                    let on_screen = stock.showing(now_ms).cloned();
                    if let Some(alias) = on_screen {
                        assert!(stock.end(&alias));
                    }
                }
                4 => {
                    // The process is killed, and reads back what was sealed.
                    let sealed = serde_json::to_vec(&stock).unwrap();
                    stock = serde_json::from_slice(&sealed).unwrap();
                }
                _ => now_ms += i64::try_from(random(7_200_000)).unwrap(),
            }
            let on_screen = stock
                .entries()
                .iter()
                .filter(|entry| entry.state == AliasState::Showing);
            assert!(on_screen.count() <= 1);
        }
        assert!(showings > 500, "{showings}");
    }
}
