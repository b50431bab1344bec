//! What comes sealed from the network, and what is sealed to it: HPKE (RFC 9180), and the network's signature inside.

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::{DhP256HkdfSha256, Kem};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::VaultError;
use super::sealing::random;
use crate::secret::{Secret, SecretBytes};

type Suite = DhP256HkdfSha256;

/// An HPKE ciphertext with its encapsulated key, both in hexadecimal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealedBox {
    /// The encapsulated key, a P-256 point.
    pub enc: String,
    /// Ciphertext and tag.
    pub ciphertext: String,
}

impl SealedBox {
    /// Seals to the holder of `recipient` (SEC1 uncompressed).
    ///
    /// # Errors
    /// [`VaultError::Foreign`] when `recipient` is no point of the curve.
    pub fn seal(
        recipient: &[u8],
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Self, VaultError> {
        let recipient =
            <Suite as Kem>::PublicKey::from_bytes(recipient).map_err(|_| VaultError::Foreign)?;
        let (enc, ciphertext) = single_shot_seal::<AesGcm256, HkdfSha256, Suite, _>(
            &OpModeS::Base,
            &recipient,
            info,
            plaintext,
            aad,
            &mut SystemRng,
        )
        .map_err(|_| VaultError::Foreign)?;
        Ok(Self {
            enc: hex::encode_upper(enc.to_bytes()),
            ciphertext: hex::encode_upper(ciphertext),
        })
    }
}

/// A key pair that somebody seals to. For one provisioning its public half goes out signed by the device key, and the
/// private half waits sealed; for the lock it is derived from the verified key.
pub struct RecipientKey(Secret<32>);

impl RecipientKey {
    /// Draws a key pair.
    ///
    /// # Errors
    /// When the random number generator fails.
    pub fn generate() -> Result<Self, VaultError> {
        Ok(Self::derive(&Secret::fill(|bytes| random(bytes))?))
    }

    /// The pair that follows from 32 secret bytes (RFC 9180, DeriveKeyPair).
    pub(super) fn derive(material: &Secret<32>) -> Self {
        let (private, _) = Suite::derive_keypair(material.expose());
        let bytes = Zeroizing::new(private.to_bytes());
        Self(Secret::new((*bytes).into()))
    }

    /// The pair again from the sealed private half.
    ///
    /// # Errors
    /// [`VaultError::Foreign`] when the bytes are no private key.
    pub fn restore(bytes: &[u8]) -> Result<Self, VaultError> {
        let key = Secret::copy_of(bytes)
            .map(Self)
            .ok_or(VaultError::Foreign)?;
        key.private().map(|_| key)
    }

    /// The private half, to be sealed.
    pub fn private_half(&self) -> &[u8] {
        self.0.expose()
    }

    /// The public half, SEC1 uncompressed.
    ///
    /// # Errors
    /// Never for a key that [`generate`](Self::generate) or [`restore`](Self::restore) gave.
    pub fn public(&self) -> Result<Vec<u8>, VaultError> {
        Ok(Suite::sk_to_pk(&self.private()?).to_bytes().to_vec())
    }

    /// Opens what was sealed to this key.
    ///
    /// # Errors
    /// [`VaultError::Foreign`] when it was not, or for another purpose.
    pub fn open(
        &self,
        sealed: &SealedBox,
        info: &[u8],
        aad: &[u8],
    ) -> Result<SecretBytes, VaultError> {
        let decode = |text: &str| hex::decode(text).map_err(|_| VaultError::Foreign);
        let enc = <Suite as Kem>::EncappedKey::from_bytes(&decode(&sealed.enc)?)
            .map_err(|_| VaultError::Foreign)?;
        single_shot_open::<AesGcm256, HkdfSha256, Suite>(
            &OpModeR::Base,
            &self.private()?,
            &enc,
            info,
            &decode(&sealed.ciphertext)?,
            aad,
        )
        .map(SecretBytes::new)
        .map_err(|_| VaultError::Foreign)
    }

    fn private(&self) -> Result<<Suite as Kem>::PrivateKey, VaultError> {
        <Suite as Kem>::PrivateKey::from_bytes(self.0.expose()).map_err(|_| VaultError::Foreign)
    }
}

/// Checks an ECDSA P-256 signature (SHA-256, r ‖ s) by a public key in SEC1 form.
///
/// # Errors
/// [`VaultError::Foreign`] when it is not by that key over that message.
pub fn verify_signature(public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), VaultError> {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public)
        .verify(message, signature)
        .map_err(|_| VaultError::Foreign)
}

/// The operating system's generator behind the trait that `hpke` asks for.
struct SystemRng;

impl hpke::rand_core::CryptoRng for SystemRng {}

impl hpke::rand_core::RngCore for SystemRng {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_be_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        rand_core::RngCore::fill_bytes(&mut rand_core::OsRng, bytes);
    }
}
