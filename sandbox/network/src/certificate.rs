//! RSA certificates of EMV Book 2: the schemes' CA certifies the issuer's key (5.1, format 02), the issuer certifies the
//! card's key together with its static data (6.1, format 04). Terminals recover both and so know that a card's dynamic
//! signature comes from a genuine card, without asking anybody.
//!
//! Sizes follow the smallest chain whose answers fit one APDU: CA 1408 bits, issuer 1152, card 1024, exponent 3.

use crate::derive::{Pad, bcd};
use crate::scheme::Scheme;
use anyhow::{Context, anyhow, ensure};
use rand_core::OsRng;
use rsa::hazmat::rsa_decrypt_and_check;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};

/// Index of the sandbox's CA key under every scheme; outside the range that schemes use themselves.
pub const CA_INDEX: u8 = 0xF1;
/// Size of the CA's modulus in bits.
pub const CA_BITS: usize = 1408;
/// Size of the issuer's modulus in bits.
pub const ISSUER_BITS: usize = 1152;
/// Size of a card's modulus in bits.
pub const CARD_BITS: usize = 1024;

const EXPONENT: u8 = 3;
const HASH_SHA1: u8 = 0x01;
const ALGORITHM_RSA: u8 = 0x01;

/// An RSA key pair with exponent 3.
pub struct RsaKey(RsaPrivateKey);

impl RsaKey {
    /// Makes a key whose modulus has exactly `bits` bits. Takes up to a second: not for an async worker.
    pub fn generate(bits: usize) -> anyhow::Result<Self> {
        let key = RsaPrivateKey::new_with_exp(&mut OsRng, bits, &BigUint::from(EXPONENT))?;
        Ok(Self(key))
    }

    /// The key with these primes, as [`RsaKey::primes`] gave them.
    pub fn from_primes(prime1: &[u8], prime2: &[u8]) -> anyhow::Result<Self> {
        let (p, q) = (
            BigUint::from_bytes_be(prime1),
            BigUint::from_bytes_be(prime2),
        );
        let key = RsaPrivateKey::from_p_q(p, q, BigUint::from(EXPONENT))
            .context("the stored RSA primes make no key")?;
        Ok(Self(key))
    }

    /// Both primes, big-endian.
    pub fn primes(&self) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
        match self.0.primes() {
            [p, q] => Ok((p.to_bytes_be(), q.to_bytes_be())),
            _ => Err(anyhow!("an RSA key must have two primes")),
        }
    }

    /// The modulus, big-endian.
    pub fn modulus(&self) -> Vec<u8> {
        self.0.n().to_bytes_be()
    }

    /// The public exponent, big-endian.
    pub fn exponent(&self) -> Vec<u8> {
        vec![EXPONENT]
    }

    /// Signs with message recovery (EMV Book 2 A2.1): `recovered` and the hash stand in the signature, `hashed_too` only
    /// in the hash. `recovered` must fill the modulus but for 22 bytes.
    pub fn sign_recoverable(
        &self,
        recovered: &[u8],
        hashed_too: &[&[u8]],
    ) -> anyhow::Result<Vec<u8>> {
        let size = self.0.size();
        ensure!(
            recovered.len() + 22 == size,
            "{} bytes do not fill the signature",
            recovered.len()
        );
        let mut hash = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
        hash.update(recovered);
        for part in hashed_too {
            hash.update(part);
        }
        let mut block = Vec::with_capacity(size);
        block.push(0x6A);
        block.extend_from_slice(recovered);
        block.extend_from_slice(hash.finish().as_ref());
        block.push(0xBC);
        let signed =
            rsa_decrypt_and_check(&self.0, Some(&mut OsRng), &BigUint::from_bytes_be(&block))?
                .to_bytes_be();
        let mut out = vec![0; size.saturating_sub(signed.len())];
        out.extend_from_slice(&signed);
        Ok(out)
    }
}

/// A certificate as it lies on the card: the signature and what of the modulus did not fit into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Tag 90 (issuer) or 9F46 (card).
    pub signature: Vec<u8>,
    /// Tag 92 (issuer) or 9F48 (card).
    pub remainder: Vec<u8>,
    /// Tag 9F32 (issuer) or 9F47 (card).
    pub exponent: Vec<u8>,
}

/// Certifies the issuer's key by the CA's. `bin` is the issuer's identification number (three to eight digits), `mmyy`
/// the month of expiry.
pub fn certify_issuer(
    ca: &RsaKey,
    issuer: &RsaKey,
    bin: &str,
    mmyy: [u8; 2],
    serial: [u8; 3],
) -> anyhow::Result<Certificate> {
    ensure!(
        (3..=8).contains(&bin.len()),
        "an issuer is named by three to eight digits"
    );
    let mut identifier = bcd(bin, Pad::Right).context("the issuer number is not made of digits")?;
    identifier.resize(4, 0xFF);
    let mut head = vec![0x02];
    head.extend_from_slice(&identifier);
    head.extend_from_slice(&mmyy);
    head.extend_from_slice(&serial);
    certify(ca, issuer, head, 36, &[])
}

/// Certifies a card's key by the issuer's, with the static data of the records that the AFL flags.
pub fn certify_card(
    issuer: &RsaKey,
    card: &RsaKey,
    number: &str,
    mmyy: [u8; 2],
    serial: [u8; 3],
    static_data: &[u8],
) -> anyhow::Result<Certificate> {
    ensure!(
        number.len() <= 20,
        "a card number has at most twenty digits here"
    );
    let mut pan = bcd(number, Pad::Right).context("the card number is not made of digits")?;
    pan.resize(10, 0xFF);
    let mut head = vec![0x04];
    head.extend_from_slice(&pan);
    head.extend_from_slice(&mmyy);
    head.extend_from_slice(&serial);
    certify(issuer, card, head, 42, static_data)
}

/// The part that both formats share: algorithms, lengths, as much of the modulus as fits (`overhead` bytes of the
/// signature are for other things), the rest as remainder.
fn certify(
    signer: &RsaKey,
    subject: &RsaKey,
    mut head: Vec<u8>,
    overhead: usize,
    static_data: &[u8],
) -> anyhow::Result<Certificate> {
    let modulus = subject.modulus();
    let exponent = subject.exponent();
    let room = signer
        .0
        .size()
        .checked_sub(overhead)
        .context("the signing key is too short")?;
    let (left, remainder) = modulus.split_at(modulus.len().min(room));
    head.extend_from_slice(&[
        HASH_SHA1,
        ALGORITHM_RSA,
        u8::try_from(modulus.len())?,
        u8::try_from(exponent.len())?,
    ]);
    head.extend_from_slice(left);
    head.resize(head.len() + room.saturating_sub(left.len()), 0xBB);
    let signature = signer.sign_recoverable(&head, &[remainder, &exponent, static_data])?;
    Ok(Certificate {
        signature,
        remainder: remainder.to_vec(),
        exponent,
    })
}

/// What a terminal needs of the CA, in the form of the sandbox's APIs and of `tapcore sandbox emv-ca`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CaPublicKey {
    /// Registered application provider, hex.
    pub rid: String,
    /// Index under the provider (tag 8F), hex.
    pub index: String,
    /// Modulus, hex.
    pub modulus: String,
    /// Public exponent, hex.
    pub exponent: String,
}

impl CaPublicKey {
    /// The public half of the CA's key, which stands under every scheme: UnionPay first.
    pub fn all(ca: &RsaKey) -> Vec<Self> {
        Scheme::ALL.map(|scheme| Self::of(ca, scheme)).into()
    }

    /// The public half of the CA's key as one scheme's.
    pub fn of(ca: &RsaKey, scheme: Scheme) -> Self {
        Self {
            rid: hex::encode_upper(scheme.rid()),
            index: hex::encode_upper([CA_INDEX]),
            modulus: hex::encode_upper(ca.modulus()),
            exponent: hex::encode_upper(ca.exponent()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emv::core::oda::{
        CaPublicKey as Ca, recover_icc_public_key, recover_issuer_public_key, verify_dda,
    };

    /// One chain, checked by crate `emv`, with every part altered once.
    #[test]
    fn a_terminal_recovers_issuer_and_card_key() {
        let (ca, issuer, card) = (
            RsaKey::generate(CA_BITS).unwrap(),
            RsaKey::generate(ISSUER_BITS).unwrap(),
            RsaKey::generate(CARD_BITS).unwrap(),
        );
        let number = "6258070000000007";
        let pan = hex::decode(number).unwrap();
        let static_data = b"\x5F\x24\x03\x29\x12\x31\x20\x00";
        let issued = certify_issuer(&ca, &issuer, "625807", [0x12, 0x36], [1, 2, 3]).unwrap();
        let carded =
            certify_card(&issuer, &card, number, [0x12, 0x29], [4, 5, 6], static_data).unwrap();
        assert_eq!((issued.signature.len(), issued.remainder.len()), (176, 4));
        assert_eq!((carded.signature.len(), carded.remainder.len()), (144, 26));

        let root = Ca {
            rid: Scheme::UnionPay.rid(),
            index: CA_INDEX,
            modulus: ca.modulus(),
            exponent: ca.exponent(),
        };
        let today = [0x11, 0x26];
        let issuer_key = recover_issuer_public_key(
            &root,
            &issued.signature,
            Some(&issued.remainder),
            &issued.exponent,
            &pan,
            today,
        )
        .unwrap();
        assert_eq!(issuer_key.modulus, issuer.modulus());
        let recover = |data: &[u8]| {
            recover_icc_public_key(
                &issuer_key,
                &carded.signature,
                Some(&carded.remainder),
                &carded.exponent,
                data,
                &pan,
                today,
            )
        };
        let card_key = recover(static_data).unwrap();
        assert_eq!(card_key.modulus, card.modulus());
        assert!(recover(b"other static data").is_err());

        // The card's dynamic signature: format 05, SHA-1, two bytes of dynamic number, filled up with BB.
        let mut dynamic = vec![0x05, 0x01, 0x03, 0x02, 0x00, 0x01];
        dynamic.resize(128 - 22, 0xBB);
        let signature = card
            .sign_recoverable(&dynamic, &[b"terminal data"])
            .unwrap();
        assert_eq!(
            verify_dda(&card_key, &signature, b"terminal data").unwrap(),
            [0x00, 0x01]
        );
        assert!(verify_dda(&card_key, &signature, b"terminal dat4").is_err());
    }

    #[test]
    fn a_key_comes_back_from_its_primes() {
        let key = RsaKey::generate(CARD_BITS).unwrap();
        let (p, q) = key.primes().unwrap();
        assert_eq!(
            RsaKey::from_primes(&p, &q).unwrap().modulus(),
            key.modulus()
        );
        assert!(RsaKey::from_primes(&p, &p).is_err());
    }

    #[test]
    fn a_message_of_the_wrong_size_is_refused() {
        let key = RsaKey::generate(CARD_BITS).unwrap();
        assert!(key.sign_recoverable(b"short", &[]).is_err());
        assert!(certify_issuer(&key, &key, "62", [0x12, 0x29], [0; 3]).is_err());
    }
}
