//! Payments by a shop's code that were sent and have no answer yet. A static code is good for many payments, so that the
//! provider cannot tell a person who pays twice from a phone that asks twice: this record can, also after the app was
//! killed in between.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::Money;
use crate::store::StoreError;
use crate::token::TokenRef;
use crate::wallet::{Wallet, WalletError};

/// Name of the record in the vault.
const RECORD: &str = "merchant_payments";
/// For so long the same sum by the same code is the same payment, in milliseconds. Who pays it again later has bought again.
const AGE_MS: i64 = 600_000;
/// The most that are remembered.
const MOST: usize = 8;

/// A payment as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::wallet) struct Sent {
    pub(in crate::wallet) code: String,
    pub(in crate::wallet) account: TokenRef,
    pub(in crate::wallet) money: Money,
    /// Its idempotency key.
    pub(in crate::wallet) key: String,
    /// When, milliseconds of Unix time.
    pub(in crate::wallet) at_ms: i64,
}

impl Wallet {
    /// Writes down what is about to be sent; answers what was sent before, where that is the same payment without an answer.
    pub(in crate::wallet) async fn sending(
        self: &Arc<Self>,
        wish: Sent,
    ) -> Result<Sent, WalletError> {
        self.blocking(move |_, opened| {
            let now_ms = opened.time_ms();
            let sent: Result<Sent, StoreError> = opened.vault.write(|tx| {
                let mut sent: Vec<Sent> = tx.record(RECORD)?.unwrap_or_default();
                sent.retain(|before| now_ms.saturating_sub(before.at_ms) < AGE_MS);
                let same = |before: &&Sent| before.code == wish.code && before.money == wish.money;
                if let Some(before) = sent.iter().find(same) {
                    return Ok(before.clone());
                }
                sent.drain(..sent.len().saturating_sub(MOST - 1));
                let at_ms = now_ms;
                let wish = Sent { at_ms, ..wish };
                sent.push(wish.clone());
                tx.set_record(RECORD, Some(&sent))?;
                Ok(wish)
            });
            Ok(sent?)
        })
        .await
    }

    /// It is decided.
    pub(in crate::wallet) async fn answered(
        self: &Arc<Self>,
        key: String,
    ) -> Result<(), WalletError> {
        self.blocking(move |_, opened| {
            let forgotten: Result<(), StoreError> = opened.vault.write(|tx| {
                let mut sent: Vec<Sent> = tx.record(RECORD)?.unwrap_or_default();
                sent.retain(|before| before.key != key);
                tx.set_record(RECORD, Some(&sent).filter(|sent| !sent.is_empty()))
            });
            Ok(forgotten?)
        })
        .await
    }
}
