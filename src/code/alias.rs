//! The alias: the digits by which the provider finds account and seed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest alias that a format can hold, in digits.
pub(super) const LONGEST: usize = 16;

/// A number that the provider drew for one showing. It says nothing to anybody else, but tells two pictures of one code
/// apart from two codes: it is never logged.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Alias(String);

/// An alias that is not 1 to 16 digits.
#[derive(Debug, thiserror::Error)]
#[error(
    "an alias must have 1 to 16 digits and nothing else: the provider sent a batch that cannot be used"
)]
pub struct MalformedAlias;

impl Alias {
    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Alias {
    type Error = MalformedAlias;

    fn try_from(digits: String) -> Result<Self, MalformedAlias> {
        let sound = (1..=LONGEST).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_digit());
        match sound {
            true => Ok(Self(digits)),
            false => Err(MalformedAlias),
        }
    }
}

impl From<Alias> for String {
    fn from(alias: Alias) -> Self {
        alias.0
    }
}

impl fmt::Debug for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alias(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_digits_and_is_not_printed() {
        let alias = Alias::try_from("7394850263".to_owned()).unwrap();
        assert_eq!(alias.as_str(), "7394850263");
        assert!(!format!("{alias:?}").contains('7'));
        for text in ["", "12345678901234567", "12 4", "１２３", "-1"] {
            assert!(Alias::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
