//! Data objects whose single bits mean something, as tables: byte, mask, meaning.
//!
//! A meaning is listed when all bits of its mask are set; a set bit that no table explains is shown as reserved.
//! Terminal qualifiers are laid out by scheme (the same bits say other things to another kernel), so the caller says
//! whether the selected application is UnionPay's.

/// One meaning: byte number from 1, mask, words.
type Bit = (usize, u8, &'static str);

const AIP: &[Bit] = &[
    (1, 0x40, "SDA supported"),
    (1, 0x20, "DDA supported"),
    (1, 0x10, "cardholder verification supported"),
    (1, 0x08, "terminal risk management to be performed"),
    (1, 0x04, "issuer authentication supported"),
    (1, 0x02, "on-device cardholder verification supported"),
    (1, 0x01, "CDA supported"),
    (2, 0x80, "EMV mode supported"),
    (2, 0x01, "relay resistance protocol supported"),
];

const TTQ_KERNEL_7: &[Bit] = &[
    (1, 0x40, "contactless debit and credit supported"),
    (1, 0x20, "qPBOC supported"),
    (1, 0x10, "contact PBOC supported"),
    (1, 0x08, "offline-only reader"),
    (1, 0x04, "online PIN supported"),
    (1, 0x02, "signature supported"),
    (2, 0x80, "online cryptogram required"),
    (2, 0x40, "cardholder verification required"),
    (3, 0x40, "verification on the device supported"),
    (4, 0x80, "fDDA version 01 supported"),
];

const TTQ_KERNEL_3: &[Bit] = &[
    (1, 0x80, "mag-stripe mode supported"),
    (1, 0x20, "EMV mode supported"),
    (1, 0x10, "EMV contact chip supported"),
    (1, 0x08, "offline-only reader"),
    (1, 0x04, "online PIN supported"),
    (1, 0x02, "signature supported"),
    (
        1,
        0x01,
        "offline data authentication for online authorisations supported",
    ),
    (2, 0x80, "online cryptogram required"),
    (2, 0x40, "cardholder verification required"),
    (2, 0x20, "contact chip offline PIN supported"),
    (3, 0x80, "issuer update processing supported"),
    (3, 0x40, "verification on the device supported"),
];

const CTQ: &[Bit] = &[
    (1, 0x80, "online PIN required"),
    (1, 0x40, "signature required"),
    (1, 0x20, "go online if offline data authentication fails"),
    (
        1,
        0x10,
        "switch interface if offline data authentication fails",
    ),
    (1, 0x08, "go online if the application has expired"),
    (1, 0x04, "switch interface for cash"),
    (1, 0x02, "switch interface for cashback"),
    (2, 0x80, "verification performed on the device"),
    (2, 0x40, "issuer update processing supported"),
];

const TVR: &[Bit] = &[
    (1, 0x80, "offline data authentication was not performed"),
    (1, 0x40, "SDA failed"),
    (1, 0x20, "card data missing"),
    (1, 0x10, "card number on the exception file"),
    (1, 0x08, "DDA failed"),
    (1, 0x04, "CDA failed"),
    (1, 0x02, "SDA selected"),
    (2, 0x80, "card and terminal have different versions"),
    (2, 0x40, "expired application"),
    (2, 0x20, "application not yet effective"),
    (2, 0x10, "service not allowed for the card"),
    (2, 0x08, "new card"),
    (3, 0x80, "cardholder verification failed"),
    (3, 0x40, "unrecognised verification method"),
    (3, 0x20, "PIN tries exceeded"),
    (3, 0x10, "PIN required, PIN pad missing or broken"),
    (3, 0x08, "PIN required, PIN not entered"),
    (3, 0x04, "online PIN entered"),
    (4, 0x80, "floor limit exceeded"),
    (4, 0x40, "lower offline limit exceeded"),
    (4, 0x20, "upper offline limit exceeded"),
    (4, 0x10, "selected at random for online"),
    (4, 0x08, "merchant forced online"),
    (5, 0x80, "default TDOL used"),
    (5, 0x40, "issuer authentication failed"),
    (5, 0x20, "script failed before the final GENERATE AC"),
    (5, 0x10, "script failed after the final GENERATE AC"),
];

const TSI: &[Bit] = &[
    (1, 0x80, "offline data authentication performed"),
    (1, 0x40, "cardholder verification performed"),
    (1, 0x20, "card risk management performed"),
    (1, 0x10, "issuer authentication performed"),
    (1, 0x08, "terminal risk management performed"),
    (1, 0x04, "script processing performed"),
];

const AUC: &[Bit] = &[
    (1, 0x80, "domestic cash"),
    (1, 0x40, "international cash"),
    (1, 0x20, "domestic goods"),
    (1, 0x10, "international goods"),
    (1, 0x08, "domestic services"),
    (1, 0x04, "international services"),
    (1, 0x02, "at cash machines"),
    (1, 0x01, "at other terminals"),
    (2, 0x80, "domestic cashback"),
    (2, 0x40, "international cashback"),
];

const TERMINAL_CAPABILITIES: &[Bit] = &[
    (1, 0x80, "manual key entry"),
    (1, 0x40, "magnetic stripe"),
    (1, 0x20, "chip with contacts"),
    (2, 0x80, "offline PIN in plain"),
    (2, 0x40, "online PIN"),
    (2, 0x20, "signature"),
    (2, 0x10, "offline PIN enciphered"),
    (2, 0x08, "no verification"),
    (3, 0x80, "SDA"),
    (3, 0x40, "DDA"),
    (3, 0x20, "card capture"),
    (3, 0x08, "CDA"),
];

const ADDITIONAL_CAPABILITIES: &[Bit] = &[
    (1, 0x80, "cash"),
    (1, 0x40, "goods"),
    (1, 0x20, "services"),
    (1, 0x10, "cashback"),
    (1, 0x08, "inquiry"),
    (1, 0x04, "transfer"),
    (1, 0x02, "payment"),
    (1, 0x01, "administrative"),
    (2, 0x80, "cash deposit"),
    (3, 0x80, "numeric keys"),
    (3, 0x40, "alphabetic and special keys"),
    (3, 0x20, "command keys"),
    (3, 0x10, "function keys"),
    (4, 0x80, "prints for the attendant"),
    (4, 0x40, "prints for the cardholder"),
    (4, 0x20, "displays to the attendant"),
    (4, 0x10, "displays to the cardholder"),
    (4, 0x02, "code table 10"),
    (4, 0x01, "code table 9"),
];

const CID: &[Bit] = &[(1, 0x08, "advice required")];

/// The lines that explain a value bit by bit; none when the tag has no bits.
pub(super) fn explain(tag: u32, value: &[u8], unionpay: bool) -> Vec<String> {
    let (table, whole): (&[Bit], u8) = match tag {
        0x82 => (AIP, 0),
        0x9F66 if unionpay => (TTQ_KERNEL_7, 0),
        0x9F66 => (TTQ_KERNEL_3, 0),
        0x9F6C => (CTQ, 0),
        0x95 => (TVR, 0),
        0x9B => (TSI, 0),
        0x9F07 => (AUC, 0),
        0x9F33 => (TERMINAL_CAPABILITIES, 0),
        0x9F40 => (ADDITIONAL_CAPABILITIES, 0),
        // The two top bits are one number, explained by the caller; the low three a reason code.
        0x9F27 => (CID, 0xC7),
        _ => return Vec::new(),
    };
    let mut lines = Vec::new();
    for (at, byte) in value.iter().enumerate() {
        lines.push(format!(
            "byte {}  {:04b} {:04b}",
            at + 1,
            byte >> 4,
            byte & 0x0F
        ));
        for bit in (0..8u8).rev().filter(|bit| byte >> bit & 1 == 1) {
            let mask = 1 << bit;
            if at == 0 && whole & mask != 0 {
                continue;
            }
            let meaning = table
                .iter()
                .find(|(number, bits, _)| *number == at + 1 && *bits == mask)
                .map_or("reserved", |(_, _, meaning)| meaning);
            lines.push(format!("  bit {}  {meaning}", bit + 1));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_qualifiers_of_this_terminal() {
        let lines = explain(0x9F66, &[0x66, 0x80, 0x00, 0x80], true).join("\n");
        assert!(lines.contains(
            "byte 1  0110 0110\n  bit 7  contactless debit and credit supported\n  bit 6  qPBOC"
        ));
        assert!(lines.ends_with("byte 4  1000 0000\n  bit 8  fDDA version 01 supported"));
    }

    #[test]
    fn every_table_names_each_bit_once() {
        for table in [
            AIP,
            TTQ_KERNEL_7,
            TTQ_KERNEL_3,
            CTQ,
            TVR,
            TSI,
            AUC,
            TERMINAL_CAPABILITIES,
            ADDITIONAL_CAPABILITIES,
            CID,
        ] {
            for (at, (byte, mask, meaning)) in table.iter().enumerate() {
                assert_eq!(mask.count_ones(), 1, "{meaning}");
                let others = table.iter().skip(at + 1);
                assert!(
                    others.clone().all(|(b, m, _)| (b, m) != (byte, mask)),
                    "{meaning}"
                );
            }
        }
    }

    #[test]
    fn a_bit_nobody_explains_is_reserved() {
        assert_eq!(
            explain(0x9F6C, &[0x01], true),
            ["byte 1  0000 0001", "  bit 1  reserved"]
        );
        assert!(explain(0x5A, &[0x62], true).is_empty());
    }
}
