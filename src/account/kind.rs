//! What kind of account stands behind a token.

use serde::{Deserialize, Serialize};

/// The account that a payment debits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountType {
    /// A card of a bank; the bank debits the customer's account.
    BankCard,
    /// A credit account of the wallet's provider.
    Credit,
    /// A prepaid card.
    Prepaid,
}
