//! Sealed values: AES-256-GCM, bound to the place where they are stored.
//!
//! Format: version byte 1, algorithm byte 1 (AES-256-GCM), a nonce of 12 bytes from the operating system, ciphertext,
//! tag of 16 bytes. Associated data: the first 16 bytes of a SHA-256 digest over version, algorithm, key, installation,
//! table and column, then the row, then 1 to 16 bytes up to a whole block, zeros but for the last one, which says how many
//! they are. So a value does not open anywhere else.

use std::sync::atomic::{AtomicU64, Ordering};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hkdf, hmac};

use super::VaultError;
use crate::bind::bind;
use crate::secret::{Secret, SecretBytes};
use crate::store::{Place, SealError, Sealer};

const VERSION: u8 = 1;
const AES_256_GCM_ALGORITHM: u8 = 1;
const NONCE: usize = 12;

/// The most values that one key seals under random nonces (NIST SP 800-38D, 8.3: 2^32).
const CAP: u64 = 1 << 32;

/// One AES-256-GCM key; its name and the installation it belongs to stand in all associated data.
pub(super) struct SealingKey {
    key: LessSafeKey,
    name: &'static str,
    installation: [u8; 16],
    /// The column whose rows it seals by the thousand, with the digest of it.
    usual: Option<(Column, Context)>,
}

/// A table and one of its columns.
type Column = (&'static str, &'static str);

/// The part of the associated data that is the same in a whole column, as a digest: it is authenticated with every row,
/// and shorter is quicker.
type Context = [u8; BLOCK];

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
            usual: None,
        })
    }

    /// Spares the digest for each row of this column.
    fn mostly_in(self, column: Column) -> Self {
        Self {
            usual: Some((column, self.context(column))),
            ..self
        }
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

    /// Opens a secret; what comes out is wiped when it is dropped.
    pub(super) fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<SecretBytes, VaultError> {
        let mut buffer = sealed.to_vec();
        self.open_in_place(place, &mut buffer)?;
        Ok(SecretBytes::new(buffer))
    }

    /// Opens a value in the buffer that holds it.
    fn open_in_place(&self, place: &Place<'_>, buffer: &mut Vec<u8>) -> Result<(), VaultError> {
        let Some((head, rest)) = buffer.split_first_chunk::<2>() else {
            return Err(VaultError::Unsealable);
        };
        if *head != [VERSION, AES_256_GCM_ALGORITHM] {
            return Err(VaultError::UnknownFormat);
        }
        let nonce = *rest.first_chunk::<NONCE>().ok_or(VaultError::Unsealable)?;
        let length = self
            .key
            .open_within(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.associated_data(place)),
                buffer,
                2 + NONCE..,
            )
            .map_err(|_| VaultError::Unsealable)?
            .len();
        buffer.truncate(length);
        Ok(())
    }

    fn associated_data(&self, place: &Place<'_>) -> AssociatedData {
        let column = (place.table, place.column);
        let context = match &self.usual {
            Some((usual, context)) if *usual == column => *context,
            _ => self.context(column),
        };
        AssociatedData::new(&context, place.row)
    }

    fn context(&self, (table, column): Column) -> Context {
        let bound = bind(
            "tapcore-sealed",
            &[
                &[VERSION, AES_256_GCM_ALGORITHM],
                self.name.as_bytes(),
                &self.installation,
                table.as_bytes(),
                column.as_bytes(),
            ],
        );
        let digest = digest::digest(&digest::SHA256, &bound);
        let mut out = [0; BLOCK];
        for (to, from) in out.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        out
    }
}

/// The cipher's block: a part of one takes longer to authenticate than all of it.
const BLOCK: usize = 16;

/// The context and the row, then zeros up to a whole block, whose last byte tells how many. On the stack unless a row's
/// key is unusually long: rows are sealed and opened by the thousand.
enum AssociatedData {
    Short([[u8; BLOCK]; 2]),
    Long(Vec<u8>),
}

impl AssociatedData {
    fn new(context: &Context, row: &[u8]) -> Self {
        let padding = BLOCK - row.len() % BLOCK;
        let filled = u8::try_from(padding).unwrap_or_default();
        let mut short = [[0; BLOCK]; 2];
        let [head, [body @ .., last]] = &mut short;
        if let Some(start) = body.get_mut(..row.len()) {
            *head = *context;
            start.copy_from_slice(row);
            *last = filled;
            return Self::Short(short);
        }
        let mut long = [context, row].concat();
        long.resize(long.len() + padding - 1, 0);
        long.push(filled);
        Self::Long(long)
    }
}

impl AsRef<[u8]> for AssociatedData {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Short(blocks) => blocks.as_flattened(),
            Self::Long(bytes) => bytes,
        }
    }
}

/// Counts what is sealed under a set of keys, so that the cap holds over all lives of the process.
///
/// A count cannot be written down at each seal. It is written with each arming, and what may have been sealed since then
/// is granted ahead: whoever opens the wallet goes on behind the grant.
pub struct SealCount {
    used: AtomicU64,
    granted: AtomicU64,
}

impl SealCount {
    /// How many seals are granted ahead of the last count that was written down.
    pub const GRANT: u64 = 1 << 15;

    fn new() -> Self {
        Self {
            used: AtomicU64::new(0),
            // Until the count is known, a first arming must be sealed.
            granted: AtomicU64::new(Self::GRANT),
        }
    }

    /// Goes on behind what a count that was written down had granted.
    pub fn resume(&self, written: u64) {
        let behind = written.saturating_add(Self::GRANT);
        self.used.fetch_max(behind, Ordering::Relaxed);
        self.granted
            .store(behind.saturating_add(Self::GRANT), Ordering::Relaxed);
    }

    /// What to write down now.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The count was written down: the next grant begins there.
    pub fn written(&self, count: u64) {
        self.granted
            .fetch_max(count.saturating_add(Self::GRANT), Ordering::Relaxed);
    }

    /// How many seals are left before a count must be written down.
    pub fn left(&self) -> u64 {
        let end = self.granted.load(Ordering::Relaxed).min(CAP);
        end.saturating_sub(self.used())
    }

    fn take(&self) -> Result<(), VaultError> {
        let end = self.granted.load(Ordering::Relaxed).min(CAP);
        match self.used.fetch_add(1, Ordering::Relaxed) < end {
            true => Ok(()),
            false => Err(VaultError::Exhausted),
        }
    }
}

/// Seals rows under keys derived from the storage key, one for each kind of row.
pub struct StorageSealer {
    count: SealCount,
    journal: SealingKey,
    statement: SealingKey,
    records: SealingKey,
    lookup: hmac::Key,
}

impl StorageSealer {
    pub(super) fn new(storage: &Secret<32>, installation: [u8; 16]) -> Result<Self, VaultError> {
        let derived = |name| SealingKey::derive(storage, name, installation);
        Ok(Self {
            count: SealCount::new(),
            journal: derived("tapcore journal v1")?.mostly_in(("journal", "sealed")),
            statement: derived("tapcore statement v1")?.mostly_in(("entry", "sealed")),
            records: derived("tapcore records v1")?,
            lookup: hmac::Key::new(
                hmac::HMAC_SHA256,
                derive(storage, "tapcore lookup v1")?.expose(),
            ),
        })
    }

    /// What these keys have sealed together.
    pub fn count(&self) -> &SealCount {
        &self.count
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
        self.count.take()?;
        Ok(self.key(place).seal(place, plaintext)?)
    }

    fn open(&self, place: &Place<'_>, mut sealed: Vec<u8>) -> Result<Vec<u8>, SealError> {
        self.key(place).open_in_place(place, &mut sealed)?;
        Ok(sealed)
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
            VaultError::Exhausted => Self::Exhausted,
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

/// A key for one purpose below a root; each label is used once.
pub(super) fn derive(root: &Secret<32>, label: &str) -> Result<Secret<32>, VaultError> {
    derive_salted(b"tapcore storage", root.expose(), label)
}

/// HKDF-SHA-256 (RFC 5869) with a salt.
pub(super) fn derive_salted(
    salt: &[u8],
    root: &[u8],
    label: &str,
) -> Result<Secret<32>, VaultError> {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(root);
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
    fn s09_a_value_opens_where_it_was_sealed_and_nowhere_else() {
        let sealed = sealer(1, 1).seal(&PLACE, b"12.50").unwrap();
        assert_eq!(sealer(1, 1).open(&PLACE, sealed.clone()).unwrap(), b"12.50");
        let long = [7; 400];
        let far = Place {
            row: &long,
            ..PLACE
        };
        let sealed_far = sealer(1, 1).seal(&far, b"12.50").unwrap();
        assert_eq!(sealer(1, 1).open(&far, sealed_far).unwrap(), b"12.50");
        // Two tables under one key.
        let token = Place {
            table: "token",
            ..PLACE
        };
        let record = Place {
            table: "record",
            ..PLACE
        };
        let in_token = sealer(1, 1).seal(&token, b"12.50").unwrap();
        assert_eq!(
            sealer(1, 1).open(&record, in_token),
            Err(SealError::Unsealable)
        );
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
                sealer(1, 1).open(&place, sealed.clone()),
                Err(SealError::Unsealable)
            );
        }
        assert_eq!(
            sealer(1, 2).open(&PLACE, sealed.clone()),
            Err(SealError::Unsealable)
        );
        assert_eq!(
            sealer(2, 1).open(&PLACE, sealed.clone()),
            Err(SealError::Unsealable)
        );
    }

    #[test]
    fn s11_every_seal_draws_a_nonce_of_its_own() {
        let sealer = sealer(1, 1);
        let nonces: std::collections::BTreeSet<_> = (0..1000)
            .map(|_| sealer.seal(&PLACE, b"12.50").unwrap()[2..14].to_vec())
            .collect();
        assert_eq!(nonces.len(), 1000);
    }

    #[test]
    fn s11_a_key_refuses_at_its_cap_and_goes_on_behind_what_was_granted() {
        let sealer = sealer(1, 1);
        sealer.count().resume(CAP - SealCount::GRANT - 2);
        assert_eq!(sealer.count().left(), 2);
        assert!(sealer.seal(&PLACE, b"1").is_ok());
        assert!(sealer.seal(&PLACE, b"2").is_ok());
        assert_eq!(sealer.seal(&PLACE, b"3"), Err(SealError::Exhausted));
        sealer.count().written(sealer.count().used());
        assert_eq!(sealer.seal(&PLACE, b"4"), Err(SealError::Exhausted));
    }

    #[test]
    fn s11_no_more_is_sealed_than_a_crash_could_hide() {
        let sealer = sealer(1, 1);
        sealer.count().resume(1000);
        for _ in 0..SealCount::GRANT {
            sealer.seal(&PLACE, b"").unwrap();
        }
        assert_eq!(sealer.seal(&PLACE, b""), Err(SealError::Exhausted));
        let used = sealer.count().used();
        sealer.count().written(used);
        assert!(sealer.seal(&PLACE, b"").is_ok(), "written down, it goes on");
    }

    #[test]
    fn s10_any_flipped_bit_is_noticed() {
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
                sealer(1, 1).open(&PLACE, changed),
                Err(expected),
                "bit {bit}"
            );
        }
        for length in 0..sealed.len() {
            assert!(
                sealer(1, 1)
                    .open(&PLACE, sealed[..length].to_vec())
                    .is_err()
            );
        }
    }

    #[test]
    fn s14_an_unknown_version_or_algorithm_is_refused_as_such() {
        let sealed = sealer(1, 1).seal(&PLACE, b"12.50").unwrap();
        for at in [0, 1] {
            let mut newer = sealed.clone();
            newer[at] += 1;
            let refused = sealer(1, 1).open(&PLACE, newer);
            assert_eq!(refused, Err(SealError::UnknownFormat));
        }
    }

    #[test]
    fn s13_equal_values_look_up_alike_only_here_and_in_their_column() {
        let (here, there) = (sealer(1, 1), sealer(2, 1));
        assert_eq!(
            here.lookup("token", b"tok_1"),
            sealer(1, 2).lookup("token", b"tok_1")
        );
        assert_ne!(
            here.lookup("token", b"tok_1"),
            here.lookup("outbox", b"tok_1")
        );
        assert_ne!(
            here.lookup("token", b"tok_1"),
            there.lookup("token", b"tok_1")
        );
    }
}
