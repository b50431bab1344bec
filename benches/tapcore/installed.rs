//! A wallet's folder to measure in: both databases with a thousand rows, and the phone's key store in memory.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use tapcore::account::{Currency, Money};
use tapcore::clock::{Anchor, ClockReading};
use tapcore::statement::{Entry, JournalEvent, Payment};
use tapcore::store::{StatementDb, StoreError, VaultDb, VaultFile};
use tapcore::token::TokenRef;
use tapcore::vault::{
    AttestedKey, Hierarchy, KeyStoreError, PlatformKeyStore, SecurityLevel, StorageSealer,
};

/// Rows in each of the two databases.
const ROWS: u16 = 1_000;

/// Wrapping keys in memory, AES-256-GCM as in a phone's key store.
#[derive(Default)]
pub(crate) struct MemoryKeyStore(Mutex<HashMap<String, LessSafeKey>>);

impl PlatformKeyStore for MemoryKeyStore {
    fn security_level(&self) -> SecurityLevel {
        SecurityLevel::Software
    }

    fn create_wrapping_key(&self, alias: &str) -> Result<(), KeyStoreError> {
        let key = UnboundKey::new(&AES_256_GCM, &random::<32>()).unwrap();
        self.0
            .lock()
            .unwrap()
            .insert(alias.into(), LessSafeKey::new(key));
        Ok(())
    }

    fn wrap(&self, alias: &str, key: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        let nonce = random::<NONCE_LEN>();
        let mut body = key.to_vec();
        let keys = self.0.lock().unwrap();
        keys.get(alias)
            .ok_or(KeyStoreError::NotFound)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut body)
            .unwrap();
        Ok([nonce.as_slice(), &body].concat())
    }

    fn unwrap(&self, alias: &str, wrapped: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        let (nonce, body) = wrapped.split_first_chunk::<NONCE_LEN>().unwrap();
        let mut body = body.to_vec();
        let keys = self.0.lock().unwrap();
        let plain = keys
            .get(alias)
            .ok_or(KeyStoreError::NotFound)?
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::empty(),
                &mut body,
            )
            .map_err(|_| KeyStoreError::Invalidated)?;
        Ok(plain.to_vec())
    }

    fn create_verified_key(&self, alias: &str) -> Result<(), KeyStoreError> {
        self.create_wrapping_key(alias)
    }

    fn create_signing_key(&self, alias: &str, _: &[u8]) -> Result<AttestedKey, KeyStoreError> {
        // Listed, and never used by what is measured.
        self.create_wrapping_key(alias)?;
        Ok(AttestedKey {
            public: vec![4; 65],
            attestation: Vec::new(),
        })
    }

    fn sign(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        Err(KeyStoreError::Unavailable)
    }

    fn delete(&self, alias: &str) -> Result<(), KeyStoreError> {
        self.0.lock().unwrap().remove(alias);
        Ok(())
    }

    fn aliases(&self) -> Result<Vec<String>, KeyStoreError> {
        Ok(self.0.lock().unwrap().keys().cloned().collect())
    }
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).unwrap();
    bytes
}

/// The sealer of an installation that has no files.
pub(crate) fn sealer() -> Arc<StorageSealer> {
    let (hierarchy, _, _) =
        Hierarchy::create(Arc::new(MemoryKeyStore::default()), anchor(), [0; 32]).unwrap();
    hierarchy.sealer()
}

/// Sets a wallet up in an empty folder and fills both databases.
pub(crate) fn set_up(folder: &Path, keys: &Arc<MemoryKeyStore>) {
    let mut file = VaultFile::open(&folder.join("vault.db")).unwrap();
    let root = file.manifest_root().unwrap();
    let (hierarchy, installation, arming) =
        Hierarchy::create(keys.clone(), anchor(), root).unwrap();
    file.create_installation(&installation, &arming).unwrap();
    let vault = file.unlock(hierarchy.sealer());
    let events: Vec<_> = (1..=ROWS).map(event).collect();
    let appended: Result<(), StoreError> = vault.write(|tx| {
        let mut events = events.iter();
        events.try_for_each(|event| tx.append(1_700_000_000_000, event).map(drop))
    });
    appended.unwrap();
    let statement = StatementDb::open(&folder.join("statement.db"), hierarchy.sealer()).unwrap();
    statement
        .write(|tx| {
            let entries = events.iter().zip(1_700_000_000_000..);
            let mut entries = entries.filter_map(|(event, at)| Entry::with_event(None, at, event));
            entries.try_for_each(|entry| tx.put_entry(&entry))
        })
        .unwrap();
}

/// Opens both databases, unlocks them with the storage key, and reads what a person sees first.
pub(crate) fn open_and_unlock(folder: &Path, keys: &Arc<MemoryKeyStore>) -> (VaultDb, StatementDb) {
    let file = VaultFile::open(&folder.join("vault.db")).unwrap();
    let installation = file.installation().unwrap().unwrap();
    let hierarchy = Hierarchy::open(keys.clone(), &installation).unwrap();
    let vault = file.unlock(hierarchy.sealer());
    let statement = StatementDb::open(&folder.join("statement.db"), hierarchy.sealer()).unwrap();
    assert_eq!(statement.newest(1).unwrap().len(), 1);
    (vault, statement)
}

fn event(atc: u16) -> JournalEvent {
    JournalEvent::Cryptogram {
        payment: Payment {
            token: TokenRef::new("tok_0123456789ABCDEF"),
            atc,
        },
        key_index: "6570201".to_owned().try_into().unwrap(),
        un: "00112233".into(),
        money: Money {
            minor: 1250,
            currency: Currency::CNY,
        },
        merchant: None,
        country: None,
        abroad: false,
        verified: false,
        declined: false,
    }
}

fn anchor() -> Anchor {
    let reading = ClockReading {
        wall_ms: 0,
        boot_id: String::new(),
        since_boot_ms: 0,
    };
    Anchor::new(0, &reading)
}
