//! What keeps a phone from paying: risk, age, suspension, clocks, wiping.

use super::phone::{KEY_ENDS_MS, NOON_MS, PATIENCE, Phone};
use crate::risk::RiskSignals;
use crate::token::{TokenLife, TokenRef};
use crate::wallet::wipe;
use crate::wallet::{TapRefusal, WalletError};

fn token() -> TokenRef {
    TokenRef::new("tok_1")
}

#[test]
fn s02_a_production_app_refuses_keys_in_software() {
    let phone = Phone::new();
    let life = phone.live();
    let config = crate::wallet::Config {
        folder: phone.path().to_owned(),
        app_version: "1.0.0".into(),
        production: true,
    };
    let made = crate::wallet::Wallet::new(
        config,
        phone.hardware.clone(),
        phone.clocks.clone(),
        life.runtime.handle().clone(),
    );
    assert!(matches!(made, Err(WalletError::Insecure)));
}

#[test]
fn s41_signals_are_read_just_before_the_tap() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    assert_eq!(life.pay(1), Ok(1));
    let rooted = RiskSignals {
        rooted: true,
        ..RiskSignals::default()
    };
    life.wallet.report_risk(rooted);
    assert_eq!(life.pay(2), Err(0x6985));
    let status = life.run(life.wallet.status()).unwrap();
    assert_eq!(status.refusal, Some(TapRefusal::Risk));
    life.wallet.report_risk(RiskSignals::default());
    assert_eq!(life.pay(3), Ok(2));
    // An emulator under a debugger scores 60; a clock that was set makes it 80, still below the issuer's 100.
    let watched = RiskSignals {
        emulator: true,
        debugger: true,
        ..RiskSignals::default()
    };
    life.wallet.report_risk(watched);
    phone.clocks.set(NOON_MS - 86_400_000);
    assert!(life.pay(4).is_ok());
    // A stricter issuer, by whom a clock that was set tips the scale: 40 + 20 + 20.
    let stricter = crate::backend::protocol::Policy {
        risk: crate::risk::RiskRules {
            block_at: 80,
            ..Default::default()
        },
        ..Default::default()
    };
    life.configure(stricter);
    assert_eq!(life.pay(5), Err(0x6985));
    phone.clocks.set(NOON_MS);
    assert!(life.pay(6).is_ok());
}

#[test]
fn s29_a_clock_set_back_gives_a_key_no_more_time() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    life.run(life.wallet.close()).unwrap();
    // Time passes to the key's end and the phone is started again; then somebody sets the clock back.
    let life = phone.live();
    phone.clocks.pass(KEY_ENDS_MS - NOON_MS - 1_000);
    life.run(life.wallet.start()).unwrap();
    assert!(life.pay(1).is_ok());
    life.run(life.wallet.close()).unwrap();
    phone.clocks.set(NOON_MS);
    phone.clocks.pass(7_200_000);
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    assert_eq!(life.pay(2), Err(0x6A82), "the boot clock knows better");
    life.run(life.wallet.close()).unwrap();
    phone.clocks.reboot();
    phone.clocks.set(NOON_MS);
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    let status = life.run(life.wallet.status()).unwrap();
    assert_eq!(status.taps_left, 0, "and what it knew outlives it");
}

#[test]
fn s29_a_clock_set_ahead_costs_no_key_while_the_phone_runs() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    phone.clocks.set(KEY_ENDS_MS + 1);
    assert!(life.pay(1).is_ok());
    assert!(life.pay(2).is_ok());
}

#[test]
fn s34_a_suspended_card_pays_nothing_without_any_network() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    assert_eq!(life.pay(1), Ok(1));
    life.run(life.wallet.suspend_card(&token())).unwrap();
    assert!(life.pay(2).is_err());
    life.kill(&phone);
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    assert!(life.pay(3).is_err(), "the next process knows");
    let cards = life.run(life.wallet.cards()).unwrap();
    assert_eq!(cards[0].1, TokenLife::Suspended);
    assert_eq!(life.run(life.wallet.status()).unwrap().taps_left, 0);
}

#[test]
fn a_deleted_card_is_gone_and_its_keys_with_it() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    assert_eq!(life.pay(1), Ok(1));
    life.run(life.wallet.delete_card(&token())).unwrap();
    assert!(life.pay(2).is_err());
    assert!(life.run(life.wallet.cards()).unwrap().is_empty());
    let opened = life.wallet.opened().unwrap();
    let secrets = opened.vault.read(|tx| tx.secrets(&token())).unwrap();
    assert!(secrets.is_empty());
    drop(opened);
    let lines = life.run(life.wallet.statement()).unwrap();
    assert_eq!(
        lines[0].account, "bank-a …0015",
        "its payments keep their name"
    );
    let back = life.run(life.wallet.suspend_card(&token()));
    assert!(matches!(back, Err(WalletError::NoSuchCard)));
    let unknown = life.run(life.wallet.suspend_card(&TokenRef::new("tok_2")));
    assert!(matches!(unknown, Err(WalletError::NoSuchCard)));
}

#[test]
fn s33_a_wipe_takes_the_keys_first_and_is_finished_by_whoever_opens_next() {
    for failing in 1..20 {
        let phone = Phone::new();
        let life = phone.live();
        life.run(life.wallet.start()).unwrap();
        phone.hardware.fail_in(failing);
        let wiped = life.run(life.wallet.wipe());
        phone.hardware.fail_in(0);
        assert!(life.pay(1).is_err(), "call {failing}");
        if wiped.is_ok() {
            assert!(failing > 1, "the key store was never asked");
        } else {
            assert!(wipe::is_under_way(phone.path()));
        }
        life.kill(&phone);
        let life = phone.live();
        life.run(life.wallet.start()).unwrap();
        assert_eq!(life.run(life.wallet.status()).unwrap().cards, 0);
        assert!(!wipe::is_under_way(phone.path()));
        // Only what the new, empty wallet has made for itself.
        assert_eq!(phone.hardware.aliases_with("tapcore.").len(), 3);
        life.run(life.wallet.wipe()).unwrap();
        life.run(life.wallet.wipe()).unwrap();
        assert!(phone.hardware.aliases_with("tapcore.").is_empty());
    }
}

#[test]
fn s33_no_row_is_deleted_before_every_key_is() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    phone.hardware.fails_from(1);
    assert!(life.run(life.wallet.wipe()).is_err());
    assert!(phone.path().join("vault.db").exists());
    phone.hardware.fail_in(0);
    life.run(life.wallet.wipe()).unwrap();
    assert!(!phone.path().join("vault.db").exists());
}

#[test]
fn s43_an_app_below_the_minimum_does_not_pay() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    assert_eq!(life.pay(1), Ok(1));
    let opened = life.wallet.opened().unwrap();
    let policy = crate::backend::protocol::Policy {
        minimum_app_version: "1.0.0".into(),
        ..Default::default()
    };
    assert_eq!(
        life.wallet.standing(&opened, &policy),
        Some(TapRefusal::Outdated)
    );
}

#[test]
fn s25_a_token_whose_counter_is_at_its_end_is_refused_for_good() {
    let phone = Phone::with_next_atc(65_534);
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    assert_eq!(life.pay(1), Ok(65_534));
    assert_eq!(life.pay(2), Ok(65_535));
    for number in 3..6 {
        assert_eq!(life.pay(number), Err(0x6985));
    }
    life.run(life.wallet.close()).unwrap();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    assert_eq!(
        life.pay(7),
        Err(0x6A82),
        "the next process offers it no more"
    );
}

#[test]
fn s11_what_is_sealed_is_counted_over_kills_and_written_down_before_it_runs_out() {
    use crate::vault::SealCount;
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    let used = |life: &super::phone::Life| {
        let opened = life.wallet.opened().unwrap();
        let sealer = opened.hierarchy.sealer();
        sealer.count().used()
    };
    let before = used(&life);
    life.kill(&phone);
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    assert!(
        used(&life) >= before + SealCount::GRANT - 8,
        "what a killed process may have sealed counts as sealed"
    );
    // A long statement is taken in: the grant runs low, is written down, and goes on.
    let opened = life.wallet.opened().unwrap();
    let sealer = opened.hierarchy.sealer();
    let place = crate::store::Place {
        table: "entry",
        column: "sealed",
        row: b"1",
    };
    while sealer.count().left() > 10 {
        crate::store::Sealer::seal(sealer.as_ref(), &place, b"").unwrap();
    }
    assert!(life.pay(1).is_ok());
    crate::wallet::statement::make_room(&opened).unwrap();
    assert!(sealer.count().left() > 8_000);
    let written = opened.known().state.seals;
    assert!(written >= used(&life) - 8);
    life.run(life.wallet.statement()).unwrap();
}

#[test]
fn s33_a_wipe_that_overtakes_an_arming_leaves_nothing_armed() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    // The block is nearly used up: behind the last of these taps another one is armed, and stands still in the middle.
    assert_eq!((life.pay(1), life.pay(2)), (Ok(1), Ok(2)));
    phone.hardware.hold_next();
    assert_eq!(life.pay(3), Ok(3));
    phone.hardware.is_held();
    let wallet = life.wallet.clone();
    let wipe = life.runtime.spawn(async move { wallet.wipe().await });
    let patience = std::time::Instant::now() + PATIENCE;
    while life.wallet.tap.reserved() > 0 {
        assert!(
            std::time::Instant::now() < patience,
            "a wipe ends taps at once"
        );
        std::thread::yield_now();
    }
    // Only now the arming goes on, with its keys in hand and the wipe behind it.
    phone.hardware.let_go();
    life.run(wipe).unwrap().unwrap();
    assert_eq!(
        life.wallet.tap.reserved(),
        0,
        "what was armed is armed no more"
    );
    assert!(life.pay(4).is_err());
    assert_eq!(phone.hardware.aliases_with(""), Vec::<String>::new());
    let files = std::fs::read_dir(phone.path()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["lock"]);
}
