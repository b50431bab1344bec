//! Data that is damaged, lost, old, or somewhere else, and processes that were killed: no payment is made twice, and a
//! person is told what helps.

use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::Value;

use crate::common::{EXPIRY, Ended, Phone, Sandbox, Till, copy_folder, tapcore};
use crate::field::{atc, status};

/// Expects that the phone says to enrol again and why, that enrolling helps, and that the phone can pay afterwards.
#[track_caller]
fn enrolling_again_helps(phone: &Phone, sandbox: &Sandbox, reason: &str) {
    is_corrupt(phone, reason);
    phone.run(&["sync"]).says(1, &["enrol again"]);
    let refused = phone.run(&["serve", "--tcp", "127.0.0.1:0"]);
    refused.says(1, &["enrol again"]);
    works_after_enrolling(phone, sandbox);
}

/// Expects the code for lost data, with this reason.
#[track_caller]
fn is_corrupt(phone: &Phone, reason: &str) {
    let told = phone.run(&["statement", "--json"]);
    let error = told.tells(1, &["enrol again"]);
    assert_eq!(
        (&error["code"], &error["reason"]),
        (&9.into(), &reason.into())
    );
}

#[track_caller]
fn works_after_enrolling(phone: &Phone, sandbox: &Sandbox) {
    phone.enrol(sandbox.provider(), sandbox.ca()).exits(0);
    assert_eq!(phone.states(), []);
    phone.add_card(sandbox);
    let serving = phone.serve();
    Till::of(sandbox).tap(&serving.addr, "1", &[]).exits(0);
    serving.tapped();
    serving.stop();
    phone.sync_until(|entries| entries[0]["state"] == "matched");
}

/// A phone that has paid once, with nothing running.
fn paid_once(sandbox: &Sandbox) -> Phone {
    let phone = Phone::with_card(sandbox);
    let serving = phone.serve();
    Till::of(sandbox).tap(&serving.addr, "12.50", &[]).exits(0);
    serving.tapped();
    serving.stop();
    phone.sync_until(|entries| entries[0]["state"] == "matched");
    phone
}

#[test]
fn a_vault_of_garbage() {
    let sandbox = Sandbox::shared();
    let phone = paid_once(&sandbox);
    let vault = phone.data().join("vault.db");
    let length = std::fs::metadata(&vault).unwrap().len();
    std::fs::write(&vault, vec![0x5A; usize::try_from(length).unwrap()]).unwrap();
    enrolling_again_helps(&phone, &sandbox, "file_damaged");
}

#[test]
fn a_vault_cut_short() {
    let sandbox = Sandbox::shared();
    let phone = paid_once(&sandbox);
    let vault = std::fs::File::options()
        .write(true)
        .open(phone.data().join("vault.db"))
        .unwrap();
    vault.set_len(vault.metadata().unwrap().len() / 2).unwrap();
    enrolling_again_helps(&phone, &sandbox, "file_damaged");
}

#[test]
fn a_vault_that_is_gone() {
    let sandbox = Sandbox::shared();
    let phone = paid_once(&sandbox);
    std::fs::remove_file(phone.data().join("vault.db")).unwrap();
    phone.run(&["sync"]).says(1, &["enrol"]);
    works_after_enrolling(&phone, &sandbox);
}

#[test]
fn a_vault_emptied() {
    let sandbox = Sandbox::shared();
    let phone = paid_once(&sandbox);
    std::fs::write(phone.data().join("vault.db"), "").unwrap();
    phone.run(&["sync"]).says(1, &["enrol"]);
    works_after_enrolling(&phone, &sandbox);
}

/// Does something to the statement's database and expects that all of it is back after a sync.
fn statement_comes_back(harm: impl FnOnce(&Path)) {
    let sandbox = Sandbox::shared();
    let phone = paid_once(&sandbox);
    let serving = phone.serve();
    serving.field().select().gpo(1);
    serving.tapped();
    serving.stop();
    let before = phone.statement();
    assert_eq!(before.len(), 2);
    harm(&phone.data().join("statement.db"));
    let own: Vec<Value> = phone.statement();
    assert_eq!(own.len(), 2, "what the phone itself saw is there at once");
    phone.run(&["sync"]).exits(0);
    assert_eq!(phone.statement(), before);
}

#[test]
fn a_statement_that_is_gone() {
    statement_comes_back(|file| std::fs::remove_file(file).unwrap());
}

#[test]
fn a_statement_of_garbage() {
    statement_comes_back(|file| std::fs::write(file, [0x5A; 9000]).unwrap());
}

#[test]
fn a_statement_cut_short() {
    statement_comes_back(|file| {
        let file = std::fs::File::options().write(true).open(file).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    });
}

#[test]
fn s22_data_put_back_from_an_older_copy() {
    let sandbox = Sandbox::shared();
    let phone = paid_once(&sandbox);
    let copy = phone.beside("copy");
    copy_folder(&phone.data(), &copy);
    let serving = phone.serve();
    assert_eq!(status(&serving.field().select().gpo(1)), 0x9000);
    serving.tapped();
    serving.stop();
    std::fs::remove_dir_all(phone.data()).unwrap();
    copy_folder(&copy, &phone.data());
    enrolling_again_helps(&phone, &sandbox, "put_back");
}

#[test]
fn s22_a_code_that_was_paid_before_its_data_was_put_back() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let copy = phone.beside("copy");
    copy_folder(&phone.data(), &copy);
    let shown = phone.code(&[]);
    let code = shown["code"].as_str().unwrap();
    let till = Till::of(&sandbox);
    till.scan(code, "12.50", &[]).exits(0);
    std::fs::remove_dir_all(phone.data()).unwrap();
    copy_folder(&copy, &phone.data());
    for format in ["numeric", "cpm"] {
        let refused = phone.run(&["code", "--format", format]);
        refused.says(1, &["enrol again"]);
    }
    // Whoever kept the picture has nothing of it either.
    let again = till.scan(code, "12.50", &[]).exits(3).json();
    assert_eq!(again["reason"], "code_used");
    enrolling_again_helps(&phone, &sandbox, "put_back");
    let fresh = phone.code(&[]);
    assert_ne!(fresh["code"], shown["code"]);
}

#[test]
fn s21_data_beside_another_phone_s_hardware() {
    let sandbox = Sandbox::shared();
    let phone = paid_once(&sandbox);
    let stranger = Phone::new();
    copy_folder(&phone.data(), &stranger.data());
    enrolling_again_helps(&stranger, &sandbox, "other_phone");
    // The phone itself is none the worse.
    phone.run(&["sync"]).exits(0);
}

#[test]
fn s21_hardware_that_has_forgotten_its_keys() {
    let sandbox = Sandbox::shared();
    let phone = paid_once(&sandbox);
    std::fs::remove_dir_all(phone.platform()).unwrap();
    enrolling_again_helps(&phone, &sandbox, "other_phone");
}

#[test]
fn a_vault_and_a_statement_that_changed_places() {
    let sandbox = Sandbox::shared();
    let phone = paid_once(&sandbox);
    let [vault, statement] = ["vault.db", "statement.db"].map(|name| phone.data().join(name));
    let aside = phone.beside("aside");
    std::fs::rename(&vault, &aside).unwrap();
    std::fs::rename(&statement, &vault).unwrap();
    std::fs::rename(&aside, &statement).unwrap();
    enrolling_again_helps(&phone, &sandbox, "file_misplaced");
}

#[test]
fn a_vault_of_a_newer_version() {
    let sandbox = Sandbox::shared();
    let phone = paid_once(&sandbox);
    let path = phone.data().join("vault.db");
    let sound = std::fs::read(&path).unwrap();
    let mut newer = sound.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes()); // user_version in SQLite's file header
    std::fs::write(&path, &newer).unwrap();
    let error = (phone.run(&["statement", "--json"])).tells(1, &["update the app"]);
    let (code, reason) = (&error["code"], &error["reason"]);
    assert_eq!((code, reason), (&12.into(), &"data_newer".into()));
    // Nothing is thrown away for that.
    let refused = phone.enrol(sandbox.provider(), sandbox.ca());
    refused.says(1, &["update the app"]);
    assert_eq!(std::fs::read(&path).unwrap(), newer);
    std::fs::write(&path, sound).unwrap();
    assert_eq!(phone.statement().len(), 1);
}

/// Changes rows of the vault, in a phone with nothing running.
fn change_rows(phone: &Phone, sql: &str) {
    let vault = rusqlite::Connection::open(phone.data().join("vault.db")).unwrap();
    assert!(vault.execute(sql, []).unwrap() > 0, "{sql}");
}

#[test]
fn s09_a_row_that_was_moved_is_told_from_one_that_was_taken_away() {
    let sandbox = Sandbox::shared();
    let phone = paid_once(&sandbox);
    // The journal is opened row by row; the guarded rows stand together under one digest.
    let moved = "UPDATE journal SET sealed = (SELECT sealed FROM record LIMIT 1)";
    let taken = "DELETE FROM record WHERE guarded";
    for (harm, reason) in [(moved, "row_changed"), (taken, "row_put_back")] {
        let phone = phone.copy();
        change_rows(&phone, harm);
        std::fs::remove_file(phone.data().join("statement.db")).unwrap();
        is_corrupt(&phone, reason);
        works_after_enrolling(&phone, &sandbox);
    }
}

#[test]
fn s22_a_write_ahead_log_that_was_lost() {
    let sandbox = Sandbox::shared();
    let phone = paid_once(&sandbox);
    let serving = phone.serve();
    serving.field().select().gpo(1);
    serving.tapped();
    serving.running.kill();
    std::fs::remove_file(phone.data().join("vault.db-wal")).unwrap();
    enrolling_again_helps(&phone, &sandbox, "put_back");
}

/// Does something to the hardware's key of this purpose.
fn harm_key(phone: &Phone, purpose: &str, harm: impl FnOnce(&Path)) {
    let named = |key: &&String| key.contains(&format!(".{purpose}."));
    let keys = phone.keys();
    harm(&phone.platform().join(keys.iter().find(named).unwrap()));
}

#[test]
fn s21_keys_that_are_gone_or_another_s() {
    let sandbox = Sandbox::shared();
    let phone = paid_once(&sandbox);
    let gone = |key: &Path| std::fs::remove_file(key).unwrap();
    let another = |key: &Path| std::fs::write(key, [7; 32]).unwrap();
    for purpose in ["storage", "arming"] {
        let (without, strange) = (phone.copy(), phone.copy());
        harm_key(&without, purpose, gone);
        is_corrupt(&without, "key_gone");
        harm_key(&strange, purpose, another);
        is_corrupt(&strange, "key_invalidated");
        works_after_enrolling(&strange, &sandbox);
    }
}

/// Expects that each command either works or gives an error of one sentence, and that enrolling helps where it is told to.
#[track_caller]
fn works_or_enrolling_helps(phone: &Phone, sandbox: &Sandbox, what: &str) {
    let mut told = Vec::new();
    for words in [&["statement"][..], &["sync"]] {
        let ended = phone.run(words);
        assert!(matches!(ended.code, Some(0 | 1)), "{what}: {ended:#?}");
        told.push(ended.err);
    }
    if !told.iter().any(|sentence| sentence.contains("enrol again")) {
        return;
    }
    let enrolled = phone.enrol(sandbox.provider(), sandbox.ca());
    assert_eq!(
        enrolled.code,
        Some(0),
        "{what}: told {told:#?}, then {enrolled:#?}"
    );
    phone.run(&["sync"]).exits(0);
}

/// Does harm of each kind to a copy of a phone that has been tapped, all at the same time: `harms` names what is harmed, `harm` does it.
fn whatever_is_harmed(
    harms: impl FnOnce(&Phone) -> Vec<String>,
    harm: impl Fn(&Phone, &str) + Sync,
) {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    serving.field().select().gpo(1);
    serving.tapped();
    serving.stop();
    thread::scope(|scope| {
        for what in harms(&phone) {
            let (phone, sandbox, harm) = (&phone, &sandbox, &harm);
            scope.spawn(move || {
                let damaged = phone.copy();
                harm(&damaged, &what);
                works_or_enrolling_helps(&damaged, sandbox, &what);
            });
        }
    });
}

const PAGE: usize = 4096;

/// Does the same to each page of the vault.
fn whatever_page_is_harmed(harm: impl Fn(&mut [u8]) + Sync) {
    let vault = |phone: &Phone| phone.data().join("vault.db");
    let pages = |phone: &Phone| {
        let length = std::fs::read(vault(phone)).unwrap().len();
        (0..length / PAGE).map(|page| page.to_string()).collect()
    };
    whatever_is_harmed(pages, |phone, page| {
        let begin = page.parse::<usize>().unwrap() * PAGE;
        let mut bytes = std::fs::read(vault(phone)).unwrap();
        harm(&mut bytes[begin..begin + PAGE]);
        std::fs::write(vault(phone), bytes).unwrap();
    });
}

#[test]
fn whatever_page_of_the_vault_is_garbage_enrolling_again_helps() {
    whatever_page_is_harmed(|page| page.fill(0x5A));
}

#[test]
fn whatever_row_of_the_vault_is_changed_enrolling_again_helps() {
    // The last byte of a page is in the first row that was put there.
    whatever_page_is_harmed(|page| page[PAGE - 1] ^= 1);
}

/// Does the same to each key of the phone's hardware.
fn whatever_key_is_harmed(harm: impl Fn(&Path) + Sync) {
    let keys = |phone: &Phone| {
        let files = std::fs::read_dir(phone.platform()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.collect()
    };
    whatever_is_harmed(keys, |phone, key| harm(&phone.platform().join(key)));
}

#[test]
fn whatever_key_is_gone_enrolling_again_helps() {
    whatever_key_is_harmed(|key| std::fs::remove_file(key).unwrap());
}

#[test]
fn whatever_key_is_invalidated_enrolling_again_helps() {
    whatever_key_is_harmed(|key| std::fs::write(key, "x").unwrap());
}

#[test]
fn folders_that_cannot_be_written() {
    let sandbox = Sandbox::shared();
    let phone = Phone::new();
    // Below a file there can be no folder, whoever asks.
    let file = phone.beside("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("folder");
    let (below, platform) = (below.to_str().unwrap(), phone.platform());
    let enrol = |data: &str, platform: &str| -> Ended {
        let words = ["phone", "--data", data, "--platform", platform, "enrol"];
        let rest = ["--provider", sandbox.provider(), "--ca", sandbox.ca()];
        tapcore(&[&words[..], &rest].concat())
    };
    enrol(below, platform.to_str().unwrap()).says(1, &["folder", "cannot be"]);
    enrol(phone.data().to_str().unwrap(), below).says(1, &["folder", "cannot be"]);
    tapcore(&["sandbox", "--data", below]).says(1, &["folder"]);
    let words = [
        "pos",
        "--data",
        below,
        "tap",
        "--amount",
        "1",
        "--card",
        "127.0.0.1:1",
    ];
    let rest = ["--acquirer", sandbox.acquirer(), "--ca", sandbox.ca()];
    tapcore(&[&words[..], &rest].concat()).says(1, &["folder"]);
    phone.enrol(sandbox.provider(), sandbox.ca()).exits(0);
}

#[test]
fn a_disk_that_takes_no_more() {
    let sandbox = Sandbox::shared();
    let phone = Phone::new();
    // No file may grow beyond a few kilobytes; the write fails, instead of the signal that would end the process.
    let starved = |words: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"]);
        command.args([env!("CARGO_BIN_EXE_tapcore"), "phone", "--data"]);
        let ended = command.arg(phone.data()).args(words).output().unwrap();
        let sentence = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{sentence}");
        assert!(ended.stdout.is_empty() && sentence.lines().count() == 1);
        assert!(sentence.contains("cannot be read or written"), "{sentence}");
    };
    let enrol = [
        "enrol",
        "--provider",
        sandbox.provider(),
        "--ca",
        sandbox.ca(),
    ];
    starved(&enrol);
    phone.run(&enrol).exits(0);
    phone.begin_card().exits(1);
    let (number, code) = (phone.number.as_str(), sandbox.sms(&phone.number));
    starved(&[
        "card", "add", "--number", number, "--expiry", EXPIRY, "--sms", &code,
    ]);
    phone.finish_card(&code).exits(0);
    starved(&["serve", "--tcp", "127.0.0.1:0"]);
    let serving = phone.serve();
    Till::of(&sandbox).tap(&serving.addr, "12.50", &[]).exits(0);
}

#[test]
fn s23_killed_in_the_middle_of_a_tap_no_atc_is_used_twice() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let mut atcs = Vec::new();
    for round in 0..4 {
        let serving = phone.serve();
        let mut field = serving.field();
        field.select();
        atcs.push(atc(&field.gpo(round)));
        serving.running.kill();
    }
    let serving = phone.serve();
    for round in 0..4 {
        atcs.push(atc(&serving.field().select().gpo(round)));
        serving.tapped();
    }
    let paid = Till::of(&sandbox)
        .tap(&serving.addr, "12.50", &[])
        .exits(0)
        .json();
    atcs.push(paid["atc"].as_u64().unwrap());
    assert!(atcs.is_sorted_by(|one, next| one < next), "{atcs:?}");
    serving.tapped();
    serving.stop();
    phone.sync_until(|entries| entries[0]["state"] == "matched");
}

#[test]
fn killed_while_it_adds_a_card_the_phone_can_add_it_again() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    let number = phone.number.clone();
    let adding = phone.start(&["card", "add", "--number", &number, "--expiry", "12/29"]);
    sandbox.sms(&number);
    adding.kill();
    phone.add_card(&sandbox);
    let serving = phone.serve();
    Till::of(&sandbox).tap(&serving.addr, "12.50", &[]).exits(0);
}
