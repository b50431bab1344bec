//! A card of each scheme: it pays, proves that it is genuine, and nothing of it counts twice.

use serde_json::json;

use crate::common::{Phone, Sandbox, Till, tapcore};

/// The schemes and how their tokens begin.
const PROFILES: [(&str, &str); 3] = [("unionpay", "62"), ("visa", "4895"), ("mastercard", "5204")];

#[test]
fn every_profile_pays_with_and_without_offline_data_authentication() {
    let sandbox = Sandbox::shared();
    for (profile, range) in PROFILES {
        let phone = Phone::with_profile(&sandbox, profile);
        let serving = phone.serve();
        let till = Till::of(&sandbox);
        let genuine = till.tap(&serving.addr, "12.50", &["--oda"]).exits(0).json();
        let answers = [&genuine["result"], &genuine["oda"], &genuine["atc"]];
        assert_eq!(
            answers,
            [&json!("approved"), &json!("verified"), &json!(1)],
            "{profile}"
        );
        let token = genuine["token"].as_str().unwrap();
        assert!(token.starts_with(range), "{profile}: {token}");
        assert_eq!(serving.tapped()["outcome"], "complete", "{profile}");

        let plain = till.tap(&serving.addr, "3", &[]).exits(0).json();
        let answers = [&plain["result"], &plain["oda"]];
        assert_eq!(answers, ["approved", "not_asked"], "{profile}");
        assert_eq!(serving.tapped()["outcome"], "complete", "{profile}");
        // What the network saw is what the terminal had, whether inside a signature or not.
        let books = sandbox.ledger("network");
        let entries = books["entries"].as_array().unwrap();
        for tap in [&genuine, &plain] {
            let seen = entries.iter().find(|entry| entry["arqc"] == tap["arqc"]);
            let seen = seen.unwrap_or_else(|| panic!("{profile}: {tap}"));
            assert_eq!(seen["amount_minor"], tap["amount_minor"]);
        }
        serving.stop();
        let entries = phone.sync_until(|entries| {
            let matched = |entry: &&serde_json::Value| entry["state"] == "matched";
            entries.iter().filter(matched).count() == 2
        });
        assert_eq!(entries.len(), 2, "{profile}");
    }
}

#[test]
fn a_token_of_a_credit_account_pays_beside_one_of_a_bank_card() {
    let sandbox = Sandbox::start();
    let phone = Phone::with_card(&sandbox);
    let number = "6228489000000016";
    let add = ["card", "add", "--expiry", "12/30", "--number", number];
    let add = [&add[..], &["--profile", "visa"]].concat();
    phone.run(&add).exits(1);
    let code = sandbox.sms(number);
    phone.run(&[&add[..], &["--sms", &code]].concat()).exits(0);
    let cards = phone.cards();
    let kinds: Vec<_> = cards.iter().map(|card| &card["account_type"]).collect();
    assert_eq!(kinds, ["bank_card", "credit"]);
    phone.run(&["card", "default", "--token", "0016"]).exits(0);
    let serving = phone.serve();
    let till = Till::of(&sandbox);
    let all = till.tap(&serving.addr, "50000", &[]).exits(0).json();
    assert_eq!(all["result"], "approved");
    let more = till.tap(&serving.addr, "0.01", &[]).exits(3).json();
    assert_eq!(more["reason"], "insufficient_funds");
    serving.stop();
    // What the bank card has is not touched by what the other one owes.
    let first = phone.cards()[1]["token_ref"].clone();
    let token = first.as_str().unwrap();
    phone.run(&["card", "default", "--token", token]).exits(0);
    let serving = phone.serve();
    till.tap(&serving.addr, "12.50", &[]).exits(0);
}

#[test]
fn the_network_refuses_lies_about_every_profile() {
    let sandbox = Sandbox::shared();
    for (profile, _) in PROFILES {
        let phone = Phone::with_profile(&sandbox, profile);
        let serving = phone.serve();
        let till = Till::of(&sandbox);
        let twice = till.tap(&serving.addr, "12.50", &["--present-twice"]);
        let twice = twice.exits(0).json();
        let again = &twice["presented_twice"];
        let answers = [&again["result"], &again["reason"]];
        assert_eq!(answers, ["declined", "atc_replayed"], "{profile}");
        let other = till.tap(&serving.addr, "9.90", &["--send-amount", "0.01"]);
        let refused = other.exits(3).json();
        assert_eq!(refused["reason"], "cryptogram_invalid", "{profile}");
    }
}

#[test]
fn a_terminal_that_asks_for_verification_is_not_paid_without() {
    let sandbox = Sandbox::shared();
    for (profile, _) in PROFILES {
        let phone = Phone::with_profile(&sandbox, profile);
        let serving = phone.serve();
        let tap = Till::of(&sandbox).tap(&serving.addr, "12.50", &["--cvm"]);
        let reason = tap.exits(3).json()["reason"].clone();
        // Kernels 3 and 7 would have a PIN typed, which this terminal cannot take. Kernel 2 leaves it to the device.
        let expected = match profile {
            "mastercard" => "see_phone",
            _ => "cvm_not_possible",
        };
        assert_eq!(reason, expected, "{profile}");
    }
}

#[test]
fn a_profile_that_there_is_not_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let words = ["phone", "--data", data, "card", "add", "--expiry", "12/30"];
    let rest = ["--number", "6228480000000015", "--profile", "dinersclub"];
    let refused = tapcore(&[&words[..], &rest].concat()).exits(2);
    for (profile, _) in PROFILES {
        assert!(refused.err.contains(profile), "{}", refused.err);
    }
}
