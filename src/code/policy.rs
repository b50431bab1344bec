//! What the provider configures about codes.

use serde::{Deserialize, Serialize};

use super::steps::ClockRules;
use super::{CodeFormat, FormatError};
use crate::account::{Currency, Money};

/// The provider's numbers, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct CodePolicy {
    /// How numeric codes are laid out.
    pub format: CodeFormat,
    /// How many aliases this phone holds when it has all.
    pub aliases: u32,
    /// With fewer left, more are asked for.
    pub refill_below: u32,
    /// How far the phone's clocks are trusted.
    pub clock: ClockRules,
    /// Above this amount the payment password is asked for.
    pub password_above: Money,
    /// How many cryptograms one showing of a consumer-presented code may use.
    pub cpm_refreshes: u32,
}

/// The same on the wire, unchecked.
#[derive(Serialize, Deserialize)]
struct Fields {
    prefix: String,
    alias_digits: u8,
    otp_digits: u8,
    check_digit: bool,
    aliases: u32,
    refill_below: u32,
    contact_hours: u32,
    password_above_minor: i64,
    currency: Currency,
    #[serde(default = "usual_refreshes")]
    cpm_refreshes: u32,
}

fn usual_refreshes() -> u32 {
    5
}

impl Default for CodePolicy {
    /// The sandbox's numbers: 15 aliases of 18 digits, more below 5, 72 hours, a password above 1,000 yuan.
    fn default() -> Self {
        Self {
            format: CodeFormat::default(),
            aliases: 15,
            refill_below: 5,
            clock: ClockRules::default(),
            password_above: Money {
                minor: 100_000,
                currency: Currency::CNY,
            },
            cpm_refreshes: usual_refreshes(),
        }
    }
}

impl TryFrom<Fields> for CodePolicy {
    type Error = FormatError;

    fn try_from(fields: Fields) -> Result<Self, FormatError> {
        Ok(Self {
            format: CodeFormat::new(
                &fields.prefix,
                fields.alias_digits,
                fields.otp_digits,
                fields.check_digit,
            )?,
            aliases: fields.aliases,
            refill_below: fields.refill_below,
            clock: ClockRules {
                max_age_ms: i64::from(fields.contact_hours) * 3_600_000,
                ..ClockRules::default()
            },
            password_above: Money {
                minor: fields.password_above_minor,
                currency: fields.currency,
            },
            cpm_refreshes: fields.cpm_refreshes,
        })
    }
}

impl From<CodePolicy> for Fields {
    fn from(policy: CodePolicy) -> Self {
        Self {
            prefix: policy.format.prefix().to_owned(),
            alias_digits: policy.format.alias_digits(),
            otp_digits: policy.format.otp_digits(),
            check_digit: policy.format.luhn(),
            aliases: policy.aliases,
            refill_below: policy.refill_below,
            contact_hours: u32::try_from(policy.clock.max_age_ms / 3_600_000).unwrap_or(u32::MAX),
            password_above_minor: policy.password_above.minor,
            currency: policy.password_above.currency,
            cpm_refreshes: policy.cpm_refreshes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"prefix":"73","alias_digits":10,"otp_digits":6,"check_digit":false,"aliases":15,"refill_below":5,"contact_hours":72,"password_above_minor":100000,"currency":"CNY","cpm_refreshes":5}"#;

    #[test]
    fn a_policy_is_checked_as_it_is_read() {
        let policy: CodePolicy = serde_json::from_str(TEXT).unwrap();
        assert_eq!(policy, CodePolicy::default());
        assert_eq!(serde_json::to_string(&policy).unwrap(), TEXT);
        let elsewhere = TEXT.replace(r#""73""#, r#""62""#);
        assert!(serde_json::from_str::<CodePolicy>(&elsewhere).is_err());
    }

    #[test]
    fn what_a_later_provider_adds_is_no_reason_to_refuse() {
        let more = TEXT.replace(r#""prefix""#, r#""more":1,"prefix""#);
        assert!(serde_json::from_str::<CodePolicy>(&more).is_ok());
        let fewer = TEXT.replace(r#","cpm_refreshes":5"#, "");
        assert_eq!(
            serde_json::from_str::<CodePolicy>(&fewer)
                .unwrap()
                .cpm_refreshes,
            5
        );
    }
}
