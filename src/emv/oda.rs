//! Offline data authentication: fDDA version 01, one RSA signature per tap over what the reader drew.
//!
//! Found by running independent kernels: the signed block is `6A 05 01 LDD dynamic BB… SHA-1 BC`, dynamic data
//! `02 ‖ ATC`; the hash runs from `05` through the padding and then over the reader's unpredictable number, amount,
//! currency and the card authentication data (tag 9F69).

use rand_core::CryptoRngCore;
use ring::digest;
use rsa::hazmat::rsa_decrypt_and_check;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPrivateKey};

/// The card's RSA key. It wipes itself when dropped.
///
/// `ring` does not sign below 2048 bits, so crate `rsa` does it, with blinding (see ADR 5 for its timing advisory).
pub struct CardKey(Box<RsaPrivateKey>);

/// Card key material that is no RSA key, or a signature that did not verify.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the card's key for offline data authentication is damaged")]
pub struct CardKeyDamaged;

impl CardKey {
    /// The key with these big-endian primes and public exponent; `modulus` must be their product.
    ///
    /// # Errors
    /// When the parts are no consistent RSA key of 512 to 1984 bits (EMV Book 2, B2.1).
    pub fn from_parts(
        modulus: &[u8],
        exponent: &[u8],
        primes: [&[u8]; 2],
    ) -> Result<Self, CardKeyDamaged> {
        let sound = (64..=248).contains(&modulus.len()) && modulus.first() != Some(&0);
        let [prime1, prime2] = primes.map(BigUint::from_bytes_be);
        let one = BigUint::from(1_u8);
        if !sound
            || prime1 <= one
            || prime2 <= one
            || &prime1 * &prime2 != BigUint::from_bytes_be(modulus)
        {
            return Err(CardKeyDamaged);
        }
        let key = RsaPrivateKey::from_p_q(prime1, prime2, BigUint::from_bytes_be(exponent))
            .map_err(|_| CardKeyDamaged)?;
        Ok(Self(Box::new(key)))
    }

    /// Length of a signature in bytes.
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// Signed dynamic application data (tag 9F4B).
    ///
    /// `terminal_data` is the reader's part of the hash input, in order. `rng` blinds the private operation.
    ///
    /// # Errors
    /// When the key turns out damaged while signing: the result is checked before it leaves, since a faulty signature
    /// would give the key away.
    pub fn fdda_01(
        &self,
        rng: &mut impl CryptoRngCore,
        atc: u16,
        terminal_data: &[&[u8]],
    ) -> Result<Vec<u8>, CardKeyDamaged> {
        let [high, low] = atc.to_be_bytes();
        let size = self.size();
        let mut block = vec![0xBB; size];
        let head = [0x6A, 0x05, 0x01, 0x03, 0x02, high, low];
        block.splice(..head.len(), head);
        block.truncate(size - 21);
        let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        hash.update(block.get(1..).ok_or(CardKeyDamaged)?);
        for part in terminal_data {
            hash.update(part);
        }
        block.extend_from_slice(hash.finish().as_ref());
        block.push(0xBC);
        let signed =
            rsa_decrypt_and_check(self.0.as_ref(), Some(rng), &BigUint::from_bytes_be(&block))
                .map_err(|_| CardKeyDamaged)?
                .to_bytes_be();
        let mut signature = vec![0; size.saturating_sub(signed.len())];
        signature.extend(signed);
        Ok(signature)
    }
}
