//! The life of card and phone under the sweep: suspension, deletion, wipe, a second phone.

use tapcore::ffi::{CardState, LinkKind, WalletError};

use crate::common::Sandbox;
use crate::engine::{Operation, Outcome};
use crate::operations::{nothing, opened};
use crate::person::{sweep_both, with_pin};
use crate::phone::{Life, Phone, wait};
use crate::provider::{enrolled, join, out_of_reach, with_card};

/// The one card.
fn card(life: &Life) -> (String, CardState) {
    let cards = wait(life.wallet.cards()).unwrap();
    (cards[0].token_ref.clone(), cards[0].state)
}

/// Sweeps an operation that takes the card out of the field, for a while or for good: from its acknowledgement on it pays
/// no more, and until then it pays as before.
#[track_caller]
fn ending_a_card(
    name: &str,
    end: &dyn Fn(&Life) -> Result<(), WalletError>,
    also: &dyn Fn(&Phone, bool, &str),
) {
    let sandbox = Sandbox::shared();
    sweep_both(
        &sandbox,
        &Operation {
            name,
            begins: &out_of_reach(&sandbox),
            prepare: &|life| {
                life.start().unwrap();
                life.tap().unwrap();
                assert!(life.told(1));
            },
            run: &|life| {
                end(life)?;
                assert!(life.tap().is_err(), "{name}: it pays all the same");
                Ok(Outcome::Ended)
            },
            expect: &|phone, acknowledged, what| {
                phone.lives(|life| {
                    life.start().unwrap();
                    let cards = wait(life.wallet.cards()).unwrap();
                    let pays = cards.iter().any(|card| card.state == CardState::Active);
                    assert!(!(pays && acknowledged), "{what}: it is back");
                    assert_eq!(life.pays().is_ok(), pays, "{what}");
                });
                also(phone, acknowledged, what);
            },
            may_be_lost: false,
        },
    );
}

#[test]
fn s34_suspending_a_card() {
    let suspend = |life: &Life| wait(life.wallet.suspend_card(card(life).0));
    ending_a_card("suspending a card", &suspend, &|_, _, _| {});
}

#[test]
fn deleting_a_card() {
    let delete = |life: &Life| wait(life.wallet.delete_card(card(life).0));
    ending_a_card("deleting a card", &delete, &|phone, acknowledged, what| {
        let keys: i64 = phone.ask("vault.db", "SELECT COUNT(*) FROM token_secret");
        assert!(keys == 0 || !acknowledged, "{what}: its keys are there");
    });
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
fn s33_wiping() {
    let sandbox = Sandbox::shared();
    wiping(&sandbox, "wiping", &with_pin(&sandbox), &|life| {
        life.open()?;
        wait(life.wallet.wipe())
    });
}

#[test]
fn s33_wiping_as_the_provider_says() {
    let sandbox = Sandbox::shared();
    let phone = out_of_reach(&sandbox);
    let relay = phone.relay.clone().unwrap();
    // Another phone of the same person wipes it; it hears of that at its next contact, and between them from nobody.
    relay.mend(&sandbox);
    let mut before = phone.fork();
    let (device, code) = before.lives(|life| {
        opened(life);
        let device = wait(life.wallet.status()).unwrap().device_id.unwrap();
        let link = wait(life.wallet.create_link_code(LinkKind::SecondPhone)).unwrap();
        (device, link.code)
    });
    Phone::new().lives(|life| {
        join(life, &sandbox, code).unwrap();
        wait(life.wallet.wipe_phone(device)).unwrap();
    });
    relay.cut();
    wiping(&sandbox, "wiping as the provider says", &before, &|life| {
        life.open()?;
        relay.mend(&sandbox);
        let heard = wait(life.wallet.sync());
        relay.cut();
        match heard {
            Err(WalletError::Wiped { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => panic!("a wiped phone syncs"),
        }
    });
}

/// Sweeps a wipe: keys go before rows, what is begun is finished, and what is acknowledged is done.
#[track_caller]
fn wiping(
    sandbox: &Sandbox,
    name: &str,
    phone: &Phone,
    wipe: &dyn Fn(&Life) -> Result<(), WalletError>,
) {
    let alias: String = phone.ask("vault.db", "SELECT alias FROM arming");
    let (installation, _) = alias.split_once("arming.").unwrap();
    // A wallet that was wiped begins anew when it is opened again; its new keys are not what was to be wiped.
    let left = |phone: &Phone| {
        let mut keys = phone.anchor.aliases();
        keys.retain(|alias| alias.starts_with(installation));
        keys
    };
    let whole = left(phone).len();
    sweep_both(
        sandbox,
        &Operation {
            name,
            begins: phone,
            prepare: &nothing,
            run: &|life| wipe(life).map(|()| Outcome::Ended),
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

#[test]
fn joining() {
    let sandbox = Sandbox::shared();
    let mut phone = Phone::new();
    phone.lives(opened);
    // A code is good once, so the other phone makes one for each try.
    let other = enrolled(&sandbox);
    let other = other.live();
    other.open().unwrap();
    let code = || {
        let link = wait(other.wallet.create_link_code(LinkKind::SecondPhone));
        link.unwrap().code
    };
    sweep_both(
        &sandbox,
        &Operation {
            name: "joining",
            begins: &phone,
            prepare: &nothing,
            run: &|life| join(life, &sandbox, code()).map(|()| Outcome::Ended),
            expect: &|phone, acknowledged, what| {
                let folder = phone.fresh_folder();
                let life = phone.live();
                match join(&life, &sandbox, code()) {
                    Ok(()) => assert!(!acknowledged, "{what}: it has not joined"),
                    Err(WalletError::Blocked { .. }) => {}
                    Err(error) => panic!("{what}: joining: {error}"),
                }
                let phones = wait(life.wallet.phones());
                let phones = phones.unwrap_or_else(|error| panic!("{what}: phones: {error}"));
                assert!(phones.len() > 1, "{what}: it is somebody else's");
                wait(life.wallet.shut_down()).unwrap();
                *phone = life.ends(phone, fault_vfs::Loss::Nothing, folder);
            },
            may_be_lost: true,
        },
    );
}
