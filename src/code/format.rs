//! How a numeric code is laid out: the provider's choice, checked before it is used.

use super::alias;

/// First two digits that tills send to another wallet: WeChat Pay 10 to 15, JD Pay 18, Alipay 25 to 30, UnionPay 62 (the
/// schemes' public pages).
const ROUTED_ELSEWHERE: [std::ops::RangeInclusive<u8>; 4] = [10..=15, 18..=18, 25..=30, 62..=62];

/// The shortest and the longest code that tills take, in digits: 16 to 24 in the formats that are in use.
const TOTAL: std::ops::RangeInclusive<usize> = 16..=24;

/// Why a provider's format cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The prefix is not 2 to 6 digits.
    #[error(
        "the prefix of payment codes must have 2 to 6 digits: the provider must mend its policy"
    )]
    Prefix,
    /// Shops would send such a code to another wallet.
    #[error(
        "payment codes that begin with {0} are another wallet's: the provider must choose another prefix"
    )]
    RoutedElsewhere(String),
    /// The alias is shorter than guessing allows, or longer than a format can hold.
    #[error(
        "the alias of a payment code must have 8 to 16 digits, not {0}: the provider must mend its policy"
    )]
    Alias(u8),
    /// RFC 4226 asks for six digits at least, and its truncation does not fill more than eight evenly.
    #[error(
        "the one-time password of a payment code must have 6 to 8 digits, not {0}: the provider must mend its policy"
    )]
    Otp(u8),
    /// The whole is shorter or longer than tills take.
    #[error(
        "payment codes must have 16 to 24 digits in all, not {0}: the provider must mend its policy"
    )]
    Total(usize),
}

/// The layout of a numeric code: `prefix | alias | one-time password`, and a check digit where the provider wants one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeFormat {
    prefix: String,
    alias_digits: u8,
    otp_digits: u8,
    luhn: bool,
}

impl CodeFormat {
    /// A format.
    ///
    /// # Errors
    /// [`FormatError`] says which of its numbers tills would not take.
    pub fn new(
        prefix: &str,
        alias_digits: u8,
        otp_digits: u8,
        luhn: bool,
    ) -> Result<Self, FormatError> {
        let is_number = prefix.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number || !(2..=6).contains(&prefix.len()) {
            return Err(FormatError::Prefix);
        }
        let first = prefix.bytes().take(2);
        let first = first.fold(0, |number, digit| number * 10 + (digit - b'0'));
        if ROUTED_ELSEWHERE.iter().any(|range| range.contains(&first)) {
            return Err(FormatError::RoutedElsewhere(prefix.to_owned()));
        }
        if !(8..=alias::LONGEST).contains(&usize::from(alias_digits)) {
            return Err(FormatError::Alias(alias_digits));
        }
        if !(6..=8).contains(&otp_digits) {
            return Err(FormatError::Otp(otp_digits));
        }
        let format = Self {
            prefix: prefix.to_owned(),
            alias_digits,
            otp_digits,
            luhn,
        };
        match TOTAL.contains(&format.digits()) {
            true => Ok(format),
            false => Err(FormatError::Total(format.digits())),
        }
    }

    /// What each code begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Digits of the alias.
    pub fn alias_digits(&self) -> u8 {
        self.alias_digits
    }

    /// Digits of the one-time password.
    pub fn otp_digits(&self) -> u8 {
        self.otp_digits
    }

    /// Whether a check digit ends the code (ISO/IEC 7812-1).
    pub fn luhn(&self) -> bool {
        self.luhn
    }

    /// Digits in all.
    pub fn digits(&self) -> usize {
        self.prefix.len()
            + usize::from(self.alias_digits)
            + usize::from(self.otp_digits)
            + usize::from(self.luhn)
    }
}

impl Default for CodeFormat {
    /// 18 digits: `73`, ten of alias, six of one-time password.
    fn default() -> Self {
        Self {
            prefix: "73".to_owned(),
            alias_digits: 10,
            otp_digits: 6,
            luhn: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_formats_have_18_19_and_24_digits() {
        let format = CodeFormat::default();
        assert_eq!(CodeFormat::new("73", 10, 6, false), Ok(format.clone()));
        assert_eq!(format.digits(), 18);
        assert_eq!(CodeFormat::new("73", 10, 6, true).unwrap().digits(), 19);
        assert_eq!(CodeFormat::new("73", 14, 8, false).unwrap().digits(), 24);
    }

    #[test]
    fn no_code_begins_as_another_wallets_do() {
        for prefix in ["10", "15", "18", "25", "30", "62", "6200", "104"] {
            let refused = CodeFormat::new(prefix, 10, 6, false);
            assert_eq!(
                refused,
                Err(FormatError::RoutedElsewhere(prefix.to_owned()))
            );
        }
        for prefix in ["16", "17", "19", "24", "31", "61", "63", "99", "00"] {
            assert!(CodeFormat::new(prefix, 10, 6, false).is_ok(), "{prefix}");
        }
    }

    #[test]
    fn what_tills_would_not_take_is_refused() {
        let refusal = |prefix, alias, otp| CodeFormat::new(prefix, alias, otp, false).unwrap_err();
        // With a prefix of one digit the alias would say whose code it is.
        for prefix in ["", "7", "7a", "七三", "7300000", "-7"] {
            assert_eq!(refusal(prefix, 10, 6), FormatError::Prefix, "{prefix}");
        }
        assert_eq!(refusal("73", 7, 7), FormatError::Alias(7));
        assert_eq!(refusal("73", 17, 6), FormatError::Alias(17));
        assert_eq!(refusal("73", 10, 5), FormatError::Otp(5));
        assert_eq!(refusal("73", 10, 9), FormatError::Otp(9));
        assert_eq!(refusal("73", 16, 8), FormatError::Total(26));
    }
}
