//! The person under the sweep: PIN, fingerprint, lock, confirmation.

use std::cell::{Cell, RefCell};

use tapcore::ffi::{
    PersonProof, PlatformKeyStore, PromptOutcome, Purpose, TapRefusal, WalletError,
};

use crate::common::Sandbox;
use crate::engine::{Operation, Outcome, sweep, sweep_key_store};
use crate::operations::{opened, started};
use crate::phone::{Life, Paid, Phone, wait};
use crate::provider::{out_of_reach, with_card};

const PIN: &str = "248613";
const WRONG_PIN: &str = "905172";
/// How many tries the sandbox's provider lets a phone give a person.
const TRIES: u32 = 10;

fn pin(digits: &str) -> PersonProof {
    PersonProof::Pin { pin: digits.into() }
}

/// A phone with a card and a PIN.
pub(crate) fn with_pin(sandbox: &Sandbox) -> Phone {
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
pub(crate) fn sweep_both(sandbox: &Sandbox, operation: &Operation<'_>) {
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

/// A finger on the sensor: the prompt that this request is for. The person is the test.
fn prompted(life: &Life, purpose: Purpose) -> Result<String, WalletError> {
    let request = wait(life.wallet.begin_verification(purpose))?;
    let key = life
        .hardware
        .unwrap(request.alias, request.wrapped)
        .unwrap();
    let outcome = PromptOutcome::Unwrapped { key };
    wait(life.wallet.finish_verification(request.id.clone(), outcome))?;
    Ok(request.id)
}

#[test]
fn setting_up_verification() {
    let sandbox = Sandbox::shared();
    sweep_both(
        &sandbox,
        &Operation {
            name: "setting verification up",
            begins: &with_pin(&sandbox),
            prepare: &opened,
            run: &|life| {
                wait(life.wallet.set_up_verification(Some(pin(PIN))))?;
                Ok(Outcome::Ended)
            },
            expect: &|phone, acknowledged, what| {
                phone.lives(|life| {
                    opened(life);
                    let set = wait(life.wallet.status()).unwrap().biometric;
                    assert!(set || !acknowledged, "{what}: it is not set up");
                    if !set {
                        wait(life.wallet.set_up_verification(Some(pin(PIN))))
                            .unwrap_or_else(|error| panic!("{what}: again: {error}"));
                    }
                    // Whatever is set up opens what the PIN opens.
                    let id = prompted(life, Purpose::Access);
                    let id = id.unwrap_or_else(|error| panic!("{what}: the prompt: {error}"));
                    wait(life.wallet.lock()).unwrap();
                    let stale = wait(life.wallet.unlock(PersonProof::Verification { id }));
                    assert!(stale.is_err(), "{what}: locking forgets who was verified");
                    let id = prompted(life, Purpose::Access).unwrap();
                    wait(life.wallet.unlock(PersonProof::Verification { id })).unwrap();
                });
                let named = phone.anchor.aliases();
                let named = named.iter().filter(|alias| alias.contains(".verified."));
                assert_eq!(named.count(), 1, "{what}: keys of nobody are left");
            },
            may_be_lost: false,
        },
    );
}

#[test]
fn s32_changing_a_pin() {
    let sandbox = Sandbox::shared();
    sweep_both(
        &sandbox,
        &Operation {
            name: "changing a PIN",
            begins: &with_pin(&sandbox),
            prepare: &opened,
            run: &|life| {
                wait(life.wallet.set_pin(WRONG_PIN.into(), Some(pin(PIN))))?;
                Ok(Outcome::Ended)
            },
            expect: &|phone, acknowledged, what| {
                phone.lives(|life| {
                    opened(life);
                    // One of the two is the PIN, and the other is none.
                    let new = wait(life.wallet.unlock(pin(WRONG_PIN)));
                    assert!(new.is_ok() || !acknowledged, "{what}: the old PIN is back");
                    let old = wait(life.wallet.unlock(pin(PIN)));
                    assert_ne!(new.is_ok(), old.is_ok(), "{what}: {new:?}, {old:?}");
                });
            },
            may_be_lost: false,
        },
    );
}

#[test]
fn s32_a_right_pin_gives_the_tries_back_and_a_fault_gives_none() {
    let sandbox = Sandbox::shared();
    let mut phone = with_pin(&sandbox);
    phone.lives(|life| {
        opened(life);
        wait(life.wallet.unlock(pin(WRONG_PIN))).unwrap_err();
    });
    sweep_both(
        &sandbox,
        &Operation {
            name: "a right PIN after a wrong one",
            begins: &phone,
            prepare: &opened,
            run: &|life| {
                wait(life.wallet.unlock(pin(PIN)))?;
                Ok(Outcome::Ended)
            },
            expect: &|phone, acknowledged, what| {
                phone.lives(|life| {
                    opened(life);
                    let left = || wait(life.wallet.status()).unwrap().pin_tries_left;
                    let before = left().unwrap();
                    match acknowledged {
                        true => assert_eq!(before, TRIES, "{what}"),
                        false => assert!(before + 2 >= TRIES, "{what}: {before} are left"),
                    }
                    wait(life.wallet.unlock(pin(PIN)))
                        .unwrap_or_else(|error| panic!("{what}: the right PIN: {error}"));
                    assert_eq!(left(), Some(TRIES), "{what}");
                });
            },
            may_be_lost: false,
        },
    );
}

/// Confirms a payment by PIN; the first time the provider is told the confirmation key before.
fn confirm(life: &Life) -> Result<(), WalletError> {
    let dinner = Purpose::Payment {
        amount_minor: 1250,
        currency: "CNY".into(),
    };
    let id = wait(life.wallet.verify_with_pin(PIN.into(), dinner))?;
    let (currency, payee) = ("CNY".into(), "Mapo Tofu House".into());
    wait(life.wallet.confirm_payment(1250, currency, payee, id)).map(drop)
}

#[test]
fn registering_the_confirmation_key() {
    let sandbox = Sandbox::shared();
    let mut phone = with_card(&sandbox);
    phone.lives(|life| {
        opened(life);
        wait(life.wallet.set_pin(PIN.into(), None)).unwrap();
    });
    sweep_both(
        &sandbox,
        &Operation {
            name: "confirming for the first time",
            begins: &phone,
            prepare: &opened,
            run: &|life| confirm(life).map(|()| Outcome::Ended),
            expect: &|phone, _, what| {
                phone.lives(|life| {
                    opened(life);
                    confirm(life).unwrap_or_else(|error| panic!("{what}: again: {error}"));
                });
            },
            may_be_lost: false,
        },
    );
}

/// A permission takes a use off a key that the person alone opens, and a tap pays with it: at no point of it does a
/// counter leave twice or a key pay more often than it may.
#[test]
fn s23_permitting_a_tap_and_tapping() {
    let sandbox = Sandbox::shared();
    let mut phone = with_card(&sandbox);
    phone.lives(|life| {
        opened(life);
        wait(life.wallet.set_up_verification(None)).unwrap();
        // The network gives keys for verified payments.
        assert!(wait(life.wallet.sync()).unwrap().keys_received > 0);
    });
    // As many of the other kind came with them, and those that only the person opens pay as well.
    phone.given = phone.given.map(|given| 3 * given);
    let verified = |life: &Life| {
        let ceiling = Purpose::UpTo {
            amount_minor: 100_000,
            currency: "CNY".into(),
        };
        prompted(life, ceiling).unwrap()
    };
    // The prompt is not the wallet's: it is over before anything fails.
    let shown = RefCell::new(String::new());
    let by_person = |paid: &Paid| paid.key.starts_with("0B010103A40000");
    sweep_both(
        &sandbox,
        &Operation {
            name: "permitting a tap and tapping",
            begins: &phone,
            prepare: &|life| {
                started(life);
                shown.replace(verified(life));
            },
            run: &|life| {
                wait(life.wallet.permit_tap(shown.take()))?;
                assert!(by_person(&life.tap().unwrap()), "the phone's own key paid");
                assert!(!by_person(&life.tap().unwrap()), "it served twice");
                Ok(Outcome::Ended)
            },
            expect: &|phone, _, what| {
                phone.lives(|life| {
                    started(life);
                    let permitted = wait(life.wallet.permit_tap(verified(life)));
                    permitted.unwrap_or_else(|error| panic!("{what}: again: {error}"));
                    assert!(by_person(&life.pays().unwrap()), "{what}");
                });
            },
            may_be_lost: false,
        },
    );
}
