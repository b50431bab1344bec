//! Hex as the APIs write it (upper case), random bytes and identifiers, SHA-256.

use rand_core::{OsRng, RngCore};

/// Upper-case hex.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    hex::encode_upper(bytes)
}

/// Bytes of an even number of hex digits; either case is read. `None` for anything else.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    hex::decode(text).ok()
}

/// Exactly `N` bytes from hex, `None` for any other length.
#[must_use]
pub fn from_hex_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    from_hex(text)?.try_into().ok()
}

/// `N` bytes from the operating system's generator.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

/// An identifier such as `dev_4C11…`: the prefix, `_`, and 128 random bits as hex.
#[must_use]
pub fn random_id(prefix: &str) -> String {
    format!("{prefix}_{}", to_hex(&random::<16>()))
}

/// SHA-256 of `data`.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, data).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_written_upper_case_and_read_in_both() {
        assert_eq!(to_hex(&[0xab, 0x01]), "AB01");
        assert_eq!(from_hex("aB01"), Some(vec![0xab, 0x01]));
        assert_eq!(from_hex("AB0"), None);
        assert_eq!(from_hex_exact::<3>("AB01"), None);
    }

    #[test]
    fn identifiers_differ() {
        let (a, b) = (random_id("dev"), random_id("dev"));
        assert_ne!(a, b);
        assert_eq!(a.len(), 4 + 32);
    }

    /// FIPS 180-4 example "abc".
    #[test]
    fn sha256_of_abc() {
        assert_eq!(
            to_hex(&sha256(b"abc")),
            "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"
        );
    }
}
