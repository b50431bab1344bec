//! What a phone's hardware does, played by a folder: keys and clock.
//!
//! **Insecure by design**: keys lie in files, readable by whoever can read the folder. It says so of itself
//! (`SecurityLevel::Software`), and a wallet in production refuses it.

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

    fn path(&self, alias: &str) -> Result<PathBuf, KeyStoreError> {
        let plain = alias
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        let sound = plain && !alias.is_empty() && !alias.starts_with('.');
        sound
            .then(|| self.folder.join(format!("{alias}.key")))
            .ok_or(KeyStoreError::NotFound)
    }

    fn read(&self, alias: &str) -> Result<Vec<u8>, KeyStoreError> {
        fs::read(self.path(alias)?).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => KeyStoreError::NotFound,
            _ => KeyStoreError::Unavailable,
        })
    }

    /// Written whole or not at all, and there after a power cut, as key hardware would have it.
    fn write(&self, alias: &str, key: &[u8]) -> Result<(), KeyStoreError> {
        let path = self.path(alias)?;
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

    fn wrapping_key(&self, alias: &str) -> Result<LessSafeKey, KeyStoreError> {
        let key = UnboundKey::new(&AES_256_GCM, &self.read(alias)?);
        key.map(LessSafeKey::new)
            .map_err(|_| KeyStoreError::Invalidated)
    }
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
        let mut key = [0; 32];
        self.random
            .fill(&mut key)
            .map_err(|_| KeyStoreError::Unavailable)?;
        self.write(&alias, &key)
    }

    fn wrap(&self, alias: String, key: Vec<u8>) -> Result<Vec<u8>, KeyStoreError> {
        let wrapping = self.wrapping_key(&alias)?;
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
        let wrapping = self.wrapping_key(&alias)?;
        let (nonce, sealed) = wrapped
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(KeyStoreError::Invalidated)?;
        let mut buffer = sealed.to_vec();
        let plain = wrapping
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::empty(),
                &mut buffer,
            )
            .map_err(|_| KeyStoreError::Invalidated)?;
        Ok(plain.to_vec())
    }

    fn create_verified_key(&self, alias: String) -> Result<(), KeyStoreError> {
        self.create_wrapping_key(alias)
    }

    fn create_signing_key(
        &self,
        alias: String,
        challenge: Vec<u8>,
    ) -> Result<AttestedKey, KeyStoreError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.random)
            .map_err(|_| KeyStoreError::Unavailable)?;
        self.write(&alias, document.as_ref())?;
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
        match fs::remove_file(self.path(&alias)?) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(KeyStoreError::Unavailable)
            }
            _ => self.sync_folder().map_err(|_| KeyStoreError::Unavailable),
        }
    }

    fn aliases(&self) -> Result<Vec<String>, KeyStoreError> {
        let listed = fs::read_dir(&self.folder).map_err(|_| KeyStoreError::Unavailable)?;
        let names = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names
            .filter_map(|name| name.strip_suffix(".key").map(str::to_owned))
            .collect())
    }
}

impl SoftwareKeyStore {
    fn signing_key(&self, alias: &str) -> Result<EcdsaKeyPair, KeyStoreError> {
        EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &self.read(alias)?,
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
