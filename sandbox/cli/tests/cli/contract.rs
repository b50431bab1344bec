//! Sandbox, phone and demo: the documented JSON and exit codes.

use std::net::TcpListener;

use crate::common::{
    Phone, Running, Sandbox, Till, assert_hex, assert_instant, assert_members, ledger, tapcore,
};
use crate::relay::{Relay, provider_of};

const PARTIES: [&str; 5] = ["bank-a", "bank-b", "provider", "network", "acquirer"];

#[test]
fn the_sandbox_s_first_line_says_where_everything_is() {
    let sandbox = Sandbox::shared();
    assert_eq!(sandbox.ready["event"], "ready");
    assert!(sandbox.provider().starts_with("https://127.0.0.1:"));
    assert!(sandbox.acquirer().starts_with("https://127.0.0.1:"));
    assert_ne!(sandbox.provider(), sandbox.acquirer());
    let ca = std::fs::read_to_string(sandbox.ca()).unwrap();
    assert!(ca.starts_with("-----BEGIN CERTIFICATE-----"), "{ca}");
}

#[test]
fn an_address_in_use_is_said_by_the_sandbox() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    tapcore(&["sandbox", "--data", data, "--listen", &address]).says(1, &[&address, "in use"]);
}

#[test]
fn one_sandbox_runs_on_a_folder() {
    let sandbox = Sandbox::shared();
    let data = sandbox.path();
    tapcore(&["sandbox", "--data", data.to_str().unwrap()]).says(1, &["another sandbox"]);
}

#[test]
fn ca_server_keys_and_devices_survive_a_restart() {
    let sandbox = Sandbox::start();
    let relay = Relay::to(&sandbox);
    let phone = Phone::with_card_through(&sandbox, &relay.url());
    let ca = std::fs::read(sandbox.ca()).unwrap();
    let sandbox = sandbox.restart();
    assert_eq!(std::fs::read(sandbox.ca()).unwrap(), ca);
    relay.lead_to(provider_of(&sandbox));
    // The phone holds the provider to CA and pins of before.
    phone.run(&["sync"]).exits(0);
}

#[test]
fn emv_ca_answers_beside_a_running_sandbox_and_without_one() {
    let sandbox = Sandbox::start();
    let folder = sandbox.path();
    let ask = || {
        let words = ["sandbox", "emv-ca", "--data", folder.to_str().unwrap()];
        tapcore(&words).exits(0).json()
    };
    let beside = ask();
    assert_eq!(beside["rid"], "A000000333");
    assert_eq!(beside["exponent"], "03");
    assert_hex(&beside["index"], 1);
    assert_hex(&beside["modulus"], 1408 / 8);
    let keys = beside["keys"].as_array().unwrap();
    let rids: Vec<_> = keys.iter().map(|key| &key["rid"]).collect();
    assert_eq!(rids, ["A000000333", "A000000003", "A000000004"]);
    for key in keys {
        for member in ["index", "modulus", "exponent"] {
            assert_eq!(key[member], beside[member], "{member}");
        }
    }
    let _folder = sandbox.stop();
    assert_eq!(ask(), beside);
}

#[test]
fn every_party_shows_its_books_balanced_beside_a_running_sandbox_and_without_one() {
    let sandbox = Sandbox::start();
    let serving = Phone::with_card(&sandbox);
    let serving = (serving.serve(), serving);
    let till = Till::of(&sandbox);
    till.tap(&serving.0.addr, "12.50", &[]).exits(0);
    let beside = PARTIES.map(|party| sandbox.ledger(party));
    for (books, party) in beside.iter().zip(PARTIES) {
        assert_eq!(books["party"], party);
        assert_eq!(books["balanced"], true, "{party}");
        for entry in books["entries"].as_array().unwrap() {
            let names = ["at", "kind", "debit", "credit", "amount_minor", "currency"];
            assert_members(entry, &names);
            assert_members(entry, &["merchant", "reference", "result", "reason"]);
            assert_instant(&entry["at"]);
        }
    }
    // The payment is in the books of everybody whom it concerns, the bank with merchant and amount of the terminal.
    for party in ["bank-a", "network", "acquirer"] {
        let at = PARTIES.iter().position(|name| *name == party).unwrap();
        let entries = beside[at]["entries"].as_array().unwrap();
        let payment = entries.iter().find(|entry| entry["kind"] == "payment");
        let payment = payment.unwrap_or_else(|| panic!("{party}: {entries:#?}"));
        assert_eq!(payment["amount_minor"], 1250, "{party}");
        assert_eq!(payment["currency"], "CNY", "{party}");
        assert_eq!(payment["merchant"], "Mapo Tofu House", "{party}");
        assert_eq!(payment["result"], "approved", "{party}");
    }
    assert_eq!(beside[1]["entries"], serde_json::json!([]));
    let folder = sandbox.stop();
    for (party, books) in PARTIES.iter().zip(&beside) {
        let without = ledger(&folder.path().join("sandbox"), party);
        // The provider may have heard of the payment in between.
        if *party != "provider" {
            assert_eq!(without, *books);
        }
        assert_eq!(without["balanced"], true);
    }
}

#[test]
fn a_folder_without_a_sandbox_has_no_books() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    tapcore(&["sandbox", "emv-ca", "--data", data]).says(1, &["holds no sandbox"]);
    let words = [
        "sandbox", "ledger", "--data", data, "--party", "network", "--json",
    ];
    tapcore(&words).says(1, &["holds no sandbox"]);
}

#[test]
fn a_phone_is_enrolled_once() {
    let sandbox = Sandbox::shared();
    let phone = Phone::new();
    let enrolled = phone.enrol(sandbox.provider(), sandbox.ca()).exits(0);
    assert!(enrolled.out.contains("dev_"), "{enrolled:?}");
    let again = phone.enrol(sandbox.provider(), sandbox.ca());
    again.says(1, &["enrolled already"]);
}

#[test]
fn without_enrolment_there_is_an_empty_statement_and_no_sync() {
    let phone = Phone::new();
    phone.run(&["statement"]).says(1, &["no wallet in"]);
    std::fs::create_dir(phone.data()).unwrap();
    assert!(phone.statement().is_empty());
    phone.run(&["sync"]).says(1, &["not enrolled"]);
    phone.begin_card().says(1, &["not enrolled"]);
}

#[test]
fn the_code_may_come_from_a_pipe() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    let number = phone.number.clone();
    let mut adding = phone.start(&["card", "add", "--number", &number, "--expiry", "12/29"]);
    let code = sandbox.sms(&number);
    adding.type_in(&format!("{code}\n"));
    let added = adding.end().exits(0);
    assert!(added.out.contains(&number[12..]), "{added:?}");
    assert!(!added.out.contains(&number), "{added:?}");
}

#[test]
fn end_of_input_leaves_the_challenge_open_and_the_same_command_with_sms_finishes_it() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    let begun = phone.begin_card().exits(1);
    assert!(
        begun.err.lines().last().unwrap().contains("--sms"),
        "{begun:?}"
    );
    phone.finish_card(&sandbox.sms(&phone.number)).exits(0);
    assert_eq!(phone.states(), []);
}

#[test]
fn a_code_that_nobody_waits_for_is_an_error() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    phone.finish_card("123456").says(1, &["no code is awaited"]);
}

#[test]
fn sync_and_statement_as_documented() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let till = Till::of(&sandbox);
    let serving = phone.serve();
    for amount in ["12.50", "38"] {
        till.tap(&serving.addr, amount, &[]).exits(0);
        serving.tapped();
    }
    serving.stop();
    let report = phone.run(&["sync", "--json"]).exits(0).json();
    assert!(report["new"].is_u64(), "{report}");
    let matched = |entry: &serde_json::Value| entry["state"] == "matched";
    let entries = phone.sync_until(|entries| entries.iter().all(matched));
    let amounts: Vec<_> = entries.iter().map(|entry| &entry["amount_minor"]).collect();
    assert_eq!(amounts, [3800, 1250], "newest first");
    for entry in &entries {
        let names = ["id", "at", "state", "amount_minor", "currency", "merchant"];
        assert_members(entry, &names);
        assert_instant(&entry["at"]);
        assert_eq!(entry["currency"], "CNY");
        assert_eq!(entry["merchant"], "Mapo Tofu House");
        let account = format!("bank-a …{}", &phone.number[12..]);
        assert_eq!(entry["account"], account.as_str());
        assert!(entry["atc"].is_u64());
    }
    // For a person, without --json, there is the same to read.
    let read = phone.run(&["statement"]).exits(0);
    assert!(
        read.out.contains("12.50 CNY") && read.out.contains("matched"),
        "{read:?}"
    );
}

#[test]
fn the_demo_tells_its_story_from_the_books() {
    let demo = tapcore(&["demo", "--json"]).exits(0).json();
    assert_members(&demo, &["taps", "refusals", "statement"]);
    assert!(demo["elapsed_ms"].is_u64());
    let taps = demo["taps"].as_array().unwrap();
    let amounts: Vec<_> = taps
        .iter()
        .map(|tap| tap["amount_minor"].as_i64())
        .collect();
    assert_eq!(amounts[0], Some(1250));
    assert_eq!(taps.len(), 2);
    for tap in taps {
        assert_eq!(tap["currency"], "CNY");
        assert_eq!(tap["result"], "approved");
        assert!(tap["atc"].is_u64());
        assert_hex(&tap["arqc"], 8);
    }
    let refusals = demo["refusals"].as_array().unwrap();
    let reasons: Vec<_> = refusals.iter().map(|refusal| &refusal["reason"]).collect();
    assert_eq!(reasons, ["atc_replayed", "cryptogram_invalid"]);
    for refusal in refusals {
        assert_eq!(refusal["by"], "network");
        assert!(refusal["amount_minor"].is_i64() && refusal["atc"].is_u64());
    }
    let statement = demo["statement"].as_array().unwrap();
    for tap in taps {
        let entry = statement.iter().find(|entry| entry["atc"] == tap["atc"]);
        assert_eq!(entry.unwrap()["state"], "matched");
        assert_eq!(entry.unwrap()["amount_minor"], tap["amount_minor"]);
    }
}

#[test]
fn the_demo_for_a_person_is_plain_in_a_pipe_and_keeps_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo");
    let demo = Running::start(&["demo", "--trace", "--data", data.to_str().unwrap()]);
    let demo = demo.end().exits(0);
    let told = demo.out + &demo.err;
    assert!(!told.contains('\x1b'), "colour in a pipe");
    for word in [
        "12.50",
        "atc_replayed",
        "cryptogram_invalid",
        "matched",
        "9F26",
    ] {
        assert!(told.contains(word), "no {word:?} in:\n{told}");
    }
    assert!(
        !told.contains("6228480000000015"),
        "the card number was told"
    );
    assert!(data.join("sandbox").join("ca.pem").exists());
    tapcore(&["demo", "--data", data.to_str().unwrap()]).says(1, &["not empty"]);
}

#[test]
fn wrong_usage_exits_2() {
    let wrong: [&[&str]; 22] = [
        &["nonsense"],
        &["sandbox"],
        &["sandbox", "--data", "x", "--listen", "nowhere"],
        &["sandbox", "emv-ca"],
        &["sandbox", "ledger", "--data", "x"],
        &["sandbox", "ledger", "--data", "x", "--party", "bank-c"],
        &["phone", "sync"],
        &[
            "phone",
            "--data",
            "x",
            "enrol",
            "--provider",
            "https://127.0.0.1:1",
        ],
        &[
            "phone",
            "--data",
            "x",
            "card",
            "add",
            "--number",
            "6228480000000015",
        ],
        &["phone", "--data", "x", "serve"],
        &["phone", "--data", "x", "erase"],
        &["phone", "--data", "x", "card", "suspend"],
        &["phone", "--data", "x", "unlock", "--finger", "--pin", "1"],
        &["phone", "--data", "x", "confirm", "--amount", "1"],
        &[
            "phone",
            "--data",
            "x",
            "serve",
            "--tcp",
            "x",
            "--signals",
            "tired",
        ],
        &["sandbox", "wipe", "--data", "x"],
        &["pos", "tap", "--amount", "1"],
        &["pos", "revoke"],
        &["pos", "order"],
        &["phone", "--data", "x", "code", "--scale", "0"],
        &["phone", "--data", "x", "pay"],
        &["vectors"],
    ];
    for words in wrong {
        let ended = tapcore(words).exits(2);
        assert!(ended.err.starts_with("error: "), "{ended:?}");
    }
}
