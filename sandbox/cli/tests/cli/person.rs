//! The person at the phone: PIN, fingerprint, lock, and payments that the person confirms.

use crate::common::{Ended, Phone, Running, Sandbox, Till, assert_instant, assert_members};

const PIN: &str = "194917";
const WRONG: &str = "194918";

fn with_pin(sandbox: &Sandbox) -> Phone {
    let phone = Phone::enrolled(sandbox);
    phone.run(&["pin", "set", "--pin", PIN]).exits(0);
    phone
}

fn with_pin_and_finger(sandbox: &Sandbox) -> Phone {
    let phone = with_pin(sandbox);
    phone.run(&["finger", "set-up", "--pin", PIN]).exits(0);
    phone
}

fn confirm(phone: &Phone, amount: &str, how: &[&str]) -> Ended {
    let words = [
        "confirm",
        "--amount",
        amount,
        "--payee",
        "Mapo Tofu House",
        "--json",
    ];
    phone.run(&[&words[..], how].concat())
}

fn tries_left(phone: &Phone) -> u64 {
    phone.status()["pin"]["tries_left"].as_u64().unwrap()
}

#[test]
fn a_locked_wallet_pays_nothing_until_the_person_unlocks_it() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    phone
        .run(&["lock"])
        .says(1, &["set a pin or a fingerprint"]);
    phone.run(&["pin", "set", "--pin", PIN]).exits(0);
    phone.run(&["lock"]).exits(0);
    assert_eq!(phone.status()["refusal"], "locked");
    // Whoever starts it again finds it locked.
    for _ in 0..2 {
        let serving = phone.serve();
        serving.refuses();
        serving.stop();
    }
    phone
        .run(&["unlock", "--pin", WRONG])
        .says(1, &["pin is wrong", "9"]);
    phone.run(&["unlock", "--pin", PIN]).exits(0);
    assert!(phone.status()["refusal"].is_null());
    let serving = phone.serve();
    Till::of(&sandbox).tap(&serving.addr, "12.50", &[]).exits(0);
    serving.tapped();
    serving.stop();
    // The same by fingerprint.
    phone.run(&["finger", "set-up", "--pin", PIN]).exits(0);
    phone.run(&["lock"]).exits(0);
    phone.run(&["unlock", "--finger"]).exits(0);
    Till::of(&sandbox)
        .tap(&phone.serve().addr, "9.90", &[])
        .exits(0);
}

#[test]
fn what_only_the_person_knows_may_be_typed() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    phone.run_typing(&["pin", "set"], "194917\n").exits(0);
    let changed = phone
        .run_typing(&["pin", "set"], "194917\n305528\n")
        .exits(0);
    let told = changed.out + &changed.err;
    assert!(!told.contains(PIN) && !told.contains("305528"), "{told}");
    phone.run(&["lock"]).exits(0);
    let nothing = phone.run(&["unlock"]).exits(1);
    assert!(nothing.err.contains("no PIN was given"), "{nothing:?}");
    phone.run_typing(&["unlock"], "194917\n").exits(1);
    phone.run_typing(&["unlock"], "305528\n").exits(0);
    let words = ["confirm", "--amount", "1", "--payee", "Typed", "--pin"];
    phone.run_typing(&words, "305528\n").exits(0);
}

#[test]
fn a_pin_is_changed_by_whoever_knows_it_or_has_the_finger() {
    let sandbox = Sandbox::shared();
    let phone = with_pin(&sandbox);
    for plain in ["123456", "000000", "12345", "12345a"] {
        let set = phone.run(&["pin", "set", "--old", PIN, "--pin", plain]);
        set.says(1, &["pin"]);
    }
    let stranger = phone.run(&["pin", "set", "--old", WRONG, "--pin", "305528"]);
    stranger.says(1, &["pin is wrong"]);
    phone
        .run(&["finger", "set-up", "--pin", WRONG])
        .says(1, &["pin is wrong"]);
    // Two in a row, so the next wrong one would have to wait; the right one gives all tries back.
    phone.run(&["finger", "set-up", "--pin", PIN]).exits(0);
    assert_eq!(tries_left(&phone), 10);
    phone
        .run(&["pin", "set", "--finger", "--pin", "305528"])
        .exits(0);
    phone.run(&["lock"]).exits(0);
    phone
        .run(&["unlock", "--pin", PIN])
        .says(1, &["pin is wrong"]);
    phone.run(&["unlock", "--pin", "305528"]).exits(0);
}

#[test]
fn s30_a_verification_confirms_one_payment() {
    let sandbox = Sandbox::shared();
    let phone = with_pin_and_finger(&sandbox);
    for how in [&["--pin", PIN][..], &["--finger"]] {
        let confirmed = confirm(&phone, "12.50", how).exits(0).json();
        let names = [
            "confirmation_id",
            "expires_at",
            "amount_minor",
            "currency",
            "payee",
        ];
        assert_members(&confirmed, &names);
        assert_eq!(confirmed["amount_minor"], 1250);
        assert_instant(&confirmed["expires_at"]);
        let twice = confirm(&phone, "12.50", &[how, &["--twice"]].concat()).exits(1);
        assert_eq!(twice.json()["amount_minor"], 1250, "once it is confirmed");
        assert!(twice.err.contains("fresh verification"), "{twice:?}");
    }
}

#[test]
fn s30_another_amount_than_the_person_saw_is_refused() {
    let sandbox = Sandbox::shared();
    let phone = with_pin_and_finger(&sandbox);
    for how in [&["--pin", PIN][..], &["--finger"]] {
        for shown in ["12.49", "12.51", "1250"] {
            let lie = confirm(&phone, "12.50", &[how, &["--shown", shown]].concat());
            let error = lie.tells(1, &["fresh verification"]);
            assert_eq!(error["reason"], "verification_over");
        }
        confirm(&phone, "12.50", &[how, &["--shown", "12.50"]].concat()).exits(0);
        // Ahead of the amount: up to a ceiling, and the ceiling has one.
        confirm(&phone, "12.50", &[how, &["--up-to", "12.50"]].concat()).exits(0);
        let above = confirm(&phone, "12.51", &[how, &["--up-to", "12.50"]].concat());
        let error = above.tells(1, &["fresh verification"]);
        assert_eq!(error["reason"], "verification_over");
        let ahead = confirm(&phone, "12.50", &[how, &["--up-to", "1000.01"]].concat());
        assert_eq!(ahead.tells(1, &["when it is known"])["code"], 11);
    }
}

#[test]
fn s31_saying_that_a_person_was_there_confirms_nothing() {
    let sandbox = Sandbox::shared();
    let phone = with_pin_and_finger(&sandbox);
    let pretended = confirm(&phone, "12.50", &["--finger", "--pretend"]);
    let error = pretended.tells(1, &["fresh verification"]);
    assert_eq!(
        (&error["code"], &error["reason"]),
        (&14.into(), &"verification_over".into())
    );
    confirm(&phone, "12.50", &["--finger"]).exits(0);
    // Without the key that needs the person there is nothing to pretend with.
    let verified = phone.keys().into_iter();
    for key in verified.filter(|key| key.ends_with(".verified")) {
        std::fs::remove_file(phone.platform().join(key)).unwrap();
    }
    let gone = confirm(&phone, "12.50", &["--finger"]).tells(1, &["changed"]);
    assert_eq!(gone["reason"], "biometric_changed");
    confirm(&phone, "12.50", &["--finger", "--pretend"]).exits(1);
}

#[test]
fn s08_another_enrolled_finger_voids_the_key_and_the_pin_leads_back() {
    let sandbox = Sandbox::shared();
    let phone = with_pin_and_finger(&sandbox);
    assert_eq!(phone.status()["finger"], "set");
    phone.run(&["finger", "change"]).exits(0);
    let void = confirm(&phone, "12.50", &["--finger"]).tells(1, &["changed", "with the pin"]);
    assert_eq!(void["reason"], "biometric_changed");
    assert_eq!(phone.status()["finger"], "voided");
    phone.run(&["lock"]).exits(0);
    phone
        .run(&["unlock", "--finger"])
        .says(1, &["changed", "with the pin"]);
    // The PIN still works, and sets the new finger up.
    phone.run(&["unlock", "--pin", PIN]).exits(0);
    confirm(&phone, "12.50", &["--pin", PIN]).exits(0);
    phone.run(&["finger", "set-up", "--pin", PIN]).exits(0);
    assert_eq!(phone.status()["finger"], "set");
    confirm(&phone, "12.50", &["--finger"]).exits(0);
}

/// Types a wrong PIN and kills the phone as soon as an earlier arming is gone: the try is written down by then.
fn wrong_pin_and_kill(phone: &Phone) {
    let before = phone.keys();
    let mut unlocking: Running = phone.start(&["unlock"]);
    unlocking.type_in("194918\n");
    while before.is_subset(&phone.keys()) {
        assert!(unlocking.is_running(), "it has ended and spent no try");
        std::thread::yield_now();
    }
    unlocking.kill();
}

#[test]
fn s32_pin_tries_and_waits_survive_kills() {
    let sandbox = Sandbox::shared();
    let phone = with_pin(&sandbox);
    wrong_pin_and_kill(&phone);
    assert_eq!(tries_left(&phone), 9);
    wrong_pin_and_kill(&phone);
    assert_eq!(tries_left(&phone), 8);
    phone
        .run(&["unlock", "--pin", WRONG])
        .says(1, &["pin is wrong", "7"]);
    // From the third on there is a wait, for the right one as well, whoever starts the phone again.
    let waits = |phone: &Phone| phone.status()["pin"]["wait_s"].as_u64().unwrap();
    assert!((1..=30).contains(&waits(&phone)), "{}", waits(&phone));
    phone.serve().running.kill();
    phone.run(&["unlock", "--pin", PIN]).says(1, &["wait"]);
    assert!((1..=30).contains(&waits(&phone)), "{}", waits(&phone));
    assert_eq!(tries_left(&phone), 7);
}

#[test]
fn s32_after_its_last_try_a_pin_is_gone_and_the_finger_leads_back() {
    let sandbox = Sandbox::start();
    let patch = r#"{"pin":{"tries":3,"delays_s":[0]}}"#;
    sandbox.desk("policy", &["--patch", patch]).exits(0);
    let phone = with_pin_and_finger(&sandbox);
    phone.run(&["lock"]).exits(0);
    phone.run(&["unlock", "--pin", WRONG]).says(1, &["2"]);
    phone.run(&["unlock", "--pin", WRONG]).says(1, &["1"]);
    phone
        .run(&["unlock", "--pin", WRONG])
        .says(1, &["too often"]);
    phone.run(&["unlock", "--pin", PIN]).exits(1);
    assert!(phone.status()["pin"].is_null());
    phone.run(&["unlock", "--finger"]).exits(0);
    phone
        .run(&["pin", "set", "--finger", "--pin", PIN])
        .exits(0);
    assert_eq!(tries_left(&phone), 3);
}
