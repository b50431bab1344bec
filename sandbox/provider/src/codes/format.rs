//! What a numeric code is made of: `prefix | alias | otp [| check digit]`, and what else phones are told about codes.

use anyhow::ensure;
use serde::{Deserialize, Serialize};

/// Prefixes that shops route to somebody else: two wallets, a mall's wallet and card schemes.
const TAKEN: [&str; 14] = [
    "10", "11", "12", "13", "14", "15", "18", "25", "26", "27", "28", "29", "30", "62",
];

/// Payment codes as phones make them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodePolicy {
    /// The first digits of every code, by which acquirers find this provider.
    pub prefix: String,
    /// Digits of an alias, 8 to 16.
    pub alias_digits: u32,
    /// Digits of the one-time password, 6 to 8.
    pub otp_digits: u32,
    /// Whether a Luhn digit ends the code.
    pub check_digit: bool,
    /// How many aliases a phone holds in all, over its accounts.
    pub aliases: u32,
    /// With fewer than this left, a phone asks for more.
    pub refill_below: u32,
    /// After so many hours without contact a phone shows no codes, because its clock cannot be trusted any longer.
    pub contact_hours: u32,
    /// Above this amount the payment password is asked for, minor units.
    pub password_above_minor: i64,
    /// Of that amount, ISO 4217 letters.
    pub currency: String,
    /// How many cryptograms one showing of a consumer-presented code may use: each costs a counter and a use of the key.
    pub cpm_refreshes: u32,
}

impl Default for CodePolicy {
    fn default() -> Self {
        Self {
            prefix: "73".to_owned(),
            alias_digits: 10,
            otp_digits: 6,
            check_digit: false,
            aliases: 15,
            refill_below: 5,
            contact_hours: 72,
            password_above_minor: 100_000,
            currency: "CNY".to_owned(),
            cpm_refreshes: 5,
        }
    }
}

/// A code taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown<'a> {
    pub(super) alias: &'a str,
    pub(super) otp: &'a str,
}

impl CodePolicy {
    /// Digits of a whole code.
    #[must_use]
    pub fn length(&self) -> usize {
        self.prefix.len()
            + digits(self.alias_digits)
            + digits(self.otp_digits)
            + usize::from(self.check_digit)
    }

    /// Takes a code apart; `None` when it has not this form, a wrong check digit included.
    pub(super) fn read<'a>(&self, code: &'a str) -> Option<Shown<'a>> {
        if code.len() != self.length() || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if self.check_digit && !luhn_valid(code) {
            return None;
        }
        let rest = code.strip_prefix(self.prefix.as_str())?;
        // All of it is ASCII, so that every position is a border of characters.
        let (alias, rest) = rest.split_at_checked(digits(self.alias_digits))?;
        let (otp, _) = rest.split_at_checked(digits(self.otp_digits))?;
        Some(Shown { alias, otp })
    }

    /// How many aliases there can be.
    pub(super) fn space(&self) -> u64 {
        10_u64.saturating_pow(self.alias_digits)
    }

    /// What would be no policy.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let prefix = (2..=4).contains(&self.prefix.len())
            && self.prefix.bytes().all(|byte| byte.is_ascii_digit());
        ensure!(prefix, "codes.prefix must be 2 to 4 digits");
        ensure!(
            !TAKEN.iter().any(|taken| self.prefix.starts_with(taken)),
            "codes.prefix is one that shops route to another wallet"
        );
        ensure!(
            (8..=16).contains(&self.alias_digits) && (6..=8).contains(&self.otp_digits),
            "codes.alias_digits must be 8 to 16, codes.otp_digits 6 to 8"
        );
        ensure!(
            (16..=24).contains(&self.length()),
            "a code must have 16 to 24 digits in all"
        );
        ensure!(
            (1..=20).contains(&self.cpm_refreshes),
            "codes.cpm_refreshes must be 1 to 20"
        );
        ensure!(
            (1..=100).contains(&self.aliases) && self.refill_below <= self.aliases,
            "codes.aliases must be 1 to 100, codes.refill_below no more than that"
        );
        ensure!(
            self.contact_hours > 0 && self.password_above_minor >= 0,
            "codes.contact_hours must be 1 at least, codes.password_above_minor not negative"
        );
        let letters =
            self.currency.len() == 3 && self.currency.bytes().all(|byte| byte.is_ascii_uppercase());
        ensure!(
            letters,
            "codes.currency must be three capitals, such as CNY"
        );
        Ok(())
    }
}

fn digits(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Whether the last digit checks the others (ISO/IEC 7812-1).
fn luhn_valid(number: &str) -> bool {
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit.saturating_sub(b'0'));
            match (place % 2, value) {
                (0, value) => value,
                (_, value) if value > 4 => value * 2 - 9,
                (_, value) => value * 2,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_taken_apart() {
        let policy = CodePolicy::default();
        policy.check().unwrap();
        assert_eq!(policy.length(), 18);
        let shown = policy.read("730123456789654321").unwrap();
        assert_eq!((shown.alias, shown.otp), ("0123456789", "654321"));
        for odd in [
            "",
            "74012345678965432",
            "740123456789654321",
            "7301234567896543210",
            "73012345678965432x",
            "73012345678965432ö",
        ] {
            assert_eq!(policy.read(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_check_digit_is_checked() {
        let policy = CodePolicy {
            check_digit: true,
            ..CodePolicy::default()
        };
        let right: Vec<String> = (0..10)
            .map(|digit| format!("730123456789654321{digit}"))
            .filter(|code| policy.read(code).is_some())
            .collect();
        assert_eq!(right.len(), 1);
        // A well-known number with a right Luhn digit.
        assert!(luhn_valid("79927398713") && !luhn_valid("79927398710"));
    }

    #[test]
    fn what_others_use_or_nobody_scans_is_no_policy() {
        let standard = CodePolicy::default;
        for odd in [
            CodePolicy {
                prefix: "62".into(),
                ..standard()
            },
            CodePolicy {
                prefix: "134".into(),
                ..standard()
            },
            CodePolicy {
                prefix: "7".into(),
                ..standard()
            },
            CodePolicy {
                otp_digits: 5,
                ..standard()
            },
            CodePolicy {
                alias_digits: 17,
                ..standard()
            },
            CodePolicy {
                alias_digits: 7,
                otp_digits: 8,
                ..standard()
            },
            // Each number is allowed, but not the 25 digits that they make.
            CodePolicy {
                alias_digits: 16,
                check_digit: true,
                ..standard()
            },
            CodePolicy {
                cpm_refreshes: 0,
                ..standard()
            },
            CodePolicy {
                cpm_refreshes: 21,
                ..standard()
            },
            CodePolicy {
                aliases: 0,
                ..standard()
            },
            CodePolicy {
                currency: "cny".into(),
                ..standard()
            },
        ] {
            assert!(odd.check().is_err(), "{odd:?}");
        }
        for (alias_digits, length) in [(8, 16), (16, 24)] {
            let policy = CodePolicy {
                alias_digits,
                ..standard()
            };
            policy.check().unwrap();
            assert_eq!(policy.length(), length);
        }
    }
}
