//! Payments by a shop's code whose end the person does not know yet. A static code is good for many payments, so that the
//! provider cannot tell a person who pays twice from a phone that asks twice: this record can, also after the app was
//! killed in between.
//!
//! An offer that is read anew has a key of its own. While the payment of the same sum by the same code is undecided, such an
//! offer is folded into it, and stays so; once it is decided, it is nobody else's answer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::Money;
use crate::statement::{EntryState, Payment};
use crate::store::{StoreError, VaultTx};
use crate::token::TokenRef;
use crate::wallet::open::Opened;
use crate::wallet::{Wallet, WalletError};

/// Name of the record in the vault.
const RECORD: &str = "merchant_payments";
/// For so long the same sum by the same code is the same payment, in milliseconds. Who pays it again later has bought again.
const AGE_MS: i64 = 600_000;
/// The most that are remembered, and the most offers that are folded into one.
const MOST: usize = 8;

/// A payment as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::wallet) struct Sent {
    pub(in crate::wallet) code: String,
    pub(in crate::wallet) account: TokenRef,
    pub(in crate::wallet) money: Money,
    /// Its idempotency key: that of the offer it was sent for first.
    pub(in crate::wallet) key: String,
    /// When, milliseconds of Unix time.
    pub(in crate::wallet) at_ms: i64,
    /// The keys of other offers that are answered by it.
    offers: Vec<String>,
    /// What the provider calls it, once it has answered.
    payment_id: Option<String>,
    decided: bool,
}

impl Sent {
    pub(in crate::wallet) fn new(
        code: String,
        account: TokenRef,
        money: Money,
        key: String,
    ) -> Self {
        Self {
            code,
            account,
            money,
            key,
            at_ms: 0,
            offers: Vec::new(),
            payment_id: None,
            decided: false,
        }
    }

    fn is_of_offer(&self, key: &str) -> bool {
        self.key == key || self.offers.iter().any(|offer| offer == key)
    }

    /// Whether the statement has it: then the person knows.
    fn is_in_statement(&self, opened: &Opened) -> Result<bool, StoreError> {
        let Some(payment_id) = &self.payment_id else {
            return Ok(false);
        };
        let payment = Payment::by_code(self.account.clone(), payment_id.clone());
        let entry = opened.statement.write(|tx| tx.entry(&payment))?;
        Ok(entry
            .is_some_and(|entry| matches!(entry.state, EntryState::Matched | EntryState::Declined)))
    }
}

/// What is known of a payment since.
pub(in crate::wallet) enum Known {
    /// It is pending under this name.
    Pending(String),
    /// It is decided.
    Decided,
    /// It was not made: whoever asks again asks anew.
    Refused,
}

impl Wallet {
    /// Writes down what is about to be sent; answers what was sent before, where that is the same payment.
    pub(in crate::wallet) async fn sending(
        self: &Arc<Self>,
        wish: Sent,
    ) -> Result<Sent, WalletError> {
        // One at a time: two that pay at once must see each other.
        self.with_keys(move |_, opened| {
            let now_ms = opened.time_ms();
            let mut sent = opened.vault.read(read)?;
            sent.retain(|before| now_ms.saturating_sub(before.at_ms) < AGE_MS);
            for before in sent.iter_mut().filter(|before| !before.decided) {
                before.decided = before.is_in_statement(opened)?;
            }
            if let Some(before) = sent.iter().find(|before| before.is_of_offer(&wish.key)) {
                return Ok(before.clone());
            }
            let same = |before: &&mut Sent| {
                !before.decided && before.code == wish.code && before.money == wish.money
            };
            let chosen = match sent.iter_mut().find(same) {
                Some(before) => {
                    before.offers.push(wish.key);
                    before
                        .offers
                        .drain(..before.offers.len().saturating_sub(MOST));
                    before.clone()
                }
                None => {
                    sent.drain(..(sent.len() + 1).saturating_sub(MOST));
                    let at_ms = now_ms;
                    let wish = Sent { at_ms, ..wish };
                    sent.push(wish.clone());
                    wish
                }
            };
            write(opened, &sent)?;
            Ok(chosen)
        })
        .await
    }

    /// Notes what became of the payment with this key.
    pub(in crate::wallet) async fn note_sent(
        self: &Arc<Self>,
        key: String,
        known: Known,
    ) -> Result<(), WalletError> {
        self.change_sent(move |sent| sent.key == key, known).await
    }

    /// Notes that the payment which the provider calls so is decided.
    pub(in crate::wallet) async fn note_decided(
        self: &Arc<Self>,
        payment_id: String,
    ) -> Result<(), WalletError> {
        let named = move |sent: &Sent| sent.payment_id.as_ref() == Some(&payment_id);
        self.change_sent(named, Known::Decided).await
    }

    async fn change_sent(
        self: &Arc<Self>,
        which: impl Fn(&Sent) -> bool + Send + 'static,
        known: Known,
    ) -> Result<(), WalletError> {
        self.with_keys(move |_, opened| {
            let mut sent = opened.vault.read(read)?;
            let before = sent.clone();
            match known {
                Known::Refused => sent.retain(|sent| !which(sent)),
                Known::Pending(payment_id) => {
                    for sent in sent.iter_mut().filter(|sent| which(sent)) {
                        sent.payment_id = Some(payment_id.clone());
                    }
                }
                Known::Decided => {
                    for sent in sent.iter_mut().filter(|sent| which(sent)) {
                        sent.decided = true;
                    }
                    // The provider itself answers its own offer alike for ever.
                    sent.retain(|sent| !sent.decided || !sent.offers.is_empty());
                }
            }
            match sent == before {
                true => Ok(()),
                false => write(opened, &sent),
            }
        })
        .await
    }
}

fn read(tx: &VaultTx<'_>) -> Result<Vec<Sent>, StoreError> {
    Ok(tx.record(RECORD)?.unwrap_or_default())
}

fn write(opened: &Opened, sent: &[Sent]) -> Result<(), WalletError> {
    let kept = Some(&sent).filter(|sent| !sent.is_empty());
    let written: Result<(), StoreError> = opened.vault.write(|tx| tx.set_record(RECORD, kept));
    Ok(written?)
}
