//! The few currencies and countries that the sandbox deals in, under their ISO names (4217 and 3166-1).

/// A currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency {
    /// Three letters.
    pub letters: &'static str,
    /// Three digits.
    pub number: &'static str,
    /// Decimals of its minor unit.
    pub exponent: u32,
}

const CURRENCIES: [Currency; 6] = [
    currency_of("CNY", "156", 2),
    currency_of("HKD", "344", 2),
    currency_of("MOP", "446", 2),
    currency_of("EUR", "978", 2),
    currency_of("USD", "840", 2),
    currency_of("JPY", "392", 0),
];

/// Numeric in four digits, as terminals carry it (tag 9F1A), and two letters.
const COUNTRIES: [(&str, &str); 5] = [
    ("0156", "CN"),
    ("0344", "HK"),
    ("0446", "MO"),
    ("0840", "US"),
    ("0392", "JP"),
];

const fn currency_of(letters: &'static str, number: &'static str, exponent: u32) -> Currency {
    Currency {
        letters,
        number,
        exponent,
    }
}

/// The currency of these letters.
#[must_use]
pub fn currency(letters: &str) -> Option<Currency> {
    CURRENCIES
        .into_iter()
        .find(|known| known.letters == letters)
}

/// The currency of this number, in three digits.
#[must_use]
pub fn currency_numbered(number: &str) -> Option<Currency> {
    CURRENCIES.into_iter().find(|known| known.number == number)
}

/// A country's two letters by its number in four digits.
#[must_use]
pub fn country_letters(number: &str) -> Option<&'static str> {
    let known = COUNTRIES.iter().find(|(known, _)| *known == number);
    known.map(|(_, letters)| *letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_each_other() {
        for known in CURRENCIES {
            assert_eq!(currency(known.letters), currency_numbered(known.number));
        }
        assert_eq!(currency("CNY").unwrap().number, "156");
        assert_eq!(currency("cny"), None);
        assert_eq!(country_letters("0156"), Some("CN"));
        assert_eq!(country_letters("156"), None);
    }
}
