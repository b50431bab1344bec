//! What a phone's hardware does, played by a folder: keys and clock.
//!
//! **Insecure by design**: keys lie in files, readable by whoever can read the folder. It says so of itself
//! (`SecurityLevel::Software`), and a wallet in production refuses it.
//!
//! A key that needs the person has an extension of its own. It is not unwrapped when the core asks, only inside
//! [`SoftwareKeyStore::prompt`], and another enrolled fingerprint ends it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use sandbox_kit::maker;
use tapcore::ffi::{
    AttestedKey, ClockReading, KeyStoreError, PlatformClock, PlatformKeyStore, SecurityLevel,
};

/// Extension of keys that work whoever asks.
const PLAIN: &str = "key";
/// Extension of keys that need the person each time.
const VERIFIED: &str = "verified";

/// A key store in a folder: one file per alias.
pub(super) struct SoftwareKeyStore {
    folder: PathBuf,
    random: SystemRandom,
}

impl SoftwareKeyStore {
    /// The key store in `folder`, which is made when it is not there.
    pub(super) fn open(folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)
            .with_context(|| format!("the platform folder {} cannot be made", folder.display()))?;
        Ok(Self {
            folder,
            random: SystemRandom::new(),
        })
    }

    /// The prompt: unwraps by a key that needs the person, as if the finger were on the sensor.
    pub(super) fn prompt(&self, alias: &str, wrapped: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        open_wrapped(&self.wrapping_key(alias, VERIFIED)?, wrapped)
    }

    /// Plays another fingerprint that was enrolled: every key that needs the person is invalidated. Its alias stays
    /// known, as it does on Android.
    pub(super) fn change_fingers(&self) -> anyhow::Result<()> {
        for alias in self.aliases_with(VERIFIED).map_err(anyhow::Error::new)? {
            self.write(&alias, VERIFIED, &[])
                .context("the platform folder cannot be written")?;
        }
        Ok(())
    }

    fn path(&self, alias: &str, kind: &str) -> Result<PathBuf, KeyStoreError> {
        let plain = alias
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        let sound = plain && !alias.is_empty() && !alias.starts_with('.');
        sound
            .then(|| self.folder.join(format!("{alias}.{kind}")))
            .ok_or(KeyStoreError::NotFound)
    }

    fn read(&self, alias: &str, kind: &str) -> Result<Vec<u8>, KeyStoreError> {
        fs::read(self.path(alias, kind)?).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => KeyStoreError::NotFound,
            _ => KeyStoreError::Unavailable,
        })
    }

    /// Written whole or not at all, and there after a power cut, as key hardware would have it.
    fn write(&self, alias: &str, kind: &str, key: &[u8]) -> Result<(), KeyStoreError> {
        let path = self.path(alias, kind)?;
        let written = || -> std::io::Result<()> {
            let draft = path.with_extension("draft");
            let mut file = create_private(&draft)?;
            file.write_all(key)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            self.sync_folder()
        };
        written().map_err(|_| KeyStoreError::Unavailable)
    }

    fn sync_folder(&self) -> std::io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn new_wrapping_key(&self, alias: &str, kind: &str) -> Result<(), KeyStoreError> {
        let mut key = [0; 32];
        self.random
            .fill(&mut key)
            .map_err(|_| KeyStoreError::Unavailable)?;
        self.write(alias, kind, &key)
    }

    fn wrapping_key(&self, alias: &str, kind: &str) -> Result<LessSafeKey, KeyStoreError> {
        let key = UnboundKey::new(&AES_256_GCM, &self.read(alias, kind)?);
        key.map(LessSafeKey::new)
            .map_err(|_| KeyStoreError::Invalidated)
    }

    fn needs_person(&self, alias: &str) -> Result<bool, KeyStoreError> {
        Ok(self.path(alias, VERIFIED)?.exists())
    }

    fn aliases_with(&self, kind: &str) -> Result<Vec<String>, KeyStoreError> {
        let listed = fs::read_dir(&self.folder).map_err(|_| KeyStoreError::Unavailable)?;
        let names = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let aliases = names.filter_map(|name| {
            let (alias, extension) = name.rsplit_once('.')?;
            (extension == kind).then(|| alias.to_owned())
        });
        Ok(aliases.collect())
    }
}

fn open_wrapped(key: &LessSafeKey, wrapped: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
    let (nonce, sealed) = wrapped
        .split_first_chunk::<NONCE_LEN>()
        .ok_or(KeyStoreError::Invalidated)?;
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let mut buffer = sealed.to_vec();
    let plain = key
        .open_in_place(nonce, Aad::empty(), &mut buffer)
        .map_err(|_| KeyStoreError::Invalidated)?;
    Ok(plain.to_vec())
}

fn create_private(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

impl PlatformKeyStore for SoftwareKeyStore {
    fn security_level(&self) -> SecurityLevel {
        SecurityLevel::Software
    }

    fn create_wrapping_key(&self, alias: String) -> Result<(), KeyStoreError> {
        self.new_wrapping_key(&alias, PLAIN)
    }

    fn wrap(&self, alias: String, key: Vec<u8>) -> Result<Vec<u8>, KeyStoreError> {
        // Wrapping needs nobody, whichever key it is.
        let kind = if self.needs_person(&alias)? {
            VERIFIED
        } else {
            PLAIN
        };
        let wrapping = self.wrapping_key(&alias, kind)?;
        let mut nonce = [0; NONCE_LEN];
        self.random
            .fill(&mut nonce)
            .map_err(|_| KeyStoreError::Unavailable)?;
        let mut sealed = key;
        wrapping
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut sealed,
            )
            .map_err(|_| KeyStoreError::Unavailable)?;
        Ok([&nonce[..], &sealed].concat())
    }

    fn unwrap(&self, alias: String, wrapped: Vec<u8>) -> Result<Vec<u8>, KeyStoreError> {
        if self.needs_person(&alias)? {
            // Without a prompt there is no person, and so no key.
            return Err(KeyStoreError::Unavailable);
        }
        open_wrapped(&self.wrapping_key(&alias, PLAIN)?, &wrapped)
    }

    fn create_verified_key(&self, alias: String) -> Result<(), KeyStoreError> {
        self.new_wrapping_key(&alias, VERIFIED)
    }

    fn create_signing_key(
        &self,
        alias: String,
        challenge: Vec<u8>,
    ) -> Result<AttestedKey, KeyStoreError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.random)
            .map_err(|_| KeyStoreError::Unavailable)?;
        self.write(&alias, PLAIN, document.as_ref())?;
        let pair = self.signing_key(&alias)?;
        let public_key = pair.public_key().as_ref().to_vec();
        Ok(AttestedKey {
            attestation: match challenge.is_empty() {
                true => Vec::new(),
                false => maker::attest(&public_key, &challenge, maker::Level::Software),
            },
            public_key,
        })
    }

    fn sign(&self, alias: String, message: Vec<u8>) -> Result<Vec<u8>, KeyStoreError> {
        let pair = self.signing_key(&alias)?;
        let signature = pair
            .sign(&self.random, &message)
            .map_err(|_| KeyStoreError::Unavailable)?;
        Ok(signature.as_ref().to_vec())
    }

    fn delete(&self, alias: String) -> Result<(), KeyStoreError> {
        for kind in [PLAIN, VERIFIED] {
            match fs::remove_file(self.path(&alias, kind)?) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(KeyStoreError::Unavailable);
                }
                _ => {}
            }
        }
        self.sync_folder().map_err(|_| KeyStoreError::Unavailable)
    }

    fn aliases(&self) -> Result<Vec<String>, KeyStoreError> {
        let mut aliases = self.aliases_with(PLAIN)?;
        aliases.append(&mut self.aliases_with(VERIFIED)?);
        Ok(aliases)
    }
}

impl SoftwareKeyStore {
    fn signing_key(&self, alias: &str) -> Result<EcdsaKeyPair, KeyStoreError> {
        EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &self.read(alias, PLAIN)?,
            &self.random,
        )
        .map_err(|_| KeyStoreError::Invalidated)
    }
}

/// This computer's clocks. Where the system tells no boot, a run of the program stands for a run of the phone.
pub(super) struct SystemClock {
    started: Instant,
    boot_id: Option<String>,
}

impl SystemClock {
    pub(super) fn new() -> Self {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        Self {
            started: Instant::now(),
            boot_id: boot_id.map(|id| id.trim().to_owned()),
        }
    }

    /// Milliseconds since the computer was started, sleep included.
    fn since_boot_ms(&self) -> Option<i64> {
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let (seconds, hundredths) = uptime.split_whitespace().next()?.split_once('.')?;
        let seconds: i64 = seconds.parse().ok()?;
        let hundredths: i64 = hundredths.parse().ok()?;
        Some(seconds * 1_000 + hundredths * 10)
    }
}

impl PlatformClock for SystemClock {
    fn now(&self) -> ClockReading {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let wall_ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        match (&self.boot_id, self.since_boot_ms()) {
            (Some(boot_id), Some(since_boot_ms)) => ClockReading {
                wall_ms,
                boot_id: boot_id.clone(),
                since_boot_ms,
            },
            _ => ClockReading {
                wall_ms,
                boot_id: format!("process {}", std::process::id()),
                since_boot_ms: i64::try_from(self.started.elapsed().as_millis())
                    .unwrap_or(i64::MAX),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_store() -> (tempfile::TempDir, SoftwareKeyStore) {
        let folder = tempfile::tempdir().unwrap();
        let keys = SoftwareKeyStore::open(folder.path().to_owned()).unwrap();
        (folder, keys)
    }

    #[test]
    fn s31_a_key_that_needs_the_person_is_unwrapped_in_the_prompt_only() {
        let (_folder, keys) = key_store();
        keys.create_verified_key("mine".into()).unwrap();
        let wrapped = keys.wrap("mine".into(), vec![7; 32]).unwrap();
        let asked = keys.unwrap("mine".into(), wrapped.clone());
        assert_eq!(asked, Err(KeyStoreError::Unavailable));
        assert_eq!(keys.prompt("mine", &wrapped), Ok(vec![7; 32]));
        assert_eq!(keys.aliases(), Ok(vec!["mine".to_owned()]));
        keys.delete("mine".into()).unwrap();
        assert_eq!(keys.aliases(), Ok(vec![]));
        let gone = keys.prompt("mine", &wrapped);
        assert_eq!(gone, Err(KeyStoreError::NotFound));
    }

    #[test]
    fn s08_another_finger_invalidates_what_needs_the_person_and_nothing_else() {
        let (_folder, keys) = key_store();
        keys.create_verified_key("mine".into()).unwrap();
        keys.create_wrapping_key("plain".into()).unwrap();
        let mine = keys.wrap("mine".into(), vec![7; 32]).unwrap();
        let plain = keys.wrap("plain".into(), vec![7; 32]).unwrap();
        keys.change_fingers().unwrap();
        let prompted = keys.prompt("mine", &mine);
        assert_eq!(prompted, Err(KeyStoreError::Invalidated));
        assert_eq!(keys.unwrap("plain".into(), plain), Ok(vec![7; 32]));
        // No prompt makes a plain key one that a person stands for.
        let prompted = keys.prompt("plain", &mine);
        assert_eq!(prompted, Err(KeyStoreError::NotFound));
    }
}
