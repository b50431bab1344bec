//! Losing a write-ahead log is a rollback that SQLite does not notice: it finds a whole, older database. The vault must
//! notice where it matters (its arming went back), and the statement must follow the journal wherever that stands.

use std::fs;
use std::path::Path;

use crate::common::Sandbox;
use crate::oracle::{Found, examine};
use crate::phone::{Life, Phone, files};
use crate::provider::with_card;

/// Header of a WAL, and of each frame in it; then comes a page.
const HEADER: usize = 32;
const FRAME: usize = 24 + 4096;

/// A phone that was killed after it had armed and then been tapped twice, its statement seen: all of that is in the WALs.
fn killed(sandbox: &Sandbox) -> Phone {
    let phone = with_card(sandbox);
    let life = phone.live();
    life.start().unwrap();
    for taps in 1..=2 {
        life.tap().unwrap();
        assert!(life.told(taps));
    }
    life.statement().unwrap();
    let after = life.ends(&phone, fault_vfs::Loss::Nothing, phone.fresh_folder());
    let wal = fs::metadata(after.data.join("vault.db-wal")).unwrap().len();
    assert!(
        wal > (HEADER + 4 * FRAME) as u64,
        "{:?}",
        files(&after.data)
    );
    after
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// What the vault's WAL was changed to lose is not owed any more; everything else is, counters above all.
fn journal_may_have_lost(phone: &mut Phone) {
    phone.journalled.clear();
}

#[test]
fn a_vault_s_wal_that_is_gone() {
    let sandbox = Sandbox::shared();
    let mut phone = killed(&sandbox);
    fs::remove_file(phone.data.join("vault.db-wal")).unwrap();
    let found = examine(&mut phone, &sandbox, "without its WAL");
    assert_eq!(found, Found::Lost, "the arming went back");
}

/// Harms the vault's WAL at each place in turn; where the arming is in what is left, the wallet goes on, else it is lost.
fn whatever_becomes_of_the_wal(name: &str, places: &[usize], harm: impl Fn(&mut Vec<u8>, usize)) {
    let sandbox = Sandbox::shared();
    let killed = killed(&sandbox);
    let (mut sound, mut lost) = (0, 0);
    let length = fs::read(killed.data.join("vault.db-wal")).unwrap().len();
    for place in places.iter().filter(|place| **place < length) {
        let what = format!("{name} at {place} of {length}");
        let mut phone = killed.fork();
        change(&phone.data.join("vault.db-wal"), |bytes| {
            harm(bytes, *place)
        });
        journal_may_have_lost(&mut phone);
        match examine(&mut phone, &sandbox, &what) {
            Found::Sound => sound += 1,
            Found::Lost => lost += 1,
            Found::Empty | Found::Held => panic!("{what}: the card is gone and nobody says so"),
        }
    }
    println!("{name}: {sound} sound, {lost} told to enrol again");
    assert!(sound > 0 && lost > 0, "{sound} sound, {lost} lost");
}

#[test]
fn a_vault_s_wal_cut_short() {
    let frames = (0..40).map(|frame| HEADER + frame * FRAME);
    let places: Vec<usize> = frames
        .flat_map(|border| [border, border + 24, border + FRAME / 2, border + FRAME - 1])
        .chain([0, 1, HEADER - 1])
        .collect();
    whatever_becomes_of_the_wal("a WAL cut short", &places, |bytes, at| bytes.truncate(at));
}

#[test]
fn a_vault_s_wal_with_a_bit_flipped() {
    let frames = (0..40).map(|frame| HEADER + frame * FRAME);
    let places: Vec<usize> = frames
        .flat_map(|border| [border + 3, border + 9, border + 17, border + 24 + 1234])
        .chain([2, 13, 30])
        .collect();
    whatever_becomes_of_the_wal("a bit flipped in the WAL", &places, |bytes, at| {
        bytes[at] ^= 0x10
    });
}

/// A statement that has seen more of the journal than there is: the WAL of the vault lost its newest rows.
fn with_a_statement_ahead(sandbox: &Sandbox) -> Phone {
    let mut phone = killed(sandbox);
    // The arming is the first commit of the WAL; of the rest, one tap's two rows are cut off.
    let rows: i64 = phone.fork().ask("vault.db", "SELECT MAX(seq) FROM journal");
    let wal = fs::read(phone.data.join("vault.db-wal")).unwrap();
    let mut frames = (wal.len() - HEADER) / FRAME;
    loop {
        frames -= 1;
        let shorter = phone.fork();
        change(&shorter.data.join("vault.db-wal"), |bytes| {
            bytes.truncate(HEADER + frames * FRAME)
        });
        // The copy is asked, for asking would move the WAL into the database.
        let left: i64 = shorter
            .fork()
            .ask("vault.db", "SELECT MAX(seq) FROM journal");
        if left == rows - 2 {
            phone = shorter;
            break;
        }
    }
    journal_may_have_lost(&mut phone);
    phone
}

#[test]
fn a_statement_ahead_of_the_journal() {
    let sandbox = Sandbox::shared();
    let mut phone = with_a_statement_ahead(&sandbox);
    let found = examine(&mut phone, &sandbox, "a statement ahead of its journal");
    assert_eq!(found, Found::Sound);
}

#[test]
fn a_statement_ahead_of_the_journal_which_catches_up_before_it_is_seen() {
    let sandbox = Sandbox::shared();
    let mut phone = with_a_statement_ahead(&sandbox);
    let atcs = phone.lives(|life: &Life| {
        life.start().unwrap();
        // As many rows as were lost: the journal stands at the same position as before, with other rows in it.
        let atc = life.tap().unwrap().atc;
        assert!(life.told(1));
        let lines = life.statement().unwrap();
        let shown: Vec<_> = lines.iter().filter_map(|line| line.atc).collect();
        assert!(
            shown.contains(&u32::from(atc)),
            "ATC {atc} was acknowledged and is not in the statement: {shown:?}"
        );
        shown
    });
    assert!(!atcs.is_empty());
}

/// Harms the statement's database and expects all of it back.
#[track_caller]
fn the_statement_comes_back(what: &str, harm: impl Fn(&Phone, &Phone)) {
    let sandbox = Sandbox::shared();
    let older = with_card(&sandbox);
    let life = older.live();
    life.start().unwrap();
    for taps in 1..=2 {
        life.tap().unwrap();
        assert!(life.told(taps));
    }
    life.statement().unwrap();
    let mut phone = life.ends(&older, fault_vfs::Loss::Nothing, older.fresh_folder());
    harm(&phone, &older);
    assert_eq!(examine(&mut phone, &sandbox, what), Found::Sound);
}

#[test]
fn a_statement_deleted_with_and_without_its_wal() {
    the_statement_comes_back("a statement deleted", |phone, _| {
        for suffix in ["", "-wal"] {
            fs::remove_file(phone.data.join(format!("statement.db{suffix}"))).unwrap();
        }
    });
    the_statement_comes_back("a statement deleted beside its WAL", |phone, _| {
        fs::remove_file(phone.data.join("statement.db")).unwrap();
    });
    the_statement_comes_back("a statement whose WAL was deleted", |phone, _| {
        fs::remove_file(phone.data.join("statement.db-wal")).unwrap();
    });
}

#[test]
fn a_statement_damaged() {
    for byte in [0, 20, 100, 4096 + 8, 8192 + 4095] {
        let what = format!("a statement with a byte changed at {byte}");
        the_statement_comes_back(&what, |phone, _| {
            // Closed well before, so that the file itself holds it.
            drop(phone.database("statement.db"));
            change(&phone.data.join("statement.db"), |bytes| {
                bytes[byte] ^= 0xFF
            });
        });
    }
    the_statement_comes_back("a statement of garbage", |phone, _| {
        change(&phone.data.join("statement.db"), |bytes| bytes.fill(0x5A));
    });
    the_statement_comes_back("a statement cut short", |phone, _| {
        change(&phone.data.join("statement.db"), |bytes| {
            bytes.truncate(5000)
        });
    });
    the_statement_comes_back("a statement's WAL of garbage", |phone, _| {
        change(&phone.data.join("statement.db-wal"), |bytes| {
            bytes.fill(0x5A)
        });
    });
}

#[test]
fn a_statement_aged() {
    the_statement_comes_back("an older statement", |phone, older| {
        fs::remove_file(phone.data.join("statement.db-wal")).unwrap();
        let older = older.data.join("statement.db");
        fs::copy(older, phone.data.join("statement.db")).unwrap();
    });
    the_statement_comes_back("an older statement beside a newer WAL", |phone, older| {
        let older = older.data.join("statement.db");
        fs::copy(older, phone.data.join("statement.db")).unwrap();
    });
}
