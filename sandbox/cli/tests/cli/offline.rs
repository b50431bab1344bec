//! Payments while the phone cannot reach its provider, and a shop that lies.

use std::thread;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, Phone, Sandbox, Serving, Till};
use crate::field::{PPSE, atc, status};
use crate::relay::Relay;

#[test]
fn taps_without_the_provider_are_approved_and_matched_once_it_is_back() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let phone = Phone::with_card_through(&sandbox, &relay.url());
    relay.cut();
    let serving = phone.serve();
    let till = Till::of(&sandbox);
    for amount in ["12.50", "38.00", "9.90"] {
        till.tap(&serving.addr, amount, &[]).exits(0);
        assert_eq!(serving.tapped()["outcome"], "complete");
    }
    serving.stop();
    let pending = phone.statement();
    assert!(
        pending.iter().all(|entry| entry["state"] == "pending"),
        "{pending:#?}"
    );
    relay.mend(&sandbox);
    let matched =
        phone.sync_until(|entries| entries.iter().all(|entry| entry["state"] == "matched"));
    let amounts: Vec<_> = matched.iter().map(|entry| &entry["amount_minor"]).collect();
    assert_eq!(amounts, [990, 3800, 1250]);
    // The same lines as before, settled.
    let ids = |entries: &[serde_json::Value]| -> Vec<_> {
        entries.iter().map(|entry| entry["id"].clone()).collect()
    };
    assert_eq!(ids(&matched), ids(&pending));
}

/// Taps until the card refuses three times on end; answers the ATCs.
fn tap_until_refused(serving: &Serving, pause: Duration) -> Vec<u64> {
    let (mut atcs, mut refused) = (Vec::new(), 0);
    while refused < 3 {
        let answer = serving.field().select().gpo(1);
        // One refusal may be an arming that a busy computer did not finish in the time a reader is given.
        if answer == [0x69, 0x85] {
            refused += 1;
            continue;
        }
        refused = 0;
        atcs.push(atc(&answer));
        assert!(atcs.is_sorted_by(|one, next| one < next), "{atcs:?}");
        serving.tapped();
        thread::sleep(pause);
    }
    atcs
}

#[test]
fn s26_keys_run_out_after_thirty_taps_and_come_back_with_the_provider() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let phone = Phone::with_card_through(&sandbox, &relay.url());
    relay.cut();
    let serving = phone.serve();
    // In close succession: each arming happens while the next tap is on its way.
    let atcs = tap_until_refused(&serving, Duration::ZERO);
    assert_eq!(atcs.len(), 30, "{atcs:?}");
    let till = Till::of(&sandbox);
    let refused = till.tap(&serving.addr, "12.50", &[]).exits(3).json();
    assert_eq!(refused["result"], "declined");
    serving.stop();
    // A phone that starts without a key to pay with shows no application at all.
    let serving = phone.serve();
    assert_eq!(serving.field().hex(PPSE), "6A82");
    serving.stop();
    relay.mend(&sandbox);
    let report = phone.run(&["sync", "--json"]).exits(0).json();
    assert_eq!(report["keys"], 3, "{report}");
    let serving = phone.serve();
    let paid = till.tap(&serving.addr, "12.50", &[]).exits(0).json();
    assert!(paid["atc"].as_u64() > atcs.last().copied());
}

#[test]
fn s26_thirty_taps_also_when_each_finds_the_phone_armed() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let phone = Phone::with_card_through(&sandbox, &relay.url());
    relay.cut();
    let atcs = tap_until_refused(&phone.serve(), Duration::from_millis(30));
    assert_eq!(atcs.len(), 30, "{atcs:?}");
}

#[test]
fn a_phone_that_serves_fetches_keys_by_itself() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    let until = Instant::now() + PATIENCE;
    // More taps than the first keys can pay; refused while the next ones are on their way.
    let mut taps = 0;
    while taps < 32 {
        taps += u32::from(status(&serving.field().select().gpo(taps)) == 0x9000);
        assert!(Instant::now() < until, "{taps} taps");
    }
    assert_eq!(serving.running.event("replenished")["keys"], 3);
    Till::of(&sandbox).tap(&serving.addr, "12.50", &[]).exits(0);
}

#[test]
fn keys_are_fetched_for_another_default_card_and_at_the_start() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let phone = Phone::with_card_through(&sandbox, &relay.url());
    relay.cut();
    tap_until_refused(&phone.serve(), Duration::ZERO);
    let card = phone.cards()[0]["token_ref"].clone();
    // No tap is made from here on, whose follow-up would fetch keys as well.
    let mut serving = phone.serve();
    relay.mend(&sandbox);
    let word = format!("card default --token {}\n", card.as_str().unwrap());
    serving.running.type_in(&word);
    assert_eq!(serving.running.event("replenished")["keys"], 3);
    serving.stop();

    relay.cut();
    tap_until_refused(&phone.serve(), Duration::ZERO);
    relay.mend(&sandbox);
    let serving = phone.serve();
    assert_eq!(serving.running.event("replenished")["keys"], 3);
}

#[test]
fn s39_a_cryptogram_presented_twice_pays_once() {
    let sandbox = Sandbox::start();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    let till = Till::of(&sandbox);
    let tap = till
        .tap(&serving.addr, "12.50", &["--present-twice"])
        .exits(0)
        .json();
    let again = &tap["presented_twice"];
    assert_eq!(
        [&again["result"], &again["reason"]],
        ["declined", "atc_replayed"]
    );
    assert_ne!(again["trace"], tap["trace"]);
    serving.tapped();
    serving.stop();
    phone.sync_until(|entries| entries[0]["state"] == "matched");
    let before = phone.statement();
    assert_eq!(before.len(), 1);
    assert_eq!(before[0]["amount_minor"], 1250);
    phone.run(&["sync"]).exits(0);
    assert_eq!(phone.statement(), before);

    let network = sandbox.ledger("network");
    let results: Vec<_> = (network["entries"].as_array().unwrap().iter())
        .map(|entry| (entry["result"].as_str().unwrap(), entry["reason"].as_str()))
        .collect();
    assert_eq!(
        results,
        [("approved", None), ("declined", Some("atc_replayed"))]
    );
    assert_eq!(debits(&sandbox), [1250]);
}

#[test]
fn an_amount_changed_on_the_way_is_refused_and_never_in_the_statement() {
    let sandbox = Sandbox::start();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    let till = Till::of(&sandbox);
    let lie = ["--send-amount", "990.00"];
    let tap = till.tap(&serving.addr, "9.90", &lie).exits(3).json();
    assert_eq!(
        [&tap["result"], &tap["reason"]],
        ["declined", "cryptogram_invalid"]
    );
    // The same lie about a payment after a genuine one, by the same terminal.
    till.tap(&serving.addr, "12.50", &[]).exits(0);
    till.tap(&serving.addr, "9.90", &["--send-amount", "0.01"])
        .exits(3);
    serving.stop();
    let closed =
        |entry: &serde_json::Value| entry["state"] == "matched" || entry["state"] == "declined";
    let entries = phone.sync_until(|entries| entries.iter().all(closed));
    let seen: Vec<_> = (entries.iter().rev())
        .map(|entry| {
            (
                entry["amount_minor"].as_i64().unwrap(),
                entry["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [(990, "declined"), (1250, "matched"), (990, "declined")]
    );
    let network = sandbox.ledger("network");
    let refused = network["entries"].as_array().unwrap().iter();
    let refused = refused.filter(|entry| entry["reason"] == "cryptogram_invalid");
    let amounts: Vec<_> = refused.map(|entry| &entry["amount_minor"]).collect();
    assert_eq!(amounts, [99_000, 1]);
    assert_eq!(debits(&sandbox), [1250]);
}

/// What bank a has taken from its customers.
fn debits(sandbox: &Sandbox) -> Vec<i64> {
    let books = sandbox.ledger("bank-a");
    assert_eq!(books["balanced"], true);
    let entries = books["entries"].as_array().unwrap().iter();
    let debits = entries.filter(|entry| entry["debit"].as_str().unwrap().starts_with("customer:"));
    debits
        .map(|entry| entry["amount_minor"].as_i64().unwrap())
        .collect()
}
