//! The person and the card's life under the sweep: PIN, lock, suspension, deletion, wipe.

use std::cell::Cell;

use tapcore::ffi::{CardState, PersonProof, TapRefusal, WalletError};

use crate::common::Sandbox;
use crate::engine::{Operation, Outcome, sweep, sweep_key_store};
use crate::operations::{nothing, opened};
use crate::phone::{Life, Phone, wait};
use crate::provider::{out_of_reach, with_card};

const PIN: &str = "248613";
const WRONG_PIN: &str = "905172";
/// How many tries the sandbox's provider lets a phone give a person.
const TRIES: u32 = 10;

fn pin(digits: &str) -> PersonProof {
    PersonProof::Pin { pin: digits.into() }
}

/// A phone with a card and a PIN.
fn with_pin(sandbox: &Sandbox) -> Phone {
    let mut phone = out_of_reach(sandbox);
    phone.lives(|life| {
        opened(life);
        wait(life.wallet.set_pin(PIN.into(), None)).unwrap();
    });
    phone
}

fn locked(phone: &mut Phone) {
    phone.lives(|life| {
        life.start().unwrap();
        wait(life.wallet.lock()).unwrap();
    });
}

/// Sweeps over the disk's faults and over the key store's.
#[track_caller]
fn sweep_both(sandbox: &Sandbox, operation: &Operation<'_>) {
    sweep(sandbox, operation);
    sweep_key_store(sandbox, operation);
}

/// Whether the wallet is locked, once it is started.
#[track_caller]
fn is_locked(life: &Life, what: &str) -> bool {
    let status = wait(life.wallet.start());
    let status = status.unwrap_or_else(|error| panic!("{what}: starting: {error}"));
    status.refusal == Some(TapRefusal::Locked)
}

#[test]
fn setting_a_pin() {
    let sandbox = Sandbox::shared();
    sweep_both(
        &sandbox,
        &Operation {
            name: "setting a PIN",
            begins: &out_of_reach(&sandbox),
            prepare: &opened,
            run: &|life| {
                wait(life.wallet.set_pin(PIN.into(), None))?;
                Ok(Outcome::Ended)
            },
            expect: &|phone, acknowledged, what| {
                phone.lives(|life| {
                    opened(life);
                    let set = wait(life.wallet.status()).unwrap().pin_tries_left.is_some();
                    assert!(
                        set || !acknowledged,
                        "{what}: an acknowledged PIN is not set"
                    );
                    // It is there and right, or one can be set.
                    let done = match set {
                        true => wait(life.wallet.unlock(pin(PIN))),
                        false => wait(life.wallet.set_pin(PIN.into(), None)),
                    };
                    done.unwrap_or_else(|error| panic!("{what}: {error}"));
                });
            },
            may_be_lost: false,
        },
    );
}

#[test]
fn s32_trying_a_pin() {
    let sandbox = Sandbox::shared();
    let revealed = Cell::new(0);
    sweep_both(
        &sandbox,
        &Operation {
            name: "trying a PIN",
            begins: &with_pin(&sandbox),
            prepare: &opened,
            run: &|life| {
                revealed.set(0);
                for _ in 0..2 {
                    match wait(life.wallet.unlock(pin(WRONG_PIN))) {
                        Err(WalletError::NotVerified { reason, .. }) if reason == "pin_wrong" => {
                            revealed.set(revealed.get() + 1);
                        }
                        Err(error) => return Err(error),
                        Ok(()) => panic!("a wrong PIN unlocks"),
                    }
                }
                Ok(Outcome::Ended)
            },
            expect: &|phone, _, what| {
                phone.lives(|life| {
                    opened(life);
                    let status = wait(life.wallet.status()).unwrap();
                    let left = status.pin_tries_left.unwrap();
                    // A person who knows that a try was wrong has spent it.
                    assert!(
                        left + revealed.get() <= TRIES,
                        "{what}: {revealed:?} wrong tries are known, {left} are left"
                    );
                });
            },
            may_be_lost: false,
        },
    );
}

#[test]
fn locking() {
    let sandbox = Sandbox::shared();
    sweep_both(
        &sandbox,
        &Operation {
            name: "locking",
            begins: &with_pin(&sandbox),
            prepare: &|life| {
                life.start().unwrap();
                life.tap().unwrap();
                assert!(life.told(1));
            },
            run: &|life| {
                wait(life.wallet.lock())?;
                assert!(life.tap().is_err(), "a locked wallet pays");
                Ok(Outcome::Ended)
            },
            expect: &|phone, acknowledged, what| {
                phone.lives(|life| {
                    let locked = is_locked(life, what);
                    assert!(
                        locked || !acknowledged,
                        "{what}: an acknowledged lock is open"
                    );
                    assert_eq!(life.pays().is_err(), locked, "{what}");
                    if locked {
                        wait(life.wallet.unlock(pin(PIN)))
                            .unwrap_or_else(|error| panic!("{what}: unlocking: {error}"));
                    }
                });
            },
            may_be_lost: false,
        },
    );
}

#[test]
fn unlocking() {
    let sandbox = Sandbox::shared();
    let mut phone = with_pin(&sandbox);
    locked(&mut phone);
    sweep_both(
        &sandbox,
        &Operation {
            name: "unlocking",
            begins: &phone,
            prepare: &|life| {
                life.start().unwrap();
            },
            run: &|life| {
                wait(life.wallet.unlock(pin(PIN)))?;
                Ok(Outcome::Ended)
            },
            expect: &|phone, acknowledged, what| {
                phone.lives(|life| {
                    let locked = is_locked(life, what);
                    assert!(!(locked && acknowledged), "{what}: it is locked again");
                    if locked {
                        wait(life.wallet.unlock(pin(PIN)))
                            .unwrap_or_else(|error| panic!("{what}: again: {error}"));
                    }
                });
            },
            may_be_lost: false,
        },
    );
}

/// The one card.
fn card(life: &Life) -> (String, CardState) {
    let cards = wait(life.wallet.cards()).unwrap();
    (cards[0].token_ref.clone(), cards[0].state)
}

#[test]
fn s34_suspending_a_card() {
    let sandbox = Sandbox::shared();
    sweep_both(
        &sandbox,
        &Operation {
            name: "suspending a card",
            begins: &out_of_reach(&sandbox),
            prepare: &|life| {
                life.start().unwrap();
                life.tap().unwrap();
                assert!(life.told(1));
            },
            run: &|life| {
                wait(life.wallet.suspend_card(card(life).0))?;
                assert!(life.tap().is_err(), "a suspended card pays");
                Ok(Outcome::Ended)
            },
            expect: &|phone, acknowledged, what| {
                phone.lives(|life| {
                    life.start().unwrap();
                    let suspended = card(life).1 == CardState::Suspended;
                    assert!(suspended || !acknowledged, "{what}: it is not suspended");
                    assert_eq!(life.pays().is_err(), suspended, "{what}");
                });
            },
            may_be_lost: false,
        },
    );
}

#[test]
fn resuming_a_card() {
    let sandbox = Sandbox::shared();
    let mut phone = with_card(&sandbox);
    phone.lives(|life| {
        opened(life);
        wait(life.wallet.suspend_card(card(life).0)).unwrap();
        // The provider hears of it, at the latest now.
        wait(life.wallet.sync()).unwrap();
    });
    sweep_both(
        &sandbox,
        &Operation {
            name: "resuming a card",
            begins: &phone,
            prepare: &|life| {
                life.start().unwrap();
            },
            run: &|life| {
                wait(life.wallet.resume_card(card(life).0))?;
                Ok(Outcome::Ended)
            },
            expect: &|phone, acknowledged, what| {
                phone.lives(|life| {
                    opened(life);
                    let (token, state) = card(life);
                    let active = state == CardState::Active;
                    assert!(active || !acknowledged, "{what}: it is suspended again");
                    wait(life.wallet.resume_card(token))
                        .unwrap_or_else(|error| panic!("{what}: again: {error}"));
                });
            },
            may_be_lost: false,
        },
    );
}

#[test]
fn deleting_a_card() {
    let sandbox = Sandbox::shared();
    sweep_both(
        &sandbox,
        &Operation {
            name: "deleting a card",
            begins: &out_of_reach(&sandbox),
            prepare: &|life| {
                life.start().unwrap();
                life.tap().unwrap();
                assert!(life.told(1));
            },
            run: &|life| {
                wait(life.wallet.delete_card(card(life).0))?;
                assert!(life.tap().is_err(), "a deleted card pays");
                Ok(Outcome::Ended)
            },
            expect: &|phone, acknowledged, what| {
                phone.lives(|life| {
                    life.start().unwrap();
                    let cards = wait(life.wallet.cards()).unwrap();
                    let there = cards.iter().any(|card| card.state == CardState::Active);
                    assert!(!there || !acknowledged, "{what}: it is back");
                    assert_eq!(life.pays().is_ok(), there, "{what}");
                });
                let keys: i64 = phone.ask("vault.db", "SELECT COUNT(*) FROM token_secret");
                assert!(keys == 0 || !acknowledged, "{what}: its keys are there");
            },
            may_be_lost: false,
        },
    );
}

#[test]
fn s33_wiping() {
    let sandbox = Sandbox::shared();
    let phone = with_pin(&sandbox);
    let alias: String = phone.ask("vault.db", "SELECT alias FROM arming");
    let (installation, _) = alias.split_once("arming.").unwrap();
    // A wallet that was wiped begins anew when it is opened again; its new keys are not what was to be wiped.
    let left = |phone: &Phone| {
        let mut keys = phone.anchor.aliases();
        keys.retain(|alias| alias.starts_with(installation));
        keys
    };
    let whole = left(&phone).len();
    sweep_both(
        &sandbox,
        &Operation {
            name: "wiping",
            begins: &phone,
            prepare: &nothing,
            run: &|life| {
                life.open()?;
                wait(life.wallet.wipe())?;
                Ok(Outcome::Ended)
            },
            expect: &|phone, acknowledged, what| {
                let keys = left(phone);
                let rows = phone.data.join("vault.db").exists();
                assert!(
                    rows || keys.is_empty(),
                    "{what}: the rows went before the keys {keys:?}"
                );
                assert!(
                    keys.is_empty() || !acknowledged,
                    "{what}: {keys:?} are left"
                );
                if keys.len() < whole {
                    // The wipe has begun: nothing is owed any more.
                    phone.journalled.clear();
                    phone.given = None;
                    let life = phone.live();
                    drop(life.start());
                    assert!(life.tap().is_err(), "{what}: a wallet half wiped pays");
                    *phone = life.ends(phone, fault_vfs::Loss::Nothing, phone.fresh_folder());
                }
            },
            may_be_lost: true,
        },
    );
}
