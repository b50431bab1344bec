//! Key derivation as the issuer's side does it: card master keys, session keys, limited-use keys.
//!
//! A phone never holds a master key; these functions serve the checks of published vectors and the key methods of
//! card profiles (EMV Book 2, Annex A1; limited-use keys in the cloud style, from public descriptions).

use des::TdesEde2;
use des::cipher::{BlockEncrypt, KeyInit, generic_array::GenericArray};
use ring::digest;

use crate::secret::Secret;

/// A number whose digits do not have the form that a derivation needs.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} must be decimal digits of the length the derivation asks for")]
pub struct MalformedDigits(pub &'static str);

/// How a card master key follows from the issuer's (EMV Book 2, A1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasterKeyOption {
    /// The rightmost 16 digits of number and sequence number.
    A,
    /// The same through SHA-1 and decimalisation, for numbers of more than 16 digits.
    B,
}

/// The card master key, with odd parity.
///
/// # Errors
/// When `number` or `sequence` (two digits) are not digits.
pub fn card_master_key(
    issuer_key: &Secret<16>,
    number: &str,
    sequence: &str,
    option: MasterKeyOption,
) -> Result<Secret<16>, MalformedDigits> {
    if sequence.len() != 2 || !is_digits(sequence) {
        return Err(MalformedDigits("the sequence number"));
    }
    if number.is_empty() || number.len() > 19 || !is_digits(number) {
        return Err(MalformedDigits("the card number"));
    }
    let joined = format!("{number}{sequence}");
    let digits = match option {
        // Option B is option A up to 16 digits of card number.
        MasterKeyOption::B if number.len() > 16 => decimalised_hash(&joined),
        _ => last_16(&joined),
    };
    let mut y = [0_u8; 8];
    hex::decode_to_slice(digits, &mut y).map_err(|_| MalformedDigits("the card number"))?;
    let key = double_length(issuer_key, y, y.map(|byte| !byte));
    Ok(with_odd_parity(key))
}

/// The session key for one ATC (EMV Book 2, A1.3.1, common session key derivation). No parity is set.
pub fn session_key(master_key: &Secret<16>, atc: u16) -> Secret<16> {
    let [high, low] = atc.to_be_bytes();
    session_key_from(master_key, [high, low, 0, 0, 0, 0, 0, 0])
}

/// The session key for any diversifier: its third byte becomes F0 on the left, 0F on the right.
pub fn session_key_from(master_key: &Secret<16>, diversifier: [u8; 8]) -> Secret<16> {
    let with_third = |third: u8| {
        let [a, b, _, rest @ ..] = diversifier;
        let [d, e, f, g, h] = rest;
        [a, b, third, d, e, f, g, h]
    };
    double_length(master_key, with_third(0xF0), with_third(0x0F))
}

/// The limited-use key for a key index `YHHHHCC`: last digit of the year, hour of the year, counter. No parity is set.
///
/// # Errors
/// When `key_index` is not seven digits.
pub fn limited_use_key(
    master_key: &Secret<16>,
    key_index: &str,
) -> Result<Secret<16>, MalformedDigits> {
    let block = |half: char| {
        let mut block = [0_u8; 8];
        match is_digits(key_index) {
            true => hex::decode_to_slice(format!("{half}{key_index}80000000"), &mut block)
                .map_err(|_| MalformedDigits("the key index"))
                .map(|()| block),
            false => Err(MalformedDigits("the key index")),
        }
    };
    Ok(double_length(master_key, block('1')?, block('2')?))
}

fn double_length(key: &Secret<16>, left: [u8; 8], right: [u8; 8]) -> Secret<16> {
    let cipher = TdesEde2::new(GenericArray::from_slice(key.expose()));
    let mut blocks = [GenericArray::from(left), GenericArray::from(right)];
    cipher.encrypt_blocks(&mut blocks);
    let mut out = [0_u8; 16];
    for (to, from) in out.iter_mut().zip(blocks.iter().flatten()) {
        *to = *from;
    }
    Secret::new(out)
}

fn with_odd_parity(key: Secret<16>) -> Secret<16> {
    Secret::new(key.expose().map(|byte| {
        let even = byte.count_ones() % 2 == 0;
        byte ^ u8::from(even)
    }))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn last_16(digits: &str) -> String {
    let padded = format!("{digits:0>16}");
    padded.chars().skip(padded.len() - 16).collect()
}

/// The first 16 decimal digits of the SHA-1 of the (left-padded) digits; letters follow as digits A→0 … F→5.
fn decimalised_hash(digits: &str) -> String {
    let even = match digits.len() % 2 {
        0 => digits.to_owned(),
        _ => format!("0{digits}"),
    };
    let packed = hex::decode(even).unwrap_or_default();
    let hash = hex::encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &packed));
    let decimal = hash.chars().filter(char::is_ascii_digit);
    let from_letters = hash
        .chars()
        .filter_map(|c| c.to_digit(16)?.checked_sub(10))
        .filter_map(|digit| char::from_digit(digit, 10));
    decimal.chain(from_letters).take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emv::cryptogram::{Padding, application_cryptogram};

    fn key(text: &str) -> Secret<16> {
        Secret::from_hex(text).unwrap()
    }

    fn shown(key: &Secret<16>) -> String {
        hex::encode_upper(key.expose())
    }

    /// V1: a published worked example with the session key of EMV Book 2.
    #[test]
    fn v1_master_key_session_key_and_cryptogram() {
        let issuer = key(&"AA".repeat(16));
        for option in [MasterKeyOption::A, MasterKeyOption::B] {
            let master = card_master_key(&issuer, "1234567890123456", "00", option).unwrap();
            assert_eq!(shown(&master), "2A92983429409197E59194151398C22C");
        }
        let master =
            card_master_key(&issuer, "1234567890123456", "00", MasterKeyOption::A).unwrap();
        let session = with_odd_parity(session_key(&master, 0x0FFF));
        assert_eq!(shown(&session), "02B04654322589DF5B6BF4C8135BD326");
        let input = hex::decode(
            "0000000099990000000000000840800004800008409912310152BF458518000FFF06011203A0B800",
        )
        .unwrap();
        let cryptogram = application_cryptogram(&session, &input, Padding::Method2);
        assert_eq!(hex::encode_upper(cryptogram), "769577B5ABE9FE62");
    }

    /// V2: a diversifier that is not an ATC.
    #[test]
    fn v2_session_key_from_any_diversifier() {
        let issuer = key("0123456789ABCDEFFEDCBA9876543210");
        let master =
            card_master_key(&issuer, "9901234567890123", "45", MasterKeyOption::A).unwrap();
        assert_eq!(shown(&master), "F84315C7B95BD3B0C74694922C3808B0");
        let session = session_key_from(&master, [0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56]);
        assert_eq!(
            shown(&with_odd_parity(session)),
            shown(&with_odd_parity(key("3E736BF8D37664348A04E3ABE00DEFC1")))
        );
        let session = session_key_from(&master, [0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56]);
        let input = hex::decode("0123456789ABCDEF".repeat(2)).unwrap();
        let cryptogram = application_cryptogram(&session, &input, Padding::Method2);
        assert_eq!(hex::encode_upper(cryptogram), "4B46013359B7A58B");
    }

    /// V3: the master key used directly, zero padding.
    #[test]
    fn v3_master_key_used_directly() {
        let issuer = key("0123456789ABCDEFFEDCBA9876543210");
        let master =
            card_master_key(&issuer, "1234567890123456", "00", MasterKeyOption::A).unwrap();
        assert_eq!(shown(&master), "154F349D8585CB7F6B0798E9839B10C1");
        let input = hex::decode(
            "0000000040000000000000000124800004800001241911050152BF45851800001C03A06010",
        )
        .unwrap();
        let cryptogram = application_cryptogram(&master, &input, Padding::Method1);
        assert_eq!(hex::encode_upper(cryptogram), "29CCA15AE665FA2E");
    }

    /// V4: a limited-use key.
    #[test]
    fn v4_limited_use_key() {
        let master = key("C8B507136D921FD05864C81F79F2D30B");
        let luk = limited_use_key(&master, "0570201").unwrap();
        assert_eq!(shown(&luk), "3EA78DED27B7BB01F9069B8E34C443BC");
    }

    #[test]
    fn what_is_not_digits_is_refused() {
        let master = key(&"AA".repeat(16));
        assert!(limited_use_key(&master, "057020").is_err());
        assert!(limited_use_key(&master, "057020A").is_err());
        assert!(card_master_key(&master, "12a4", "00", MasterKeyOption::A).is_err());
        assert!(card_master_key(&master, "1234", "0", MasterKeyOption::B).is_err());
    }
}
