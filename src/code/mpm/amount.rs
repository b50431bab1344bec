//! Amounts as merchants' codes write them: decimal, exact, never through a floating-point number.

use super::MpmError;
use crate::account::{Currency, Money};

/// The longest amount, in characters (EMV QRCPS MPM 1.1, object 54).
const LONGEST: usize = 13;

/// Reads `98.73`, `98` or `98.` as whole minor units. Fewer decimals than the currency has are zeros; more are refused.
pub(super) fn money(text: &str, currency: Currency) -> Result<Money, MpmError> {
    let exponent = currency.exponent().ok_or(MpmError::Currency)?;
    let minor = scaled(text, exponent)?;
    match minor {
        0 => Err(MpmError::AmountZero),
        _ => Ok(Money { minor, currency }),
    }
}

/// Reads `00.01` to `99.99` as hundredths of a percent.
pub(super) fn hundredths_of_percent(text: &str) -> Result<u32, MpmError> {
    let hundredths = scaled(text, 2).ok().and_then(|n| u32::try_from(n).ok());
    hundredths
        .filter(|hundredths| (1..=9_999).contains(hundredths))
        .ok_or(MpmError::Tip)
}

/// A decimal number times ten to the `exponent`.
fn scaled(text: &str, exponent: u32) -> Result<i64, MpmError> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(decimals) {
        return Err(MpmError::AmountForm);
    }
    if text.len() > LONGEST {
        return Err(MpmError::AmountTooLarge);
    }
    let given = u32::try_from(decimals.len()).map_err(|_| MpmError::AmountDecimals)?;
    let missing = exponent
        .checked_sub(given)
        .ok_or(MpmError::AmountDecimals)?;
    let digits = whole.bytes().chain(decimals.bytes());
    let number = digits.into_iter().try_fold(0_i64, |number, digit| {
        number.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
    });
    let number = number.ok_or(MpmError::AmountTooLarge)?;
    let scale = 10_i64.checked_pow(missing);
    scale
        .and_then(|scale| number.checked_mul(scale))
        .ok_or(MpmError::AmountTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, code: &str) -> Result<i64, MpmError> {
        money(text, Currency::from_code(code).unwrap()).map(|money| money.minor)
    }

    /// EMV QRCPS MPM 1.1, object 54: `98.73`, `98` and `98.` are valid; `98,73` and `3 705` are not.
    #[test]
    fn the_specifications_forms() {
        assert_eq!(read("98.73", "USD"), Ok(9873));
        assert_eq!(read("98", "USD"), Ok(9800));
        assert_eq!(read("98.", "USD"), Ok(9800));
        assert_eq!(read("98.7", "USD"), Ok(9870));
        for text in [
            "98,73", "3 705", "", ".", ".5", "-1", "+1", "1e3", "1.2.3", "٣",
        ] {
            assert_eq!(read(text, "USD"), Err(MpmError::AmountForm), "{text}");
        }
    }

    #[test]
    fn decimals_are_the_currencys() {
        assert_eq!(read("500", "JPY"), Ok(500));
        assert_eq!(read("500.", "JPY"), Ok(500));
        assert_eq!(read("500.0", "JPY"), Err(MpmError::AmountDecimals));
        assert_eq!(read("1.234", "KWD"), Ok(1234));
        assert_eq!(read("1.234", "CNY"), Err(MpmError::AmountDecimals));
        assert_eq!(read("1", "XAU"), Err(MpmError::Currency));
    }

    #[test]
    fn an_amount_is_neither_zero_nor_beyond_its_13_characters() {
        for text in ["0", "0.00", "000"] {
            assert_eq!(read(text, "CNY"), Err(MpmError::AmountZero));
        }
        assert_eq!(read("9999999999999", "CNY"), Ok(999_999_999_999_900));
        assert_eq!(read("9999999999999", "CLF"), Ok(99_999_999_999_990_000));
        assert_eq!(read("00000000000001", "CNY"), Err(MpmError::AmountTooLarge));
        let hostile = "9".repeat(99);
        assert_eq!(read(&hostile, "CNY"), Err(MpmError::AmountTooLarge));
    }

    #[test]
    fn a_fee_is_between_a_hundredth_of_a_percent_and_almost_all() {
        assert_eq!(hundredths_of_percent("00.01"), Ok(1));
        assert_eq!(hundredths_of_percent("3.5"), Ok(350));
        assert_eq!(hundredths_of_percent("99.99"), Ok(9_999));
        for text in ["0", "100", "1.234", "x", "", "-1"] {
            assert_eq!(hundredths_of_percent(text), Err(MpmError::Tip));
        }
    }
}
