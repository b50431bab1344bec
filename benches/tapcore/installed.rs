//! A wallet's folder to measure in: both databases with a thousand rows, and the phone's key store, in memory or in a
//! file that the next process finds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use tapcore::account::{AccountType, Currency, Money};
use tapcore::clock::{Anchor, ClockReading};
use tapcore::statement::{Entry, JournalEvent, Payment};
use tapcore::store::{StatementDb, StoreError, StoredToken, VaultDb, VaultFile};
use tapcore::token::{KeyState, KeyStock, PaymentToken, TokenLife, TokenRef};
use tapcore::vault::{
    AttestedKey, Hierarchy, KeyStoreError, PlatformKeyStore, SecurityLevel, StorageSealer,
    TokenState,
};
use tapcore::wallet::Clock;

use crate::armed;

/// Rows in each of the two databases.
const ROWS: u16 = 1_000;

/// Wrapping keys, AES-256-GCM as in a phone's key store.
#[derive(Default)]
pub(crate) struct MemoryKeyStore {
    keys: Mutex<HashMap<String, [u8; 32]>>,
    /// Where they are kept as well.
    file: Option<PathBuf>,
}

impl MemoryKeyStore {
    /// One that finds its keys in this file, if it is there, and keeps them in it.
    pub(crate) fn kept_in(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let keys = text.lines().map(|line| {
            let (key, alias) = line.split_once(' ').unwrap();
            let key = hex::decode(key).unwrap().try_into().unwrap();
            (alias.to_owned(), key)
        });
        Self {
            keys: Mutex::new(keys.collect()),
            file: Some(file.to_owned()),
        }
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<String, [u8; 32]>)) {
        let mut keys = self.keys.lock().unwrap();
        change(&mut keys);
        if let Some(file) = &self.file {
            let lines = keys
                .iter()
                .map(|(alias, key)| format!("{} {alias}\n", hex::encode(key)));
            std::fs::write(file, lines.collect::<String>()).unwrap();
        }
    }

    fn key(&self, alias: &str) -> Result<LessSafeKey, KeyStoreError> {
        let keys = self.keys.lock().unwrap();
        let key = keys.get(alias).ok_or(KeyStoreError::NotFound)?;
        Ok(LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM, key).unwrap(),
        ))
    }
}

impl PlatformKeyStore for MemoryKeyStore {
    fn security_level(&self) -> SecurityLevel {
        SecurityLevel::Software
    }

    fn create_wrapping_key(&self, alias: &str) -> Result<(), KeyStoreError> {
        self.change(|keys| {
            keys.insert(alias.into(), random());
        });
        Ok(())
    }

    fn wrap(&self, alias: &str, key: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        let nonce = random::<NONCE_LEN>();
        let mut body = key.to_vec();
        self.key(alias)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut body)
            .unwrap();
        Ok([nonce.as_slice(), &body].concat())
    }

    fn unwrap(&self, alias: &str, wrapped: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        let (nonce, body) = wrapped.split_first_chunk::<NONCE_LEN>().unwrap();
        let mut body = body.to_vec();
        let key = self.key(alias)?;
        let plain = key
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
        self.change(|keys| {
            keys.remove(alias);
        });
        Ok(())
    }

    fn aliases(&self) -> Result<Vec<String>, KeyStoreError> {
        Ok(self.keys.lock().unwrap().keys().cloned().collect())
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
    }
}

/// Puts a card into a wallet that was set up: enough uses of its key for any bench.
pub(crate) fn add_card(folder: &Path, keys: &Arc<MemoryKeyStore>) {
    let file = VaultFile::open(&folder.join("vault.db")).unwrap();
    let installation = file.installation().unwrap().unwrap();
    let hierarchy = Hierarchy::open(keys.clone(), &installation).unwrap();
    let vault = file.unlock(hierarchy.sealer());
    let (record, root) = vault
        .read(|tx| Ok((tx.arming()?.unwrap(), tx.manifest_root()?)))
        .unwrap();
    let mut arming = hierarchy.arming(&record, &root).unwrap();
    // Not the one whose payments fill the journal.
    let reference = TokenRef::new("tok_FEDCBA9876543210");
    let key = KeyState {
        index: armed::KEY_INDEX.to_owned().try_into().unwrap(),
        uses_left: 60_000,
        not_after_ms: i64::MAX,
    };
    let name = format!("luk {}", armed::KEY_INDEX);
    let luk = hex::decode(armed::KEY).unwrap();
    let sealed = arming.seal_secret(&reference, &name, &luk).unwrap();
    let mut stock = KeyStock::default();
    stock.add([key]);
    let state = TokenState {
        next_atc: 1,
        keys: stock,
        logged_through: 0,
    };
    arming.state_mut().tokens.insert(reference.clone(), state);
    arming.state_mut().seals = hierarchy.sealer().count().used();
    let stored = StoredToken {
        token: PaymentToken {
            reference: reference.clone(),
            masked_number: "62".into(),
            masked_card: "…0015".into(),
            bank: "bank-a".into(),
            account_type: AccountType::BankCard,
            expiry: "2099-12-31".into(),
        },
        profile: armed::PROFILE.into(),
        state: TokenLife::Active,
        told: true,
    };
    let next = arming.begin_next().unwrap();
    let committed: Result<_, Box<dyn std::error::Error>> = vault.write(|tx| {
        tx.add_token(&stored)?;
        tx.add_secret(&reference, &name, &sealed)?;
        let record = arming.seal_next(&next, tx.manifest_root()?)?;
        tx.set_arming(&record)?;
        Ok(record)
    });
    hierarchy.retire_older(&committed.unwrap()).unwrap();
}

/// A clock that stands still, at the moment at which the wallet was set up.
pub(crate) struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> ClockReading {
        ClockReading {
            wall_ms: 0,
            boot_id: String::new(),
            since_boot_ms: 0,
        }
    }
}

fn anchor() -> Anchor {
    Anchor::new(0, &StandingClock.now())
}
