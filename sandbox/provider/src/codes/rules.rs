//! What the provider decides payments by code by: how many numbers may be out, how often somebody may guess, where codes
//! are taken, and what a person may pay in a day by how strongly they were verified. All of it is configuration.

use serde::Serialize;

/// The day in China, in seconds ahead of UTC.
const DAY_OFFSET: i64 = 8 * 3600;
const DAY: i64 = 86_400;
/// Why nobody pays by code in another country.
pub(super) const ABROAD: &str = "place_abroad";

/// An acquirer that asks for payments by code.
#[derive(Clone, Debug)]
pub struct CodeAcquirer {
    /// Its name, which is the key id of its requests.
    pub acquirer_id: String,
    /// Its public key.
    pub key: [u8; 65],
}

/// The provider's own rules for codes. What phones must know is in [`CodePolicy`](crate::policy::CodePolicy).
#[derive(Clone, Debug)]
pub struct CodeRules {
    /// Who may ask for payments.
    pub acquirers: Vec<CodeAcquirer>,
    /// The most numbers that may be taken of all there are, live or resting, in millionths. The chance of a blind guess
    /// grows with it: see `docs/codes.md`.
    pub live_share_ppm: u64,
    /// How long an alias may wait to be shown, seconds.
    pub alias_life_s: i64,
    /// How long a number rests before it is drawn again, seconds.
    pub rest_s: i64,
    /// After so many wrong passwords an alias is dead.
    pub wrong_tries: i64,
    /// After so many codes that were not right a merchant is refused …
    pub merchant_misses: i64,
    /// … until so many seconds have passed since the first of them.
    pub merchant_window_s: i64,
    /// Payments in a day that need no password whatever they cost less than the amount that does.
    pub free_payments: i64,
    /// How long a person has for the password, seconds.
    pub password_wait_s: i64,
    /// How long after asking a shop may revoke, seconds.
    pub revoke_after_s: i64,
    /// What a person may pay in a day.
    pub daily: DailyLimits,
    /// Merchant classes that are refused.
    pub refused_classes: Vec<RefusedClass>,
    /// Countries where codes are taken, ISO 3166 numeric in four digits.
    pub countries: Vec<String>,
}

/// Daily sums by class of verification, minor units, as the central bank's rules for bar-code payments have them. An
/// absent one does not limit.
#[derive(Clone, Debug)]
pub struct DailyLimits {
    /// Two elements, one of them an electronic signature: by agreement with the customer.
    pub a: Option<i64>,
    /// Two elements.
    pub b: Option<i64>,
    /// One element.
    pub c: Option<i64>,
}

/// Merchant categories that are refused, and why.
#[derive(Clone, Debug, Serialize)]
pub struct RefusedClass {
    /// The first of them, four digits (ISO 18245).
    pub from: String,
    /// The last of them.
    pub to: String,
    /// What they are.
    pub name: String,
    /// The reason a shop and a phone are told.
    pub reason: String,
}

/// How strongly the person was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// By the device's signature after its own check of the person.
    A,
    /// By the payment password, on the phone whose code it is.
    B,
    /// By the code alone.
    C,
}

impl Class {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::C => "c",
        }
    }

    /// The class of a confirmation's method.
    pub(super) fn of_method(method: &str) -> Self {
        if method == "device" { Self::A } else { Self::B }
    }
}

impl Default for CodeRules {
    fn default() -> Self {
        let class = |from: &str, to: &str, name: &str, reason: &str| RefusedClass {
            from: from.to_owned(),
            to: to.to_owned(),
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        Self {
            acquirers: Vec::new(),
            live_share_ppm: 360_000,
            alias_life_s: 7 * DAY,
            rest_s: DAY,
            wrong_tries: 3,
            merchant_misses: 10,
            merchant_window_s: 600,
            free_payments: 10,
            password_wait_s: 45,
            revoke_after_s: 15,
            daily: DailyLimits {
                a: Some(5_000_000),
                b: Some(500_000),
                c: Some(100_000),
            },
            refused_classes: vec![
                class("4829", "4829", "Money transfer", "class_cash"),
                class(
                    "6010",
                    "6012",
                    "Cash and financial institutions",
                    "class_cash",
                ),
                class("6051", "6051", "Quasi cash", "class_cash"),
                class("6211", "6211", "Securities", "class_investment"),
                class("7800", "7802", "Lotteries and betting", "class_gambling"),
                class("7995", "7995", "Gambling", "class_gambling"),
            ],
            countries: vec!["0156".to_owned()],
        }
    }
}

impl CodeRules {
    /// How many numbers of a space may be taken.
    pub(super) fn most_taken(&self, space: u64) -> i64 {
        let most = u128::from(space) * u128::from(self.live_share_ppm.min(1_000_000)) / 1_000_000;
        i64::try_from(most).unwrap_or(i64::MAX)
    }

    /// Why nobody pays in such a shop; `None` when they do.
    pub(super) fn refusal(&self, mcc: &str, country: &str) -> Option<&str> {
        // Four digits on both sides: texts compare as the numbers do.
        let class = self
            .refused_classes
            .iter()
            .find(|class| class.from.as_str() <= mcc && mcc <= class.to.as_str());
        match class {
            Some(class) => Some(class.reason.as_str()),
            None if self.countries.iter().any(|here| here == country) => None,
            None => Some(ABROAD),
        }
    }

    /// Whether a payment would go beyond what its class may come to in a day.
    pub(super) fn exceeds(&self, class: Class, spent: i64, amount: i64) -> bool {
        let limit = match class {
            Class::A => self.daily.a,
            Class::B => self.daily.b,
            Class::C => self.daily.c,
        };
        limit.is_some_and(|limit| spent.saturating_add(amount) > limit)
    }
}

/// The day that a moment belongs to, counted from 1970.
pub(super) fn day(unix: i64) -> i64 {
    unix.saturating_add(DAY_OFFSET).div_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shops_are_refused_by_class_and_place() {
        let rules = CodeRules::default();
        assert_eq!(rules.refusal("5812", "0156"), None);
        assert_eq!(rules.refusal("6011", "0156"), Some("class_cash"));
        assert_eq!(rules.refusal("7995", "0344"), Some("class_gambling"));
        assert_eq!(rules.refusal("5812", "0344"), Some("place_abroad"));
    }

    #[test]
    fn daily_sums_end_at_midnight_in_china() {
        let rules = CodeRules::default();
        assert!(!rules.exceeds(Class::C, 99_000, 1_000));
        assert!(rules.exceeds(Class::C, 99_001, 1_000));
        let midnight = sandbox_kit::clock::parse("2026-11-22T16:00:00Z").unwrap();
        let midnight = midnight.unix_timestamp();
        assert_eq!(day(midnight - 1) + 1, day(midnight));
    }

    #[test]
    fn the_live_share_is_of_all_numbers() {
        let rules = CodeRules::default();
        assert_eq!(rules.most_taken(10_000_000_000), 3_600_000_000);
    }
}
