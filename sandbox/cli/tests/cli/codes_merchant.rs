//! A shop's own code: asked for at the till, read and paid by the phone, and named by the decoder.

use std::time::Instant;

use serde_json::{Value, json};

use crate::common::{PATIENCE, Phone, Sandbox, Till, assert_members, tapcore};

/// The example of EMV QRCPS MPM 1.1: a dynamic code of a Chinese shop that no provider here knows.
const BEST_TRANSPORT: &str = "00020101021229300012D156000000000510A93FO3230Q31280012D15600000001030812345678520441115802CN\
     5914BEST TRANSPORT6007BEIJING64200002ZH0104最佳运输0202北京540523.7253031565502016233030412340603***0708A6008667\
     0902ME91320016A0112233449988770708123456786304A13A";
/// EMV QRCPS CPM 1.1, the example with two applications and a cryptogram.
const TWO_PRODUCTS: &str = "hQVDUFYwMWETTwegAAAAVVVVUAhQcm9kdWN0MWETTwegAAAAZmZmUAhQcm9kdWN0MmJJWggSNFZ4kBI0WF8gDkNBUkRIT0xERVIv\
     RU1WXy0IcnVlc2RlZW5kIZ8QBwYBCgMAAACfJghYT9OF+iNLzJ82AgABnzcEbVjvEw==";

fn request(till: &Till, more: &[&str]) -> Value {
    let words = [&["request"][..], more].concat();
    till.does(&words).exits(0).json()
}

fn text(code: &Value) -> &str {
    code["code"].as_str().unwrap()
}

#[test]
fn a_dynamic_code_is_paid_once() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let till = Till::of(&sandbox);
    let code = request(&till, &["--amount", "12.50"]);
    assert_members(&code, &["code", "order", "amount_minor"]);
    assert!(text(&code).starts_with("000201"), "{code}");
    assert!(code["order"].is_string(), "{code}");
    // Another amount than the shop's is not paid.
    let other = phone.run(&["pay", text(&code), "--amount", "12.49"]);
    other.exits(1);
    let paid = phone.run(&["pay", text(&code), "--json"]).exits(0);
    assert!(
        paid.err.contains("12.50 CNY to Mapo Tofu House"),
        "{paid:?}"
    );
    let paid = paid.json();
    assert_members(&paid, &["result", "reason", "amount_minor", "currency"]);
    assert_members(&paid, &["payee", "payment_id", "authorisation", "account"]);
    assert_eq!(
        [&paid["result"], &paid["payee"], &paid["account"]],
        [
            &json!("approved"),
            &json!("Mapo Tofu House"),
            &phone.cards()[0]["token_ref"]
        ]
    );
    assert_eq!(paid["amount_minor"], 1250);
    let again = phone.run(&["pay", text(&code), "--json"]).exits(3);
    let said = again.json();
    assert!(
        said["error"]["reason"] == "order_paid" || said["reason"] == "order_paid",
        "{said}"
    );
    let matched = |entries: &[Value]| entries.iter().all(|entry| entry["state"] == "matched");
    let entries = phone.sync_until(|entries| !entries.is_empty() && matched(entries));
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["merchant"], "Mapo Tofu House");
}

#[test]
fn a_till_asks_how_the_order_of_its_code_stands() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let till = Till::of(&sandbox);
    let unknown = till.does(&["order", "nobody-asked"]);
    unknown.says(3, &["order_unknown"]);
    let code = request(&till, &["--amount", "12.50"]);
    let order = code["order"].as_str().unwrap();
    let stands = || till.does(&["order", order]).exits(0).json();
    let open = stands();
    assert_members(&open, &["order", "state", "amount_minor", "currency", "at"]);
    assert_eq!(
        [&open["order"], &open["state"], &open["payment"]],
        [&json!(order), &json!("open"), &Value::Null]
    );
    let paid = phone.run(&["pay", text(&code), "--json"]).exits(0).json();
    // The network's word takes a moment to reach the acquirer.
    let until = Instant::now() + PATIENCE;
    let now = loop {
        let now = stands();
        if now["state"] != "open" {
            break now;
        }
        assert!(Instant::now() < until, "nobody told of it: {now}");
    };
    assert_eq!(
        [&now["state"], &now["payment"]["payment_id"]],
        [&json!("paid"), &paid["payment_id"]]
    );
    assert_eq!(
        [&now["amount_minor"], &now["payment"]["amount_minor"]],
        [1250, 1250]
    );
    // One that nobody has paid is revoked without a payment.
    let code = request(&till, &["--amount", "1"]);
    let order = code["order"].as_str().unwrap();
    let revoked = till.does(&["revoke", "--order", order]).exits(0).json();
    assert!(revoked["payment_id"].is_null(), "{revoked}");
    let over = till.does(&["order", order]).exits(0).json();
    assert_eq!(over["state"], "revoked");
}

#[test]
fn a_static_code_is_paid_as_often_as_the_person_says() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let till = Till::of(&sandbox);
    let code = request(&till, &[]);
    assert!(code["order"].is_null() && code["amount_minor"].is_null());
    let open = phone.run(&["pay", text(&code), "--json"]);
    assert!(open.exits(1).err.contains("--amount"));
    for amount in ["8", "9.90"] {
        let words = ["pay", text(&code), "--amount", amount, "--json"];
        let paid = phone.run(&words).exits(0).json();
        assert_eq!(paid["result"], "approved");
    }
    let entries = phone.sync_until(|entries| entries.len() == 2);
    let amounts = entries.iter().map(|entry| entry["amount_minor"].as_i64());
    let mut amounts: Vec<_> = amounts.collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [Some(800), Some(990)]);
}

#[test]
fn a_shop_s_code_is_paid_by_a_word_to_a_phone_that_serves() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let till = Till::of(&sandbox);
    let code = request(&till, &["--amount", "3"]);
    let mut serving = phone.serve();
    let word = format!("pay '{}'\n", text(&code));
    serving.running.type_in(&word);
    let paid = serving.running.event("paid");
    assert_eq!(
        [&paid["result"], &paid["payee"]],
        ["approved", "Mapo Tofu House"]
    );
    let wrong = BEST_TRANSPORT.replace("A13A", "A13B");
    serving.running.type_in(&format!("pay \"{wrong}\"\n"));
    let error = serving.running.event("error");
    assert!(
        error["error"]
            .as_str()
            .unwrap()
            .contains("checksum is wrong"),
        "{error}"
    );
}

#[test]
fn a_large_amount_wants_the_password() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let set = ["password", "set", "--password", "correct horse"];
    phone.run(&set).exits(0);
    let code = request(&Till::of(&sandbox), &["--amount", "1500"]);
    let words = ["pay", text(&code), "--json", "--password"];
    let typed = phone.run_typing(&words, "correct horse\n").exits(0);
    assert_eq!(typed.json()["result"], "approved");
}

#[test]
fn a_code_of_nobody_known_here_is_read_and_refused_by_the_provider() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let refused = phone.run(&["pay", BEST_TRANSPORT, "--json"]);
    assert_eq!(refused.tells(3, &[])["reason"], "payee_unknown");
    // What is damaged does not get that far.
    let wrong = BEST_TRANSPORT.replace("A13A", "A13B");
    let damaged = phone.run(&["pay", &wrong, "--json"]);
    let error = damaged.tells(1, &["checksum is wrong", "scan it again"]);
    assert!(error["reason"].is_null());
    phone
        .run(&["pay", "7394", "--json"])
        .tells(1, &["scan it again"]);
}

#[test]
fn the_decoder_names_every_object_of_a_merchant_s_code() {
    let decoded = tapcore(&["decode", BEST_TRANSPORT]).exits(0);
    for word in [
        "dynamic, for one payment",
        "00 Payload Format Indicator: 01",
        "29 Merchant Account Information",
        "00 Globally Unique Identifier: D15600000000",
        "53 Transaction Currency: 156 (CNY)",
        "54 Transaction Amount: 23.72 (2372 minor units)",
        "59 Merchant Name: BEST TRANSPORT",
        "01 Merchant Name - Alternate Language: 最佳运输",
        "07 Terminal Label: A6008667",
        "91 Unreserved Template",
        "63 Cyclic Redundancy Check (CRC): A13A (right)",
    ] {
        assert!(
            decoded.out.contains(word),
            "no {word:?} in\n{}",
            decoded.out
        );
    }
    let tree = tapcore(&["decode", "--json", BEST_TRANSPORT])
        .exits(0)
        .json();
    let name = tree["children"].as_array().unwrap().iter();
    let name = name.filter(|node| node["tag"] == "59").collect::<Vec<_>>();
    assert_eq!(name[0]["value"], "BEST TRANSPORT");
    let wrong = BEST_TRANSPORT.replace("A13A", "A13B");
    tapcore(&["decode", &wrong]).says(1, &["checksum is wrong"]);
}

#[test]
fn the_decoder_names_every_object_of_a_consumer_s_code() {
    let decoded = tapcore(&["decode", TWO_PRODUCTS]).exits(0);
    for word in [
        "85 Payload Format Indicator",
        "61 Application Template",
        "62 Common Data Template",
        "64 Common Data Transparent Template",
        "9F26 Application Cryptogram",
        "584FD385FA234BCC",
    ] {
        assert!(
            decoded.out.contains(word),
            "no {word:?} in\n{}",
            decoded.out
        );
    }
    assert!(!decoded.out.contains("1234567890123458"), "{}", decoded.out);
    tapcore(&["decode", "hQVDUFYwMWETTwegAAAA"]).says(1, &["offset"]);
    tapcore(&["decode", "hQVDUFYw!"]).says(1, &["base64"]);
}
