//! Numbers that the token service hands out: token numbers (Luhn-valid, in their scheme's range) and the indexes of
//! limited-use keys.

use rand_core::{OsRng, RngCore};
use time::OffsetDateTime;

use crate::scheme::Scheme;

/// Digits of a token number.
pub const TOKEN_DIGITS: usize = 16;

/// Whether the last digit checks the others (ISO/IEC 7812-1).
pub fn luhn_valid(number: &str) -> bool {
    !number.is_empty()
        && number.bytes().all(|digit| digit.is_ascii_digit())
        && luhn_sum(number).is_multiple_of(10)
}

/// The sum over all digits, every second one from the right doubled.
fn luhn_sum(number: &str) -> u32 {
    number
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
        .sum()
}

/// A random token number of a scheme's range. Uniqueness is the database's business: a number that is taken is drawn
/// again.
pub fn random_token(scheme: Scheme) -> String {
    let mut number = String::from(scheme.token_bin());
    number.push_str(&random_digits(TOKEN_DIGITS - number.len() - 1));
    let check = (10 - luhn_sum(&format!("{number}0")) % 10) % 10;
    number.push_str(&check.to_string());
    number
}

/// So many random decimal digits, each as likely as the others.
pub(crate) fn random_digits(count: usize) -> String {
    (0..count)
        .map(|_| {
            // 250 is a multiple of ten: values above would favour the small digits.
            let value = std::iter::repeat_with(|| OsRng.next_u32() % 256)
                .find(|value| *value < 250)
                .unwrap_or_default();
            char::from_digit(value % 10, 10).unwrap_or('0')
        })
        .collect()
}

/// The first five digits of a key index, `YHHHH`: last digit of the year, hour of the year counted from 0001.
pub fn key_period(at: OffsetDateTime) -> String {
    let hour = (u32::from(at.ordinal()) - 1) * 24 + u32::from(at.hour()) + 1;
    format!("{}{hour:04}", at.year().rem_euclid(10))
}

/// A number with all but its last four digits left out, as people and ledgers see it.
pub fn masked(number: &str) -> String {
    let tail: String = number
        .chars()
        .skip(number.chars().count().saturating_sub(4))
        .collect();
    format!("…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn luhn_knows_published_numbers() {
        // From ISO/IEC 7812-1 annex B and the card schemes' test pages.
        assert!(luhn_valid("79927398713"));
        assert!(luhn_valid("4111111111111111"));
        assert!(!luhn_valid("79927398710"));
        assert!(!luhn_valid(""));
        assert!(!luhn_valid("7992739871x"));
    }

    #[test]
    fn tokens_are_valid_and_differ() {
        for (scheme, range) in Scheme::ALL.into_iter().zip(["62", "4895", "5204"]) {
            let tokens: std::collections::HashSet<_> =
                (0..200).map(|_| random_token(scheme)).collect();
            assert!(tokens.len() > 195);
            for token in tokens {
                assert!(
                    token.len() == TOKEN_DIGITS && token.starts_with(range),
                    "{token}"
                );
                assert!(luhn_valid(&token), "{token}");
            }
        }
    }

    #[test]
    fn hours_of_the_year_run_from_0001_to_8784() {
        assert_eq!(key_period(datetime!(2026-01-01 00:59 UTC)), "60001");
        assert_eq!(key_period(datetime!(2026-11-22 10:00 UTC)), "67811");
        assert_eq!(key_period(datetime!(2028-12-31 23:59 UTC)), "88784");
    }

    #[test]
    fn masking_keeps_four_digits() {
        assert_eq!(masked("6228480000000015"), "…0015");
        assert_eq!(masked("15"), "…15");
    }
}
