//! The forms that members of requests must have, checked before anything is done with them.

use sandbox_kit::bytes;
use sandbox_kit::hpke::Sealed;
use sandbox_kit::keys::public_from_hex;
use sandbox_kit::problem::Problem;
use serde::{Deserialize, Deserializer};

/// The longest sealed box that is relayed, in bytes: card entries are far below.
const MAX_CIPHERTEXT: usize = 32 * 1024;

/// A public key in hex.
pub(crate) fn public_key(name: &str, text: &str) -> Result<[u8; 65], Problem> {
    public_from_hex(text).ok_or_else(|| {
        Problem::invalid(format!(
            "{name} must be a P-256 point, uncompressed, 130 hex digits."
        ))
    })
}

/// Exactly `N` bytes in hex.
pub(crate) fn exact<const N: usize>(name: &str, text: &str) -> Result<[u8; N], Problem> {
    bytes::from_hex_exact(text)
        .ok_or_else(|| Problem::invalid(format!("{name} must be {} hex digits.", 2 * N)))
}

/// A sealed box: what it holds is none of the provider's business, its form is.
pub(crate) fn sealed(name: &str, sealed: &Sealed) -> Result<(), Problem> {
    public_key(&format!("{name}.enc"), &sealed.enc)?;
    let length = bytes::from_hex(&sealed.ciphertext).map(|bytes| bytes.len());
    // At least the 16-byte tag.
    if length.is_some_and(|length| (16..=MAX_CIPHERTEXT).contains(&length)) {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "{name}.ciphertext must be hex of at least 16 bytes."
    )))
}

/// A member that may be left out, but is no null when it is there.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Whether `text` is `prefix` and 8 to 64 letters or digits.
pub(crate) fn is_id(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        (8..=64).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// The digits of an SMS.
pub(crate) fn sms_code(name: &str, text: &str) -> Result<(), Problem> {
    if text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "{name} must be the six digits of the SMS."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_boxes() {
        assert!(is_id("chl_", "chl_0123ABCD"));
        for wrong in [
            "chl_",
            "chl_0123",
            "tok_0123ABCD",
            "chl_0123ABC/",
            "chl_0123ABCÖ",
        ] {
            assert!(!is_id("chl_", wrong), "{wrong}");
        }
        let key = sandbox_kit::keys::PartyKey::generate();
        let good = sandbox_kit::hpke::seal(&key.public(), b"", b"", b"x").unwrap();
        sealed("s", &good).unwrap();
        sealed(
            "s",
            &Sealed {
                ciphertext: "00".into(),
                ..good.clone()
            },
        )
        .unwrap_err();
        sealed(
            "s",
            &Sealed {
                enc: "04".into(),
                ..good
            },
        )
        .unwrap_err();
    }
}
