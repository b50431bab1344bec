//! News about payments: from this phone's journal and from the issuer.

use serde::{Deserialize, Serialize};

use crate::account::Money;
use crate::token::{KeyIndex, Paid, TokenRef};

/// Which payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The token.
    pub token: TokenRef,
    /// What tells it from the token's other payments.
    #[serde(flatten)]
    pub mark: Mark,
}

/// What tells a payment from the others of its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Mark {
    /// The application transaction counter: a token pays at most once under each.
    Card {
        /// The counter.
        atc: u16,
    },
    /// The provider's identifier of a payment by code, which the provider pays for the token.
    Code {
        /// The identifier.
        payment_id: String,
    },
}

impl Payment {
    /// A payment by a cryptogram.
    pub fn by_card(token: TokenRef, atc: u16) -> Self {
        let mark = Mark::Card { atc };
        Self { token, mark }
    }

    /// A payment by a code that the provider paid.
    pub fn by_code(token: TokenRef, payment_id: String) -> Self {
        let mark = Mark::Code { payment_id };
        Self { token, mark }
    }

    /// The counter of a payment by a cryptogram.
    pub fn atc(&self) -> Option<u16> {
        match self.mark {
            Mark::Card { atc } => Some(atc),
            Mark::Code { .. } => None,
        }
    }
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
        /// The terminal's country, four digits of ISO 3166 numeric, as the reader told it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        country: Option<String>,
        /// Whether it counts as a payment abroad.
        #[serde(default, skip_serializing_if = "is_false")]
        abroad: bool,
        /// Whether the person was verified for it on the phone.
        #[serde(default, skip_serializing_if = "is_false")]
        verified: bool,
        /// Whether the card declined: nothing can be paid with this cryptogram.
        #[serde(default, skip_serializing_if = "is_false")]
        declined: bool,
    },
    /// The reader read the last record.
    Finished {
        /// Which payment.
        #[serde(flatten)]
        payment: Payment,
    },
    /// A cryptogram was on the screen, in a consumer-presented code. Whether anybody took it, and for how much, the issuer
    /// knows.
    Presented {
        /// Which payment it would be.
        #[serde(flatten)]
        payment: Payment,
        /// The key it was made with.
        key_index: KeyIndex,
        /// The step of time in place of the unpredictable number, four bytes in hexadecimal.
        un: String,
    },
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl JournalEvent {
    /// Which payment it is about.
    pub fn payment(&self) -> &Payment {
        match self {
            Self::Cryptogram { payment, .. }
            | Self::Finished { payment }
            | Self::Presented { payment, .. } => payment,
        }
    }

    /// What was paid by it, where it is a cryptogram that pays.
    pub fn paid(&self) -> Option<(&TokenRef, Paid)> {
        match self {
            Self::Cryptogram {
                payment,
                key_index,
                money,
                abroad,
                verified,
                declined: false,
                ..
            } => Some((
                &payment.token,
                Paid {
                    key_index: *key_index,
                    money: *money,
                    abroad: *abroad,
                    verified: *verified,
                },
            )),
            _ => None,
        }
    }
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
