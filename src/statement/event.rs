//! News about payments: from this phone's journal and from the issuer.

use serde::{Deserialize, Serialize};

use crate::account::Money;
use crate::token::{KeyIndex, TokenRef};

/// Which payment: a token pays at most once under each ATC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The token.
    pub token: TokenRef,
    /// The application transaction counter.
    pub atc: u16,
}

/// What happened on this phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JournalEvent {
    /// A cryptogram left the phone.
    Cryptogram {
        /// Which payment.
        #[serde(flatten)]
        payment: Payment,
        /// The key it was made with.
        key_index: KeyIndex,
        /// The reader's unpredictable number, four bytes in hexadecimal.
        un: String,
        /// What the reader asked for.
        #[serde(flatten)]
        money: Money,
        /// Where, as the reader told it.
        merchant: Option<String>,
    },
    /// The reader read the last record.
    Finished {
        /// Which payment.
        #[serde(flatten)]
        payment: Payment,
    },
}

/// The issuer's side of a payment, as the provider was told by the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerRecord {
    /// Which payment.
    pub payment: Payment,
    /// When, in milliseconds of Unix time.
    pub at_ms: i64,
    /// Amount and currency as the terminal sent them.
    pub money: Money,
    /// The merchant's name.
    pub merchant: String,
    /// Approved or not.
    pub verdict: Verdict,
}

/// What the issuer decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It paid.
    Approved {
        /// The authorisation code, where there is one.
        authorisation: Option<String>,
    },
    /// It did not.
    Declined {
        /// The reason's stable code.
        reason: Option<String>,
    },
}
