//! Score lines 12, 21 and 22: data put back, cloned or spliced.
//!
//! Whatever lies in the data folder can be put back by a person, a backup or a thief; the platform anchor cannot (see
//! [`crate::anchor`]). So a restore here changes the folder and keeps the anchor, and a clone keeps the folder and takes
//! another anchor.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;
use tapcore::ffi::PersonProof;

use crate::anchor::Anchor;
use crate::common::{Sandbox, copy_folder};
use crate::oracle::{Found, examine, no_counter_twice};
use crate::phone::{Life, Phone, wait};
use crate::provider::{asked, nearly_spent, out_of_reach, with_card};

/// A copy of a phone's folder that somebody took, and when.
pub(crate) struct Copy {
    pub(crate) when: &'static str,
    pub(crate) folder: PathBuf,
}

/// What became of a phone, with copies of its folder on the way.
pub(crate) struct Story {
    pub(crate) phone: Phone,
    pub(crate) copies: Vec<Copy>,
}

impl Story {
    /// The beginning of one.
    pub(crate) fn of(phone: Phone) -> Self {
        Self {
            phone,
            copies: Vec::new(),
        }
    }

    /// Armed, tapped, closed, given new keys; a copy was taken at each of these, beside a running app as well.
    fn told(sandbox: &Sandbox) -> Self {
        let mut story = Self::of(with_card(sandbox));
        story.copy("with a card that has paid once");
        let copies = story.running(|life, copy| {
            life.start().unwrap();
            copy("armed");
            life.tap().unwrap();
            assert!(life.told(1));
            copy("tapped");
        });
        story.copies.extend(copies);
        story.copy("closed again");
        nearly_spent(&mut story.phone);
        story.copy("nearly spent");
        story.phone.lives(|life| {
            life.open().unwrap();
            assert_eq!(wait(life.wallet.sync()).unwrap().keys_received, 3);
        });
        story.copy("with new keys");
        // A life after the last copy: what was copied is never today's.
        story.phone.lives(|life| {
            life.start().unwrap();
            for taps in 1..=3 {
                life.pays().unwrap();
                assert!(life.told(taps));
            }
        });
        story
    }

    pub(crate) fn copy(&mut self, when: &'static str) {
        let folder = self.phone.fresh_folder();
        copy_folder(&self.phone.data, &folder);
        self.copies.push(Copy { when, folder });
    }

    fn running(&mut self, work: impl FnOnce(&Life, &mut dyn FnMut(&'static str))) -> Vec<Copy> {
        let mut copies = Vec::new();
        let (folder, fresh) = (self.phone.data.clone(), self.phone.fork());
        self.phone.lives(|life| {
            work(life, &mut |when| {
                let into = fresh.fresh_folder();
                copy_folder(&folder, &into);
                copies.push(Copy { when, folder: into });
            });
        });
        copies
    }

    /// Today's phone with something done to its folder.
    pub(crate) fn with(&self, change: impl FnOnce(&Phone)) -> Phone {
        let mut phone = self.phone.fork();
        change(&phone);
        // A journal that was put back owes nothing; counters and keys do.
        phone.journalled.clear();
        phone
    }
}

/// Files of the vault.
pub(crate) const VAULT: [&str; 3] = ["vault.db", "vault.db-wal", "vault.db-shm"];

/// Puts files back as they are in a copy; those that the copy has not are deleted.
pub(crate) fn put_back(phone: &Phone, copy: &Copy, names: &[&str]) {
    for name in names {
        let (from, to) = (copy.folder.join(name), phone.data.join(name));
        match from.exists() {
            true => drop(fs::copy(from, to).unwrap()),
            false => drop(fs::remove_file(to)),
        }
    }
}

/// Everything in one file, so that rows can be copied between databases.
fn settled(folder: &std::path::Path) -> Connection {
    let database = Connection::open(folder.join("vault.db")).unwrap();
    database
        .execute_batch("PRAGMA foreign_keys = OFF; PRAGMA wal_checkpoint(TRUNCATE);")
        .unwrap();
    database
}

/// Does something by SQL to today's vault, with a copy's vault at hand as `old`.
pub(crate) fn splice(phone: &Phone, copy: &Copy, sql: &str) {
    let old = phone.fresh_folder();
    copy_folder(&copy.folder, &old);
    drop(settled(&old));
    let database = settled(&phone.data);
    let name = old.join("vault.db");
    database
        .execute("ATTACH ?1 AS old", [name.to_str().unwrap()])
        .unwrap();
    database
        .execute_batch(sql)
        .unwrap_or_else(|why| panic!("{sql}: {why}"));
}

/// No cryptogram under a used counter or key, whatever the wallet made of the data: it was lost, or it is today's.
#[track_caller]
fn nothing_again(phone: &mut Phone, sandbox: &Sandbox, what: &str) -> Found {
    let found = examine(phone, sandbox, what);
    no_counter_twice(phone, what);
    found
}

#[test]
fn s22_everything_put_back() {
    let sandbox = Sandbox::shared();
    let story = Story::told(&sandbox);
    for copy in &story.copies {
        let mut phone = story.with(|phone| {
            fs::remove_dir_all(&phone.data).unwrap();
            copy_folder(&copy.folder, &phone.data);
        });
        let found = nothing_again(&mut phone, &sandbox, copy.when);
        assert_eq!(found, Found::Lost, "{}", copy.when);
    }
}

#[test]
fn s22_the_vault_put_back_and_the_statement_not() {
    let sandbox = Sandbox::shared();
    let story = Story::told(&sandbox);
    for copy in &story.copies {
        let mut phone = story.with(|phone| put_back(phone, copy, &VAULT));
        let found = nothing_again(&mut phone, &sandbox, copy.when);
        assert_eq!(found, Found::Lost, "{}", copy.when);
    }
}

#[test]
fn s22_put_back_while_the_app_was_killed() {
    let sandbox = Sandbox::shared();
    let story = Story::told(&sandbox);
    for copy in &story.copies {
        // Today's app was killed, with a block in memory and the WAL on the disk.
        let begins = story.with(|_| {});
        let life = begins.live();
        life.start().unwrap();
        drop(life.tap());
        let mut phone = life.ends(&begins, fault_vfs::Loss::Nothing, begins.fresh_folder());
        phone.journalled.clear();
        put_back(&phone, copy, &VAULT);
        let found = nothing_again(&mut phone, &sandbox, copy.when);
        assert_eq!(found, Found::Lost, "{}", copy.when);
    }
}

#[test]
fn s22_an_old_database_beside_a_newer_wal() {
    let sandbox = Sandbox::shared();
    let story = Story::told(&sandbox);
    let begins = story.with(|_| {});
    let life = begins.live();
    life.start().unwrap();
    drop(life.tap());
    let mut killed = life.ends(&begins, fault_vfs::Loss::Nothing, begins.fresh_folder());
    killed.journalled.clear();
    assert!(killed.data.join("vault.db-wal").exists());
    for copy in &story.copies {
        let mut phone = killed.fork();
        put_back(&phone, copy, &["vault.db"]);
        let found = nothing_again(&mut phone, &sandbox, copy.when);
        println!("{} beside a newer WAL: {found:?}", copy.when);
        // The other way round: today's database beside the WAL of a copy.
        let mut phone = killed.fork();
        put_back(&phone, copy, &["vault.db-wal"]);
        let found = nothing_again(&mut phone, &sandbox, copy.when);
        println!("today's beside a WAL {}: {found:?}", copy.when);
    }
}

#[test]
fn s22_an_old_arming_put_back_by_itself() {
    let sandbox = Sandbox::shared();
    let story = Story::told(&sandbox);
    let row = "DELETE FROM arming; INSERT INTO arming SELECT * FROM old.arming;";
    for copy in &story.copies {
        let mut phone = story.with(|phone| splice(phone, copy, row));
        let found = nothing_again(&mut phone, &sandbox, copy.when);
        assert_eq!(found, Found::Lost, "{}", copy.when);
    }
}

#[test]
fn s22_an_old_arming_under_today_s_alias() {
    let sandbox = Sandbox::shared();
    let story = Story::told(&sandbox);
    let columns = [
        "sealed",
        "wrapped",
        "wrapped, sealed",
        "generation, wrapped, sealed",
        "generation, sealed",
    ];
    for copy in &story.copies {
        for columns in columns {
            let what = format!("{columns} of {}", copy.when);
            let sql = format!("UPDATE arming SET ({columns}) = (SELECT {columns} FROM old.arming)");
            let mut phone = story.with(|phone| splice(phone, copy, &sql));
            let found = nothing_again(&mut phone, &sandbox, &what);
            assert_eq!(found, Found::Lost, "{what}");
        }
    }
}

/// Puts rows back and expects that it is noticed: at opening or arming, before anything leaves.
#[track_caller]
pub(crate) fn noticed(phone: &mut Phone, sandbox: &Sandbox, what: &str) {
    let found = nothing_again(phone, sandbox, what);
    assert_eq!(
        found,
        Found::Lost,
        "{what}: it was put back and not noticed"
    );
}

/// Rows that must not go back: what the manifest covers.
const GUARDED: &str = "SELECT name, '', sealed FROM record WHERE name <> 'card_challenges'
    UNION ALL SELECT reference, position, sealed FROM token
    UNION ALL SELECT token, name, sealed FROM token_secret";

#[test]
fn s12_an_old_database_with_today_s_wrapped_keys() {
    let sandbox = Sandbox::shared();
    let story = Story::told(&sandbox);
    let mut older = 0;
    for copy in &story.copies {
        // What opens today's keys, on top of everything else as it was.
        let today = story.phone.fork();
        let mut phone = story.with(|phone| put_back(phone, copy, &VAULT));
        let keys = "DELETE FROM arming; INSERT INTO arming SELECT * FROM old.arming;
            UPDATE installation SET storage = (SELECT storage FROM old.installation);";
        let folder = today.data.clone();
        splice(
            &phone,
            &Copy {
                when: "today",
                folder,
            },
            keys,
        );
        let what = format!("today's keys in a database {}", copy.when);
        if rows(&phone) == rows(&today) {
            // It has everything of today's that must not go back; what it lacks is of the journal.
            nothing_again(&mut phone, &sandbox, &what);
        } else {
            older += 1;
            noticed(&mut phone, &sandbox, &what);
        }
    }
    assert!(older >= 4, "{older}");
}

fn rows(phone: &Phone) -> Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let database = phone.fork().database("vault.db");
    let bytes = |row: &rusqlite::Row<'_>, at| {
        let value: rusqlite::types::Value = row.get(at)?;
        Ok::<_, rusqlite::Error>(format!("{value:?}").into_bytes())
    };
    let mut rows = database.prepare(GUARDED).unwrap();
    let rows = rows.query_map([], |row| {
        Ok((bytes(row, 0)?, bytes(row, 1)?, bytes(row, 2)?))
    });
    let mut rows: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
    rows.sort();
    rows
}

#[test]
fn s12_an_old_token_secret_put_back() {
    let sandbox = Sandbox::shared();
    let story = Story::told(&sandbox);
    let copy = story.copies.first().unwrap();
    let gone: i64 = {
        let old = Connection::open(copy.folder.join("vault.db")).unwrap();
        let today = "SELECT COUNT(*) FROM token_secret WHERE name LIKE 'luk %'";
        old.query_row(today, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(gone, 3);
    // A key that was spent and wiped comes back as a row of its own.
    let row = "INSERT OR IGNORE INTO token_secret SELECT * FROM old.token_secret";
    let mut phone = story.with(|phone| splice(phone, copy, row));
    noticed(&mut phone, &sandbox, "a wiped key put back");
    // A key of today's under the content of another one.
    let swap = "UPDATE token_secret SET sealed = (SELECT sealed FROM old.token_secret AS o
            WHERE o.name LIKE 'luk %' ORDER BY o.name LIMIT 1) WHERE name LIKE 'luk %'";
    let mut phone = story.with(|phone| splice(phone, copy, swap));
    noticed(&mut phone, &sandbox, "an old key under a new key's name");
}

#[test]
fn s12_keys_taken_away() {
    let sandbox = Sandbox::shared();
    let story = Story::told(&sandbox);
    let copy = story.copies.last().unwrap();
    let sql = "DELETE FROM token_secret WHERE name LIKE 'luk %'";
    let mut phone = story.with(|phone| splice(phone, copy, sql));
    noticed(&mut phone, &sandbox, "keys taken away");
}

#[test]
fn s12_an_old_token_row_put_back() {
    let sandbox = Sandbox::shared();
    let mut story = Story::of(out_of_reach(&sandbox));
    story.copy("while its card was active");
    story.phone.lives(|life| {
        life.start().unwrap();
        let card = wait(life.wallet.cards()).unwrap().remove(0);
        wait(life.wallet.suspend_card(card.token_ref)).unwrap();
    });
    let copy = story.copies.first().unwrap();
    // A card that was suspended is active again, as a thief would have it.
    let row = "UPDATE token SET sealed = (SELECT sealed FROM old.token)";
    let mut phone = story.with(|phone| splice(phone, copy, row));
    noticed(&mut phone, &sandbox, "an active card's row");
    // The card as a whole is gone.
    let row = "DELETE FROM token_secret; DELETE FROM token;";
    let mut phone = story.with(|phone| splice(phone, copy, row));
    noticed(&mut phone, &sandbox, "a card taken away");
}

#[test]
fn s12_tries_of_a_pin_put_back() {
    let sandbox = Sandbox::shared();
    let mut story = Story::of(out_of_reach(&sandbox));
    story.phone.lives(|life| {
        life.open().unwrap();
        wait(life.wallet.set_pin("248613".into(), None)).unwrap();
    });
    story.copy("before a try");
    story.phone.lives(|life| {
        life.open().unwrap();
        let pin = "905172".into();
        wait(life.wallet.unlock(PersonProof::Pin { pin })).unwrap_err();
    });
    let copy = story.copies.first().unwrap();
    let person = "UPDATE record SET sealed = (SELECT sealed FROM old.record WHERE name = 'person')
            WHERE name = 'person'";
    let mut phone = story.with(|phone| splice(phone, copy, person));
    noticed(&mut phone, &sandbox, "a spent try");
    let mut phone = story.with(|phone| put_back(phone, copy, &VAULT));
    noticed(&mut phone, &sandbox, "everything before a spent try");
}

/// The outbox may go back, for a request has the same answer for ever. That answer holds keys.
#[test]
fn s22_an_old_request_put_back_brings_no_used_key_back() {
    let sandbox = Sandbox::shared();
    let mut phone = with_card(&sandbox);
    nearly_spent(&mut phone);
    let mut story = Story::of(asked(&phone, |life| drop(wait(life.wallet.sync()))));
    story.copy("while new keys were asked for");
    let row = |phone: &Phone| phone.ask::<i64>("vault.db", "SELECT COUNT(*) FROM outbox");
    assert_eq!(row(&story.phone), 1);
    let left = story.phone.lives(|life| {
        life.open().unwrap();
        assert_eq!(wait(life.wallet.sync()).unwrap().keys_received, 3);
        // One of the new keys is used up, another one is in use.
        life.start().unwrap();
        for taps in 1..=19 {
            life.pays().unwrap();
            assert!(life.told(taps));
        }
        wait(life.wallet.status()).unwrap().taps_left
    });
    assert!(left > 5, "so few as {left} are asked for anew");
    let request = "INSERT INTO outbox SELECT * FROM old.outbox";
    let copy = story.copies.first().unwrap();
    let mut phone = story.with(|phone| splice(phone, copy, request));
    assert_eq!(row(&phone), 1);
    let more = phone.lives(|life| {
        life.open().unwrap();
        let report = wait(life.wallet.sync()).unwrap();
        assert_eq!(report.keys_received, 0, "the answer of then holds old keys");
        wait(life.wallet.status()).unwrap().taps_left
    });
    assert_eq!(more, left);
    assert_eq!(row(&phone), 0, "it was answered");
    // Everything that is left is paid with, under no key more often than it may.
    phone.lives(|life| {
        let mut paid = 0;
        while life.pays().is_ok() {
            paid += 1;
            assert!(life.told(paid) && paid <= 60);
        }
        assert!(paid >= left as usize, "{paid} of {left}");
    });
    no_counter_twice(&phone, "an old request put back");
}

#[test]
fn s21_data_beside_another_phone_s_hardware() {
    let sandbox = Sandbox::shared();
    let story = Story::told(&sandbox);
    // Closed well, and killed with everything in the WAL.
    let closed = story.phone.fork();
    let life = closed.live();
    life.start().unwrap();
    let killed = life.ends(&closed, fault_vfs::Loss::Nothing, closed.fresh_folder());
    for (what, origin) in [("closed", &story.phone), ("killed", &killed)] {
        let mut stranger = origin.fork();
        stranger.anchor = Arc::new(Anchor::default());
        let found = examine(&mut stranger, &sandbox, what);
        assert_eq!(found, Found::Lost, "{what}");
        let origins = origin.anchor.armings();
        let strangers = stranger.anchor.armings();
        assert!(strangers.iter().all(|alias| !origins.contains(alias)));
        // The phone itself is none the worse.
        let mut itself = origin.fork();
        assert_eq!(examine(&mut itself, &sandbox, what), Found::Sound);
    }
}

#[test]
fn s21_data_beside_hardware_that_has_lost_one_key() {
    let sandbox = Sandbox::shared();
    let phone = with_card(&sandbox);
    for alias in phone.anchor.aliases() {
        let mut harmed = phone.fork();
        harmed.anchor.forget(&alias);
        let found = examine(&mut harmed, &sandbox, &alias);
        assert_eq!(found, Found::Lost, "without {alias}");
    }
}
