//! Sealed values: AES-256-GCM, bound to the place where they are stored.
//!
//! Format: version byte 1, algorithm byte 1 (AES-256-GCM), a nonce of 12 bytes from the operating system, ciphertext,
//! tag of 16 bytes. Associated data names version, algorithm, key, installation, table, column and row, so that a value
//! does not open anywhere else.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use super::VaultError;
use crate::bind::bind;
use crate::secret::{Secret, SecretBytes};
use crate::store::{Place, SealError, Sealer};

const VERSION: u8 = 1;
const AES_256_GCM_ALGORITHM: u8 = 1;
const NONCE: usize = 12;

/// One AES-256-GCM key with its name and the installation it belongs to.
pub(super) struct SealingKey {
    key: LessSafeKey,
    name: &'static str,
    installation: [u8; 16],
}

impl SealingKey {
    /// The key derived from `root` for the purpose `name`; each purpose has one name, used nowhere else.
    pub(super) fn derive(
        root: &Secret<32>,
        name: &'static str,
        installation: [u8; 16],
    ) -> Result<Self, VaultError> {
        let key = derive(root, name)?;
        Self::new(&key, name, installation)
    }

    pub(super) fn new(
        key: &Secret<32>,
        name: &'static str,
        installation: [u8; 16],
    ) -> Result<Self, VaultError> {
        let key = UnboundKey::new(&AES_256_GCM, key.expose()).map_err(|_| VaultError::Foreign)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            name,
            installation,
        })
    }

    pub(super) fn seal(&self, place: &Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut out = Vec::with_capacity(2 + NONCE + plaintext.len() + AES_256_GCM.tag_len());
        out.extend([VERSION, AES_256_GCM_ALGORITHM]);
        let mut nonce = [0; NONCE];
        random(&mut nonce)?;
        out.extend(nonce);
        out.extend_from_slice(plaintext);
        let body = out.get_mut(2 + NONCE..).ok_or(VaultError::Unsealable)?;
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.associated_data(place)),
                body,
            )
            .map_err(|_| VaultError::Unsealable)?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    pub(super) fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<SecretBytes, VaultError> {
        let Some((head, body)) = sealed.split_first_chunk::<2>() else {
            return Err(VaultError::Unsealable);
        };
        if *head != [VERSION, AES_256_GCM_ALGORITHM] {
            return Err(VaultError::UnknownFormat);
        }
        let (nonce, body) = body
            .split_first_chunk::<NONCE>()
            .ok_or(VaultError::Unsealable)?;
        let mut buffer = Zeroizing::new(body.to_vec());
        let length = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(self.associated_data(place)),
                &mut buffer,
            )
            .map_err(|_| VaultError::Unsealable)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    fn associated_data(&self, place: &Place<'_>) -> Vec<u8> {
        bind(
            "tapcore-sealed",
            &[
                &[VERSION, AES_256_GCM_ALGORITHM],
                self.name.as_bytes(),
                &self.installation,
                place.table.as_bytes(),
                place.column.as_bytes(),
                place.row,
            ],
        )
    }
}

/// Seals rows under keys derived from the storage key, one for each kind of row.
pub struct StorageSealer {
    journal: SealingKey,
    statement: SealingKey,
    records: SealingKey,
    lookup: hmac::Key,
}

impl StorageSealer {
    pub(super) fn new(storage: &Secret<32>, installation: [u8; 16]) -> Result<Self, VaultError> {
        let derived = |name| SealingKey::derive(storage, name, installation);
        Ok(Self {
            journal: derived("tapcore journal v1")?,
            statement: derived("tapcore statement v1")?,
            records: derived("tapcore records v1")?,
            lookup: hmac::Key::new(
                hmac::HMAC_SHA256,
                derive(storage, "tapcore lookup v1")?.expose(),
            ),
        })
    }

    fn key(&self, place: &Place<'_>) -> &SealingKey {
        match place.table {
            "journal" => &self.journal,
            "entry" => &self.statement,
            _ => &self.records,
        }
    }
}

impl Sealer for StorageSealer {
    fn seal(&self, place: &Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        self.key(place)
            .seal(place, plaintext)
            .map_err(SealError::from)
    }

    fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<SecretBytes, SealError> {
        self.key(place).open(place, sealed).map_err(SealError::from)
    }

    fn lookup(&self, domain: &str, value: &[u8]) -> [u8; 16] {
        let mac = hmac::sign(&self.lookup, &bind(domain, &[value]));
        let mut out = [0; 16];
        for (to, from) in out.iter_mut().zip(mac.as_ref()) {
            *to = *from;
        }
        out
    }
}

impl From<VaultError> for SealError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::UnknownFormat => Self::UnknownFormat,
            VaultError::Random => Self::Random,
            _ => Self::Unsealable,
        }
    }
}

/// Fills `bytes` from the operating system's generator.
pub(super) fn random(bytes: &mut [u8]) -> Result<(), VaultError> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| VaultError::Random)
}

fn derive(root: &Secret<32>, label: &str) -> Result<Secret<32>, VaultError> {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"tapcore storage").extract(root.expose());
    Secret::fill(|out| {
        prk.expand(&[label.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(out))
            .map_err(|_| VaultError::Foreign)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(root: u8, installation: u8) -> StorageSealer {
        StorageSealer::new(&Secret::new([root; 32]), [installation; 16]).unwrap()
    }

    const PLACE: Place<'_> = Place {
        table: "journal",
        column: "sealed",
        row: b"1",
    };

    #[test]
    fn a_value_opens_where_it_was_sealed_and_nowhere_else() {
        let sealed = sealer(1, 1).seal(&PLACE, b"12.50").unwrap();
        assert_eq!(*sealer(1, 1).open(&PLACE, &sealed).unwrap(), b"12.50");
        let elsewhere = [
            Place { row: b"2", ..PLACE },
            Place {
                column: "other",
                ..PLACE
            },
            Place {
                table: "entry",
                ..PLACE
            },
        ];
        for place in elsewhere {
            assert_eq!(
                sealer(1, 1).open(&place, &sealed),
                Err(SealError::Unsealable)
            );
        }
        assert_eq!(
            sealer(1, 2).open(&PLACE, &sealed),
            Err(SealError::Unsealable)
        );
        assert_eq!(
            sealer(2, 1).open(&PLACE, &sealed),
            Err(SealError::Unsealable)
        );
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let sealed = sealer(1, 1).seal(&PLACE, b"12.50").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 16 {
                SealError::UnknownFormat
            } else {
                SealError::Unsealable
            };
            assert_eq!(
                sealer(1, 1).open(&PLACE, &changed),
                Err(expected),
                "bit {bit}"
            );
        }
        for length in 0..sealed.len() {
            assert!(sealer(1, 1).open(&PLACE, &sealed[..length]).is_err());
        }
    }
}
