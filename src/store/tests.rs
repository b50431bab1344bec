//! The databases under what a phone does to them: full disks, damage, newer files, a projection thrown away.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{Place, SealError, Sealer, StatementDb, StoreError, VaultDb, VaultFile};
use crate::account::{Currency, Money};
use crate::statement::{Entry, JournalEvent, Payment};
use crate::token::TokenRef;

/// Seals by marking; the vault's own sealer has its tests beside it.
struct Marker;

impl Sealer for Marker {
    fn seal(&self, place: &Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok([place.table.as_bytes(), b"|", plaintext].concat())
    }

    fn open(&self, place: &Place<'_>, sealed: Vec<u8>) -> Result<Vec<u8>, SealError> {
        let head = [place.table.as_bytes(), b"|"].concat();
        let plain = sealed
            .strip_prefix(head.as_slice())
            .ok_or(SealError::Unsealable)?;
        Ok(plain.to_vec())
    }

    fn lookup(&self, _: &str, value: &[u8]) -> [u8; 16] {
        let mut out = [0; 16];
        for (to, from) in out.iter_mut().zip(value.iter().rev()) {
            *to = *from;
        }
        out
    }
}

fn vault(folder: &Path) -> Result<VaultDb, StoreError> {
    Ok(VaultFile::open(&folder.join("vault.db"))?.unlock(Arc::new(Marker)))
}

fn event(atc: u16) -> JournalEvent {
    JournalEvent::Cryptogram {
        payment: Payment::by_card(TokenRef::new("tok_1"), atc),
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

#[test]
fn the_journal_keeps_its_order_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    for atc in 1..=3 {
        let db = vault(folder.path()).unwrap();
        let seq = db
            .write(|tx| tx.append(i64::from(atc) * 100, &event(atc)))
            .unwrap();
        assert_eq!(seq, i64::from(atc));
    }
    let db = vault(folder.path()).unwrap();
    let after = db.read(|tx| tx.journal_after(1)).unwrap();
    assert_eq!(after, [(2, 200, event(2)), (3, 300, event(3))]);
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let db = vault(folder.path()).unwrap();
    let failed: Result<(), StoreError> = db.write(|tx| {
        tx.append(100, &event(1))?;
        Err(StoreError::Full)
    });
    assert!(matches!(failed, Err(StoreError::Full)));
    assert!(db.read(|tx| tx.journal_after(0)).unwrap().is_empty());
}

#[test]
fn a_full_disk_is_said_and_nothing_half_done_remains() {
    let folder = tempfile::tempdir().unwrap();
    let db = vault(folder.path()).unwrap();
    // SQLite reports its own page limit exactly as it reports a full disk.
    db.limit_pages();
    let full = (0..).find_map(|at| {
        let many = db.write(|tx| (0..50).try_for_each(|_| tx.append(at, &event(1)).map(drop)));
        many.err().map(|error| (at, error))
    });
    let (before, error) = full.unwrap();
    assert!(matches!(error, StoreError::Full), "{error:?}");
    let kept = db.read(|tx| tx.journal_after(0)).unwrap().len();
    assert_eq!(kept, usize::try_from(before).unwrap() * 50);
}

#[test]
fn damage_and_newer_versions_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    drop(vault(folder.path()).unwrap());
    let path = folder.path().join("vault.db");
    let sound = fs::read(&path).unwrap();

    fs::write(&path, b"this was a database once, it is not any more").unwrap();
    assert!(matches!(vault(folder.path()), Err(StoreError::Damaged)));

    let mut newer = sound;
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes()); // user_version in SQLite's file header
    fs::write(&path, newer).unwrap();
    assert!(matches!(vault(folder.path()), Err(StoreError::Newer)));
}

#[test]
fn swapped_files_are_noticed_and_the_statement_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (vault_path, statement_path) = (
        folder.path().join("vault.db"),
        folder.path().join("statement.db"),
    );
    drop(vault(folder.path()).unwrap());
    let statement = StatementDb::new(&statement_path, Arc::new(Marker));
    assert!(statement.newest(10).unwrap().is_empty());
    drop(statement);
    let swapped = (
        fs::read(&vault_path).unwrap(),
        fs::read(&statement_path).unwrap(),
    );
    fs::write(&vault_path, &swapped.1).unwrap();
    fs::write(&statement_path, &swapped.0).unwrap();
    assert!(matches!(vault(folder.path()), Err(StoreError::Misplaced)));
    let statement = StatementDb::new(&statement_path, Arc::new(Marker));
    assert!(statement.newest(10).unwrap().is_empty());
}

#[test]
fn a_statement_that_cannot_be_read_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statement.db");
    let entry = Entry::with_event(None, 100, &event(1)).unwrap();
    let db = StatementDb::new(&path, Arc::new(Marker));
    db.write(|tx| {
        tx.put_entry(&entry)?;
        tx.set_position("issuer", 7)
    })
    .unwrap();
    assert_eq!(db.newest(10).unwrap().len(), 1);
    drop(db);
    fs::write(
        &path,
        b"garbage, longer than a header would be, and then some more of it",
    )
    .unwrap();
    let db = StatementDb::new(&path, Arc::new(Marker));
    assert!(db.newest(10).unwrap().is_empty());
    assert_eq!(
        db.write(|tx| tx.position("issuer")).unwrap(),
        0,
        "everything is asked for again"
    );
}

#[test]
fn a_folder_belongs_to_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let lock = super::FolderLock::take(folder.path()).unwrap();
    let second = super::FolderLock::take(folder.path());
    assert!(matches!(second, Err(StoreError::InUse(id)) if id == std::process::id()));
    drop(lock);
    assert!(super::FolderLock::take(folder.path()).is_ok());
}
