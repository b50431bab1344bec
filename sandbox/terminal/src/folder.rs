//! The POS's folder: what must survive a power cut at the till.
//!
//! `terminal.key` (signing key, readable by its owner only), `terminal.json` (what the acquirer told at the first
//! contact), `trace` (the last trace number used) and `receipts/`. Every file is written beside its place, synced and
//! moved there, the folder synced after it; a trace number is on the disk before anything is sent under it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sandbox_kit::keys::PartyKey;
use serde::{Deserialize, Serialize};

/// A scheme key as the acquirer hands it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaKey {
    /// Registered application provider, 5 bytes, hex.
    pub rid: String,
    /// Key index, one byte, hex.
    pub index: String,
    /// RSA modulus, hex.
    pub modulus: String,
    /// RSA exponent, hex.
    pub exponent: String,
}

/// What the acquirer told this terminal about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Where the acquirer was reached.
    #[serde(default)]
    pub acquirer: String,
    /// The acquirer's name for this terminal; also the key id of its signatures.
    pub terminal_id: String,
    /// The acquirer's name for the merchant.
    pub merchant_id: String,
    /// The merchant's name, as it stands on receipts and statements.
    pub merchant: String,
    /// Merchant category code.
    pub mcc: String,
    /// ISO 3166 numeric country, four digits.
    pub country: String,
    /// ISO 4217 letters.
    pub currency: String,
    /// Applications this terminal takes, hex.
    pub aids: Vec<String>,
    /// Scheme keys for offline data authentication.
    pub ca_keys: Vec<CaKey>,
    /// The key that signs receipts, SEC1 uncompressed, hex.
    pub acquirer_key: String,
}

/// An open POS folder. One process has it at a time.
pub struct Folder {
    path: PathBuf,
    key: PartyKey,
    _lock: File,
}

impl Folder {
    /// Opens the folder, making it and the terminal's key on first use.
    ///
    /// # Errors
    /// When another process has the folder, or something in it cannot be read or written.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path.join("receipts"))
            .with_context(|| format!("the POS folder {} cannot be made", path.display()))?;
        let path = path
            .canonicalize()
            .with_context(|| format!("the POS folder {} cannot be opened", path.display()))?;
        let lock = File::create(path.join("lock")).context("the POS folder cannot be written")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another process uses the POS folder {}; wait until it is done",
                    path.display()
                )
            }
            Err(TryLockError::Error(why)) => {
                return Err(why).context("the POS folder cannot be locked");
            }
        }
        let key_file = path.join("terminal.key");
        let key = match read(&key_file)? {
            Some(text) => PartyKey::from_scalar_hex(text.trim()).with_context(|| {
                format!(
                    "{} is damaged; remove the folder to register as a new terminal",
                    key_file.display()
                )
            })?,
            None => {
                let key = PartyKey::generate();
                write(&path, "terminal.key", key.to_scalar_hex().as_bytes())?;
                key
            }
        };
        Ok(Self {
            path,
            key,
            _lock: lock,
        })
    }

    /// The terminal's signing key.
    #[must_use]
    pub fn key(&self) -> &PartyKey {
        &self.key
    }

    /// What an earlier contact with the acquirer left, if any.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn registration(&self) -> anyhow::Result<Option<Registration>> {
        let file = self.path.join("terminal.json");
        read(&file)?
            .map(|text| {
                serde_json::from_str(&text).with_context(|| {
                    format!("{} is damaged; remove it to register again", file.display())
                })
            })
            .transpose()
    }

    /// Keeps what the acquirer told.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn keep_registration(&self, registration: &Registration) -> anyhow::Result<()> {
        write(
            &self.path,
            "terminal.json",
            &serde_json::to_vec_pretty(registration)?,
        )
    }

    /// Forgets what the acquirer told, so that the next contact registers again.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn forget_registration(&self) -> anyhow::Result<()> {
        match fs::remove_file(self.path.join("terminal.json")) {
            Err(why) if why.kind() != ErrorKind::NotFound => {
                Err(why).context("terminal.json cannot be removed")
            }
            _ => Ok(()),
        }
    }

    /// A trace number that this terminal has never used, durable before it is given.
    ///
    /// # Errors
    /// When the last number cannot be read, or the disk does not take the new one.
    pub fn next_trace(&self) -> anyhow::Result<u32> {
        let file = self.path.join("trace");
        let last: u32 = match read(&file)? {
            None => 0,
            Some(text) => text.trim().parse().with_context(|| {
                format!(
                    "{} is damaged; remove the folder to register as a new terminal",
                    file.display()
                )
            })?,
        };
        let next = last
            .checked_add(1)
            .context("this terminal has used up its trace numbers; register a new one")?;
        write(&self.path, "trace", next.to_string().as_bytes())?;
        Ok(next)
    }

    /// Keeps a receipt; answers where.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn keep_receipt(&self, trace: u32, text: &str) -> anyhow::Result<PathBuf> {
        let receipts = self.path.join("receipts");
        let name = format!("{trace:06}.txt");
        write(&receipts, &name, text.as_bytes())?;
        Ok(receipts.join(name))
    }
}

fn read(file: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(None),
        Err(why) => Err(why).with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// Puts a file in its place whole or not at all.
fn write(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let place = folder.join(name);
    let beside = folder.join(format!("{name}.new"));
    let attempt = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, &place)?;
        // Without this the new name may be lost with the power, though the content is not.
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    };
    attempt().with_context(|| format!("{} cannot be written; is the disk full?", place.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_trace_numbers_survive_and_never_repeat() {
        let temp = tempfile::tempdir().unwrap();
        let first = Folder::open(temp.path()).unwrap();
        let key = first.key().public();
        assert_eq!(
            (first.next_trace().unwrap(), first.next_trace().unwrap()),
            (1, 2)
        );
        drop(first);
        let again = Folder::open(temp.path()).unwrap();
        assert_eq!(again.key().public(), key);
        assert_eq!(again.next_trace().unwrap(), 3);
        assert_eq!(again.registration().unwrap(), None);
    }

    #[test]
    fn a_second_process_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let _first = Folder::open(temp.path()).unwrap();
        assert!(
            Folder::open(temp.path())
                .err()
                .unwrap()
                .to_string()
                .contains("another process")
        );
    }

    #[test]
    fn damage_is_said_not_guessed_around() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::open(temp.path()).unwrap();
        fs::write(temp.path().join("trace"), "x").unwrap();
        assert!(
            folder
                .next_trace()
                .unwrap_err()
                .to_string()
                .contains("damaged")
        );
        fs::write(temp.path().join("terminal.json"), "{").unwrap();
        assert!(folder.registration().is_err());
    }
}
