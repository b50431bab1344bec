//! Bytes that must not be copied, printed or compared by accident.
//!
//! Neither type has `Debug`, `Display`, `Clone` or `Serialize`; both wipe themselves when dropped. Reading the bytes
//! takes [`Secret::expose`], which only the vault and the cryptogram functions call.

use serde::de::DeserializeOwned;
use zeroize::Zeroize;

/// A secret of a fixed length, in one heap buffer that moves never copy.
///
/// It cannot be shown:
/// ```compile_fail,E0277
/// println!("{:?}", tapcore::secret::Secret::new([0; 16]));
/// ```
/// ```compile_fail,E0277
/// println!("{}", tapcore::secret::Secret::new([0; 16]));
/// ```
/// nor copied:
/// ```compile_fail,E0599
/// let copy = tapcore::secret::Secret::new([0; 16]).clone();
/// ```
/// nor written out:
/// ```compile_fail,E0277
/// let json = serde_json::to_string(&tapcore::secret::Secret::new([0; 16]));
/// ```
/// nor compared in a time that depends on it; `ring::constant_time` is for that:
/// ```compile_fail,E0369
/// let same = tapcore::secret::Secret::new([0; 16]) == tapcore::secret::Secret::new([0; 16]);
/// ```
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Takes a secret over. The caller's own copy stays the caller's to wipe; prefer [`Secret::fill`].
    pub fn new(bytes: [u8; N]) -> Self {
        Self(Box::new(bytes))
    }

    /// A secret written in place, so that no second copy comes to be.
    ///
    /// # Errors
    /// Whatever `write` fails with; nothing of the buffer survives then.
    pub fn fill<E>(write: impl FnOnce(&mut [u8; N]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = Self(Box::new([0; N]));
        write(&mut secret.0)?;
        Ok(secret)
    }

    /// Takes a secret over from a buffer, which is wiped; nothing when it has another length.
    pub fn take(mut bytes: Vec<u8>) -> Option<Self> {
        let secret = Self::copy_of(&bytes);
        bytes.zeroize();
        secret
    }

    /// A secret copied from borrowed bytes; nothing when they have another length.
    pub fn copy_of(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self(Box::new([0; N]));
        if bytes.len() != N {
            return None;
        }
        secret.0.copy_from_slice(bytes);
        Some(secret)
    }

    /// A secret from the hexadecimal form that provisioned data has.
    pub fn from_hex(text: &str) -> Option<Self> {
        Self::fill(|bytes| hex::decode_to_slice(text, bytes)).ok()
    }

    /// The bytes. For the vault and the cryptogram functions only.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Overwrites the stack below the caller, where ciphers and moves have left copies of what they worked on. To be called
/// after work with secrets, from the function that called that work.
#[inline(never)]
pub(crate) fn wipe_stack() {
    // In words, because each is written by itself.
    let mut below = [0_u64; WORK_STACK / 8];
    below.zeroize();
    std::hint::black_box(&below);
}

/// How deep work with secrets goes, in bytes. Without optimisation, frames are about twice as big.
const WORK_STACK: usize = match cfg!(debug_assertions) {
    true => 96 * 1024,
    false => 48 * 1024,
};

/// A secret of any length, as it was unsealed.
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes a buffer over, which must not have grown: what it left behind would stay.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// As a secret of a fixed length; nothing when it has another.
    pub fn to_secret<const N: usize>(&self) -> Option<Secret<N>> {
        Secret::copy_of(&self.0)
    }

    /// What its JSON says. The type that takes it wipes itself.
    ///
    /// # Errors
    /// When it is another type's, or no JSON.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.0)
    }

    /// The bytes. For the vault only.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
