//! Merchants' codes: damage is refused, and what is taken can be paid: somewhere, in a known currency, more than nothing.
//!
//! The input is a code. Few inputs have the right checksum, so each is read once more with it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapcore::code::mpm::{self, MpmError, Tip};

/// CRC-16/CCITT-FALSE, bit by bit.
fn crc(bytes: &[u8]) -> u16 {
    let mut crc = 0xFFFF_u16;
    for byte in bytes {
        for bit in (0..8).rev() {
            let feedback = (crc >> 15) ^ u16::from(byte >> bit & 1);
            crc = crc << 1 ^ if feedback == 1 { 0x1021 } else { 0 };
        }
    }
    crc
}

fn check(code: &str) {
    let Ok(read) = mpm::parse(code) else {
        return;
    };
    assert!(!read.accounts.is_empty());
    assert_eq!(read.category.len(), 4);
    assert_eq!(read.country.len(), 2);
    let fee = match read.tip {
        Some(Tip::Fixed(fee)) => Some(fee),
        _ => None,
    };
    for money in read.amount.into_iter().chain(fee) {
        assert!(money.minor > 0);
        assert_eq!(money.currency, read.currency);
    }
    let (covered, told) = code.split_at(code.len() - 4);
    assert!(told.eq_ignore_ascii_case(&format!("{:04X}", crc(covered.as_bytes()))));
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    check(text);
    let body = text.rsplit_once("6304").map_or(text, |(body, _)| body);
    let covered = format!("{body}6304");
    let right = crc(covered.as_bytes());
    check(&format!("{covered}{right:04X}"));
    let wrong = mpm::parse(&format!("{covered}{:04X}", right ^ 1));
    // Nothing that an unchecked value says is ever told.
    assert!(matches!(
        wrong,
        Err(MpmError::TooLong
            | MpmError::Truncated { .. }
            | MpmError::Id { .. }
            | MpmError::Length { .. }
            | MpmError::NoCrc
            | MpmError::Crc)
    ));
});
