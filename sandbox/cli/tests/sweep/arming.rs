//! Score line 7: killed at any step of arming, calls to the key store included, exactly one alias opens; and nothing of a
//! block leaves before the older alias is gone.

use tapcore::ffi::WalletError;

use crate::common::Sandbox;
use crate::engine::{Operation, Outcome, sweep_key_store};
use crate::phone::{Life, Phone, wait};
use crate::provider::{asked, begin_card, enrolled, nearly_spent, with_card};

/// Sweeps an operation that arms.
#[track_caller]
fn arms(
    sandbox: &Sandbox,
    name: &str,
    begins: &Phone,
    prepare: &dyn Fn(&Life),
    run: &dyn Fn(&Life) -> Result<Outcome, WalletError>,
) {
    sweep_key_store(
        sandbox,
        &Operation {
            name,
            begins,
            prepare,
            run,
            expect: &|_, _, _| {},
            may_be_lost: false,
        },
    );
}

/// Taps where nothing was armed before: whatever leaves is of the new block, and then no other alias may be there.
#[track_caller]
fn tap_first(life: &Life) {
    if life.disk.is_dead() {
        return;
    }
    let armings = life.hardware.armings();
    if life.tap().is_ok() {
        assert_eq!(armings.len(), 1, "{armings:?}");
    }
}

#[test]
fn s07_starting_in_trouble_with_the_key_store() {
    let sandbox = Sandbox::shared();
    let phone = with_card(&sandbox);
    arms(&sandbox, "starting", &phone, &|_| {}, &|life| {
        let started = life.start();
        tap_first(life);
        started?;
        Ok(Outcome::Ended)
    });
}

#[test]
fn s07_arming_again_in_trouble_with_the_key_store() {
    let sandbox = Sandbox::shared();
    let phone = with_card(&sandbox);
    let prepare = |life: &Life| {
        life.start().unwrap();
    };
    arms(&sandbox, "arming again", &phone, &prepare, &|life| {
        for _ in 0..4 {
            // The whole block: arming begins beside it, and what is in memory pays on.
            drop(life.tap());
        }
        life.start()?;
        Ok(Outcome::Ended)
    });
}

#[test]
fn s07_shutting_down_in_trouble_with_the_key_store() {
    let sandbox = Sandbox::shared();
    let phone = with_card(&sandbox);
    let prepare = |life: &Life| {
        life.start().unwrap();
        life.tap().unwrap();
        assert!(life.told(1));
    };
    arms(&sandbox, "shutting down", &phone, &prepare, &|life| {
        wait(life.wallet.shut_down())?;
        Ok(Outcome::Journalled)
    });
}

#[test]
fn s07_taking_in_keys_in_trouble_with_the_key_store() {
    let sandbox = Sandbox::shared();
    let mut phone = with_card(&sandbox);
    nearly_spent(&mut phone);
    let begins = asked(&phone, |life| drop(wait(life.wallet.sync())));
    let prepare = |life: &Life| life.open().unwrap();
    arms(&sandbox, "taking in keys", &begins, &prepare, &|life| {
        wait(life.wallet.sync())?;
        Ok(Outcome::Ended)
    });
}

#[test]
fn s07_finishing_a_card_in_trouble_with_the_key_store() {
    let sandbox = Sandbox::shared();
    let mut phone = enrolled(&sandbox);
    let (challenge, code) = phone.lives(|life| begin_card(life, &sandbox));
    let finish = |life: &Life| {
        let card = life.wallet.finish_add_card(challenge.clone(), code.clone());
        wait(card).map(|_| Outcome::Ended)
    };
    let begins = asked(&phone, |life| drop(finish(life)));
    let prepare = |life: &Life| life.open().unwrap();
    arms(&sandbox, "finishing a card", &begins, &prepare, &finish);
}

#[test]
fn s07_the_first_opening_in_trouble_with_the_key_store() {
    let sandbox = Sandbox::shared();
    let begins = Phone::new();
    arms(&sandbox, "the first opening", &begins, &|_| {}, &|life| {
        life.open().map(|()| Outcome::Ended)
    });
}
