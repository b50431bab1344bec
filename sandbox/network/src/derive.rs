//! Issuer-side keys and cryptograms: master keys (EMV Book 2 A1.4), session keys (A1.3), limited-use keys of the cloud
//! style, application cryptograms (8.1) and issuer responses (8.2).
//!
//! Everything is a function from values to values. Block cipher, MAC and master keys come from crate `emv`, so that the
//! network's opinion about a cryptogram is never the card's own code; only the limited-use key, which that crate lacks,
//! is written here over its 3DES.

use emv::core::application_cryptogram::verify_application_cryptogram;
use emv::core::issuer_authentication::{arpc_method1, arpc_method2};
use emv::core::master_key_derivation::{derive_master_key_option_a, derive_master_key_option_b};
use emv::core::secure_messaging::{
    derive_session_key_tdes, diversification_for_ac_session_key, retail_mac, tdes_encrypt_block,
};

/// A double-length 3DES key.
pub type TdesKey = [u8; 16];

/// Why a key could not be derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeriveError(&'static str);

impl std::fmt::Display for DeriveError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.0)
    }
}

impl std::error::Error for DeriveError {}

/// How a card master key is made from the issuer's (EMV Book 2 A1.4). Option C (AES) is not used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterKeyOption {
    /// The rightmost sixteen digits of number and sequence number.
    A,
    /// Numbers above sixteen digits go through SHA-1 first.
    B,
}

/// The card master key for a number (digits) and its sequence number (two digits).
pub fn master_key(
    imk: &TdesKey,
    number: &str,
    psn: &str,
    option: MasterKeyOption,
) -> Result<TdesKey, DeriveError> {
    let pan =
        bcd(number, Pad::Right).ok_or(DeriveError("the card number is not made of digits"))?;
    let psn = match bcd(psn, Pad::Left).as_deref() {
        Some([byte]) => *byte,
        _ => return Err(DeriveError("the sequence number is not two digits")),
    };
    let derived = match option {
        MasterKeyOption::A => derive_master_key_option_a(imk, &pan, Some(psn)),
        MasterKeyOption::B => derive_master_key_option_b(imk, &pan, Some(psn)),
    };
    derived.map_err(|_| DeriveError("the master key could not be derived from this number"))
}

/// The session key of one transaction (EMV Book 2 A1.3.1, with R = ATC ‖ zeros).
pub fn session_key(master: &TdesKey, atc: u16) -> TdesKey {
    derive_session_key_tdes(master, &diversification_for_ac_session_key(atc))
}

/// The limited-use key for an index `YHHHHCC` (seven digits: last digit of the year, hour of the year, counter).
/// Parity is left as it falls, the cipher ignores it.
pub fn limited_use_key(master: &TdesKey, key_index: &str) -> Result<TdesKey, DeriveError> {
    if key_index.len() != 7 || !key_index.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(DeriveError("the key index is not seven digits"));
    }
    let mut key = [0u8; 16];
    for (half, side) in key.chunks_exact_mut(8).zip(["1", "2"]) {
        let block: [u8; 8] = bcd(&format!("{side}{key_index}80000000"), Pad::Left)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(DeriveError("the key index is not seven digits"))?;
        half.copy_from_slice(&tdes_encrypt_block(master, block));
    }
    Ok(key)
}

/// The application cryptogram over `data` (ISO 9797-1 algorithm 3, padding method 2) by a session or limited-use key.
pub fn cryptogram(key: &TdesKey, data: &[u8]) -> [u8; 8] {
    retail_mac(key, data)
}

/// Whether `candidate` is the cryptogram over `data`.
pub fn cryptogram_is_right(key: &TdesKey, data: &[u8], candidate: [u8; 8]) -> bool {
    verify_application_cryptogram(key, data, candidate)
}

/// The issuer's response by method 1: 3DES over the cryptogram with the response code mixed in.
pub fn response_method_1(key: &TdesKey, arqc: [u8; 8], response_code: [u8; 2]) -> [u8; 8] {
    arpc_method1(arqc, response_code, key)
}

/// The issuer's response by method 2: four bytes of MAC over cryptogram, card status update and up to eight
/// proprietary bytes.
pub fn response_method_2(
    key: &TdesKey,
    arqc: [u8; 8],
    card_status_update: [u8; 4],
    proprietary: &[u8],
) -> Result<[u8; 4], DeriveError> {
    arpc_method2(arqc, card_status_update, proprietary, key)
        .map_err(|_| DeriveError("more than eight bytes of proprietary data"))
}

/// Where the filler of an odd number of digits goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pad {
    /// A zero in front, as in format n.
    Left,
    /// An F behind, as in format cn.
    Right,
}

/// Digits as packed BCD; nothing when a character is no digit.
pub(crate) fn bcd(digits: &str, pad: Pad) -> Option<Vec<u8>> {
    let mut nibbles: Vec<u8> = digits
        .bytes()
        .map(|digit| digit.is_ascii_digit().then(|| digit - b'0'))
        .collect::<Option<_>>()?;
    if nibbles.len() % 2 == 1 {
        match pad {
            Pad::Left => nibbles.insert(0, 0),
            Pad::Right => nibbles.push(0x0F),
        }
    }
    Some(
        nibbles
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |byte, nibble| (byte << 4) | nibble))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use emv::core::secure_messaging::retail_mac_no_pad;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    /// Parity bits are ignored by DES and set by only one of the two oracles that made the vectors.
    fn without_parity(key: TdesKey) -> TdesKey {
        key.map(|byte| byte & 0xFE)
    }

    #[test]
    fn v1_master_and_session_key_cryptogram_and_response_method_2() {
        let imk = [0xAA; 16];
        for option in [MasterKeyOption::A, MasterKeyOption::B] {
            let master = master_key(&imk, "1234567890123456", "00", option).unwrap();
            assert_eq!(master, bytes("2A92983429409197E59194151398C22C"));
        }
        let master = bytes("2A92983429409197E59194151398C22C");
        let session = session_key(&master, 0x0FFF);
        assert_eq!(
            without_parity(session),
            without_parity(bytes("02B04654322589DF5B6BF4C8135BD326"))
        );
        let data = hex::decode(
            "0000000099990000000000000840800004800008409912310152BF458518000FFF06011203A0B800",
        )
        .unwrap();
        let arqc = cryptogram(&session, &data);
        assert_eq!(arqc, bytes("769577B5ABE9FE62"));
        assert!(cryptogram_is_right(&session, &data, arqc));
        assert!(!cryptogram_is_right(
            &session,
            &data,
            bytes("769577B5ABE9FE63")
        ));
        assert_eq!(
            response_method_2(&session, arqc, [0; 4], &[]).unwrap(),
            bytes("76503F48")
        );
        assert!(response_method_2(&session, arqc, [0; 4], &[0; 9]).is_err());
    }

    #[test]
    fn v2_session_key_by_an_own_diversifier_and_response_method_1() {
        let imk = bytes("0123456789ABCDEFFEDCBA9876543210");
        let master = master_key(&imk, "9901234567890123", "45", MasterKeyOption::A).unwrap();
        assert_eq!(master, bytes("F84315C7B95BD3B0C74694922C3808B0"));
        let session = derive_session_key_tdes(&master, &bytes("1234567890123456"));
        assert_eq!(
            without_parity(session),
            without_parity(bytes("3E736BF8D37664348A04E3ABE00DEFC1"))
        );
        let data = hex::decode("0123456789ABCDEF0123456789ABCDEF").unwrap();
        let arqc = cryptogram(&session, &data);
        assert_eq!(arqc, bytes("4B46013359B7A58B"));
        assert_eq!(
            response_method_1(&master, arqc, [0; 2]),
            bytes("F8C9CECAABD55AD1")
        );
    }

    #[test]
    fn v3_master_key_used_directly_with_zero_padding() {
        let imk = bytes("0123456789ABCDEFFEDCBA9876543210");
        let master = master_key(&imk, "1234567890123456", "00", MasterKeyOption::A).unwrap();
        assert_eq!(master, bytes("154F349D8585CB7F6B0798E9839B10C1"));
        let mut data = hex::decode(
            "0000000040000000000000000124800004800001241911050152BF45851800001C03A06010",
        )
        .unwrap();
        data.resize(data.len().next_multiple_of(8), 0);
        assert_eq!(
            retail_mac_no_pad(&master, &data).unwrap(),
            bytes("29CCA15AE665FA2E")
        );
    }

    #[test]
    fn v4_limited_use_key() {
        let master = bytes("C8B507136D921FD05864C81F79F2D30B");
        assert_eq!(
            limited_use_key(&master, "0570201").unwrap(),
            bytes("3EA78DED27B7BB01F9069B8E34C443BC")
        );
        assert!(limited_use_key(&master, "570201").is_err());
        assert!(limited_use_key(&master, "05702O1").is_err());
    }

    #[test]
    fn v5_cryptogram_by_limited_use_key() {
        let data = hex::decode(concat!(
            "0000000010000000000000000710000000000007101302050030901B6A",
            "3C00005503A4A082"
        ))
        .unwrap();
        assert_eq!(
            cryptogram(&bytes("D144CA8CBB4BD463C8EDD5761BF1770E"), &data),
            bytes("42A0254F47679C5A")
        );
    }

    /// Forty random cases made with pyemv 1.5.0.
    #[test]
    fn random_cases_agree_with_pyemv() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/vectors/emv-ac.json"
        );
        let file: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(file["made_with"], "pyemv 1.5.0");
        let cases = file["vectors"].as_array().unwrap();
        assert_eq!(cases.len(), 40);
        for case in cases {
            let text = |name: &str| case[name].as_str().unwrap();
            assert_eq!((text("kind"), text("ac_padding")), ("emv_ac", "iso9797-m2"));
            let option = match text("master_key_option") {
                "A" => MasterKeyOption::A,
                "B" => MasterKeyOption::B,
                other => panic!("option {other}"),
            };
            let master = master_key(&bytes(text("imk")), text("pan"), text("psn"), option).unwrap();
            assert_eq!(master, bytes(text("icc_master_key")), "{case}");
            let atc = u16::from_be_bytes(bytes(text("atc")));
            let session = session_key(&master, atc);
            assert_eq!(
                without_parity(session),
                without_parity(bytes(text("session_key")))
            );
            let data = hex::decode(text("ac_input")).unwrap();
            assert_eq!(
                cryptogram(&session, &data),
                bytes(text("ac_by_session_key"))
            );
            let luk = limited_use_key(&master, text("luk_yhhhhcc")).unwrap();
            assert_eq!(without_parity(luk), without_parity(bytes(text("luk"))));
            assert_eq!(cryptogram(&luk, &data), bytes(text("ac_by_luk")));
        }
    }

    #[test]
    fn numbers_that_are_not_digits_are_refused() {
        assert!(master_key(&[0; 16], "62x", "01", MasterKeyOption::A).is_err());
        assert!(master_key(&[0; 16], "6258070000000000", "1234", MasterKeyOption::A).is_err());
        assert_eq!(bcd("123", Pad::Left), Some(vec![0x01, 0x23]));
        assert_eq!(bcd("123", Pad::Right), Some(vec![0x12, 0x3F]));
    }
}
