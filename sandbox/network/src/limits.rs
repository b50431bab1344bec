//! What the payments of a limited-use key may come to, held by the network on its own account: a phone that counts
//! wrong, or was made to, pays no more for it.

use sandbox_kit::problem::Problem;
use serde::{Deserialize, Serialize};
use sqlx::{Any, Row, Transaction};

use crate::profile::COUNTRY;

/// The limits of a key, as the phone is told them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyLimits {
    /// ISO 4217 letters.
    pub currency: String,
    /// The largest single payment, minor units.
    pub single_minor: i64,
    /// All its payments together, minor units.
    pub total_minor: i64,
    /// How many of its payments may be made abroad.
    pub foreign_uses: i64,
}

impl KeyLimits {
    /// What the sandbox gives every key.
    pub fn standard() -> Self {
        Self {
            currency: "CNY".into(),
            single_minor: 5_000_000,
            total_minor: 10_000_000,
            foreign_uses: 10,
        }
    }
}

/// For which payments a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyClass {
    /// Those without verification on the phone.
    Plain,
    /// Those with it.
    Verified,
}

impl KeyClass {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Verified => "verified",
        }
    }
}

/// A payment, as far as limits go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) amount_minor: i64,
    pub(crate) currency: &'a str,
    pub(crate) foreign: bool,
}

/// Whether a payment is foreign to the issuer: by the country that the card was told (tag 9F1A), if it was told one, or by
/// the acquirer's.
pub(crate) fn is_foreign(told: Option<[u8; 2]>, country: &str) -> bool {
    told.is_some_and(|told| hex::encode(told) != COUNTRY) || country != COUNTRY
}

/// A key with what was paid by it so far.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) class: KeyClass,
    pub(crate) not_after: String,
    limits: KeyLimits,
    uses: i64,
    used: i64,
    spent_minor: i64,
    foreign_used: i64,
}

impl Key {
    /// The key of this index, if the token was ever given it.
    pub(crate) async fn read(
        tx: &mut Transaction<'static, Any>,
        token_ref: &str,
        key_index: &str,
    ) -> Result<Option<Self>, Problem> {
        let row = sqlx::query("SELECT class, not_after, currency, single_minor, total_minor, foreign_uses, uses, used, spent_minor, foreign_used FROM limited_keys WHERE token_ref = $1 AND key_index = $2")
            .bind(token_ref)
            .bind(key_index)
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(Self {
            class: match row.try_get::<String, _>(0)?.as_str() {
                "verified" => KeyClass::Verified,
                _ => KeyClass::Plain,
            },
            not_after: row.try_get(1)?,
            limits: KeyLimits {
                currency: row.try_get(2)?,
                single_minor: row.try_get(3)?,
                total_minor: row.try_get(4)?,
                foreign_uses: row.try_get(5)?,
            },
            uses: row.try_get(6)?,
            used: row.try_get(7)?,
            spent_minor: row.try_get(8)?,
            foreign_used: row.try_get(9)?,
        }))
    }

    /// Why the key does not make this payment; `None` when it does.
    pub(crate) fn refusal(&self, wanted: Wanted<'_>) -> Option<&'static str> {
        let total = self.spent_minor.saturating_add(wanted.amount_minor);
        if self.used >= self.uses {
            Some("key_exhausted")
        } else if wanted.amount_minor > self.limits.single_minor
            || wanted.currency != self.limits.currency
        {
            // Another currency cannot be held against the limit at all.
            Some("key_amount_exceeded")
        } else if total > self.limits.total_minor {
            Some("key_total_exceeded")
        } else if wanted.foreign && self.foreign_used >= self.limits.foreign_uses {
            Some("key_foreign_exhausted")
        } else {
            None
        }
    }
}

/// Counts a payment. What was read of the key is still true: the transaction has been the only one to write since.
pub(crate) async fn count(
    tx: &mut Transaction<'static, Any>,
    token_ref: &str,
    key_index: &str,
    wanted: Wanted<'_>,
) -> Result<(), Problem> {
    sqlx::query("UPDATE limited_keys SET used = used + 1, spent_minor = spent_minor + $1, foreign_used = foreign_used + $2 WHERE token_ref = $3 AND key_index = $4")
        .bind(wanted.amount_minor)
        .bind(i64::from(wanted.foreign))
        .bind(token_ref)
        .bind(key_index)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Wanted<'static> = Wanted {
        amount_minor: 100,
        currency: "CNY",
        foreign: false,
    };

    fn key() -> Key {
        Key {
            class: KeyClass::Plain,
            not_after: String::new(),
            limits: KeyLimits::standard(),
            uses: 10,
            used: 0,
            spent_minor: 0,
            foreign_used: 0,
        }
    }

    #[test]
    fn each_limit_has_its_word() {
        assert_eq!(key().refusal(HOME), None);
        let amount = |amount_minor| Wanted {
            amount_minor,
            ..HOME
        };
        assert_eq!(key().refusal(amount(5_000_000)), None);
        let refused = key().refusal(amount(5_000_001));
        assert_eq!(refused, Some("key_amount_exceeded"));
        let other = Wanted {
            currency: "USD",
            ..HOME
        };
        assert_eq!(key().refusal(other), Some("key_amount_exceeded"));
        let spent = Key {
            spent_minor: 9_999_900,
            ..key()
        };
        assert_eq!(spent.refusal(HOME), None);
        assert_eq!(spent.refusal(amount(101)), Some("key_total_exceeded"));
        let travelled = Key {
            foreign_used: 10,
            ..key()
        };
        assert_eq!(travelled.refusal(HOME), None);
        let abroad = Wanted {
            foreign: true,
            ..HOME
        };
        assert_eq!(travelled.refusal(abroad), Some("key_foreign_exhausted"));
        let used = Key { used: 10, ..key() };
        assert_eq!(used.refusal(HOME), Some("key_exhausted"));
    }

    #[test]
    fn abroad_is_where_either_says_so() {
        assert!(!is_foreign(Some([0x01, 0x56]), "0156"));
        assert!(is_foreign(Some([0x08, 0x40]), "0156"));
        assert!(is_foreign(Some([0x01, 0x56]), "0840"));
        assert!(!is_foreign(None, "0156"));
        assert!(is_foreign(None, "0840"));
    }
}
