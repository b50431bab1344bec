//! The seeds of phones' codes, sealed in the database by a key that is in a file of its own, readable by its owner
//! only: who steals the database alone can make no code.

use std::path::Path;

use anyhow::{Context, bail};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sandbox_kit::bind::bind;
use sandbox_kit::bytes;
use sandbox_kit::db::Db;
use sandbox_kit::server::write_secret;
use zeroize::Zeroizing;

/// The key's file, beside the database.
const FILE: &str = "codes.key";
/// The setting that ties a database to the key its seeds were sealed with.
const SETTING: &str = "codes_key";

/// A phone's seed.
pub(super) type Seed = Zeroizing<[u8; 32]>;

/// Seals seeds and opens them.
pub(super) struct Seeds(LessSafeKey);

impl Seeds {
    /// Opens the key beside the database, made when there is none. A database whose seeds were sealed with another key
    /// is refused: every code in it would be wrong.
    pub(super) async fn open(database: &Path, db: &Db) -> anyhow::Result<Self> {
        let path = database.with_file_name(FILE);
        let known = db.setting(SETTING).await?;
        if known.is_some() && !path.exists() {
            bail!(
                "{} is gone, and the payment codes in the database with it: put it back from a backup",
                path.display()
            );
        }
        if !path.exists() {
            let key = Zeroizing::new(bytes::random::<32>());
            let text = Zeroizing::new(bytes::to_hex(key.as_slice()));
            write_secret(&path, text.as_bytes())?;
        }
        let text = Zeroizing::new(
            std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?,
        );
        let key = bytes::from_hex_exact::<32>(text.trim())
            .map(Zeroizing::new)
            .with_context(|| format!("{} holds no key for payment codes", path.display()))?;
        let name = bytes::to_hex(&bytes::sha256(&bind("codes-key-name", &[key.as_slice()])));
        match known {
            None => db.set_setting(SETTING, &name).await?,
            Some(known) if known == name => {}
            Some(_) => bail!(
                "{} is not the one that the payment codes in the database were made with",
                path.display()
            ),
        }
        let key = UnboundKey::new(&AES_256_GCM, key.as_slice())
            .map_err(|_| anyhow::anyhow!("the key for payment codes has a wrong length"))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// A fresh seed, and its sealed form for this device's row.
    pub(super) fn draw(&self, device: &str) -> anyhow::Result<(Seed, Vec<u8>)> {
        let seed = Zeroizing::new(bytes::random::<32>());
        let kept = self.seal(device, &seed)?;
        Ok((seed, kept))
    }

    /// A seed as it is kept in this device's row.
    pub(super) fn seal(&self, device: &str, seed: &Seed) -> anyhow::Result<Vec<u8>> {
        let nonce = bytes::random::<NONCE_LEN>();
        let mut sealed = seed.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(row(device)),
                &mut sealed,
            )
            .map_err(|_| anyhow::anyhow!("a seed cannot be sealed"))?;
        let mut kept = nonce.to_vec();
        kept.extend_from_slice(&sealed);
        Ok(kept)
    }

    /// The seed of a device's row; `None` when the row is not as it was written.
    pub(super) fn open_row(&self, device: &str, kept: &[u8]) -> Option<Seed> {
        let (nonce, sealed) = kept.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let seed = self
            .0
            .open_in_place(nonce, Aad::from(row(device)), opened.as_mut_slice())
            .ok()?;
        let seed: [u8; 32] = (&*seed).try_into().ok()?;
        Some(Zeroizing::new(seed))
    }
}

/// A sealed seed opens in the row of its own device only.
fn row(device: &str) -> Vec<u8> {
    bind("code-seed", &[device.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_seed_opens_for_its_device_and_under_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("provider.db");
        let db = Db::open_at(&path, None, &[]).await.unwrap();
        let seeds = Seeds::open(&path, &db).await.unwrap();
        let (seed, kept) = seeds.draw("dev_1").unwrap();
        let again = Seeds::open(&path, &db).await.unwrap();
        assert_eq!(*again.open_row("dev_1", &kept).unwrap(), *seed);
        assert!(again.open_row("dev_2", &kept).is_none());
        assert!(again.open_row("dev_1", &kept[..20]).is_none());
        std::fs::write(folder.path().join(FILE), "00".repeat(32)).unwrap();
        assert!(Seeds::open(&path, &db).await.is_err());
        std::fs::remove_file(folder.path().join(FILE)).unwrap();
        assert!(Seeds::open(&path, &db).await.is_err());
    }
}
