//! P-256 keys of parties, devices, sessions and terminals: ECDSA with SHA-256, signatures as fixed `r‖s`.

use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use rand_core::OsRng;

use crate::bytes;

/// A P-256 key pair. Sandbox keys may be written to files, hence the hex form; the type itself prints nothing.
#[derive(Clone)]
pub struct PartyKey {
    key: SigningKey,
}

impl PartyKey {
    /// A fresh key from the operating system's generator.
    #[must_use]
    pub fn generate() -> Self {
        Self {
            key: SigningKey::random(&mut OsRng),
        }
    }

    /// The key of this scalar, 64 hex digits. `None` when it is no valid scalar.
    #[must_use]
    pub fn from_scalar_hex(scalar: &str) -> Option<Self> {
        let scalar = bytes::from_hex_exact::<32>(scalar.trim())?;
        let key = SigningKey::from_slice(&scalar).ok()?;
        Some(Self { key })
    }

    /// The scalar as 64 upper-case hex digits: the whole secret.
    #[must_use]
    pub fn to_scalar_hex(&self) -> String {
        bytes::to_hex(&self.scalar())
    }

    /// The public key, SEC1 uncompressed (`04 ‖ x ‖ y`).
    #[must_use]
    pub fn public(&self) -> [u8; 65] {
        let mut public = [0; 65];
        public.copy_from_slice(self.key.verifying_key().to_encoded_point(false).as_bytes());
        public
    }

    /// The public key as the APIs write it.
    #[must_use]
    pub fn public_hex(&self) -> String {
        bytes::to_hex(&self.public())
    }

    /// ECDSA-P256-SHA256 over `message`, `r‖s`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature: Signature = self.key.sign(message);
        signature.to_bytes().into()
    }

    /// The key in the file `path`; made and written there, readable by its owner only, when there is none.
    pub fn open_or_create(path: &std::path::Path) -> anyhow::Result<Self> {
        use anyhow::Context;
        if path.exists() {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            return Self::from_scalar_hex(&text)
                .with_context(|| format!("{} holds no P-256 key", path.display()));
        }
        let key = Self::generate();
        crate::server::write_secret(path, key.to_scalar_hex().as_bytes())?;
        Ok(key)
    }

    pub(crate) fn scalar(&self) -> [u8; 32] {
        self.key.to_bytes().into()
    }
}

/// Whether `signature` (`r‖s`) is `public`'s over `message`. Malformed keys and signatures are simply wrong.
#[must_use]
pub fn verify(public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Some(key) = verifying_key(public) else {
        return false;
    };
    let Ok(signature) = Signature::from_slice(signature) else {
        return false;
    };
    key.verify(message, &signature).is_ok()
}

/// The 65 bytes of an uncompressed point on the curve, from hex. `None` for anything else.
#[must_use]
pub fn public_from_hex(text: &str) -> Option<[u8; 65]> {
    let public = bytes::from_hex_exact::<65>(text)?;
    verifying_key(&public).map(|_| public)
}

fn verifying_key(public: &[u8]) -> Option<VerifyingKey> {
    // A compressed point would be read too, but the APIs know one form only.
    (public.len() == 65 && public.first() == Some(&4))
        .then(|| VerifyingKey::from_sec1_bytes(public).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_verify_and_the_hex_form() {
        let key = PartyKey::generate();
        let again = PartyKey::from_scalar_hex(&key.to_scalar_hex()).unwrap();
        assert_eq!(key.public(), again.public());
        let signature = again.sign(b"message");
        assert!(verify(&key.public(), b"message", &signature));
        assert!(!verify(&key.public(), b"Message", &signature));
        assert!(!verify(&key.public(), b"message", &signature[..63]));
        assert!(!verify(&[4; 65], b"message", &signature));
        assert!(PartyKey::from_scalar_hex(&"0".repeat(64)).is_none());
        assert!(public_from_hex(&key.public_hex()).is_some());
    }

    #[test]
    fn a_key_file_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("party.key");
        let first = PartyKey::open_or_create(&path).unwrap();
        let second = PartyKey::open_or_create(&path).unwrap();
        assert_eq!(first.public(), second.public());
        std::fs::write(&path, "nonsense").unwrap();
        assert!(PartyKey::open_or_create(&path).is_err());
    }
}
