//! The key hierarchy of one installation: made once, opened at each start.

use std::sync::Arc;

use super::arming::Arming;
use super::sealing::{StorageSealer, random};
use super::{AttestedKey, PlatformKeyStore, VaultError};
use crate::bind::bind;
use crate::clock::Anchor;
use crate::secret::Secret;
use crate::store::{ArmingRecord, InstallationRecord, ManifestRoot};

/// The keys of one installation, opened.
pub struct Hierarchy {
    key_store: Arc<dyn PlatformKeyStore>,
    installation: [u8; 16],
    sealer: Arc<StorageSealer>,
}

impl Hierarchy {
    /// Makes the platform keys and the storage key of a new installation, and its first arming, which gives out nothing
    /// yet: from its first commit on, the database is tied to an alias that the next arming deletes.
    ///
    /// # Errors
    /// When the key store or the random number generator fails.
    pub fn create(
        key_store: Arc<dyn PlatformKeyStore>,
        anchor: Anchor,
        root: ManifestRoot,
    ) -> Result<(Self, InstallationRecord, ArmingRecord), VaultError> {
        let mut installation = [0; 16];
        random(&mut installation)?;
        let created = Self::create_as(Arc::clone(&key_store), installation, anchor, root);
        if created.is_err() {
            // Keys of an installation that never came to be.
            drop(Self::destroy(key_store.as_ref(), Some(&installation)));
        }
        created
    }

    fn create_as(
        key_store: Arc<dyn PlatformKeyStore>,
        installation: [u8; 16],
        anchor: Anchor,
        root: ManifestRoot,
    ) -> Result<(Self, InstallationRecord, ArmingRecord), VaultError> {
        let storage = Secret::<32>::fill(|bytes| random(bytes))?;
        let alias = alias(&installation, "storage");
        key_store.create_wrapping_key(&alias)?;
        let wrapped = key_store.wrap(&alias, storage.expose())?;
        key_store.create_signing_key(&self::alias(&installation, "device"), &[])?;
        let record = InstallationRecord {
            installation,
            storage: wrapped,
        };
        let mut first = Arming::first(Arc::clone(&key_store), installation, anchor)?;
        let next = first.begin_next()?;
        let arming = first.seal_next(&next, root)?;
        let hierarchy = Self::with(key_store, installation, &storage)?;
        Ok((hierarchy, record, arming))
    }

    /// Opens the keys of an installation.
    ///
    /// # Errors
    /// [`VaultError::OtherPhone`] when this phone holds none of them, [`VaultError::KeysGone`] when it lacks one.
    pub fn open(
        key_store: Arc<dyn PlatformKeyStore>,
        record: &InstallationRecord,
    ) -> Result<Self, VaultError> {
        let alias = alias(&record.installation, "storage");
        let aliases = key_store.aliases()?;
        let device = self::alias(&record.installation, "device");
        if !aliases.contains(&alias) || !aliases.contains(&device) {
            let ours = self::alias(&record.installation, "");
            return Err(match aliases.iter().any(|held| held.starts_with(&ours)) {
                true => VaultError::KeysGone,
                false => VaultError::OtherPhone,
            });
        }
        let storage = key_store.unwrap(&alias, &record.storage)?;
        let storage = Secret::take(storage).ok_or(VaultError::Unsealable)?;
        Self::with(key_store, record.installation, &storage)
    }

    fn with(
        key_store: Arc<dyn PlatformKeyStore>,
        installation: [u8; 16],
        storage: &Secret<32>,
    ) -> Result<Self, VaultError> {
        Ok(Self {
            key_store,
            installation,
            sealer: Arc::new(StorageSealer::new(storage, installation)?),
        })
    }

    /// Seals the rows of both databases.
    pub fn sealer(&self) -> Arc<StorageSealer> {
        Arc::clone(&self.sealer)
    }

    /// Signs with the device key: ECDSA P-256, r ‖ s.
    ///
    /// # Errors
    /// When the key store refuses.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, VaultError> {
        Ok(self.key_store.sign(&self.alias("device"), message)?)
    }

    /// Uses the device key once, over a message that proves nothing.
    ///
    /// # Errors
    /// When the key is gone or cannot be used now.
    pub fn probe(&self) -> Result<(), VaultError> {
        self.sign(&bind("tapcore-probe", &[])).map(drop)
    }

    /// Makes the device key anew, for an enrolment, attested over the provider's challenge.
    ///
    /// # Errors
    /// When the key store refuses.
    pub fn renew_device_key(&self, challenge: &[u8]) -> Result<AttestedKey, VaultError> {
        let alias = self.alias("device");
        self.key_store.delete(&alias)?;
        Ok(self.key_store.create_signing_key(&alias, challenge)?)
    }

    /// The installation, for associated data.
    pub(crate) fn installation(&self) -> [u8; 16] {
        self.installation
    }

    /// The phone's key store, for the keys of a person.
    pub(super) fn key_store(&self) -> &dyn PlatformKeyStore {
        self.key_store.as_ref()
    }

    /// A fresh alias for a purpose.
    ///
    /// # Errors
    /// When the random number generator fails.
    pub(super) fn fresh_alias(&self, purpose: &str) -> Result<String, VaultError> {
        fresh_alias(&self.installation, purpose)
    }

    /// Where the platform keys live.
    pub fn security_level(&self) -> super::SecurityLevel {
        self.key_store.security_level()
    }

    /// Opens what the current arming sealed.
    ///
    /// # Errors
    /// [`VaultError::PutBack`] when the record's alias made way for a later one: the database is an older copy.
    /// [`VaultError::KeysGone`] when it is gone and there is no later one.
    /// [`VaultError::RolledBack`] when `root` is not the manifest's root as it was sealed: a row is an older copy.
    pub fn arming(
        &self,
        current: &ArmingRecord,
        root: &ManifestRoot,
    ) -> Result<Arming, VaultError> {
        let key_store = Arc::clone(&self.key_store);
        Arming::open(key_store, self.installation, current, root)
    }

    /// Deletes every arming key but that of `record`, and makes sure by listing that they are gone.
    ///
    /// Only after this may anything of a new block leave: until then an older database could still be opened.
    ///
    /// # Errors
    /// When one of them is still there.
    pub fn retire_older(&self, record: &ArmingRecord) -> Result<(), VaultError> {
        let others = |aliases: Vec<String>| {
            let prefix = self.alias("arming");
            aliases
                .into_iter()
                .filter(move |alias| alias.starts_with(&prefix) && *alias != record.alias)
        };
        let mut deleted = false;
        for alias in others(self.key_store.aliases()?) {
            self.key_store.delete(&alias)?;
            deleted = true;
        }
        if !deleted {
            return Ok(());
        }
        match others(self.key_store.aliases()?).next() {
            None => Ok(()),
            Some(_) => Err(VaultError::KeyStore(super::KeyStoreError::Unavailable)),
        }
    }

    /// Deletes the platform keys of an installation; where it is not known which, every key that Tapcore made.
    ///
    /// # Errors
    /// When one of them may still be there.
    pub fn destroy(
        key_store: &dyn PlatformKeyStore,
        installation: Option<&[u8; 16]>,
    ) -> Result<(), VaultError> {
        let prefix = installation.map_or_else(|| PREFIX.to_owned(), |id| alias(id, ""));
        for alias in key_store.aliases()? {
            if alias.starts_with(&prefix) {
                key_store.delete(&alias)?;
            }
        }
        Ok(())
    }

    pub(super) fn alias(&self, purpose: &str) -> String {
        alias(&self.installation, purpose)
    }
}

const PREFIX: &str = "tapcore.";

/// As [`alias`], with a random part that keeps it fresh even where a failed commit left one of its kind behind.
pub(super) fn fresh_alias(installation: &[u8; 16], purpose: &str) -> Result<String, VaultError> {
    let mut fresh = [0; 4];
    random(&mut fresh)?;
    Ok(alias(
        installation,
        &format!("{purpose}.{}", hex::encode(fresh)),
    ))
}

/// `tapcore.<installation>.<purpose>`; arming keys append their generation.
pub(super) fn alias(installation: &[u8; 16], purpose: &str) -> String {
    let short = installation
        .first_chunk::<8>()
        .map(hex::encode)
        .unwrap_or_default();
    format!("{PREFIX}{short}.{purpose}")
}
