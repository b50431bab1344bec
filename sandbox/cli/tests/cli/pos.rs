//! The point of sale: the documented JSON and exit codes.

use std::path::Path;

use crate::common::{Phone, Sandbox, Till, assert_hex, assert_members, closed_port, tapcore};

#[test]
fn a_tap_as_documented() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    let till = Till::of(&sandbox);
    let tap = till.tap(&serving.addr, "12.50", &[]).exits(0).json();
    let names = [
        "result",
        "reason",
        "amount_minor",
        "currency",
        "atc",
        "arqc",
    ];
    assert_members(&tap, &names);
    assert_members(&tap, &["token", "merchant", "authorisation", "receipt"]);
    assert_eq!(tap["result"], "approved");
    assert!(tap["reason"].is_null());
    assert_eq!(tap["amount_minor"], 1250);
    assert_eq!(tap["currency"], "CNY");
    assert_eq!(tap["atc"], 1);
    assert_hex(&tap["arqc"], 8);
    let token = tap["token"].as_str().unwrap();
    assert!(token.starts_with("62") && token.contains('*'), "{token}");
    assert_eq!(tap["authorisation"].as_str().unwrap().len(), 6);
    let receipt = std::fs::read_to_string(tap["receipt"].as_str().unwrap()).unwrap();
    for word in [
        "12.50",
        "Mapo Tofu House",
        tap["authorisation"].as_str().unwrap(),
    ] {
        assert!(receipt.contains(word), "no {word:?} in:\n{receipt}");
    }
    // The trace number is durable, and the same terminal comes again.
    let again = till.tap(&serving.addr, "1", &[]).exits(0).json();
    assert_eq!([&tap["trace"], &again["trace"]], [1, 2]);
    let entries = sandbox.ledger("acquirer");
    let entries = entries["entries"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["arqc"] == tap["arqc"]));
}

#[test]
fn the_card_proves_offline_that_it_is_genuine() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    let till = Till::of(&sandbox);
    let tap = till.tap(&serving.addr, "12.50", &["--oda"]).exits(0).json();
    assert_eq!([&tap["result"], &tap["oda"]], ["approved", "verified"]);
    assert_eq!(serving.tapped()["outcome"], "complete");
}

#[test]
fn without_a_folder_the_terminal_is_a_new_one() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    let words = [
        "pos",
        "tap",
        "--json",
        "--amount",
        "12.50",
        "--card",
        &serving.addr,
    ];
    let rest = ["--acquirer", sandbox.acquirer(), "--ca", sandbox.ca()];
    let tap = tapcore(&[&words[..], &rest].concat()).exits(0).json();
    assert_eq!(
        [&tap["result"], &tap["trace"]],
        [&"approved".into(), &serde_json::json!(1)]
    );
    // The receipt is kept for whoever asked; this is the folder it is in.
    let receipt = Path::new(tap["receipt"].as_str().unwrap());
    std::fs::remove_dir_all(receipt.parent().unwrap().parent().unwrap()).unwrap();
}

#[test]
fn a_trace_shows_every_tag_and_no_number() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    let till = Till::of(&sandbox);
    let tap = till.tap(&serving.addr, "12.50", &["--trace"]).exits(0);
    let shown = tap.json()["token"].as_str().unwrap().to_owned();
    for tag in ["9F38", "9F26", "9F36", "9F10", "5A", "57"] {
        assert!(tap.err.contains(tag), "no {tag} in:\n{}", tap.err);
    }
    let (begin, end) = (&shown[..6], &shown[shown.len() - 4..]);
    let told = tap.err.replace(' ', "");
    let numbers = told.match_indices(begin).filter(|(at, _)| {
        let number = told.get(*at..at + shown.len()).unwrap_or_default();
        number.ends_with(end) && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    assert_eq!(numbers.count(), 0, "{}", tap.err);
}

#[test]
fn without_a_card_or_an_acquirer_there_is_no_payment() {
    let sandbox = Sandbox::shared();
    let nobody = format!("127.0.0.1:{}", closed_port());
    let no_card = Till::of(&sandbox).tap(&nobody, "12.50", &[]);
    no_card.says(1, &["card"]);
    let acquirer = format!("https://{nobody}");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let words = [
        "pos", "--data", data, "tap", "--amount", "1", "--card", &nobody,
    ];
    let rest = ["--acquirer", &acquirer, "--ca", sandbox.ca()];
    tapcore(&[&words[..], &rest].concat()).says(1, &["acquirer", "cannot be reached"]);
}

#[test]
fn an_amount_that_is_none_is_refused() {
    let sandbox = Sandbox::shared();
    let till = Till::of(&sandbox);
    for amount in ["", "0", "-1", "12.505", "1e3", "12,50", "99999999999.99"] {
        till.tap("127.0.0.1:1", amount, &[]).says(1, &["--amount"]);
    }
}

#[test]
fn a_phone_without_a_card_is_declined() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    let serving = phone.serve();
    let tap = Till::of(&sandbox)
        .tap(&serving.addr, "12.50", &[])
        .exits(3)
        .json();
    assert_eq!(tap["result"], "declined");
    assert!(tap["reason"].is_string() && tap["atc"].is_null(), "{tap}");
}
