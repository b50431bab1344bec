//! What EMV tags and status words are called.
//!
//! Names from the EMV books come with crate `emv`; what the contactless books and UnionPay add stands here.

use emv::Tag;
use emv::core::tag_info;

/// Contactless and scheme tags that the EMV 4.4 books do not name, sorted by tag.
const CONTACTLESS: &[(u32, &str)] = &[
    (0xA5, "FCI Proprietary Template"),
    (0xBF0C, "FCI Issuer Discretionary Data"),
    (0x9F1D, "Terminal Risk Management Data"),
    (0x9F24, "Payment Account Reference"),
    (0x9F29, "Extended Selection"),
    (0x9F2A, "Kernel Identifier"),
    (0x9F50, "Offline Accumulator Balance"),
    (0x9F5A, "Application Program Identifier"),
    (0x9F5D, "Available Offline Spending Amount"),
    (0x9F63, "Card Product Label Information"),
    (0x9F66, "Terminal Transaction Qualifiers (TTQ)"),
    (0x9F69, "Card Authentication Related Data"),
    (0x9F6B, "Track 2 Data"),
    (0x9F6C, "Card Transaction Qualifiers (CTQ)"),
    (0x9F6E, "Form Factor Indicator"),
    (0x9F77, "EC Balance Limit"),
    (0x9F79, "EC Balance"),
    (0x9F7A, "EC Terminal Support Indicator"),
    (0x9F7C, "Customer Exclusive Data"),
    (0xDF69, "SM Algorithm Support Indicator"),
];

/// The name of a tag below `parent`, which decides where one tag has two meanings.
pub(super) fn tag(tag: Tag, parent: Option<Tag>) -> &'static str {
    if let Some((_, name)) = CONTACTLESS.iter().find(|(number, _)| *number == tag.0) {
        return name;
    }
    tag_info::lookup_in(tag, parent)
        .or_else(|| tag_info::lookup(tag).first())
        .map_or("unknown tag", |info| info.name)
}

/// What a status word says (ISO 7816-4 and the contactless books).
pub(super) fn status(word: u16) -> &'static str {
    match word {
        0x9000 => "OK",
        0x6283 => "selected file invalidated",
        0x6700 => "wrong length",
        0x6981 => "command incompatible with file",
        0x6982 => "security status not satisfied",
        0x6983 => "authentication blocked",
        0x6984 => "use another interface",
        0x6985 => "conditions of use not satisfied",
        0x6986 => "command not allowed: see phone, try again",
        0x6A80 => "wrong data",
        0x6A81 => "function not supported or application blocked",
        0x6A82 => "file or application not found",
        0x6A83 => "record not found",
        0x6A86 => "wrong P1 or P2",
        0x6A88 => "referenced data not found",
        0x6D00 => "instruction not supported",
        0x6E00 => "class not supported",
        0x6F00 => "no precise diagnosis",
        _ => "unknown status word",
    }
}

/// The instruction of a command.
pub(super) fn instruction(class: u8, instruction: u8) -> &'static str {
    match (class & 0xF0, instruction) {
        (0x00, 0xA4) => "SELECT",
        (0x00, 0xB2) => "READ RECORD",
        (0x80, 0xA8) => "GET PROCESSING OPTIONS",
        (0x80, 0xAE) => "GENERATE AC",
        (0x80, 0xCA) => "GET DATA",
        (0x00, 0x84) => "GET CHALLENGE",
        (0x00, 0x88) => "INTERNAL AUTHENTICATE",
        (0x00, 0x82) => "EXTERNAL AUTHENTICATE",
        (0x00, 0x20) => "VERIFY",
        _ => "unknown command",
    }
}
