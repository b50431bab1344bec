//! Payment codes while the phone cannot reach its provider.

use std::collections::BTreeSet;

use crate::common::{Phone, Sandbox, Till, fresh_number};
use crate::relay::Relay;

/// How many codes the sandbox's provider lets a phone hold.
const STOCK: usize = 15;

#[test]
fn codes_last_without_a_network_until_none_is_left() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let phone = Phone::with_card_through(&sandbox, &relay.url());
    phone.run(&["sync"]).exits(0);
    assert_eq!(phone.status()["codes_left"], STOCK);
    relay.cut();
    let mut codes = BTreeSet::new();
    for left in (0..STOCK).rev() {
        let shown = phone.code(&[]);
        assert_eq!(shown["offline_left"], left);
        codes.insert(shown["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes.len(), STOCK, "no number is shown twice");
    let none = phone.run(&["code", "--json"]);
    let error = none.tells(1, &["codes", "go online"]);
    assert_eq!(error["reason"], "none_left");
    assert_eq!(phone.status()["codes_left"], 0);
    // The network is back, and so are codes.
    relay.mend(&sandbox);
    assert!(!codes.contains(phone.code(&[])["code"].as_str().unwrap()));
}

#[test]
fn few_codes_without_a_network_are_a_warning_and_no_error() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let phone = Phone::with_card_through(&sandbox, &relay.url());
    phone.run(&["sync"]).exits(0);
    relay.cut();
    let plenty = phone.run(&["code"]).exits(0);
    assert!(!plenty.err.contains("few"), "{plenty:?}");
    while phone.code(&[])["offline_left"].as_u64() > Some(3) {}
    let few = phone.run(&["code"]).exits(0);
    assert!(few.err.contains("few"), "{few:?}");
    assert!(few.err.contains("No further codes"), "{few:?}");
    // With the network they are fetched as soon as one is shown, without a word.
    relay.mend(&sandbox);
    phone.run(&["code"]).exits(0);
    assert!(phone.status()["codes_left"].as_u64() > Some(10));
}

#[test]
fn a_code_that_was_shown_without_a_network_pays_and_is_matched_later() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let phone = Phone::with_card_through(&sandbox, &relay.url());
    phone.run(&["sync"]).exits(0);
    relay.cut();
    let shown = phone.code(&[]);
    let till = Till::of(&sandbox);
    let scan = till.scan(shown["code"].as_str().unwrap(), "12.50", &[]);
    assert_eq!(scan.exits(0).json()["result"], "approved");
    assert!(phone.statement().is_empty(), "the phone cannot know");
    relay.mend(&sandbox);
    let matched = |entry: &serde_json::Value| entry["state"] == "matched";
    let entries = phone.sync_until(|entries| entries.iter().any(matched));
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["amount_minor"], 1250);
}

#[test]
fn a_code_that_was_closed_without_a_network_dies_with_the_next_contact() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let phone = Phone::with_card_through(&sandbox, &relay.url());
    phone.run(&["sync"]).exits(0);
    let mut serving = phone.serve();
    serving.running.type_in("code\n");
    let shown = serving.running.event("code");
    relay.cut();
    serving.running.type_in("close\n");
    let running = &serving.running;
    running.event_with("code_changed", |event| event["state"] == "closed");
    relay.mend(&sandbox);
    serving.running.type_in("sync\n");
    serving.running.event("sync_done");
    let scan = Till::of(&sandbox).scan(shown["code"].as_str().unwrap(), "1", &[]);
    assert_eq!(scan.exits(3).json()["reason"], "code_void");
    serving.stop();
    assert_eq!(phone.status()["codes_left"], STOCK);
}

#[test]
fn a_card_that_was_added_a_moment_ago_is_shown_without_a_network() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let mut phone = Phone::with_card_through(&sandbox, &relay.url());
    phone.run(&["sync"]).exits(0);
    assert_eq!(phone.status()["codes_left"], STOCK);
    phone.number = fresh_number();
    phone.add_card(&sandbox);
    phone.run(&["sync"]).exits(0);
    relay.cut();
    let last_digits = phone.number[12..].to_owned();
    let shown = phone.code(&["--account", &last_digits]);
    let scan = Till::of(&sandbox).scan(shown["code"].as_str().unwrap(), "1", &[]);
    assert_eq!(scan.exits(0).json()["result"], "approved");
}
