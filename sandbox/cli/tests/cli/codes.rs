//! Payment codes from the phone to the till: shown, scanned, paid once, and what the phone shows while it serves.

use serde_json::{Value, json};

use crate::common::{Phone, Sandbox, Serving, Till, assert_hex, assert_members};

const PASSWORD: &str = "correct horse";
const PIN: &str = "194917";

/// What a code's JSON says in `code`.
fn text(shown: &Value) -> String {
    shown["code"].as_str().unwrap().to_owned()
}

/// A name for an order that no other test has.
fn order(phone: &Phone, name: &str) -> String {
    format!("{name}-{}", phone.number)
}

/// What was paid and how it stands, the smallest first.
fn payments(entries: &[Value]) -> Vec<(i64, &str)> {
    let payments = entries.iter().map(|entry| {
        let state = entry["state"].as_str().unwrap();
        (entry["amount_minor"].as_i64().unwrap(), state)
    });
    let mut payments: Vec<_> = payments.collect();
    payments.sort_unstable();
    payments
}

#[test]
fn a_code_is_shown_scanned_and_paid_once() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let till = Till::of(&sandbox);
    let shown = phone.code(&[]);
    let mut members: Vec<_> = shown.as_object().unwrap().keys().collect();
    members.sort();
    let documented = ["account", "code", "format", "offline_left", "seconds_left"];
    assert_eq!(members, documented);
    let code = text(&shown);
    assert!(code.len() == 18 && code.starts_with("73"), "{code}");
    assert!(code.bytes().all(|digit| digit.is_ascii_digit()));
    assert_eq!(shown["format"], "numeric");
    assert_eq!(shown["account"], phone.cards()[0]["token_ref"]);
    assert!((1..=30).contains(&shown["seconds_left"].as_u64().unwrap()));
    assert!(shown["offline_left"].is_u64());

    let scan = till.scan(&code, "12.50", &[]).exits(0).json();
    assert_members(&scan, &["result", "reason", "amount_minor", "currency"]);
    assert_members(&scan, &["order", "payment_id", "merchant", "authorisation"]);
    assert_eq!(scan["result"], "approved");
    assert_eq!(
        [&scan["reason"], &scan["atc"], &scan["arqc"], &scan["token"]],
        [&Value::Null; 4]
    );
    assert_eq!(
        [&scan["amount_minor"], &scan["currency"]],
        [&json!(1250), &json!("CNY")]
    );
    assert_eq!(scan["merchant"], "Mapo Tofu House");
    assert_eq!(scan["authorisation"].as_str().unwrap().len(), 6);
    let receipt = std::fs::read_to_string(scan["receipt"].as_str().unwrap()).unwrap();
    for word in ["12.50", "APPROVED", scan["order"].as_str().unwrap()] {
        assert!(receipt.contains(word), "no {word:?} in:\n{receipt}");
    }
    assert!(!receipt.contains(&code), "{receipt}");

    let again = till.scan(&code, "12.50", &[]).exits(3).json();
    assert_eq!(
        [&again["result"], &again["reason"]],
        ["declined", "code_used"]
    );
    let entries = phone.sync_until(|entries| payments(entries) == [(1250, "matched")]);
    assert_eq!(entries[0]["merchant"], "Mapo Tofu House");
    assert!(entries[0]["atc"].is_null(), "{entries:#?}");
}

#[test]
fn a_code_is_for_the_card_that_is_named() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let card = phone.cards()[0].clone();
    for which in [card["token_ref"].as_str().unwrap(), &phone.number[12..]] {
        assert_eq!(
            phone.code(&["--account", which])["account"],
            card["token_ref"]
        );
    }
    let words = ["code", "--account", "none", "--json"];
    phone.run(&words).says(1, &["no such card"]);
    let enrolled = Phone::enrolled(&sandbox);
    enrolled.run(&["code", "--json"]).exits(1);
    enrolled.run(&["code", "--format", "morse"]).exits(2);
}

#[test]
fn a_person_reads_the_code_and_how_long_it_is_good() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let read = phone.run(&["code"]).exits(0);
    assert_eq!(read.out.trim().len(), 18, "{read:?}");
    assert!(read.err.contains("seconds"), "{read:?}");
    assert!(!read.out.contains('█'), "a symbol in a pipe: {read:?}");
}

#[test]
fn an_order_is_paid_once_whichever_till_scans_for_it() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let (first, second) = (Till::of(&sandbox), Till::of(&sandbox));
    let order = order(&phone, "dinner");
    let order = ["--order", order.as_str()];
    let paid = first.scan(&text(&phone.code(&[])), "38", &order);
    let paid = paid.exits(0).json();
    assert_eq!(paid["order"], order[1]);
    // The other till hears of the payment that there is; the fresh code stays good.
    let fresh = text(&phone.code(&[]));
    let heard = second.scan(&fresh, "38", &order).exits(0).json();
    assert_eq!(heard["payment_id"], paid["payment_id"]);
    assert_ne!(heard["order"], Value::Null);
    let other = second.scan(&fresh, "9.90", &[]).exits(0).json();
    assert_ne!(other["payment_id"], paid["payment_id"]);
    // The same order over another amount is another order, which there cannot be.
    let wrong = second.scan(&text(&phone.code(&[])), "39", &order);
    wrong.says(3, &["order_conflict"]);
    phone.sync_until(|entries| payments(entries) == [(990, "matched"), (3800, "matched")]);
}

#[test]
fn an_order_is_taken_back_where_there_is_one_and_not_too_early() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let till = Till::of(&sandbox);
    let order = order(&phone, "back");
    let unknown = till.does(&["revoke", "--order", &order]);
    unknown.says(3, &["order_unknown"]);
    let scan = till.scan(&text(&phone.code(&[])), "5", &["--order", &order]);
    scan.exits(0);
    let early = till.does(&["revoke", "--order", &order]);
    early.says(3, &["revoke_too_early"]);
}

#[test]
fn a_consumer_presented_code_pays_with_a_cryptogram() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let till = Till::of(&sandbox);
    let shown = phone.code(&["--format", "cpm"]);
    assert_eq!(shown["format"], "cpm");
    let code = text(&shown);
    assert!(code.starts_with("hQVDUFYw") && code.len() <= 512, "{code}");
    let scan = till.scan(&code, "12.50", &[]).exits(0).json();
    assert_eq!(scan["result"], "approved");
    assert!(scan["atc"].is_u64(), "{scan}");
    assert_hex(&scan["arqc"], 8);
    assert!(scan["token"].as_str().unwrap().contains('*'), "{scan}");
    let again = till.scan(&code, "12.50", &[]).exits(3).json();
    assert_eq!(again["result"], "declined");
    phone.sync_until(|entries| payments(entries).contains(&(1250, "matched")));
}

#[test]
fn a_till_tells_what_is_no_customer_s_code() {
    let sandbox = Sandbox::shared();
    let till = Till::of(&sandbox);
    for (code, word) in [
        ("12345", "no payment code"),
        ("73948502634030021x", "no payment code"),
        ("00020101021129300012D156", "shop's own code"),
    ] {
        till.scan(code, "1", &[]).says(1, &[word]);
    }
    let nobody = till.scan("999999999999999999", "1", &[]).exits(3).json();
    assert_eq!(nobody["reason"], "code_not_routed");
    till.scan("730123456789012345", "0", &[])
        .says(1, &["--amount"]);
    till.does(&["scan", "--amount", "1"]).exits(2);
}

#[test]
fn while_the_phone_serves_words_show_close_and_renew_codes() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let till = Till::of(&sandbox);
    let mut serving = phone.serve();
    serving.running.type_in("code --format numeric\n");
    let shown = serving.running.event("code");
    assert_eq!(shown["format"], "numeric");
    // Scanned, it flips at once.
    till.scan(&text(&shown), "12.50", &[]).exits(0);
    let used = changed(&serving, "used");
    assert!(used["code"].is_null(), "{used}");
    let paid = changed_until_paid(&serving, used);
    assert_eq!(
        [&paid["amount_minor"], &paid["merchant"]],
        [&json!(1250), &json!("Mapo Tofu House")]
    );
    serving.running.type_in("touch\n");
    let fresh = changed(&serving, "showing");
    assert_ne!(fresh["code"], shown["code"]);
    assert!(fresh["payment"].is_null());
    serving.running.type_in("close\n");
    assert!(changed(&serving, "closed")["code"].is_null());
    // The next word is heeded once the provider knows.
    serving.running.type_in("sync\n");
    serving.running.event("sync_done");
    let closed = till.scan(&text(&fresh), "1", &[]).exits(3).json();
    assert_eq!(closed["reason"], "code_void");
    // As it would be typed to a shell; and what is no word is told, nothing more.
    serving.running.type_in("phone code --format cpm\n");
    assert_eq!(serving.running.event("code")["format"], "cpm");
    for line in [
        "dance\n",
        "code --format morse\n",
        "pay \"unclosed\n",
        "confirm\n",
    ] {
        serving.running.type_in(line);
        let error = serving.running.event("error");
        assert!(error["error"].is_string(), "{error}");
    }
    serving.running.type_in("close\n");
    changed(&serving, "closed");
    // Scripts run it without any input.
    serving.running.end_input();
    till.tap(&serving.addr, "3", &[]).exits(0);
    assert!(serving.running.is_running());
    serving.stop();
}

/// Whoever was asked to uncover the digits, or to hold still for a photograph, may not be alone: the code that was there
/// pays nobody, and the next one is the person's to ask for.
#[test]
fn a_code_that_was_uncovered_or_photographed_pays_no_more() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    phone.run(&["pin", "set", "--pin", PIN]).exits(0);
    let till = Till::of(&sandbox);
    let refused = |code: &str| {
        let scan = till.scan(code, "1", &[]).exits(3).json();
        assert_eq!(scan["reason"], "code_void", "{scan}");
    };
    let mut serving = phone.serve();
    serving.running.type_in("code\n");
    let masked = text(&serving.running.event("code"));
    serving.running.type_in("reveal\n");
    let error = serving.running.event("error");
    assert_eq!(error["word"], "reveal", "{error}");
    serving.running.type_in(&format!("reveal --pin {PIN}\n"));
    let clear = (serving.running).event_with("code_changed", |event| event["revealed"] == true);
    serving.running.type_in("sync\n");
    serving.running.event("sync_done");
    refused(&masked);
    serving.running.type_in("photographed\n");
    assert!(changed(&serving, "void")["code"].is_null());
    serving.running.type_in("sync\n");
    serving.running.event("sync_done");
    refused(&text(&clear));
    serving.running.type_in("touch\n");
    assert_eq!(
        serving.running.event("error")["reason"],
        "verification_over"
    );
    serving.running.type_in(&format!("touch --pin {PIN}\n"));
    let fresh = changed(&serving, "showing");
    assert_eq!(fresh["revealed"], false);
    till.scan(&text(&fresh), "1", &[]).exits(0);
    serving.stop();
}

#[test]
fn above_an_amount_the_person_confirms_with_the_password() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let set = ["password", "set", "--password", PASSWORD];
    phone.run(&set).exits(0);
    let till = Till::of(&sandbox);
    let mut serving = phone.serve();
    serving.running.type_in("code\n");
    let code = text(&serving.running.event("code"));
    let scan = std::thread::scope(|scope| {
        let scanning = scope.spawn(|| till.scan(&code, "1500", &[]));
        let used = changed(&serving, "used");
        assert_eq!(used["payment"]["wants_password"], true, "{used}");
        serving.running.type_in("confirm --password wrong-one\n");
        assert_eq!(serving.running.event("error")["reason"], "password_wrong");
        let word = format!("confirm --password '{PASSWORD}'\n");
        serving.running.type_in(&word);
        let confirmed = serving.running.event("confirmed");
        assert_eq!(confirmed["payment"]["state"], "approved", "{confirmed}");
        scanning.join().unwrap()
    });
    let scan = scan.exits(0);
    assert_eq!(scan.json()["result"], "approved");
    assert!(
        scan.err.contains("confirm the payment on the phone"),
        "{scan:?}"
    );
}

#[test]
fn above_an_amount_a_pin_confirms_where_no_password_was_ever_set() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    phone.run(&["pin", "set", "--pin", PIN]).exits(0);
    phone.run(&["sync"]).exits(0);
    let till = Till::of(&sandbox);
    let mut serving = phone.serve();
    serving.running.type_in("code\n");
    let code = text(&serving.running.event("code"));
    let scan = std::thread::scope(|scope| {
        let scanning = scope.spawn(|| till.scan(&code, "1500", &[]));
        changed(&serving, "used");
        let word = format!("confirm --pin {PIN}\n");
        serving.running.type_in(&word);
        let confirmed = serving.running.event("confirmed");
        assert_eq!(confirmed["payment"]["state"], "approved", "{confirmed}");
        scanning.join().unwrap()
    });
    assert_eq!(scan.exits(0).json()["result"], "approved");
}

/// Waits until the code on the screen is in this state.
fn changed(serving: &Serving, state: &str) -> Value {
    let running = &serving.running;
    running.event_with("code_changed", |event| event["state"] == state)
}

/// The payment of a used code, once it is decided.
fn changed_until_paid(serving: &Serving, used: Value) -> Value {
    let mut payment = used["payment"].clone();
    while payment["state"] == "pending" {
        payment = changed(serving, "used")["payment"].clone();
    }
    assert_eq!(payment["state"], "approved", "{payment}");
    payment
}
