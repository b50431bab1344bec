//! When a payment needs the person verified on the phone (CDCVM), and what a verification covers.

use serde::{Deserialize, Serialize};

use super::dol::Dol;
use super::profile::{Ask, CardProfile};
use crate::account::{Currency, Money};
use crate::secret::Secret;
use crate::token::{Allowance, KeyIndex, TokenRef};

/// When the phone asks for its person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerificationRule {
    /// Never, but where a reader has left it to the phone; readers see to it in their own way.
    #[default]
    Never,
    /// Before every payment.
    Always,
    /// Above one of the limits, in another currency than theirs, and where the reader asks for it.
    Above(VerificationLimits),
}

/// Up to where payments need nobody. An absent limit does not limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationLimits {
    /// Of the amounts.
    pub currency: Currency,
    /// The largest payment, in minor units.
    #[serde(default)]
    pub amount_minor: Option<i64>,
    /// Payments in a row.
    #[serde(default)]
    pub count: Option<u32>,
    /// Their sum, in minor units.
    #[serde(default)]
    pub sum_minor: Option<i64>,
}

/// A card's payments since its person was last verified for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub count: u32,
    /// Their sum in minor units, each in its own currency: it is compared where all are in one, and more asks sooner.
    pub sum_minor: i64,
}

impl Tally {
    /// Takes in a payment.
    pub fn note(&mut self, money: Money, verified: bool) {
        *self = match verified {
            true => Self::default(),
            false => Self {
                count: self.count.saturating_add(1),
                sum_minor: self.sum_minor.saturating_add(money.minor),
            },
        };
    }
}

impl VerificationRule {
    /// Whether this payment needs the person, after those of `tally`.
    pub(super) fn needs_person(
        &self,
        profile: &CardProfile,
        (list, data): (&Dol, &[u8]),
        money: Money,
        tally: &Tally,
    ) -> bool {
        let form = profile.verification();
        let wanted = form.reader_wants.as_ref();
        let wanted = wanted.is_some_and(|bits| bits.holds(list, data));
        let limits = match self {
            // A reader that leaves it to such a card takes any answer for a verified one.
            Self::Never => return wanted && form.ask == Ask::DeclinedAc,
            Self::Always => return true,
            Self::Above(limits) => limits,
        };
        wanted
            || money.currency != limits.currency
            || limits.amount_minor.is_some_and(|most| money.minor > most)
            || limits.count.is_some_and(|most| tally.count >= most)
            || limits
                .sum_minor
                .is_some_and(|most| tally.sum_minor.saturating_add(money.minor) > most)
    }
}

/// A payment that the person was verified for. It serves once.
pub struct Consent {
    /// Which payment.
    pub covers: Covers,
    /// The keys that such a payment is made with, by token.
    pub keys: Vec<VerifiedKey>,
}

/// What a consent is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// A payment of this very amount, which the person has seen (two-tap).
    Exactly(Money),
    /// A payment up to this amount, ahead of knowing it (one-tap).
    UpTo(Money),
}

impl Covers {
    /// Whether it is for this payment.
    pub fn admits(self, money: Money) -> bool {
        match self {
            Self::Exactly(agreed) => agreed == money,
            Self::UpTo(most) => most.currency == money.currency && money.minor <= most.minor,
        }
    }
}

/// A limited-use key for one payment with the person verified.
pub struct VerifiedKey {
    /// Whose.
    pub token: TokenRef,
    /// The key.
    pub key: Secret<16>,
    /// Its index.
    pub key_index: KeyIndex,
    /// What it may pay.
    pub allowance: Allowance,
}
