//! A wallet's folder to measure in: both databases with a thousand rows, and the phone's key store, in memory or in a
//! file that the next process finds.

use std::path::Path;
use std::sync::Arc;

use tapcore::account::{AccountType, Currency, Money};
use tapcore::clock::{Anchor, ClockReading};
use tapcore::emv::verification::Tally;
use tapcore::statement::{Entry, JournalEvent, Payment};
use tapcore::store::{StatementDb, StoreError, StoredToken, VaultDb, VaultFile};
use tapcore::token::{KeyState, KeyStock, PaymentToken, Spent, TokenLife, TokenRef};
use tapcore::vault::{Hierarchy, PlatformKeyStore, StorageSealer, TokenState};
use tapcore::wallet::Clock;

use crate::armed;

/// The one that tests use.
#[path = "../../tests/keys/mod.rs"]
mod keys;

pub(crate) use keys::{MemoryKeyStore, random};

/// Rows in each of the two databases.
const ROWS: u16 = 1_000;

/// The sealer of an installation that has no files.
pub(crate) fn sealer() -> Arc<StorageSealer> {
    let (hierarchy, _, _) =
        Hierarchy::create(Arc::new(MemoryKeyStore::default()), anchor(), [0; 32]).unwrap();
    hierarchy.sealer()
}

/// Sets a wallet up in an empty folder and fills both databases.
pub(crate) fn set_up(folder: &Path, keys: &Arc<impl PlatformKeyStore + 'static>) {
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
    let statement = StatementDb::new(&folder.join("statement.db"), hierarchy.sealer());
    statement
        .write(|tx| {
            let entries = events.iter().zip(1_700_000_000_000..);
            let mut entries = entries.filter_map(|(event, at)| Entry::with_event(None, at, event));
            entries.try_for_each(|entry| tx.put_entry(&entry))
        })
        .unwrap();
}

/// Opens both databases, unlocks them with the storage key, and reads what a person sees first.
pub(crate) fn open_and_unlock(
    folder: &Path,
    keys: &Arc<impl PlatformKeyStore + 'static>,
) -> (VaultDb, StatementDb) {
    let file = VaultFile::open(&folder.join("vault.db")).unwrap();
    let installation = file.installation().unwrap().unwrap();
    let hierarchy = Hierarchy::open(keys.clone(), &installation).unwrap();
    let vault = file.unlock(hierarchy.sealer());
    let statement = StatementDb::new(&folder.join("statement.db"), hierarchy.sealer());
    assert_eq!(statement.newest(1).unwrap().len(), 1);
    (vault, statement)
}

fn event(atc: u16) -> JournalEvent {
    JournalEvent::Cryptogram {
        payment: Payment::by_card(TokenRef::new("tok_0123456789ABCDEF"), atc),
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

/// Puts a card into a wallet that was set up: enough uses of its key for any bench.
pub(crate) fn add_card(folder: &Path, keys: &Arc<impl PlatformKeyStore + 'static>) {
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
        verified: false,
        limits: None,
        spent: Spent::default(),
        wiped: false,
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
        noted_through: 0,
        tally: Tally::default(),
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
            scheme: "unionpay".into(),
            home: None,
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
