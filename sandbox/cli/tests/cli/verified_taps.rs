//! Taps for which the person is verified on the phone: every scheme in its own way, by keys of their own; and which of
//! several cards pays.

use serde_json::{Value, json};

use crate::common::{Phone, Sandbox, Till, fresh_number};

const PIN: &str = "194917";

/// A phone of this scheme whose person has a PIN, at a provider that wants the person for every payment.
fn of_a_person(sandbox: &Sandbox, profile: &str) -> Phone {
    let phone = Phone::with_profile(sandbox, profile);
    phone.run(&["pin", "set", "--pin", PIN]).exits(0);
    // Brings the policy, and keys that only the person opens.
    phone.run(&["sync"]).exits(0);
    phone
}

fn asking() -> Sandbox {
    let sandbox = Sandbox::start();
    let patch = r#"{"tap_verification":"always"}"#;
    sandbox.desk("policy", &["--patch", patch]).exits(0);
    sandbox
}

#[test]
fn s30_two_taps_in_each_schemes_own_way() {
    let sandbox = asking();
    for profile in ["unionpay", "visa", "mastercard"] {
        let phone = of_a_person(&sandbox, profile);
        let mut serving = phone.serve();
        let till = Till::of(&sandbox);
        let first = till.tap(&serving.addr, "12.50", &["--cvm"]).exits(3).json();
        assert_eq!(first["reason"], "see_phone", "{profile}");
        let wanted = serving.running.event("person_wanted");
        assert_eq!(wanted["amount_minor"], 1250, "{profile}");

        let verify = format!("verify --amount 12.50 --pin {PIN}\n");
        serving.running.type_in(&verify);
        serving.running.event("verified");
        let other = till.tap(&serving.addr, "12.51", &[]).exits(3).json();
        assert_eq!(other["reason"], "see_phone", "{profile}: another amount");
        let second = till.tap(&serving.addr, "12.50", &["--cvm", "--oda"]);
        let second = second.exits(0).json();
        let answers = [&second["result"], &second["oda"]];
        assert_eq!(answers, ["approved", "verified"], "{profile}");
        let mut tapped = serving.running.event("tap");
        while tapped["decision"] == "declined" {
            tapped = serving.running.event("tap");
        }
        let told = [&tapped["verified"], &tapped["outcome"], &tapped["country"]];
        assert_eq!(told, [&json!(true), &json!("complete"), &json!("0156")]);
        let third = till.tap(&serving.addr, "12.50", &[]).exits(3).json();
        assert_eq!(third["reason"], "see_phone", "{profile}: it served once");
        serving.stop();
        let entries = phone.sync_until(|entries| {
            let matched = |entry: &&Value| entry["state"] == "matched";
            entries.iter().filter(matched).count() == 1
        });
        assert_eq!(
            entries.len(),
            1,
            "{profile}: what was declined is no payment"
        );
    }
}

#[test]
fn s30_one_tap_ahead_of_the_amount_by_fingerprint() {
    let sandbox = asking();
    let phone = Phone::with_profile(&sandbox, "unionpay");
    phone.run(&["finger", "set-up"]).exits(0);
    phone.run(&["sync"]).exits(0);
    let mut serving = phone.serve();
    let till = Till::of(&sandbox);
    serving.running.type_in("verify --up-to 50 --finger\n");
    serving.running.event("verified");
    let above = till.tap(&serving.addr, "50.01", &[]).exits(3).json();
    assert_eq!(above["reason"], "see_phone");
    till.tap(&serving.addr, "49.99", &["--cvm"]).exits(0);
    till.tap(&serving.addr, "0.01", &[]).exits(3);
}

#[test]
fn the_cards_words_choose_who_pays() {
    let sandbox = Sandbox::start();
    // What has left the field does not come back.
    let patch = r#"{"deactivation_grace_ms":0}"#;
    sandbox.desk("policy", &["--patch", patch]).exits(0);
    let phone = Phone::with_profile(&sandbox, "unionpay");
    let number = fresh_number();
    let add = ["card", "add", "--expiry", "12/30", "--number", &number];
    let add = [&add[..], &["--profile", "visa"]].concat();
    phone.run(&add).exits(1);
    let code = sandbox.sms(&number);
    phone.run(&[&add[..], &["--sms", &code]].concat()).exits(0);
    let cards = phone.cards();
    let of = |scheme: &str| {
        let card = cards.iter().find(|card| card["scheme"] == scheme);
        card.unwrap()["token_ref"].as_str().unwrap().to_owned()
    };
    let mut serving = phone.serve();
    let till = Till::of(&sandbox);
    let begins = |tap: Value, range: &str| {
        let token = tap["token"].as_str().unwrap();
        assert!(token.starts_with(range), "{token}");
    };
    begins(till.tap(&serving.addr, "1", &[]).exits(0).json(), "62");
    serving
        .running
        .type_in(&format!("card use --token {}\n", of("visa")));
    serving.running.event("card_chosen");
    begins(till.tap(&serving.addr, "2", &[]).exits(0).json(), "4895");
    begins(till.tap(&serving.addr, "3", &[]).exits(0).json(), "62");
    serving
        .running
        .type_in(&format!("card default --token {}\n", of("visa")));
    serving.running.event("card_chosen");
    begins(till.tap(&serving.addr, "4", &[]).exits(0).json(), "4895");
    serving.stop();
    assert_eq!(phone.cards()[0]["scheme"], "visa");
}

#[test]
fn words_that_make_no_sense_are_answered_and_the_phone_goes_on() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let mut serving = phone.serve();
    for (line, detail) in [
        ("dance\n", "unrecognized subcommand"),
        ("verify --amount 0 --pin 194917\n", "--amount"),
        ("verify --amount 1 --pin 194917\n", "PIN"),
        ("card use --token 0000\n", "no such card"),
    ] {
        serving.running.type_in(line);
        let answer = serving.running.event("error");
        let said = answer["detail"].as_str().unwrap();
        assert!(said.contains(detail), "{line}: {answer}");
    }
    Till::of(&sandbox).tap(&serving.addr, "1", &[]).exits(0);
}

#[test]
fn a_card_goes_to_the_wallet_of_the_phones_maker_and_is_led_from_here() {
    let sandbox = Sandbox::start();
    let phone = Phone::with_card(&sandbox);
    let card = phone.cards()[0]["token_ref"].as_str().unwrap().to_owned();
    let network = sandbox.ready["network"].as_str().unwrap().to_owned();
    let words = ["card", "to-maker", "--token", &card];
    let rest = ["--network", &network, "--ca", sandbox.ca()];
    let done = phone.run(&[&words[..], &rest].concat()).exits(0);
    assert!(done.out.contains("test-maker"), "{}", done.out);
    let cards = phone.cards();
    let elsewhere = cards.iter().find(|card| card["home"] == "test-maker");
    let elsewhere = elsewhere.unwrap()["token_ref"].as_str().unwrap().to_owned();
    for (word, state) in [("suspend", "suspended"), ("resume", "active")] {
        phone.run(&["card", word, "--token", &elsewhere]).exits(0);
        let cards = phone.cards();
        let held = cards.iter().find(|card| card["token_ref"] == *elsewhere);
        assert_eq!(held.unwrap()["state"], state);
    }
    phone
        .run(&["card", "delete", "--token", &elsewhere])
        .exits(0);
    assert_eq!(phone.cards().len(), 1);
    // It never pays from this phone, and this phone's own does.
    let serving = phone.serve();
    Till::of(&sandbox).tap(&serving.addr, "1", &[]).exits(0);
}
