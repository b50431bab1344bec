//! The payment log: what the phone says it paid, under a MAC that only it and the network can make.

use ring::hmac;
use serde::{Deserialize, Serialize};

use super::{KeyIndex, TokenRef};
use crate::account::Money;
use crate::bind::bind;

/// One payment in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Its counter.
    pub atc: u16,
    /// The key that paid.
    pub key_index: KeyIndex,
    /// When, RFC 3339 with whole seconds.
    pub at: String,
    /// The reader's unpredictable number, four bytes in hexadecimal.
    pub un: String,
    /// Amount and currency as the reader told them.
    #[serde(flatten)]
    pub money: Money,
}

impl LogEntry {
    fn bound(&self) -> Vec<u8> {
        bind(
            "entry",
            &[
                &u32::from(self.atc).to_be_bytes(),
                self.key_index.as_str().as_bytes(),
                self.at.as_bytes(),
                &hex::decode(&self.un).unwrap_or_default(),
                &self.money.minor.to_be_bytes(),
                self.money.currency.code().as_bytes(),
            ],
        )
    }
}

/// HMAC-SHA-256 over the token and its log, in order. The key is the vault's; it hands in a prepared one.
pub fn log_mac(key: &hmac::Key, token: &TokenRef, log: &[LogEntry]) -> Vec<u8> {
    let entries: Vec<_> = log.iter().map(LogEntry::bound).collect();
    let mut parts = vec![token.as_str().as_bytes()];
    parts.extend(entries.iter().map(Vec::as_slice));
    hmac::sign(key, &bind("tapcore-payment-log-v1", &parts))
        .as_ref()
        .to_vec()
}
