//! What EMV tags, status words and commands are called.
//!
//! Names from the EMV books come with crate `emv`; what the contactless books and the schemes add stands here, since a
//! scheme's kernel may use a tag for something of its own.

mod tags;

use emv::Tag;
use emv::core::tag_info;

use super::scheme::Scheme;

/// The name of a tag below `parent`, which decides where one tag has two meanings; nothing when nobody names it.
pub(super) fn known(tag: u32, parent: Option<u32>, scheme: Scheme) -> Option<&'static str> {
    let own = match scheme {
        Scheme::UnionPay => tags::UNIONPAY,
        Scheme::Visa => tags::VISA,
        Scheme::Mastercard => tags::MASTERCARD,
        Scheme::Other => &[],
    };
    let listed = |list: &[(u32, &'static str)]| {
        let found = list.iter().find(|(number, _)| *number == tag);
        found.map(|(_, name)| *name)
    };
    listed(own)
        .or_else(|| listed(tags::CONTACTLESS))
        .or_else(|| {
            let info = tag_info::lookup_in(Tag(tag), parent.map(Tag));
            let info = info.or_else(|| tag_info::lookup(Tag(tag)).first());
            info.map(|info| info.name)
        })
        .or_else(|| listed(tags::KERNEL_2))
        // A loose value of a scheme that is not known: the first that has a name for it.
        .or_else(|| listed(tags::UNIONPAY))
        .or_else(|| listed(tags::VISA))
        .or_else(|| listed(tags::MASTERCARD))
}

/// As [`known`], with words for a tag that nobody names.
pub(super) fn tag(tag: u32, parent: Option<u32>, scheme: Scheme) -> &'static str {
    known(tag, parent, scheme).unwrap_or("unknown tag")
}

/// What a status word says (ISO 7816-4 and the contactless books).
pub(super) fn status(word: u16) -> &'static str {
    known_status(word).unwrap_or("unknown status word")
}

/// As [`status`]; nothing when nobody knows it.
pub(super) fn known_status(word: u16) -> Option<&'static str> {
    Some(match word {
        0x9000 => "OK",
        0x6100..=0x61FF => "more bytes are there for GET RESPONSE",
        0x6200 => "warning, nothing changed",
        0x6281 => "part of the data may be damaged",
        0x6282 => "end of file before all bytes were read",
        0x6283 => "selected file invalidated",
        0x6284 => "control information not formatted",
        0x6285 => "selected file in termination",
        0x6300 => "authentication failed",
        0x63C0..=0x63CF => "verification failed, the last digit says how many tries are left",
        0x6400 => "execution error, nothing changed",
        0x6401 => "an answer is wanted at once",
        0x6500 => "execution error, something changed",
        0x6581 => "memory failure",
        0x6700 => "wrong length",
        0x6800 => "function in the class byte not supported",
        0x6881 => "logical channel not supported",
        0x6882 => "secure messaging not supported",
        0x6883 => "the last command of the chain was expected",
        0x6884 => "command chaining not supported",
        0x6900 => "command not allowed",
        0x6981 => "command incompatible with file",
        0x6982 => "security status not satisfied",
        0x6983 => "authentication blocked",
        0x6984 => "use another interface",
        0x6985 => "conditions of use not satisfied",
        0x6986 => "command not allowed: see phone, try again",
        0x6987 => "secure messaging objects missing",
        0x6988 => "secure messaging objects wrong",
        0x6A00 => "wrong parameters",
        0x6A80 => "wrong data",
        0x6A81 => "function not supported or application blocked",
        0x6A82 => "file or application not found",
        0x6A83 => "record not found",
        0x6A84 => "not enough memory",
        0x6A85 => "length inconsistent with TLV",
        0x6A86 => "wrong P1 or P2",
        0x6A87 => "length inconsistent with P1 and P2",
        0x6A88 => "referenced data not found",
        0x6A89 => "file exists already",
        0x6A8A => "application name exists already",
        0x6B00 => "wrong P1 or P2, outside the file",
        0x6C00..=0x6CFF => "wrong Le, the last byte says the right one",
        0x6D00 => "instruction not supported",
        0x6E00 => "class not supported",
        0x6F00 => "no precise diagnosis",
        _ => return None,
    })
}

/// The instruction of a command.
pub(super) fn instruction(class: u8, instruction: u8) -> &'static str {
    known_instruction(class, instruction).unwrap_or("unknown command")
}

/// As [`instruction`]; nothing when nobody knows it.
pub(super) fn known_instruction(class: u8, instruction: u8) -> Option<&'static str> {
    Some(match (class & 0xF0, instruction) {
        (0x00, 0xA4) => "SELECT",
        (0x00, 0xB2) => "READ RECORD",
        (0x00, 0xC0) => "GET RESPONSE",
        (0x00, 0x70) => "MANAGE CHANNEL",
        (0x00, 0x84) => "GET CHALLENGE",
        (0x00, 0x88) => "INTERNAL AUTHENTICATE",
        (0x00, 0x82) => "EXTERNAL AUTHENTICATE",
        (0x00, 0x20) => "VERIFY",
        (0x80, 0xA8) => "GET PROCESSING OPTIONS",
        (0x80, 0xAE) => "GENERATE AC",
        (0x80, 0xCA) => "GET DATA",
        (0x80, 0xDA) => "PUT DATA",
        (0x80, 0x2A) => "COMPUTE CRYPTOGRAPHIC CHECKSUM",
        (0x80, 0xEA) => "EXCHANGE RELAY RESISTANCE DATA",
        (0x80, 0xD0) => "RECOVER AC",
        (0x80, 0xE0) => "EXTENDED GET PROCESSING OPTIONS",
        (0x80, 0x1A) => "SEND POI INFORMATION",
        (0x80, 0x1E) => "APPLICATION BLOCK",
        (0x80, 0x18) => "APPLICATION UNBLOCK",
        (0x80, 0x16) => "CARD BLOCK",
        (0x80, 0x24) => "PIN CHANGE/UNBLOCK",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tag_has_each_scheme_s_name() {
        let name = |number, scheme| tag(number, None, scheme);
        assert_eq!(
            name(0x9F6C, Scheme::UnionPay),
            "Card Transaction Qualifiers (CTQ)"
        );
        assert_eq!(
            name(0x9F6C, Scheme::Mastercard),
            "Mag-stripe Application Version Number (Card)"
        );
        assert_eq!(name(0x9F6E, Scheme::Visa), "Form Factor Indicator (FFI)");
        assert_eq!(name(0x9F6E, Scheme::Mastercard), "Third Party Data");
        assert_eq!(name(0x9F79, Scheme::UnionPay), "EC Balance");
        assert_eq!(
            name(0xDF4B, Scheme::Mastercard),
            "POS Cardholder Interaction Information"
        );
        assert_eq!(name(0x9F26, Scheme::Other), "Application Cryptogram");
        assert_eq!(name(0xC1, Scheme::Other), "unknown tag");
    }

    #[test]
    fn no_list_names_a_tag_twice() {
        for list in [
            tags::CONTACTLESS,
            tags::UNIONPAY,
            tags::VISA,
            tags::MASTERCARD,
            tags::KERNEL_2,
        ] {
            let numbers: std::collections::BTreeSet<_> = list.iter().map(|(tag, _)| tag).collect();
            assert_eq!(numbers.len(), list.len());
        }
    }
}
