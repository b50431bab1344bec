//! Every operation that writes to the vault, the journal or the statement, under the sweep.

use tapcore::ffi::WalletError;

use crate::common::{EXPIRY, Sandbox, fresh_number};
use crate::engine::{Operation, Outcome, sweep};
use crate::phone::{Life, Phone, wait};
use crate::provider::{asked, begin_card, enrol, enrolled, nearly_spent, pay, with_card};

pub(crate) fn nothing(_: &Life) {}

pub(crate) fn nothing_else(_: &mut Phone, _: bool, _: &str) {}

pub(crate) fn opened(life: &Life) {
    life.open().unwrap();
}

pub(crate) fn started(life: &Life) {
    life.start().unwrap();
}

#[test]
fn the_first_opening() {
    let sandbox = Sandbox::shared();
    sweep(
        &sandbox,
        &Operation {
            name: "the first opening",
            begins: &Phone::new(),
            prepare: &nothing,
            run: &|life| {
                life.open()?;
                wait(life.wallet.shut_down())?;
                Ok(Outcome::Journalled)
            },
            expect: &nothing_else,
            may_be_lost: true,
        },
    );
}

#[test]
fn enrolment() {
    let sandbox = Sandbox::shared();
    let mut phone = Phone::new();
    phone.lives(opened);
    sweep(
        &sandbox,
        &Operation {
            name: "enrolment",
            begins: &phone,
            prepare: &nothing,
            run: &|life| enrol(life, &sandbox).map(|()| Outcome::Ended),
            expect: &|phone, _, what| {
                // Either it is enrolled or it can be, and then a card can be begun.
                let folder = phone.fresh_folder();
                let life = phone.live();
                match enrol(&life, &sandbox) {
                    Ok(()) | Err(WalletError::Blocked { .. }) => {}
                    Err(error) => panic!("{what}: enrolling: {error}"),
                }
                wait(life.wallet.sync()).unwrap_or_else(|error| panic!("{what}: sync: {error}"));
                wait(life.wallet.shut_down()).unwrap();
                *phone = life.ends(phone, fault_vfs::Loss::Nothing, folder);
            },
            may_be_lost: true,
        },
    );
}

#[test]
fn opening() {
    let sandbox = Sandbox::shared();
    sweep(
        &sandbox,
        &Operation {
            name: "opening",
            begins: &with_card(&sandbox),
            prepare: &nothing,
            run: &|life| life.open().map(|()| Outcome::Ended),
            expect: &nothing_else,
            may_be_lost: false,
        },
    );
}

#[test]
fn s23_arming() {
    let sandbox = Sandbox::shared();
    sweep(
        &sandbox,
        &Operation {
            name: "starting",
            begins: &with_card(&sandbox),
            prepare: &nothing,
            run: &|life| {
                life.start()?;
                Ok(Outcome::Ended)
            },
            expect: &nothing_else,
            may_be_lost: false,
        },
    );
}

#[test]
fn s23_tapping_and_settling() {
    let sandbox = Sandbox::shared();
    sweep(
        &sandbox,
        &Operation {
            name: "tapping, arming again, tapping",
            begins: &with_card(&sandbox),
            prepare: &started,
            run: &|life| {
                // The first block is four payments; what comes after it needs another.
                for taps in 1..=3 {
                    life.tap().unwrap();
                    life.told(taps);
                }
                life.start()?;
                for taps in 4..=6 {
                    drop(life.tap());
                    life.told(taps);
                }
                wait(life.wallet.shut_down())?;
                Ok(Outcome::Journalled)
            },
            expect: &nothing_else,
            may_be_lost: false,
        },
    );
}

#[test]
fn s23_shutting_down() {
    let sandbox = Sandbox::shared();
    sweep(
        &sandbox,
        &Operation {
            name: "shutting down",
            begins: &with_card(&sandbox),
            prepare: &|life| {
                started(life);
                life.tap().unwrap();
                assert!(life.told(1));
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
fn syncing() {
    let sandbox = Sandbox::shared();
    let mut phone = with_card(&sandbox);
    phone.lives(|life| {
        started(life);
        pay(life, &sandbox);
    });
    sweep(
        &sandbox,
        &Operation {
            name: "syncing",
            begins: &phone,
            prepare: &nothing,
            run: &|life| {
                life.open()?;
                wait(life.wallet.sync())?;
                Ok(Outcome::Ended)
            },
            expect: &nothing_else,
            may_be_lost: false,
        },
    );
}

#[test]
fn the_statement() {
    let sandbox = Sandbox::shared();
    let mut phone = with_card(&sandbox);
    phone.lives(|life| {
        started(life);
        for taps in 1..=3 {
            life.tap().unwrap();
            assert!(life.told(taps));
        }
    });
    let begins = [("from what is there", true), ("anew", false)];
    for (name, kept) in begins {
        let begins = phone.fork();
        if !kept {
            std::fs::remove_file(begins.data.join("statement.db")).unwrap();
        }
        sweep(
            &sandbox,
            &Operation {
                name: &format!("the statement {name}"),
                begins: &begins,
                prepare: &nothing,
                run: &|life| {
                    life.open()?;
                    let lines = life.statement()?;
                    assert!(lines.len() >= 3);
                    Ok(Outcome::Ended)
                },
                expect: &nothing_else,
                may_be_lost: false,
            },
        );
    }
}

/// Keys of the first card, by name; more than the three that it came with once new ones are in.
fn keys(phone: &Phone) -> i64 {
    phone.ask(
        "vault.db",
        "SELECT COUNT(*) FROM token_secret WHERE name LIKE 'luk %'",
    )
}

fn outbox(phone: &Phone) -> Vec<String> {
    let database = phone.database("vault.db");
    let mut rows = database
        .prepare("SELECT idempotency_key FROM outbox")
        .unwrap();
    let keys = rows.query_map([], |row| row.get(0)).unwrap();
    keys.map(Result::unwrap).collect()
}

#[test]
fn asking_for_keys() {
    let sandbox = Sandbox::shared();
    let mut phone = with_card(&sandbox);
    nearly_spent(&mut phone);
    sweep(
        &sandbox,
        &Operation {
            name: "asking for keys",
            begins: &phone,
            prepare: &opened,
            run: &|life| match wait(life.wallet.sync()) {
                // The sandbox gives a card so many keys an hour; the sweep asks more often.
                Err(WalletError::Rejected { reason, .. }) if reason == "keys_used_up" => {
                    Ok(Outcome::Ended)
                }
                synced => synced.map(|_| Outcome::Ended),
            },
            expect: &nothing_else,
            may_be_lost: false,
        },
    );
}

#[test]
fn taking_in_keys() {
    let sandbox = Sandbox::shared();
    let mut phone = with_card(&sandbox);
    nearly_spent(&mut phone);
    let begins = asked(&phone, |life| drop(wait(life.wallet.sync())));
    let request = outbox(&begins);
    let before = keys(&begins);
    sweep(
        &sandbox,
        &Operation {
            name: "taking in keys",
            begins: &begins,
            prepare: &opened,
            run: &|life| {
                wait(life.wallet.sync())?;
                Ok(Outcome::Ended)
            },
            expect: &|phone, _, what| {
                let waits = outbox(phone) == request;
                let came = keys(phone) > before || outbox(phone).is_empty();
                assert!(waits != came, "{what}: the request is lost or doubled");
                let left = phone.lives(|life| {
                    opened(life);
                    wait(life.wallet.sync())
                        .unwrap_or_else(|error| panic!("{what}: asking again: {error}"));
                    wait(life.wallet.status()).unwrap().taps_left
                });
                assert_eq!(outbox(phone), Vec::<String>::new(), "{what}");
                assert!(
                    (30..35).contains(&left),
                    "{what}: {left} payments after thirty new ones"
                );
            },
            may_be_lost: false,
        },
    );
}

#[test]
fn beginning_a_card() {
    let sandbox = Sandbox::shared();
    sweep(
        &sandbox,
        &Operation {
            name: "beginning a card",
            begins: &enrolled(&sandbox),
            prepare: &opened,
            run: &|life| {
                let number = fresh_number();
                wait(life.wallet.begin_add_card(number, EXPIRY.into(), None))?;
                Ok(Outcome::Ended)
            },
            expect: &nothing_else,
            may_be_lost: false,
        },
    );
}

#[test]
fn finishing_a_card() {
    let sandbox = Sandbox::shared();
    let mut phone = enrolled(&sandbox);
    let (challenge, code) = phone.lives(|life| begin_card(life, &sandbox));
    let finish = |life: &Life| {
        let card = life.wallet.finish_add_card(challenge.clone(), code.clone());
        wait(card).map(|card| card.token_ref)
    };
    let begins = asked(&phone, |life| drop(finish(life)));
    // Once for nothing, so that the answer is known: the provider gives the same one for the same request.
    let mut first = begins.fork();
    let token = first.lives(|life| {
        opened(life);
        finish(life).unwrap()
    });
    sweep(
        &sandbox,
        &Operation {
            name: "finishing a card",
            begins: &begins,
            prepare: &opened,
            run: &|life| {
                assert_eq!(finish(life)?, token);
                Ok(Outcome::Ended)
            },
            expect: &|phone, _, what| {
                let there = phone.ask::<i64>("vault.db", "SELECT COUNT(*) FROM token") == 1;
                assert_eq!(outbox(phone).is_empty(), there, "{what}");
                phone.lives(|life| {
                    opened(life);
                    if !there {
                        let again = finish(life);
                        let again = again.unwrap_or_else(|error| panic!("{what}: again: {error}"));
                        assert_eq!(again, token, "{what}");
                    }
                    let cards = wait(life.wallet.cards()).unwrap();
                    assert_eq!(cards.len(), 1, "{what}");
                });
            },
            may_be_lost: false,
        },
    );
}
