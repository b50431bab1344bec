//! The disk itself: what SQLite acknowledged is there whatever is lost, what was not synced is really lost, and files
//! elsewhere are left alone.

use std::path::Path;
use std::sync::Arc;

use fault_vfs::{Code, Disk, Fault, Loss, Operation};
use rusqlite::{Connection, ErrorCode};
use tempfile::TempDir;

fn open(folder: &Path, synchronous: &str) -> rusqlite::Result<Connection> {
    let database = Connection::open(folder.join("t.db"))?;
    database.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
         CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, filling BLOB);"
    ))?;
    Ok(database)
}

/// Inserts numbers until it fails; answers how many were acknowledged.
fn insert(database: &Connection, numbers: std::ops::Range<i64>) -> i64 {
    let mut acknowledged = 0;
    for n in numbers {
        match database.execute("INSERT INTO t VALUES (?1, randomblob(1500))", [n]) {
            Ok(_) => acknowledged += 1,
            Err(_) => break,
        }
    }
    acknowledged
}

fn count(folder: &Path) -> i64 {
    let database = Connection::open(folder.join("t.db")).unwrap();
    let verdict: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    let there = database.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 't')",
        [],
        |row| row.get(0),
    );
    match there.unwrap() {
        false => 0,
        true => database
            .query_row("SELECT COUNT(*) FROM t", [], |row| row.get(0))
            .unwrap(),
    }
}

fn folder() -> (TempDir, Arc<Disk>) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::at(folder.path());
    (folder, disk)
}

fn revived(disk: &Disk, loss: Loss) -> TempDir {
    let after = tempfile::tempdir().unwrap();
    disk.revive(loss, after.path());
    after
}

fn losses(seed: u64) -> [Loss; 4] {
    [
        Loss::Nothing,
        Loss::Unsynced,
        Loss::Some { seed },
        Loss::Torn { seed },
    ]
}

#[test]
fn a_full_commit_that_was_acknowledged_survives_every_loss_at_every_operation() {
    for at in 1.. {
        let (folder, disk) = folder();
        disk.plan(Fault::Cut { at });
        let database = open(folder.path(), "FULL");
        let acknowledged = match &database {
            Ok(database) => {
                // Checkpoints fall into it, and the WAL begins anew after them.
                database
                    .execute_batch("PRAGMA wal_autocheckpoint = 8")
                    .unwrap();
                insert(database, 0..20)
            }
            Err(_) => 0,
        };
        drop(database);
        for loss in losses(at) {
            let after = revived(&disk, loss);
            let there = count(after.path());
            assert!(
                (acknowledged..=acknowledged + 1).contains(&there),
                "{acknowledged} acknowledged, {there} there after {loss:?} at {at}"
            );
        }
        if disk.hit().is_none() {
            assert!(at > 60, "{at}");
            assert_eq!(acknowledged, 20);
            return;
        }
    }
}

#[test]
fn what_was_not_synced_is_really_lost() {
    let (folder, disk) = folder();
    let database = open(folder.path(), "FULL").unwrap();
    assert_eq!(insert(&database, 0..5), 5);
    database
        .execute_batch("PRAGMA synchronous = NORMAL")
        .unwrap();
    assert_eq!(insert(&database, 5..10), 5);
    disk.cut();
    assert!(database.execute_batch("DELETE FROM t").is_err());
    assert_eq!(count(revived(&disk, Loss::Unsynced).path()), 5);
    assert_eq!(count(revived(&disk, Loss::Nothing).path()), 10);
    let some: Vec<i64> = (0..30)
        .map(|seed| count(revived(&disk, Loss::Some { seed }).path()))
        .collect();
    assert!(some.iter().all(|there| (5..=10).contains(there)));
    assert!(some.iter().any(|there| (6..=9).contains(there)), "{some:?}");
}

#[test]
fn a_file_that_is_deleted_and_not_synced_may_come_back() {
    let (folder, disk) = folder();
    drop(open(folder.path(), "FULL").unwrap());
    // Closing has deleted the WAL, without syncing the folder; this goes behind SQLite's back.
    std::fs::remove_file(folder.path().join("t.db")).unwrap();
    disk.cut();
    let names = |loss| {
        let after = revived(&disk, loss);
        let there = std::fs::read_dir(after.path()).unwrap();
        let mut names: Vec<_> = there.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(Loss::Unsynced), ["t.db", "t.db-wal"]);
    assert_eq!(names(Loss::Nothing).len(), 0);
}

#[test]
fn one_failure_passes_and_a_lasting_one_stays() {
    let (folder, disk) = folder();
    let database = open(folder.path(), "FULL").unwrap();
    let failed = |fault| {
        disk.plan(fault);
        let first = database.execute("INSERT INTO t (filling) VALUES (1)", []);
        let second = database.execute("INSERT INTO t (filling) VALUES (1)", []);
        disk.heal();
        [first, second].map(|done| done.map_err(|error| error.sqlite_error_code().unwrap()))
    };
    let io = Err(ErrorCode::SystemIoFailure);
    let full = Err(ErrorCode::DiskFull);
    let code = Code::Io;
    assert_eq!(failed(Fault::Once { at: 1, code }), [io, Ok(1)]);
    assert_eq!(disk.hit().unwrap().operation, Operation::Write);
    assert_eq!(failed(Fault::Lasting { at: 1, code }), [io, io]);
    let code = Code::Full;
    assert_eq!(failed(Fault::Once { at: 1, code }), [full, Ok(1)]);
    assert_eq!(failed(Fault::Lasting { at: 1, code }), [full, full]);
    drop(database);
    assert_eq!(count(revived(&disk, Loss::Nothing).path()), 2);
}

#[test]
fn everything_is_counted_and_other_folders_are_left_alone() {
    let (folder, disk) = folder();
    disk.plan(Fault::Cut { at: u64::MAX });
    let database = open(folder.path(), "FULL").unwrap();
    insert(&database, 0..3);
    database
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let counts = disk.counts();
    drop(database);
    assert!(counts.opens >= 2 && counts.writes >= 8 && counts.syncs >= 5);
    assert!(counts.truncates >= 1 && disk.counts().deletes > counts.deletes);
    disk.cut();
    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(insert(&open(elsewhere.path(), "FULL").unwrap(), 0..3), 3);
    assert!(open(folder.path(), "FULL").is_err());
}

#[test]
fn files_that_sqlite_knows_nothing_of_are_left_as_they_were_when_the_power_went() {
    let (folder, disk) = folder();
    std::fs::write(folder.path().join("note"), "before").unwrap();
    drop(open(folder.path(), "FULL").unwrap());
    disk.cut();
    std::fs::write(folder.path().join("note"), "after").unwrap();
    std::fs::write(folder.path().join("late"), "").unwrap();
    let after = revived(&disk, Loss::Unsynced);
    let note = std::fs::read_to_string(after.path().join("note"));
    assert_eq!(note.unwrap(), "before");
    assert!(!after.path().join("late").exists());
}
