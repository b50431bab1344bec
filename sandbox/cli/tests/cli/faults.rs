//! Refusals by bank and network, and servers that are not the provider: exit codes, sentences, and nothing half-done.

use std::time::{Duration, Instant};

use sandbox_bank::card::{BANK_A, BANK_B};
use serde_json::Value;

use crate::common::{Phone, Sandbox, Till, closed_port};
use crate::relay::{Impostor, Relay};

/// A code that is not this one.
fn other_than(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

#[test]
fn a_wrong_sms_code_is_refused_and_the_right_one_still_counts() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    phone.begin_card().exits(1);
    let code = sandbox.sms(&phone.number);
    phone
        .finish_card(other_than(&code))
        .says(3, &["not the code"]);
    phone.finish_card("12x456").says(1, &["digits"]);
    phone.finish_card(&code).exits(0);
    let serving = phone.serve();
    Till::of(&sandbox).tap(&serving.addr, "12.50", &[]).exits(0);
}

#[test]
fn a_wrong_code_from_a_pipe_is_refused_too() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    let number = phone.number.clone();
    let mut adding = phone.start(&["card", "add", "--number", &number, "--expiry", "12/29"]);
    let code = sandbox.sms(&number);
    adding.type_in(&format!("{}\n", other_than(&code)));
    let refused = adding.end().exits(3);
    assert!(refused.err.contains("not the code"), "{refused:?}");
    phone.finish_card(&code).exits(0);
}

#[test]
fn three_wrong_codes_end_the_challenge_and_a_new_one_can_be_asked_for() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    phone.begin_card().exits(1);
    let code = sandbox.sms(&phone.number);
    phone
        .finish_card(other_than(&code))
        .says(3, &["not the code"]);
    phone
        .finish_card(other_than(&code))
        .says(3, &["not the code"]);
    phone
        .finish_card(other_than(&code))
        .says(3, &["three times"]);
    phone.finish_card(&code).says(1, &["no code is awaited"]);
    phone.add_card(&sandbox);
}

#[test]
fn cards_that_the_bank_does_not_give() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    let add = |number: &str, expiry: &str| {
        phone.run(&["card", "add", "--number", number, "--expiry", expiry])
    };
    add("4111111111111111", "12/29").says(3, &["card with this number"]);
    add("6228480000000015", "10/26").says(3, &["expired"]);
    add(BANK_A.expired, "12/29").says(3, &["expired"]);
    add(BANK_B.lost, "12/29").says(3, &["reported lost"]);
    add(BANK_B.down, "12/29").says(3, &["does not answer"]);
    // What cannot be a card is not even sent.
    add("6228480000000016", "12/29").says(1, &["wrong digit"]);
    add("62284800", "12/29").says(1, &["digits"]);
    add("6228480000000015", "13/29").says(1, &["mm/yy"]);
    // Nothing half-done remains: no challenge waits, and a good card can be added.
    phone.finish_card("123456").says(1, &["no code is awaited"]);
    phone.add_card(&sandbox);
}

/// Taps with the card of this number, is declined, and answers the reason; the statement must say the same.
fn declined(number: &str) -> Value {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_number(&sandbox, number);
    let serving = phone.serve();
    let tap = Till::of(&sandbox)
        .tap(&serving.addr, "12.50", &[])
        .exits(3)
        .json();
    assert_eq!(tap["result"], "declined");
    assert!(tap["authorisation"].is_null());
    assert_eq!(serving.tapped()["outcome"], "complete");
    serving.stop();
    let entries = phone.sync_until(|entries| entries[0]["state"] == "declined");
    assert_eq!(entries.len(), 1);
    assert_eq!([&entries[0]["amount_minor"], &entries[0]["atc"]], [1250, 1]);
    tap["reason"].clone()
}

#[test]
fn no_funds() {
    assert_eq!(declined(BANK_A.no_funds), "insufficient_funds");
}

#[test]
fn a_card_reported_lost_after_it_was_added() {
    assert_eq!(declined(BANK_A.lost_later), "card_reported_lost");
}

#[test]
fn a_bank_that_is_down() {
    assert_eq!(declined(BANK_B.down_later), "bank_unavailable");
}

#[test]
fn a_slow_bank_is_waited_for() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_number(&sandbox, BANK_A.slow);
    let serving = phone.serve();
    let begun = Instant::now();
    let tap = Till::of(&sandbox)
        .tap(&serving.addr, "12.50", &[])
        .exits(0)
        .json();
    assert!(begun.elapsed() >= Duration::from_secs(3));
    assert_eq!(tap["result"], "approved");
}

#[test]
fn an_unreachable_provider_is_said_and_enrolling_later_works() {
    let sandbox = Sandbox::shared();
    let phone = Phone::new();
    let nobody = format!("https://127.0.0.1:{}", closed_port());
    phone
        .enrol(&nobody, sandbox.ca())
        .says(1, &["cannot be reached"]);
    phone
        .enrol("http://127.0.0.1:1", sandbox.ca())
        .says(1, &["https://"]);
    phone.enrol(sandbox.provider(), sandbox.ca()).exits(0);
}

#[test]
fn an_enrolled_phone_that_reaches_nobody_says_so_and_keeps_its_data() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let phone = Phone::with_card_through(&sandbox, &relay.url());
    relay.cut();
    phone.run(&["sync"]).says(1, &["cannot be reached"]);
    phone.begin_card().says(1, &["cannot be reached"]);
    relay.mend(&sandbox);
    phone.run(&["sync"]).exits(0);
}

#[test]
fn a_code_whose_way_was_cut_can_be_sent_again() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let phone = Phone::new();
    phone.enrol(&relay.url(), sandbox.ca()).exits(0);
    phone.begin_card().exits(1);
    let code = sandbox.sms(&phone.number);
    relay.cut();
    phone.finish_card(&code).says(1, &["cannot be reached"]);
    relay.mend(&sandbox);
    phone.finish_card(&code).exits(0);
}

#[test]
fn s35_a_provider_under_another_ca_is_not_trusted() {
    let (sandbox, stranger) = (Sandbox::shared(), Sandbox::start());
    let phone = Phone::new();
    phone
        .enrol(sandbox.provider(), stranger.ca())
        .says(1, &["is not the wallet's provider"]);
    phone.enrol(sandbox.provider(), sandbox.ca()).exits(0);
}

#[test]
fn a_ca_file_that_is_none_is_said() {
    let sandbox = Sandbox::shared();
    let phone = Phone::new();
    phone
        .enrol(sandbox.provider(), "/nowhere/ca.pem")
        .says(1, &["cannot be read"]);
    for content in [
        "",
        "not a certificate",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    ] {
        let ca = phone.beside("ca.pem");
        std::fs::write(&ca, content).unwrap();
        let refused = phone.enrol(sandbox.provider(), ca.to_str().unwrap());
        refused.says(1, &["certificate"]);
    }
}

#[test]
fn s36_a_key_that_is_not_pinned_is_refused_though_the_right_ca_signed_it() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let phone = Phone::with_card_through(&sandbox, &relay.url());
    let impostor = Impostor::of(&sandbox);
    relay.lead_to(impostor.addr());
    phone
        .run(&["sync"])
        .says(1, &["is not the wallet's provider"]);
    phone
        .begin_card()
        .says(1, &["is not the wallet's provider"]);
    assert_eq!(
        impostor.requests(),
        0,
        "the handshake must end before a request"
    );
    // A phone that has no pins yet is taken in by it, so it is the pins that hold.
    Phone::new().enrol(&relay.url(), sandbox.ca()).exits(1);
    assert_ne!(impostor.requests(), 0);
    relay.mend(&sandbox);
    phone.run(&["sync"]).exits(0);
}
