//! The session key: a P-256 key in memory, certified by the device key for an hour at most.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use super::VaultError;

/// Signs requests. It lives in memory only and dies with the process.
pub struct SessionKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl SessionKey {
    /// Draws a key.
    ///
    /// # Errors
    /// When the random number generator fails.
    pub fn generate() -> Result<Self, VaultError> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| VaultError::Random)?;
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
                .map_err(|_| VaultError::Random)?;
        Ok(Self { pair, random })
    }

    /// The public key, SEC1 uncompressed.
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// ECDSA with SHA-256, r ‖ s.
    ///
    /// # Errors
    /// When the random number generator fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, VaultError> {
        let signature = self
            .pair
            .sign(&self.random, message)
            .map_err(|_| VaultError::Random)?;
        Ok(signature.as_ref().to_vec())
    }
}
