//! What is kept of payment codes: the seed, the provider's clock, the aliases of each account. A record that must not go
//! back: an alias that was shown is never shown again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::code::steps::{ProviderClock, Step};
use crate::code::{Alias, AliasStock, CodeFormat};
use crate::secret::Secret;
use crate::store::{StoreError, VaultTx};
use crate::token::TokenRef;
use crate::vault::{Arming, VaultError};

/// Name of the record in the vault.
pub(in crate::wallet) const RECORD: &str = "codes";

/// The record.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::wallet) struct CodeBook {
    /// The seed, sealed by the payment key, in hexadecimal: locked, a wallet shows no codes.
    seed: String,
    /// The provider's clock.
    pub(super) clock: ProviderClock,
    /// The aliases by account.
    pub(super) stocks: BTreeMap<TokenRef, AliasStock>,
    /// Whether the next code needs the person: digits were uncovered or photographed.
    #[serde(default)]
    pub(super) needs_person: bool,
}

impl CodeBook {
    /// The record, once a first batch has come.
    pub(in crate::wallet) fn read(tx: &VaultTx<'_>) -> Result<Option<Self>, StoreError> {
        tx.record(RECORD)
    }

    pub(super) fn new(
        arming: &Arming,
        seed: &Secret<32>,
        clock: ProviderClock,
    ) -> Result<Self, VaultError> {
        Ok(Self {
            seed: hex::encode_upper(arming.seal_seed(seed)?),
            clock,
            stocks: BTreeMap::new(),
            needs_person: false,
        })
    }

    /// Ends aliases that do not fit the provider's format any more.
    pub(super) fn end_unfit(&mut self, format: &CodeFormat) {
        let digits = usize::from(format.alias_digits());
        for stock in self.stocks.values_mut() {
            stock.end_unfit(digits);
        }
    }

    /// The seed of the device, which is the same in every batch unless the provider has lost it.
    pub(super) fn set_seed(
        &mut self,
        arming: &Arming,
        seed: &Secret<32>,
    ) -> Result<(), VaultError> {
        self.seed = hex::encode_upper(arming.seal_seed(seed)?);
        Ok(())
    }

    pub(super) fn seed(&self, arming: &Arming) -> Result<Secret<32>, VaultError> {
        let sealed = hex::decode(&self.seed).map_err(|_| VaultError::UnknownFormat)?;
        arming.open_seed(&sealed)
    }

    /// Showings that are left, of all accounts.
    pub(in crate::wallet) fn left(&self, now_ms: i64) -> u32 {
        let left = self.stocks.values().map(|stock| stock.left(now_ms));
        u32::try_from(left.sum::<usize>()).unwrap_or(u32::MAX)
    }

    /// Takes the next alias of an account, with the end of its life.
    pub(super) fn take(&mut self, account: &TokenRef, step: &Step) -> Option<(Alias, i64)> {
        let stock = self.stocks.get_mut(account)?;
        let alias = stock.take(step.at_ms)?;
        let not_after_ms = stock.not_after_ms(&alias)?;
        Some((alias, not_after_ms))
    }

    /// What is on the screen is over; answers it.
    pub(super) fn end_showing(&mut self) -> Vec<Alias> {
        let stocks = self.stocks.values_mut();
        stocks.filter_map(AliasStock::end_showing).collect()
    }

    /// Ends aliases that are over, of whatever account.
    pub(super) fn end_all(&mut self, over: &BTreeSet<Alias>) {
        for stock in self.stocks.values_mut() {
            for alias in over {
                stock.end(alias);
            }
        }
    }

    /// The aliases that this phone holds for these accounts.
    pub(super) fn held(&self, accounts: &[TokenRef]) -> Vec<Alias> {
        let stocks = accounts.iter().filter_map(|of| self.stocks.get(of));
        stocks.flat_map(AliasStock::held).cloned().collect()
    }

    /// Whether the provider does not know of every showing that is over.
    pub(super) fn is_untold(&self) -> bool {
        self.stocks.values().any(AliasStock::is_untold)
    }
}

#[cfg(test)]
impl CodeBook {
    /// A book with one batch of fresh aliases, as a provider at `now_ms` would have sent it.
    pub(in crate::wallet) fn stocked(
        arming: &Arming,
        seed: &Secret<32>,
        clock: ProviderClock,
        batch: impl IntoIterator<Item = (TokenRef, Alias, i64)>,
    ) -> Result<Self, VaultError> {
        let now_ms = clock.contact_ms();
        let mut book = Self::new(arming, seed, clock)?;
        for (account, alias, not_after_ms) in batch {
            let stock = book.stocks.entry(account).or_default();
            stock.add([(alias, not_after_ms)], now_ms);
        }
        Ok(book)
    }
}
