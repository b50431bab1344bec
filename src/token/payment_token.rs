//! The token itself.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::AccountType;

/// The network's reference of a token; no secret, but never logged. Shared, since every tap names it several times.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct TokenRef(Arc<str>);

impl From<String> for TokenRef {
    fn from(reference: String) -> Self {
        Self(reference.into())
    }
}

impl From<TokenRef> for String {
    fn from(reference: TokenRef) -> Self {
        reference.as_str().to_owned()
    }
}

impl TokenRef {
    /// A reference as the network wrote it.
    pub fn new(reference: impl Into<Arc<str>>) -> Self {
        Self(reference.into())
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenRef(…)")
    }
}

/// Whether a token may pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenLife {
    /// It pays.
    Active,
    /// It is held back, and can be resumed.
    Suspended,
    /// It is gone for good; its payments stay in the statement.
    Deleted,
}

/// A card in the wallet, as a person sees it. The token number is kept masked here; in full it stands in the profile.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentToken {
    /// The network's reference.
    pub reference: TokenRef,
    /// The token number, all but its first two and last four digits masked.
    pub masked_number: String,
    /// The last four digits of the card behind it.
    pub masked_card: String,
    /// The issuing bank.
    pub bank: String,
    /// What kind of account pays.
    pub account_type: AccountType,
    /// The token's last day, `YYYY-MM-DD`.
    pub expiry: String,
    /// The payment scheme's name, as its profile has it.
    #[serde(default)]
    pub scheme: String,
    /// Whose wallet it lives in, where that is not this one: the phone's maker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
}

impl PaymentToken {
    /// Whether its last day is over. `today` is `YYYY-MM-DD`, as the expiry is, so that letters compare like dates.
    pub fn is_expired(&self, today: &str) -> bool {
        self.expiry.as_str() < today
    }

    /// A token number, masked: `62••••••••••1234`.
    pub fn mask(number: &str) -> String {
        let length = number.chars().count();
        number
            .chars()
            .enumerate()
            .map(|(at, digit)| match at < 2 || at + 4 >= length {
                true => digit,
                false => '•',
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_pays_through_its_last_day() {
        let token = PaymentToken {
            reference: TokenRef::new("tok_1"),
            masked_number: String::new(),
            masked_card: String::new(),
            bank: String::new(),
            account_type: AccountType::BankCard,
            expiry: "2029-12-31".into(),
            scheme: "unionpay".into(),
            home: None,
        };
        assert!(!token.is_expired("2029-12-31"));
        assert!(token.is_expired("2030-01-01"));
    }

    #[test]
    fn a_token_number_is_masked() {
        assert_eq!(PaymentToken::mask("6258070000001234"), "62••••••••••1234");
    }
}
