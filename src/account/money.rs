//! Amounts: whole minor units with their currency.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An ISO 4217 currency: its three letters, or its three digits where the letters are not known here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

/// The currencies in which UnionPay cards are commonly accepted, numeric code first (ISO 4217).
const KNOWN: &[(u16, [u8; 3])] = &[
    (36, *b"AUD"),
    (124, *b"CAD"),
    (156, *b"CNY"),
    (344, *b"HKD"),
    (356, *b"INR"),
    (360, *b"IDR"),
    (392, *b"JPY"),
    (410, *b"KRW"),
    (446, *b"MOP"),
    (458, *b"MYR"),
    (554, *b"NZD"),
    (608, *b"PHP"),
    (643, *b"RUB"),
    (702, *b"SGD"),
    (704, *b"VND"),
    (756, *b"CHF"),
    (764, *b"THB"),
    (784, *b"AED"),
    (826, *b"GBP"),
    (840, *b"USD"),
    (901, *b"TWD"),
    (978, *b"EUR"),
];

/// Where the minor unit is not a hundredth (ISO 4217, list one), letters and digits.
const EXPONENTS: &[(u32, &[&str])] = &[
    (
        0,
        &[
            "BIF", "108", "CLP", "152", "DJF", "262", "GNF", "324", "ISK", "352", "JPY", "392",
            "KMF", "174", "KRW", "410", "PYG", "600", "RWF", "646", "UGX", "800", "UYI", "940",
            "VND", "704", "VUV", "548", "XAF", "950", "XOF", "952", "XPF", "953",
        ],
    ),
    (
        3,
        &[
            "BHD", "048", "IQD", "368", "JOD", "400", "KWD", "414", "LYD", "434", "OMR", "512",
            "TND", "788",
        ],
    ),
    (4, &["CLF", "990", "UYW", "927"]),
];

/// Metals, units of account, and the codes for tests and for no currency: they have no minor unit.
const NO_MONEY: &[&str] = &[
    "XBA", "955", "XBB", "956", "XBC", "957", "XBD", "958", "XAU", "959", "XDR", "960", "XAG",
    "961", "XPT", "962", "XTS", "963", "XPD", "964", "XUA", "965", "XSU", "994", "XXX", "999",
];

impl Currency {
    /// The renminbi.
    pub const CNY: Self = Self(*b"CNY");

    /// From tag 5F2A: three BCD digits, right-justified in two bytes.
    pub fn from_numeric_bcd(bcd: [u8; 2]) -> Option<Self> {
        let [high, low] = bcd;
        let digits = [high >> 4, high & 0x0F, low >> 4, low & 0x0F];
        if digits.iter().any(|digit| *digit > 9) || digits.first() != Some(&0) {
            return None;
        }
        let [_, a, b, c] = digits.map(|digit| b'0' + digit);
        Some(Self::from_ascii_digits([a, b, c]))
    }

    /// From three digits, as merchants' codes have them.
    pub fn from_numeric(code: &str) -> Option<Self> {
        let digits: [u8; 3] = code.as_bytes().try_into().ok()?;
        let sound = digits.iter().all(u8::is_ascii_digit);
        sound.then(|| Self::from_ascii_digits(digits))
    }

    fn from_ascii_digits(digits: [u8; 3]) -> Self {
        let number = digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        let letters = KNOWN.iter().find(|(numeric, _)| *numeric == number);
        Self(letters.map_or(digits, |(_, letters)| *letters))
    }

    /// How many decimals its minor unit takes (ISO 4217's exponent); nothing for a code that is no money.
    pub fn exponent(&self) -> Option<u32> {
        let code = self.code();
        let has = |(_, codes): &&(u32, &[&str])| codes.contains(&code);
        match EXPONENTS.iter().find(has) {
            Some((exponent, _)) => Some(*exponent),
            None => (!NO_MONEY.contains(&code)).then_some(2),
        }
    }

    /// From three letters or three digits.
    pub fn from_code(code: &str) -> Option<Self> {
        let bytes: [u8; 3] = code.as_bytes().try_into().ok()?;
        let letters = bytes.iter().all(u8::is_ascii_uppercase);
        let digits = bytes.iter().all(u8::is_ascii_digit);
        (letters || digits).then_some(Self(bytes))
    }

    /// The three characters.
    pub fn code(&self) -> &str {
        // Only ASCII gets in, so the fallback is never taken.
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code).ok_or_else(|| de::Error::custom("not an ISO 4217 code"))
    }
}

/// An amount of money. Never negative where it comes from a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Minor units (fen, cents).
    #[serde(rename = "amount_minor")]
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// From tags 9F02 (twelve BCD digits of minor units) and 5F2A; nothing when either is not decimal.
    pub fn from_emv(amount: &[u8], currency: &[u8]) -> Option<Self> {
        let amount: [u8; 6] = amount.try_into().ok()?;
        let currency = Currency::from_numeric_bcd(currency.try_into().ok()?)?;
        let minor = amount.iter().try_fold(0_i64, |sum, byte| {
            let (high, low) = (byte >> 4, byte & 0x0F);
            (high <= 9 && low <= 9).then(|| sum * 100 + i64::from(high * 10 + low))
        })?;
        Some(Self { minor, currency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_as_a_reader_sends_it() {
        let amount = [0x00, 0x00, 0x00, 0x00, 0x12, 0x50];
        let money = Money::from_emv(&amount, &[0x01, 0x56]).unwrap();
        assert_eq!((money.minor, money.currency), (1250, Currency::CNY));
        let largest = Money::from_emv(&[0x99; 6], &[0x09, 0x78]).unwrap();
        assert_eq!(
            (largest.minor, largest.currency.code()),
            (999_999_999_999, "EUR")
        );
    }

    #[test]
    fn what_is_not_decimal_is_refused() {
        assert!(Money::from_emv(&[0, 0, 0, 0, 0, 0x1A], &[0x01, 0x56]).is_none());
        assert!(Money::from_emv(&[0; 6], &[0x0A, 0x56]).is_none());
        assert!(Money::from_emv(&[0; 6], &[0x11, 0x56]).is_none());
        assert!(Money::from_emv(&[0; 5], &[0x01, 0x56]).is_none());
    }

    /// ISO 4217, list one.
    #[test]
    fn a_minor_unit_has_the_decimals_of_the_standard() {
        let exponent = |code| Currency::from_code(code).unwrap().exponent();
        for (code, expected) in [
            ("CNY", 2),
            ("HUF", 2),
            ("JPY", 0),
            ("KWD", 3),
            ("CLF", 4),
            ("152", 0),
        ] {
            assert_eq!(exponent(code), Some(expected), "{code}");
        }
        assert_eq!(exponent("XAU"), None);
        assert_eq!(exponent("999"), None);
        assert_eq!(Currency::from_numeric("156"), Some(Currency::CNY));
        assert_eq!(Currency::from_numeric("392").unwrap().exponent(), Some(0));
        for code in ["", "15", "1560", "CNY", "１"] {
            assert_eq!(Currency::from_numeric(code), None);
        }
    }

    #[test]
    fn an_unlisted_currency_keeps_its_number() {
        assert_eq!(
            Currency::from_numeric_bcd([0x09, 0x99]).unwrap().code(),
            "999"
        );
    }
}
