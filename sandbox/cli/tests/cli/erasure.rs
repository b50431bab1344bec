//! Somebody asks to be forgotten: what is left of them, table by table and byte by byte.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::Connection;

use crate::common::{Phone, Sandbox, Till};

/// The tables that hold this text in some column.
fn tables_with(db: &Connection, text: &str) -> BTreeSet<String> {
    let names = |sql: &str| -> Vec<String> {
        let mut statement = db.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let mut found = BTreeSet::new();
    for table in names("SELECT name FROM sqlite_master WHERE type = 'table'") {
        for column in names(&format!("SELECT name FROM pragma_table_info('{table}')")) {
            let sql = format!(
                "SELECT COUNT(*) FROM \"{table}\" WHERE instr(CAST(\"{column}\" AS TEXT), ?1) > 0"
            );
            let rows: i64 = db.query_row(&sql, [text], |row| row.get(0)).unwrap();
            if rows > 0 {
                found.insert(table.clone());
            }
        }
    }
    found
}

/// Whether a file of the folder holds this text, in a row or where one was.
fn is_in_a_file(folder: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(folder).unwrap();
    let mut contents = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
    contents.any(|bytes| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    })
}

#[test]
fn s44_erasure_leaves_nothing_at_the_provider_and_no_key_on_the_phones() {
    let sandbox = Sandbox::start();
    let phone = Phone::with_card(&sandbox);
    let second = phone.beside_this(&sandbox);
    second.add_card(&sandbox);
    phone.run(&["pin", "set", "--pin", "194917"]).exits(0);
    let confirm = [
        "confirm", "--amount", "1", "--payee", "Noodles", "--pin", "194917",
    ];
    phone.run(&confirm).exits(0);
    let serving = phone.serve();
    Till::of(&sandbox).tap(&serving.addr, "12.50", &[]).exits(0);
    serving.tapped();
    serving.stop();
    phone.sync_until(|entries| entries[0]["state"] == "matched");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let exported = phone.export();
    let user = text(&exported["phone"]["user_id"]);
    let devices = [phone.device_id(), second.device_id()];
    let tokens = [&phone, &second].map(|phone| text(&phone.cards()[0]["token_ref"]));
    let merchant = text(&exported["phone"]["payments"][0]["merchant"]);
    let checks = exported["provider"]["card_checks"].as_array().unwrap();
    let checks = checks.iter().map(|check| text(&check["challenge_id"]));
    let folder = sandbox.path().join("provider");
    let open = || Connection::open(folder.join("provider.db")).unwrap();
    // All of it is there to be found.
    let before = open();
    let known = [&user, &merchant, &"Noodles".to_owned()];
    for name in known.into_iter().chain(&devices).chain(&tokens) {
        assert!(!tables_with(&before, name).is_empty(), "{name}");
    }
    drop(before);

    phone.run(&["erase"]).exits(2);
    assert_eq!(phone.cards().len(), 1, "not without --yes");
    let offline = second.copy();
    phone.run(&["erase", "--yes"]).exits(0);
    phone.is_wiped();
    second.run(&["export"]).says(1, &["wiped"]);
    second.is_wiped();
    // A copy of the other phone pays nothing either.
    let serving = offline.serve();
    Till::of(&sandbox).tap(&serving.addr, "12.50", &[]).exits(3);
    drop(serving);
    let kept = sandbox.stop();

    // Two lists of what is gone, and the books: a line says what a merchant was paid, and names nobody.
    let mut allowed = BTreeMap::from([(merchant, "notifications")]);
    allowed.extend(devices.map(|device| (device, "gone_devices")));
    allowed.extend(tokens.map(|token| (token, "gone_tokens")));
    let db = open();
    for (name, table) in allowed {
        let found = tables_with(&db, &name);
        assert!(
            found.iter().all(|held| held == table),
            "{name} is in {found:?}"
        );
    }
    let named: i64 = db
        .query_row(
            "SELECT COUNT(*) FROM notifications WHERE token_ref <> ''",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(named, 0, "no line of the books says whose it is");
    drop(db);
    for name in checks.chain([user, "Noodles".to_owned()]) {
        assert!(!is_in_a_file(&folder, &name), "{name} can still be read");
    }
    drop(kept);
}
