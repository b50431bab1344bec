//! Sealing rows, and opening a wallet.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rusqlite::Connection;
use tapcore::store::{Place, Sealer};

use crate::Bench;
use crate::installed::{MemoryKeyStore, open_and_unlock, random, sealer, set_up};
use crate::measure::{Reading, batches, calls};

pub(crate) const BENCHES: &[Bench] = &[
    Bench {
        name: "vault.seal_row",
        run: seal_row,
    },
    Bench {
        name: "vault.open_row",
        run: open_row,
    },
    Bench {
        name: "vault.open_and_unlock",
        run: opening,
    },
];

/// A row of 256 bytes; a journal's row key is its position.
const ROW: [u8; 256] = [0x5A; 256];
const PLACE: Place<'_> = Place {
    table: "journal",
    column: "sealed",
    row: &7_i64.to_be_bytes(),
};
const BATCH: u32 = 200;
const ROUNDS: usize = 1_000;

fn bare_key() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &random::<32>()).unwrap())
}

/// Floor: a nonce is drawn, the bytes are sealed where they lie.
fn seal_row() -> Reading {
    let sealer = sealer();
    let key = bare_key();
    let mut row = ROW;
    batches(
        BATCH,
        ROUNDS,
        || {
            // What an arming does once in a while.
            if sealer.count().left() == 0 {
                sealer.count().written(sealer.count().used());
            }
            sealer.seal(&PLACE, &ROW).unwrap()
        },
        || {
            let nonce = Nonce::assume_unique_for_key(random::<NONCE_LEN>());
            key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut row)
                .unwrap()
        },
    )
}

/// Floor: a row is opened where it lies. Opening uses a row up, so both sides are handed a fresh copy each time, as the
/// database hands one out.
fn open_row() -> Reading {
    let sealer = sealer();
    let sealed = sealer.seal(&PLACE, &ROW).unwrap();
    let key = bare_key();
    let nonce = random::<NONCE_LEN>();
    let mut bare = ROW.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut bare)
        .unwrap();
    batches(
        BATCH,
        ROUNDS,
        || sealer.open(&PLACE, sealed.clone()).unwrap(),
        || {
            let mut row = bare.clone();
            let nonce = Nonce::assume_unique_for_key(nonce);
            let length = key
                .open_in_place(nonce, Aad::empty(), &mut row)
                .unwrap()
                .len();
            row.truncate(length);
            row
        },
    )
}

/// Floor: two connections with the same settings, and the first row of each. Each side has files of its own.
fn opening() -> Reading {
    let (ours, floor) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = Arc::new(MemoryKeyStore::default());
    set_up(ours.path(), &keys);
    for name in ["vault.db", "statement.db"] {
        fs::copy(ours.path().join(name), floor.path().join(name)).unwrap();
    }
    calls(
        500,
        || open_and_unlock(ours.path(), &keys),
        || bare_connections(floor.path()),
    )
}

/// Both databases of a wallet's folder, without Tapcore: the first row of each was read.
pub(crate) fn bare_connections(folder: &Path) -> (Connection, Connection) {
    (
        bare(
            &folder.join("vault.db"),
            "FULL",
            "ON",
            "SELECT storage FROM installation",
        ),
        bare(
            &folder.join("statement.db"),
            "NORMAL",
            "FAST",
            "SELECT sealed FROM entry WHERE shown ORDER BY at_ms DESC, rowid DESC LIMIT 1",
        ),
    )
}

fn bare(path: &Path, synchronous: &str, secure_delete: &str, first: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA fullfsync = 0;
             PRAGMA secure_delete = {secure_delete}; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;
             PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA busy_timeout = 5000;"
        ))
        .unwrap();
    let row: Vec<u8> = connection.query_row(first, [], |row| row.get(0)).unwrap();
    assert!(!row.is_empty());
    connection
}
