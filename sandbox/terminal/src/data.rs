//! What the terminal brings to a payment: the data objects a card may ask for in its PDOL.
//!
//! Everything is decided before the card is in the field (amount, date, unpredictable number, what is asked of the card),
//! so that filling the PDOL is a pure look-up. What only a kernel can say (terminal transaction qualifiers, verification
//! results) it adds with [`TerminalData::with`].

use std::collections::BTreeMap;

use emv::core::dol::{Dol, ValueFormat};
use time::{Date, OffsetDateTime};

/// What one payment is about and where it happens.
#[derive(Debug, Clone)]
pub struct Purchase {
    /// The amount the card is told, in minor units.
    pub amount_minor: i64,
    /// ISO 4217 numeric code in BCD, `0156` for CNY.
    pub currency: [u8; 2],
    /// ISO 3166 numeric country in BCD.
    pub country: [u8; 2],
    /// Date and time at the terminal.
    pub at: OffsetDateTime,
    /// Four random bytes, fresh for each payment.
    pub unpredictable_number: [u8; 4],
    /// Ask for offline data authentication.
    pub oda: bool,
    /// Ask for cardholder verification.
    pub cvm: bool,
    /// Name for the person's statement, tag 9F4E.
    pub merchant: String,
    /// Merchant category code, four digits.
    pub mcc: String,
    /// The acquirer's name for the merchant, tag 9F16.
    pub merchant_id: String,
    /// The acquirer's name for the terminal, tag 9F1C.
    pub terminal_id: String,
}

/// The terminal's data objects, by tag.
#[derive(Debug, Clone)]
pub struct TerminalData {
    values: BTreeMap<u32, (ValueFormat, Vec<u8>)>,
    at: OffsetDateTime,
    oda: bool,
    cvm: bool,
}

impl TerminalData {
    /// Lays out the data objects of one payment.
    #[must_use]
    pub fn new(purchase: &Purchase) -> Self {
        use ValueFormat::{Numeric, Other};
        let date = purchase.at.date();
        let at = purchase.at;
        let values = [
            (0x9F02, Numeric, bcd(purchase.amount_minor, 6)),
            (0x9F03, Numeric, vec![0; 6]),
            (0x9F1A, Numeric, purchase.country.to_vec()),
            (0x95, Other, vec![0; 5]),
            (0x5F2A, Numeric, purchase.currency.to_vec()),
            (0x5F36, Numeric, vec![2]),
            (0x9A, Numeric, bcd_date(date)),
            (
                0x9F21,
                Numeric,
                [at.hour(), at.minute(), at.second()]
                    .into_iter()
                    .map(bcd_byte)
                    .collect(),
            ),
            (0x9C, Numeric, vec![0]),
            (0x9F37, Other, purchase.unpredictable_number.to_vec()),
            (0x9F4E, Other, padded(&purchase.merchant, 20)),
            (
                0x9F15,
                Numeric,
                hex::decode(&purchase.mcc).unwrap_or_else(|_| vec![0; 2]),
            ),
            (0x9F16, Other, padded(&purchase.merchant_id, 15)),
            (0x9F1C, Other, padded(&purchase.terminal_id, 8)),
            // Attended, online capable, run by a merchant.
            (0x9F35, Numeric, vec![0x22]),
            // Contactless through the kernel only: no key entry, no stripe; no verification method of its own.
            (0x9F33, Other, vec![0x00, 0x08, 0xC8]),
            (0x9F40, Other, vec![0x60, 0x00, 0x00, 0x30, 0x00]),
        ];
        Self {
            values: values
                .into_iter()
                .map(|(tag, format, value)| (tag, (format, value)))
                .collect(),
            at,
            oda: purchase.oda,
            cvm: purchase.cvm,
        }
    }

    /// The same with this value of an object.
    #[must_use]
    pub fn with(&self, tag: u32, value: &[u8]) -> Self {
        let mut changed = self.clone();
        let value = (ValueFormat::Other, value.to_vec());
        changed.values.insert(tag, value);
        changed
    }

    /// Fills a PDOL or CDOL: the objects in the card's order and lengths, zeros for what the terminal does not have.
    #[must_use]
    pub fn fill(&self, pdol: &Dol) -> Vec<(u32, Vec<u8>)> {
        pdol.0
            .iter()
            .map(|entry| {
                let one = Dol(vec![*entry]);
                (
                    entry.tag.0,
                    one.build(|tag| self.values.get(&tag.0).cloned()),
                )
            })
            .collect()
    }

    /// The date at the terminal.
    #[must_use]
    pub fn date(&self) -> Date {
        self.at.date()
    }

    /// Whether this payment asks for offline data authentication.
    #[must_use]
    pub fn wants_oda(&self) -> bool {
        self.oda
    }

    /// Whether this payment asks for cardholder verification.
    #[must_use]
    pub fn wants_cvm(&self) -> bool {
        self.cvm
    }
}

/// The numeric code of a currency that the sandbox's terminals can be set to, in BCD.
#[must_use]
pub fn currency_code(letters: &str) -> Option<[u8; 2]> {
    Some(match letters {
        "CNY" => [0x01, 0x56],
        "HKD" => [0x03, 0x44],
        "MOP" => [0x04, 0x46],
        "EUR" => [0x09, 0x78],
        "USD" => [0x08, 0x40],
        _ => return None,
    })
}

/// A date as tag 9A has it, `YYMMDD` in BCD.
#[must_use]
pub fn bcd_date(date: Date) -> Vec<u8> {
    let year = u8::try_from(date.year().rem_euclid(100)).unwrap_or_default();
    [year, u8::from(date.month()), date.day()]
        .into_iter()
        .map(bcd_byte)
        .collect()
}

/// Two decimal digits in one byte; the argument is below 100.
pub(crate) fn bcd_byte(value: u8) -> u8 {
    ((value / 10 % 10) << 4) | (value % 10)
}

/// A number as `length` bytes of BCD; digits that do not fit are lost, callers bound the amount before.
fn bcd(value: i64, length: usize) -> Vec<u8> {
    let mut rest = value.unsigned_abs();
    let mut bytes = vec![0; length];
    for byte in bytes.iter_mut().rev() {
        *byte = bcd_byte(u8::try_from(rest % 100).unwrap_or_default());
        rest /= 100;
    }
    bytes
}

/// A text cut or padded with spaces to `length` bytes, never cut inside a character.
fn padded(text: &str, length: usize) -> Vec<u8> {
    let mut end = text.len().min(length);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut bytes = text.as_bytes().get(..end).unwrap_or_default().to_vec();
    bytes.resize(length, b' ');
    bytes
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use time::macros::datetime;

    /// A purchase of 12.50 yuan at a fixed moment, for the tests of this crate.
    pub(crate) fn purchase() -> Purchase {
        Purchase {
            amount_minor: 1250,
            currency: [0x01, 0x56],
            country: [0x01, 0x56],
            at: datetime!(2026-11-22 10:11:12 UTC),
            unpredictable_number: [1, 2, 3, 4],
            oda: false,
            cvm: false,
            merchant: "Mapo Tofu House".into(),
            mcc: "5812".into(),
            merchant_id: "M1".into(),
            terminal_id: "T1".into(),
        }
    }

    #[test]
    fn the_usual_pdol_is_filled_in_the_cards_order() {
        let pdol =
            hex::decode("9F66049F02069F03069F1A0295055F2A029A039C019F37049F4E14DF0102").unwrap();
        let terminal = TerminalData::new(&purchase()).with(0x9F66, &[0x66, 0x80, 0x00, 0x00]);
        let filled = terminal.fill(&Dol::parse(&pdol).unwrap());
        let bytes: Vec<u8> = filled.into_iter().flat_map(|(_, value)| value).collect();
        assert_eq!(
            hex::encode_upper(bytes),
            "66800000000000001250000000000000015600000000000156261122000102030\
             44D61706F20546F667520486F75736520202020200000"
        );
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(padded("麻婆豆腐", 10), "麻婆豆 ".as_bytes());
        assert_eq!(padded("ab", 3), b"ab ");
    }
}
