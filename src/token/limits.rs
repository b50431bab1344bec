//! What a limited-use key may pay besides its count and its time: amounts, and payments abroad.

use serde::{Deserialize, Serialize};

use crate::account::{Currency, Money};

/// The issuer's limits for one key. It holds them on its side as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLimits {
    /// Of the amounts.
    pub currency: Currency,
    /// The largest payment, in minor units.
    pub single_minor: i64,
    /// All payments together, in minor units.
    pub total_minor: i64,
    /// Payments abroad or in another currency.
    pub foreign_uses: u32,
}

/// What was paid with a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// In the currency of its limits, minor units.
    pub minor: i64,
    /// Payments abroad or in another currency.
    pub foreign: u32,
}

/// What a key may still pay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    limits: Option<KeyLimits>,
    spent: Spent,
}

/// Why a key does not pay an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overrun {
    /// No key pays that much at once.
    Single,
    /// What is left of this key is too little; the next one may do.
    Spent,
    /// This key pays at home only from now on.
    Foreign,
}

impl Allowance {
    /// Under these limits (none: without) after what was spent.
    pub fn new(limits: Option<KeyLimits>, spent: Spent) -> Self {
        Self { limits, spent }
    }

    /// What was spent.
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// Whether the key may pay this. Amounts in another currency cannot be compared; as payments abroad they count.
    ///
    /// # Errors
    /// [`Overrun`] when it may not.
    pub fn check(&self, money: Money, abroad: bool) -> Result<(), Overrun> {
        let Some(limits) = self.limits else {
            return Ok(());
        };
        let compared = money.currency == limits.currency;
        if compared && money.minor > limits.single_minor {
            return Err(Overrun::Single);
        }
        let total = self.spent.minor.saturating_add(money.minor);
        let foreign = abroad || !compared;
        if foreign && self.spent.foreign >= limits.foreign_uses {
            return Err(Overrun::Foreign);
        }
        match compared && total > limits.total_minor {
            true => Err(Overrun::Spent),
            false => Ok(()),
        }
    }

    /// Takes in a payment.
    pub fn spend(&mut self, money: Money, abroad: bool) {
        let compared = self
            .limits
            .is_none_or(|limits| limits.currency == money.currency);
        if compared {
            self.spent.minor = self.spent.minor.saturating_add(money.minor);
        }
        if abroad || !compared {
            self.spent.foreign = self.spent.foreign.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yuan(minor: i64) -> Money {
        Money {
            minor,
            currency: Currency::CNY,
        }
    }

    #[test]
    fn s26_a_key_holds_its_limits() {
        let limits = KeyLimits {
            currency: Currency::CNY,
            single_minor: 500,
            total_minor: 900,
            foreign_uses: 1,
        };
        let mut key = Allowance::new(Some(limits), Spent::default());
        assert_eq!(key.check(yuan(501), false), Err(Overrun::Single));
        assert_eq!(key.check(yuan(500), false), Ok(()));
        key.spend(yuan(500), false);
        assert_eq!(key.check(yuan(401), false), Err(Overrun::Spent));
        assert_eq!(key.check(yuan(400), true), Ok(()));
        key.spend(yuan(100), true);
        assert_eq!(key.check(yuan(1), true), Err(Overrun::Foreign));
        assert_eq!(key.check(yuan(300), false), Ok(()));
        let dollars = Money {
            minor: 1,
            currency: Currency::from_code("USD").unwrap(),
        };
        assert_eq!(key.check(dollars, false), Err(Overrun::Foreign));
        assert_eq!(
            key.spent(),
            Spent {
                minor: 600,
                foreign: 1
            }
        );
    }
}
