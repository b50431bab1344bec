//! Data objects whose single bits mean something.
//!
//! A [`Field`] is a bit, or a few bits that are one number; a layout is a table of them. What no field of a layout
//! covers is reserved, and told when it is set. Which layout a tag has may depend on the scheme.

mod card;
mod kernel2;
mod reader;

use serde::Serialize;

use super::scheme::Scheme;

/// What some bits of one byte mean.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    /// One bit: said when it is set.
    Flag(u8, &'static str),
    /// Bits that choose one of several meanings: always said.
    Choice(u8, &'static [(u8, &'static str)]),
    /// Bits that are a number: always said, with this name.
    Number(u8, &'static str),
}

impl Field {
    fn mask(self) -> u8 {
        match self {
            Self::Flag(mask, _) | Self::Choice(mask, _) | Self::Number(mask, _) => mask,
        }
    }
}

/// Fields with the byte, from 1, in which they are.
pub(super) type Layout = &'static [(usize, Field)];

/// One thing that the bits of a value say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bit {
    /// Which byte of the value, from 1.
    pub byte: usize,
    /// Which of its bits, 8 the highest: `7`, or `8-7` for bits that are one number.
    pub bits: String,
    /// What these bits are: 1 for a single one.
    pub value: u8,
    /// What that says.
    pub meaning: String,
}

/// Bytes that were explained, with their numbers, and what they say.
#[derive(Debug, Default)]
pub(super) struct Explained {
    pub(super) bytes: Vec<(usize, u8)>,
    pub(super) bits: Vec<Bit>,
}

/// Explains a value bit by bit; empty when the tag has no bits.
pub(super) fn explain(tag: u32, value: &[u8], scheme: Scheme) -> Explained {
    if tag == 0x9F10 {
        return card::issuer_application_data(value, scheme);
    }
    layout(tag, scheme).map_or_else(Explained::default, |layout| read(layout, value, 0))
}

fn layout(tag: u32, scheme: Scheme) -> Option<Layout> {
    card::layout(tag, scheme)
        .or_else(|| reader::layout(tag, scheme))
        .or_else(|| kernel2::layout(tag, scheme))
}

/// Reads bytes by a layout; `before` bytes of the value stand before them.
fn read(layout: Layout, bytes: &[u8], before: usize) -> Explained {
    let mut explained = Explained::default();
    for (at, &byte) in bytes.iter().enumerate() {
        explained.bytes.push((before + at + 1, byte));
        let fields = layout.iter().filter(|(number, _)| *number == at + 1);
        let mut unexplained = byte;
        let mut found = Vec::new();
        for (_, field) in fields {
            unexplained &= !field.mask();
            found.extend(meaning(*field, byte).map(|meaning| (field.mask(), meaning)));
        }
        for bit in 0..8 {
            if unexplained >> bit & 1 == 1 {
                found.push((1 << bit, "reserved".to_owned()));
            }
        }
        // From the highest bit down, as the books have them.
        found.sort_by_key(|(mask, _)| std::cmp::Reverse(*mask));
        explained
            .bits
            .extend(found.into_iter().map(|(mask, meaning)| Bit {
                byte: before + at + 1,
                bits: places(mask),
                value: (byte & mask) >> mask.trailing_zeros(),
                meaning,
            }));
    }
    explained
}

fn meaning(field: Field, byte: u8) -> Option<String> {
    let value = (byte & field.mask()) >> field.mask().trailing_zeros();
    match field {
        Field::Flag(_, meaning) => (value == 1).then(|| meaning.to_owned()),
        Field::Choice(_, choices) => {
            let choice = choices.iter().find(|(number, _)| *number == value);
            Some(choice.map_or("reserved", |(_, meaning)| meaning).to_owned())
        }
        Field::Number(_, name) => Some(format!("{name} {value}")),
    }
}

/// The places of a mask's bits, which stand side by side: `7`, or `8-7`.
fn places(mask: u8) -> String {
    let lowest = mask.trailing_zeros() + 1;
    let highest = 8 - mask.leading_zeros();
    if lowest == highest {
        lowest.to_string()
    } else {
        format!("{highest}-{lowest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(tag: u32, value: &[u8], scheme: Scheme) -> Vec<String> {
        let bits = explain(tag, value, scheme).bits.into_iter();
        bits.map(|bit| format!("{}.{} {}", bit.byte, bit.bits, bit.meaning))
            .collect()
    }

    #[test]
    fn one_value_says_other_things_to_other_schemes() {
        let unionpay = said(0x9F66, &[0x66, 0x80, 0x00, 0x80], Scheme::UnionPay);
        assert_eq!(
            unionpay,
            [
                "1.7 contactless debit and credit supported",
                "1.6 qPBOC supported",
                "1.3 online PIN supported",
                "1.2 signature supported",
                "2.8 online cryptogram required",
                "4.8 fDDA version 01 supported",
            ]
        );
        let visa = said(0x9F66, &[0x66, 0x80, 0x00, 0x80], Scheme::Visa);
        assert_eq!(visa[..2], ["1.7 reserved", "1.6 EMV mode supported"]);
        assert!(said(0x9F66, &[0x66, 0x80], Scheme::Mastercard).is_empty());
        // Kernel 2 has other data under the tags of these two as well.
        assert!(said(0x9F6C, &[0x00, 0x01], Scheme::Mastercard).is_empty());
        assert!(said(0x9F7E, &[0x01], Scheme::Visa).is_empty());
    }

    #[test]
    fn bits_that_are_a_number_are_read_as_one() {
        assert_eq!(
            said(0x9F27, &[0x80], Scheme::UnionPay),
            [
                "1.8-7 ARQC, the issuer is to be asked",
                "1.3-1 no information given"
            ]
        );
        assert_eq!(
            said(0x87, &[0x82], Scheme::UnionPay),
            ["1.8 the cardholder must confirm", "1.4-1 priority 2"]
        );
    }

    #[test]
    fn a_bit_nobody_explains_is_reserved() {
        assert_eq!(
            said(0x9F6C, &[0x00, 0x01], Scheme::UnionPay),
            ["2.1 reserved"]
        );
        let long = explain(0x9F6C, &[0x80, 0x00, 0x80], Scheme::Visa);
        assert_eq!(
            (long.bytes.len(), long.bits[1].meaning.as_str()),
            (3, "reserved")
        );
        assert!(said(0x5A, &[0x62], Scheme::UnionPay).is_empty());
    }

    #[test]
    fn no_two_fields_of_a_layout_share_a_bit() {
        let schemes = [
            Scheme::UnionPay,
            Scheme::Visa,
            Scheme::Mastercard,
            Scheme::Other,
        ];
        let layouts = (0..=0xFFFF)
            .chain(0xDF_8100..=0xDF_83FF)
            .flat_map(|tag| schemes.map(|scheme| layout(tag, scheme)))
            .flatten()
            .chain(card::RESULTS);
        let mut count = 0;
        for layout in layouts {
            count += 1;
            let mut covered = std::collections::BTreeMap::new();
            for (byte, field) in layout {
                let mask = field.mask();
                let taken = covered.entry(byte).or_insert(0_u8);
                assert_eq!(*taken & mask, 0, "{field:?}");
                *taken |= mask;
                let solid = mask >> mask.trailing_zeros();
                assert!(solid & solid.wrapping_add(1) == 0, "{field:?} has gaps");
                let flag = matches!(field, Field::Flag(..));
                assert!(!flag || mask.is_power_of_two(), "{field:?}");
            }
        }
        assert!(count > 60, "{count} layouts are not all");
    }
}
