//! The life of a card and of a phone's data: suspended, resumed, deleted, exported, erased; and what keeps a phone from
//! paying at all.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::common::{Phone, Sandbox, Serving, Till, assert_members};
use crate::relay::Relay;

/// Pays, and waits until the phone has written it down.
fn pay(sandbox: &Sandbox, serving: &Serving) {
    Till::of(sandbox).tap(&serving.addr, "12.50", &[]).exits(0);
    serving.tapped();
}

#[test]
fn cards_and_status_as_documented() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let [card] = phone.cards().try_into().unwrap();
    assert_members(
        &card,
        &["token_ref", "token", "bank", "account_type", "expiry"],
    );
    assert_eq!(card["state"], "active");
    assert_eq!(card["card"], format!("…{}", &phone.number[12..]).as_str());
    let status = phone.status();
    assert_eq!(status["enrolled"], true);
    assert_eq!([&status["cards"], &status["taps_left"]], [1, 30]);
    assert_eq!(status["finger"], "none");
    assert!(status["refusal"].is_null() && status["pin"].is_null());
    assert!(status["device_id"].as_str().unwrap().starts_with("dev_"));
    for words in [&["card", "list"][..], &["status"]] {
        let read = phone.run(words).exits(0);
        assert!(!read.out.contains(&phone.number), "{read:?}");
    }
    phone
        .run(&["card", "suspend", "--token", "nothing"])
        .says(1, &["no such card"]);
}

#[test]
fn s34_a_card_suspended_without_a_network_pays_no_more_and_the_network_is_told_at_the_next_sync() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let phone = Phone::with_card_through(&sandbox, &relay.url());
    let four = phone.number[12..].to_owned();
    let told = |phone: &Phone| phone.export()["provider"]["tokens"][0]["state"].clone();
    relay.cut();
    let suspended = phone.run(&["card", "suspend", "--token", &four]).exits(0);
    assert!(suspended.err.contains("next sync"), "{suspended:?}");
    let serving = phone.serve();
    serving.refuses();
    Till::of(&sandbox).tap(&serving.addr, "12.50", &[]).exits(3);
    serving.stop();
    assert_eq!(phone.states(), []);
    // Resuming needs the network, which must agree.
    phone
        .run(&["card", "resume", "--token", &four])
        .says(1, &["cannot be reached"]);
    relay.mend(&sandbox);
    assert_eq!(told(&phone), "active");
    phone.run(&["sync"]).exits(0);
    assert_eq!(told(&phone), "suspended");
    assert_eq!(phone.cards()[0]["state"], "suspended");
    phone.run(&["card", "resume", "--token", &four]).exits(0);
    assert_eq!(told(&phone), "active");
    pay(&sandbox, &phone.serve());
}

#[test]
fn a_deleted_card_is_gone_here_and_at_the_network_and_its_payments_stay() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    pay(&sandbox, &serving);
    serving.stop();
    phone.sync_until(|entries| entries[0]["state"] == "matched");
    let token = phone.cards()[0]["token_ref"].as_str().unwrap().to_owned();
    phone.run(&["card", "delete", "--token", &token]).exits(0);
    assert!(phone.cards().is_empty());
    assert_eq!(phone.export()["provider"]["tokens"][0]["state"], "deleted");
    phone.serve().refuses();
    assert_eq!(phone.statement()[0]["state"], "matched");
    // The same card can be added again: it is another token.
    phone.add_card(&sandbox);
    assert_ne!(phone.cards()[0]["token_ref"], token.as_str());
    pay(&sandbox, &phone.serve());
}

#[test]
fn s41_what_the_phone_sees_is_scored_by_the_issuer_before_a_tap() {
    let sandbox = Sandbox::start();
    let phone = Phone::with_card(&sandbox);
    let serve = |signals: &str| {
        let words = ["serve", "--tcp", "127.0.0.1:0", "--signals", signals];
        Serving::of(phone.start(&words))
    };
    for signals in ["rooted", "hooked", "emulator,debugger,rooted"] {
        let serving = serve(signals);
        serving.refuses();
        serving.stop();
    }
    // 40 and 20 are below 100; the issuer may see that differently.
    let serving = serve("emulator,debugger");
    pay(&sandbox, &serving);
    serving.stop();
    sandbox.desk("policy", &["--block-at", "60"]).exits(0);
    phone.run(&["sync"]).exits(0);
    let serving = serve("emulator,debugger");
    serving.refuses();
    serving.stop();
    let words = ["--weight", "debugger=19", "--weight", "rooted=0"];
    let policy = sandbox.desk("policy", &words).exits(0).json();
    assert_eq!(
        [
            &policy["risk"]["block_at"],
            &policy["risk"]["weights"]["debugger"]
        ],
        [60, 19]
    );
    phone.run(&["sync"]).exits(0);
    let serving = serve("emulator,debugger,rooted");
    pay(&sandbox, &serving);
}

#[test]
fn s43_an_app_below_the_minimum_is_told_to_update_and_pays_nothing() {
    let sandbox = Sandbox::start();
    let phone = Phone::with_card(&sandbox);
    let minimum = |version: &str| {
        let policy = sandbox
            .desk("policy", &["--minimum-version", version])
            .exits(0);
        assert_eq!(policy.json()["minimum_app_version"], version);
    };
    minimum("9.0.0");
    phone.run(&["sync"]).says(1, &["update", "9.0.0"]);
    assert_eq!(phone.status()["refusal"], "outdated");
    // Also without a word from the provider, and whatever else is asked.
    let serving = phone.serve();
    serving.refuses();
    serving.stop();
    phone.begin_card().says(1, &["update", "9.0.0"]);
    let another = Phone::new();
    let refused = another.enrol(sandbox.provider(), sandbox.ca());
    assert!(matches!(refused.code, Some(1 | 3)), "{refused:?}");
    assert!(refused.err.contains("pdate"), "{refused:?}");
    minimum("0.1.0");
    phone.run(&["sync"]).exits(0);
    pay(&sandbox, &phone.serve());
    sandbox
        .desk("policy", &["--minimum-version", "newest"])
        .says(1, &["minimum_app_version"]);
}

/// Every string in the document.
fn strings(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, into)),
        Value::Object(members) => members.values().for_each(|member| strings(member, into)),
        _ => {}
    }
}

/// Every run of `length` characters in the text.
fn runs(text: &str, length: usize) -> BTreeSet<String> {
    let text: Vec<char> = text.chars().collect();
    text.windows(length)
        .map(|run| run.iter().collect())
        .collect()
}

#[test]
fn s44_an_export_holds_cards_and_payments_and_neither_card_numbers_nor_keys() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    phone.run(&["pin", "set", "--pin", "194917"]).exits(0);
    phone
        .run(&["password", "set", "--password", "correct horse"])
        .exits(0);
    let serving = phone.serve();
    pay(&sandbox, &serving);
    serving.stop();
    phone.sync_until(|entries| entries[0]["state"] == "matched");
    let exported = phone.run(&["export"]).exits(0);
    let document = exported.json();
    let (own, provider) = (&document["phone"], &document["provider"]);
    assert_eq!(own["payments"][0]["amount_minor"], 1250);
    assert_eq!(own["payments"][0]["merchant"], "Mapo Tofu House");
    assert_eq!(own["cards"][0]["state"], "active");
    assert_eq!(provider["phones"][0]["device_id"], own["device_id"]);
    assert_eq!(provider["user_id"], own["user_id"]);
    assert_eq!(provider["entries"].as_array().unwrap().len(), 1);
    assert!(!exported.out.contains(&phone.number));
    assert!(!exported.out.contains("194917") && !exported.out.contains("correct horse"));
    for key in phone.keys() {
        let bytes = std::fs::read(phone.platform().join(&key)).unwrap();
        // A private key in PKCS #8 is 32 bytes from its byte 36 on; the others are the file.
        let secret = if bytes.len() > 68 {
            &bytes[36..68]
        } else {
            &bytes[..]
        };
        let upper = exported.out.to_uppercase();
        assert!(!upper.contains(&hex::encode_upper(secret)), "{key}");
    }
}

#[test]
fn s44_no_identifier_serves_two_purposes() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    phone.run(&["pin", "set", "--pin", "194917"]).exits(0);
    let words = [
        "confirm", "--amount", "1", "--payee", "Mapo", "--pin", "194917",
    ];
    phone.run(&words).exits(0);
    let second = phone.beside_this(&sandbox);
    let mut all = Vec::new();
    strings(&phone.export(), &mut all);
    strings(&second.export(), &mut all);
    // Identifiers are a prefix that says the purpose, and random characters.
    let ids: BTreeSet<String> = all
        .into_iter()
        .filter(|text| {
            text.split_once('_').is_some_and(|(kind, rest)| {
                kind.len() == 3 && rest.len() >= 16 && !rest.contains(['_', ' '])
            })
        })
        .collect();
    let kinds: BTreeSet<&str> = ids.iter().map(|id| &id[..4]).collect();
    for kind in ["dev_", "usr_", "tok_", "chl_", "ses_"] {
        assert!(kinds.contains(kind), "no {kind} among {kinds:?}");
    }
    let ids: Vec<_> = ids.into_iter().collect();
    for (at, one) in ids.iter().enumerate() {
        for other in &ids[at + 1..] {
            let shared: Vec<_> = runs(&one[4..], 10)
                .intersection(&runs(&other[4..], 10))
                .cloned()
                .collect();
            assert!(shared.is_empty(), "{one} and {other} share {shared:?}");
        }
    }
    // What the key store calls its keys is nobody's business but the phone's.
    for key in phone.keys() {
        let installation = key.split('.').nth(1).unwrap().to_uppercase();
        assert!(!ids.iter().any(|id| id.contains(&installation)), "{key}");
    }
}
