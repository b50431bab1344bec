//! Money as it is typed at a till, exactly: `12.50` becomes 1250 minor units (fen), and back.
//!
//! No floating point anywhere. The upper bound is that of tag 9F02, twelve decimal digits of minor units; what does
//! not fit is refused with a sentence, never rounded.

use std::fmt;

/// The largest amount that tag 9F02 can carry, in minor units.
pub const MAX_MINOR: i64 = 999_999_999_999;

/// Why a typed amount was refused. Its text is the sentence for the person at the till.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountError {
    /// Something else than digits with at most one point.
    Malformed,
    /// Zero, or with a minus sign.
    NotPositive,
    /// More than two digits after the point.
    TooPrecise,
    /// More than twelve digits of minor units.
    TooLarge,
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => {
                "an amount is written in digits with at most one point, such as 12.50"
            }
            Self::NotPositive => "an amount must be more than zero",
            Self::TooPrecise => "an amount has at most two digits after the point",
            Self::TooLarge => {
                "an amount has at most twelve digits in all, two of them after the point"
            }
        })
    }
}

impl std::error::Error for AmountError {}

/// Reads an amount such as `12`, `12.5` or `12.50` into minor units.
///
/// # Errors
/// [`AmountError`] says which rule the text breaks.
pub fn parse(text: &str) -> Result<i64, AmountError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(AmountError::Malformed),
        None => (digits, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(AmountError::Malformed);
    }
    if negative {
        return Err(AmountError::NotPositive);
    }
    if fraction.len() > 2 {
        return Err(AmountError::TooPrecise);
    }
    let minor = format!("{whole}{fraction:0<2}")
        .bytes()
        .try_fold(0i64, |sum, digit| {
            sum.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
        })
        .filter(|minor| *minor <= MAX_MINOR)
        .ok_or(AmountError::TooLarge)?;
    if minor == 0 {
        return Err(AmountError::NotPositive);
    }
    Ok(minor)
}

/// Writes minor units as a person reads them: `1250` becomes `12.50`.
#[must_use]
pub fn show(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let units = minor.unsigned_abs();
    format!("{sign}{}.{:02}", units / 100, units % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_amounts_become_exact_minor_units() {
        for (text, minor) in [
            ("12.50", 1250),
            ("12.5", 1250),
            ("12", 1200),
            ("0.01", 1),
            ("007.10", 710),
            ("9999999999.99", MAX_MINOR),
        ] {
            assert_eq!(parse(text), Ok(minor), "{text}");
        }
        assert_eq!(show(1250), "12.50");
        assert_eq!(show(1), "0.01");
        assert_eq!(show(MAX_MINOR), "9999999999.99");
    }

    #[test]
    fn each_bad_amount_has_its_own_reason() {
        use AmountError::*;
        for (text, error) in [
            ("", Malformed),
            (".", Malformed),
            (".50", Malformed),
            ("12.", Malformed),
            ("1,50", Malformed),
            ("1.2.3", Malformed),
            ("1e3", Malformed),
            ("+1", Malformed),
            (" 1", Malformed),
            ("١٢", Malformed),
            ("-x", Malformed),
            ("0", NotPositive),
            ("0.00", NotPositive),
            ("-1.00", NotPositive),
            ("1.005", TooPrecise),
            ("1.000", TooPrecise),
            ("10000000000.00", TooLarge),
            ("99999999999999999999999999", TooLarge),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }
}
