//! The payment schemes that the sandbox plays: what they are called, and which numbers are theirs.

use serde::{Deserialize, Serialize};

/// A payment scheme. What its cards are like is data, in [`crate::profile`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// UnionPay QuickPass, in the style of EMV contactless kernel 7.
    #[default]
    UnionPay,
    /// In the style of Visa and kernel 3.
    Visa,
    /// In the style of Mastercard and kernel 2.
    Mastercard,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::UnionPay, Self::Visa, Self::Mastercard];

    /// The name in APIs and databases.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnionPay => "unionpay",
            Self::Visa => "visa",
            Self::Mastercard => "mastercard",
        }
    }

    /// The scheme of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.name() == name)
    }

    /// Registered application provider identifier: the first five bytes of the scheme's AIDs, and the owner of its CA
    /// keys.
    pub fn rid(self) -> [u8; 5] {
        match self {
            Self::UnionPay => [0xA0, 0x00, 0x00, 0x03, 0x33],
            Self::Visa => [0xA0, 0x00, 0x00, 0x00, 0x03],
            Self::Mastercard => [0xA0, 0x00, 0x00, 0x00, 0x04],
        }
    }

    /// The range that tokens come from. No card of a bank lies in it.
    pub fn token_bin(self) -> &'static str {
        match self {
            Self::UnionPay => "625807",
            Self::Visa => "489507",
            Self::Mastercard => "520407",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for scheme in Scheme::ALL {
            assert_eq!(Scheme::named(scheme.name()), Some(scheme));
            let json = serde_json::to_value(scheme).unwrap();
            assert_eq!(json, scheme.name());
        }
        assert_eq!(Scheme::named("UnionPay"), None);
        assert_eq!(Scheme::named(""), None);
        assert_eq!(Scheme::default(), Scheme::UnionPay);
    }
}
