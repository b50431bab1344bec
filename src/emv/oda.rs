//! Offline data authentication: one RSA signature per tap over what the reader drew.
//!
//! The signed block is `6A 05 01 LDD dynamic BB… SHA-1 BC` (EMV Book 2, 6.5.2 and 6.6.1); the hash runs from `05` through
//! the padding and then over what the reader told. fDDA version 01, found by running independent kernels: dynamic data
//! is `02 ‖ ATC`; the reader's unpredictable number, amount, currency and the card authentication data (tag 9F69) are hashed. CDA: dynamic
//! data holds the cryptogram and a hash of the whole exchange; the unpredictable number is hashed.

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

    /// Signed dynamic application data (tag 9F4B) over `dynamic`, with `hashed` under its hash.
    ///
    /// `rng` blinds the private operation.
    ///
    /// # Errors
    /// When the dynamic data does not fit; when the key turns out damaged while signing: the result is checked before
    /// it leaves, since a faulty signature would give the key away.
    pub fn sign(
        &self,
        rng: &mut impl CryptoRngCore,
        dynamic: &[u8],
        hashed: &[&[u8]],
    ) -> Result<Vec<u8>, CardKeyDamaged> {
        let size = self.size();
        let length = u8::try_from(dynamic.len()).map_err(|_| CardKeyDamaged)?;
        let mut block = Vec::with_capacity(size);
        block.extend([0x6A, 0x05, 0x01, length]);
        block.extend_from_slice(dynamic);
        if block.len() + 21 > size {
            return Err(CardKeyDamaged);
        }
        block.resize(size - 21, 0xBB);
        let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        hash.update(block.get(1..).ok_or(CardKeyDamaged)?);
        for part in hashed {
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
