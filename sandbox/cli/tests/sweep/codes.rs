//! Payment codes under the sweep: no alias and no counter of a card is on the screen twice, what was seen is durable, no
//! crash brings a code back, and data that is put back shows none.

use std::cell::Cell;
use std::fs;
use std::time::Duration;

use rusqlite::Connection;
use tapcore::ffi::CodeKind;

use crate::common::{Sandbox, copy_folder};
use crate::engine::{Operation, Outcome, sweep, sweep_key_store};
use crate::operations::{nothing_else, opened, started};
use crate::oracle::{Found, codes_left, examine};
use crate::phone::{Life, Phone, wait};
use crate::provider::out_of_reach;
use crate::restore::{Story, VAULT, noticed, put_back, splice};

/// How many codes the sandbox's provider lets a phone hold.
const STOCK: usize = 15;
/// How long the provider's database is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// A step of time, milliseconds.
const STEP_MS: i64 = 30_000;

/// What a sweep is: over the disk's faults, or over the key store's.
type Sweep = fn(&Sandbox, &Operation<'_>);

/// A phone with a card, all the codes that it may hold, and no way to its provider.
fn with_codes(sandbox: &Sandbox) -> Phone {
    let mut phone = out_of_reach(sandbox);
    let left = phone.lives(|life| {
        opened(life);
        codes_left(life)
    });
    assert_eq!(left, STOCK);
    phone.stocked = Some(STOCK);
    phone
}

/// Sweeps showing codes of this kind, each of which ends the one before.
#[track_caller]
fn showing(kind: CodeKind, sweep: Sweep) {
    let sandbox = Sandbox::shared();
    sweep(
        &sandbox,
        &Operation {
            name: &format!("showing codes, {kind:?}"),
            begins: &with_codes(&sandbox),
            prepare: &opened,
            run: &|life| {
                for _ in 0..3 {
                    life.show(kind)?;
                    // It is seen, so no older arming may open any more.
                    let armings = life.hardware.armings();
                    assert_eq!(armings.len(), 1, "{armings:?}");
                }
                Ok(Outcome::Ended)
            },
            expect: &nothing_else,
            may_be_lost: false,
        },
    );
}

#[test]
fn showing_numeric_codes() {
    showing(CodeKind::Numeric, sweep);
}

#[test]
fn s23_showing_a_card() {
    showing(CodeKind::ConsumerPresented, sweep);
}

#[test]
fn s07_showing_numeric_codes_in_trouble_with_the_key_store() {
    showing(CodeKind::Numeric, sweep_key_store);
}

#[test]
fn s07_showing_a_card_in_trouble_with_the_key_store() {
    showing(CodeKind::ConsumerPresented, sweep_key_store);
}

#[test]
fn s23_the_journal_behind_a_card_on_the_screen() {
    let sandbox = Sandbox::shared();
    let begins = with_codes(&sandbox);
    let rows = |phone: &Phone| phone.ask::<i64>("vault.db", "SELECT COUNT(*) FROM journal");
    let before = rows(&begins);
    let seen = Cell::new(0);
    sweep(
        &sandbox,
        &Operation {
            name: "a card on the screen, refreshed and closed",
            begins: &begins,
            prepare: &opened,
            run: &|life| {
                seen.set(0);
                for _ in 0..2 {
                    let card = CodeKind::ConsumerPresented;
                    let view = wait(life.wallet.show_code(card, None, None))?;
                    for _ in 0..2 {
                        life.look(&view);
                        seen.set(seen.get() + 1);
                        life.clock.skip(STEP_MS);
                    }
                }
                wait(life.wallet.shut_down())?;
                Ok(Outcome::Ended)
            },
            expect: &|phone, acknowledged, what| {
                let written = rows(phone) - before;
                assert!(
                    written >= seen.get() || !acknowledged,
                    "{what}: {seen:?} cryptograms were seen, {written} are in the journal"
                );
            },
            may_be_lost: false,
        },
    );
}

#[test]
fn s23_tapping_beside_codes_on_the_screen() {
    let sandbox = Sandbox::shared();
    sweep(
        &sandbox,
        &Operation {
            name: "tapping beside codes on the screen",
            begins: &with_codes(&sandbox),
            prepare: &started,
            run: &|life| {
                // All three are of the block that was armed before.
                let kinds = [CodeKind::ConsumerPresented, CodeKind::Numeric];
                for (taps, kind) in (1..).zip(kinds) {
                    life.tap().unwrap();
                    life.told(taps);
                    life.show(kind)?;
                }
                life.tap().unwrap();
                life.told(3);
                wait(life.wallet.shut_down())?;
                Ok(Outcome::Journalled)
            },
            expect: &nothing_else,
            may_be_lost: false,
        },
    );
}

/// Sweeps the end of a life with a card on the screen: of the five uses that it has reserved, one was seen.
#[track_caller]
fn closing(sweep: Sweep) {
    let sandbox = Sandbox::shared();
    sweep(
        &sandbox,
        &Operation {
            name: "shutting down with a card on the screen",
            begins: &with_codes(&sandbox),
            prepare: &|life| {
                started(life);
                life.tap().unwrap();
                assert!(life.told(1));
                life.show(CodeKind::ConsumerPresented).unwrap();
            },
            run: &|life| {
                wait(life.wallet.shut_down())?;
                Ok(Outcome::Journalled)
            },
            expect: &nothing_else,
            may_be_lost: false,
        },
    );
}

#[test]
fn s23_closing_with_a_card_on_the_screen() {
    closing(sweep);
}

#[test]
fn s07_closing_with_a_card_on_the_screen_in_trouble_with_the_key_store() {
    closing(sweep_key_store);
}

#[test]
fn uses_that_a_card_on_the_screen_had_reserved_come_back() {
    let sandbox = Sandbox::shared();
    let mut phone = with_codes(&sandbox);
    phone.lives(|life| {
        opened(life);
        life.show(CodeKind::ConsumerPresented).unwrap();
    });
    let left = phone.lives(|life| {
        opened(life);
        wait(life.wallet.status()).unwrap().taps_left
    });
    assert_eq!(Some(left as usize + 1), phone.given);
}

/// Sweeps the way of a batch into the phone. The provider is there for that alone.
#[track_caller]
fn refilling(sweep: Sweep) {
    let sandbox = Sandbox::shared();
    let mut phone = with_codes(&sandbox);
    phone.lives(|life| {
        opened(life);
        for _ in 3..STOCK {
            life.show(CodeKind::Numeric).unwrap();
        }
    });
    // However often a batch is asked for, a phone holds no more than it may, beside what it has shown: one more when it is
    // examined first.
    phone.stocked = Some(phone.aliases.len() + 1 + STOCK);
    let relay = phone.relay.clone().unwrap();
    let refill = |life: &Life| {
        rested(&sandbox);
        relay.mend(&sandbox);
        let came = wait(life.wallet.refill_codes());
        relay.cut();
        came
    };
    // The one that was on the screen at last counts as held, and another may have been shown since.
    let full = STOCK - 2..=STOCK;
    sweep(
        &sandbox,
        &Operation {
            name: "refilling codes",
            begins: &phone,
            prepare: &opened,
            run: &|life| refill(life).map(|_| Outcome::Ended),
            expect: &|phone, acknowledged, what| {
                phone.lives(|life| {
                    opened(life);
                    let left = codes_left(life);
                    assert!(
                        full.contains(&left) || !acknowledged,
                        "{what}: a batch came, and {left} codes are left"
                    );
                    refill(life).unwrap_or_else(|error| panic!("{what}: again: {error}"));
                    let left = codes_left(life);
                    assert!(full.contains(&left), "{what}: {left} codes after all");
                });
            },
            may_be_lost: false,
        },
    );
}

#[test]
fn refilling_codes() {
    refilling(sweep);
}

#[test]
fn refilling_codes_in_trouble_with_the_key_store() {
    refilling(sweep_key_store);
}

/// As if days had gone by: no phone is given as many numbers in one as the sweep draws.
fn rested(sandbox: &Sandbox) {
    let provider =
        Connection::open(sandbox_provider::database(&sandbox.path().join("provider"))).unwrap();
    provider.busy_timeout(PATIENCE).unwrap();
    let ended = "UPDATE code_aliases SET free_at = 1 WHERE state <> 'live'";
    provider.execute(ended, []).unwrap();
}

/// A phone that has shown codes of both kinds, in several lives, with copies of its folder from before and between them.
fn shown(sandbox: &Sandbox) -> Story {
    let mut story = Story::of(with_codes(sandbox));
    for when in ["before any code was shown", "with codes shown"] {
        story.copy(when);
        story.phone.lives(|life| {
            opened(life);
            for kind in [CodeKind::Numeric, CodeKind::ConsumerPresented] {
                life.show(kind).unwrap();
            }
        });
    }
    story
}

#[test]
fn s22_codes_of_data_that_was_put_back() {
    let sandbox = Sandbox::shared();
    let story = shown(&sandbox);
    for copy in &story.copies {
        let mut phone = story.with(|phone| {
            fs::remove_dir_all(&phone.data).unwrap();
            copy_folder(&copy.folder, &phone.data);
        });
        let found = examine(&mut phone, &sandbox, copy.when);
        assert_eq!(found, Found::Lost, "{}", copy.when);
        // The statement alone holds nothing that is shown.
        let mut phone = story.with(|phone| put_back(phone, copy, &VAULT));
        let found = examine(&mut phone, &sandbox, copy.when);
        assert_eq!(found, Found::Lost, "the vault, {}", copy.when);
    }
    // As it is, it shows the next ones.
    let mut phone = story.with(|_| {});
    let found = examine(&mut phone, &sandbox, "as it is");
    assert_eq!(found, Found::Sound);
}

#[test]
fn s22_codes_of_data_that_was_put_back_while_one_was_shown() {
    let sandbox = Sandbox::shared();
    let story = shown(&sandbox);
    for copy in &story.copies {
        // The app was killed with a card on the screen and everything in the WAL.
        let begins = story.with(|_| {});
        let life = begins.live();
        opened(&life);
        life.show(CodeKind::ConsumerPresented).unwrap();
        let mut phone = life.ends(&begins, fault_vfs::Loss::Nothing, begins.fresh_folder());
        put_back(&phone, copy, &VAULT);
        let found = examine(&mut phone, &sandbox, copy.when);
        assert_eq!(found, Found::Lost, "{}", copy.when);
    }
}

#[test]
fn s12_an_old_record_of_codes_put_back() {
    let sandbox = Sandbox::shared();
    let story = shown(&sandbox);
    for copy in &story.copies {
        let row = "UPDATE record SET sealed = (SELECT sealed FROM old.record WHERE name = 'codes')
            WHERE name = 'codes'";
        let mut phone = story.with(|phone| splice(phone, copy, row));
        noticed(
            &mut phone,
            &sandbox,
            &format!("the codes' row {}", copy.when),
        );
    }
    // Without the record the phone would ask for another batch, and know nothing of what was shown.
    let copy = story.copies.last().unwrap();
    let gone = "DELETE FROM record WHERE name = 'codes'";
    let mut phone = story.with(|phone| splice(phone, copy, gone));
    noticed(&mut phone, &sandbox, "the codes' row taken away");
}
