//! Sealed boxes: RFC 9180 base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
//!
//! Base mode says for whom a box is, not from whom: what must be believed is signed inside.

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::DhP256HkdfSha256;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal,
};
use rand_core::{OsRng, RngCore as _};
use serde::{Deserialize, Serialize};

use crate::{bytes, keys::PartyKey};

type P256 = DhP256HkdfSha256;

/// A sealed box as JSON carries it, both members upper-case hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// The sender's one-time public key, uncompressed.
    pub enc: String,
    /// Ciphertext and tag.
    pub ciphertext: String,
}

/// Why a box could not be made or opened.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The public or private key is not one of P-256.
    #[error("the key is not a P-256 key")]
    Key,
    /// Not hex, not a point, another key, other `info` or `aad`, or changed on the way.
    #[error("the sealed box does not open")]
    Box,
}

/// Seals `plaintext` for the holder of `recipient` (SEC1 uncompressed).
pub fn seal(recipient: &[u8], info: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Sealed, Error> {
    let recipient = <P256 as Kem>::PublicKey::from_bytes(recipient).map_err(|_| Error::Key)?;
    let (enc, ciphertext) = single_shot_seal::<AesGcm256, HkdfSha256, P256, _>(
        &OpModeS::Base,
        &recipient,
        info,
        plaintext,
        aad,
        &mut SystemRng,
    )
    .map_err(|_| Error::Key)?;
    Ok(Sealed {
        enc: bytes::to_hex(&enc.to_bytes()),
        ciphertext: bytes::to_hex(&ciphertext),
    })
}

/// The operating system's generator in the dress that hpke wants (it is a generation of `rand_core` ahead).
struct SystemRng;

impl hpke::rand_core::RngCore for SystemRng {
    fn next_u32(&mut self) -> u32 {
        OsRng.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        OsRng.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        OsRng.fill_bytes(bytes);
    }
}

impl hpke::rand_core::CryptoRng for SystemRng {}

/// Opens a box sealed for `key` with the same `info` and `aad`.
pub fn open(key: &PartyKey, info: &[u8], aad: &[u8], sealed: &Sealed) -> Result<Vec<u8>, Error> {
    let key = <P256 as Kem>::PrivateKey::from_bytes(&key.scalar()).map_err(|_| Error::Key)?;
    let enc = bytes::from_hex(&sealed.enc).ok_or(Error::Box)?;
    let enc = <P256 as Kem>::EncappedKey::from_bytes(&enc).map_err(|_| Error::Box)?;
    let ciphertext = bytes::from_hex(&sealed.ciphertext).ok_or(Error::Box)?;
    single_shot_open::<AesGcm256, HkdfSha256, P256>(
        &OpModeR::Base,
        &key,
        &enc,
        info,
        &ciphertext,
        aad,
    )
    .map_err(|_| Error::Box)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_the_same_key_info_and_aad() {
        let key = PartyKey::generate();
        let sealed = seal(&key.public(), b"info", b"aad", b"secret").unwrap();
        assert_eq!(open(&key, b"info", b"aad", &sealed).unwrap(), b"secret");
        assert_eq!(open(&key, b"info", b"other", &sealed), Err(Error::Box));
        assert_eq!(open(&key, b"other", b"aad", &sealed), Err(Error::Box));
        assert_eq!(
            open(&PartyKey::generate(), b"info", b"aad", &sealed),
            Err(Error::Box)
        );
        let broken = Sealed {
            enc: "04".into(),
            ..sealed.clone()
        };
        assert_eq!(open(&key, b"info", b"aad", &broken), Err(Error::Box));
        assert_eq!(seal(b"no key", b"", b"", b""), Err(Error::Key));
    }

    /// RFC 9180 test vectors of the CFRG (`mode` 0, `kem_id` 16, `kdf_id` 1, `aead_id` 2): only opening can be compared,
    /// sealing is random. Here the receiver's private key of the P-256 suite of appendix A.3 must give its public key.
    #[test]
    fn private_and_public_key_are_those_of_rfc_9180_appendix_a3() {
        let key = PartyKey::from_scalar_hex(
            "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2",
        )
        .unwrap();
        assert_eq!(
            key.public_hex().to_lowercase(),
            "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a826a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0"
        );
    }
}
