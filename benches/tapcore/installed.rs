//! A wallet's folder to measure in: both databases with a thousand rows, and the phone's key store in memory.

use std::path::Path;
use std::sync::Arc;

use tapcore::account::{Currency, Money};
use tapcore::clock::{Anchor, ClockReading};
use tapcore::statement::{Entry, JournalEvent, Payment};
use tapcore::store::{StatementDb, StoreError, VaultDb, VaultFile};
use tapcore::token::TokenRef;
use tapcore::vault::{Hierarchy, StorageSealer};

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
