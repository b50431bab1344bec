//! Digits at the till: asked of their provider until it has decided, booked and signed like taps, and revoked.

use std::time::Duration;

use sandbox_kit::problem::Problem;
use serde_json::{Value, json};

use crate::common::{Bench, DIGITS, Others, away, bench_with, is, refusal, scan, standing};

/// The longer prefix counts, in whatever order they stand.
async fn bench() -> Bench {
    bench_with(None, &["7"]).await
}

#[tokio::test]
async fn a_scanned_code_is_paid_booked_and_signed_like_a_tap() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let mut paid = standing("approved", None);
    paid["authorisation"] = json!("123456");
    paid["network_ref"] = json!("net_1");
    Others::say(&bench.others.pay, Ok(paid));
    let answer = terminal.scan(1, DIGITS).await.unwrap();
    assert_eq!(
        (
            &answer["result"],
            &answer["authorisation"],
            &answer["network_ref"]
        ),
        (&json!("approved"), &json!("123456"), &json!("net_1"))
    );
    assert!(terminal.receipt_holds(&scan(1, DIGITS), &answer));
    let asked = bench.others.asked.lock().unwrap()[0].clone();
    assert_eq!(asked.name, "pay");
    for (member, value) in [
        ("code", json!(DIGITS)),
        ("order_id", json!("A-1")),
        ("merchant", json!("Mapo Tofu House")),
        ("mcc", json!("5812")),
        ("country", json!("0156")),
        ("terminal_id", json!(terminal.id)),
    ] {
        assert_eq!(asked.body[member], value, "{member}");
    }
    // The same trace is the same payment; another terminal that scanned for the same order adds no line to the books.
    assert_eq!(terminal.scan(1, DIGITS).await.unwrap(), answer);
    let mut other = scan(1, DIGITS);
    other["amount_minor"] = json!(1);
    assert_eq!(
        refusal(terminal.post("/v1/scans", &other).await),
        is(409, "trace_conflict")
    );
    let second = bench.terminal().await;
    second.scan(1, DIGITS).await.unwrap();
    let ledger = bench.acquirer.ledger().await.unwrap();
    assert!(ledger.balanced);
    assert_eq!(ledger.entries.len(), 1);
    let line = &ledger.entries[0];
    assert_eq!(
        (line.debit.as_str(), line.credit.as_str(), line.amount_minor),
        (
            "network:receivable",
            "merchant:898110058120001:payable",
            1250
        )
    );
}

#[tokio::test]
async fn a_password_is_waited_for() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.pay, Ok(standing("pending", None)));
    let others = bench.others.clone();
    let typed = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        Others::say(&others.query, Ok(standing("approved", None)));
    };
    let (answer, ()) = tokio::join!(terminal.scan(1, DIGITS), typed);
    assert_eq!(answer.unwrap()["result"], "approved");
    let names = bench.others.names();
    assert_eq!(names.iter().filter(|name| **name == "pay").count(), 1);
    assert!(!names.contains(&"revoke"));
}

#[tokio::test]
async fn who_does_not_type_has_the_order_revoked() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.pay, Ok(standing("pending", None)));
    let answer = terminal.scan(1, DIGITS).await.unwrap();
    assert_eq!(
        (&answer["result"], &answer["reason"]),
        (&json!("declined"), &json!("password_timeout"))
    );
    assert!(terminal.receipt_holds(&scan(1, DIGITS), &answer));
    let names = bench.others.names();
    assert_eq!(names.last(), Some(&"revoke"));
    assert!(names.iter().filter(|name| **name == "query").count() >= 2);
}

#[tokio::test]
async fn a_cashier_revokes_and_the_books_follow_once() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let order = json!({ "order_id": "A-1" });
    assert_eq!(
        refusal(terminal.post("/v1/scans/revoke", &order).await),
        is(404, "order_unknown")
    );
    terminal.scan(1, DIGITS).await.unwrap();
    for _ in 0..2 {
        let answer = terminal.post("/v1/scans/revoke", &order).await.unwrap();
        assert_eq!(
            (&answer["state"], &answer["payment_id"]),
            (&json!("revoked"), &json!("cpy_1"))
        );
    }
    let ledger = bench.acquirer.ledger().await.unwrap();
    assert!(ledger.balanced);
    let kinds: Vec<&str> = ledger
        .entries
        .iter()
        .map(|line| line.kind.as_str())
        .collect();
    assert_eq!(kinds, ["payment", "reversal"]);
    assert_eq!(ledger.entries[1].debit, "merchant:898110058120001:payable");
    // Nobody was to pay.
    let mut unpaid = standing("revoked", Some("revoked"));
    for member in ["payment_id", "amount_minor", "currency"] {
        unpaid[member] = Value::Null;
    }
    Others::say(&bench.others.revoke, Ok(unpaid));
    let answer = terminal.post("/v1/scans/revoke", &order).await.unwrap();
    assert_eq!(answer["payment_id"], Value::Null);
    let early = Problem::new(409, "revoke_too_early", "Too early", "Later.");
    Others::say(&bench.others.revoke, Err(early));
    assert_eq!(
        refusal(terminal.post("/v1/scans/revoke", &order).await),
        is(409, "revoke_too_early")
    );
}

#[tokio::test]
async fn codes_of_nobody_and_refused_ones_move_nothing() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let mut foreign = scan(1, DIGITS);
    foreign["code"] = json!("280123456789654321");
    let answer = terminal.post("/v1/scans", &foreign).await.unwrap();
    assert_eq!(answer["reason"], "code_not_routed");
    let mut used = standing("declined", Some("code_used"));
    used["payment_id"] = Value::Null;
    Others::say(&bench.others.pay, Ok(used));
    let answer = terminal.scan(2, DIGITS).await.unwrap();
    assert_eq!(answer["reason"], "code_used");
    let conflict = Problem::new(409, "order_conflict", "Order used", "Another.");
    Others::say(&bench.others.pay, Err(conflict));
    assert_eq!(
        refusal(terminal.scan(3, DIGITS).await),
        is(409, "order_conflict")
    );
    let ledger = bench.acquirer.ledger().await.unwrap();
    assert_eq!(ledger.entries.len(), 2);
    assert!(ledger.entries.iter().all(|line| line.debit.is_empty()));
    for (member, value) in [
        ("trace", json!(0)),
        ("amount_minor", json!(0)),
        ("currency", json!("EUR")),
        ("at", json!("now")),
        ("code", json!("7301")),
        ("code", json!("73012345678965432x")),
        ("order_id", json!("")),
        ("order_id", json!("A 1")),
        ("surplus", json!(1)),
    ] {
        let mut odd = scan(4, DIGITS);
        odd[member] = value;
        let refused = terminal.post("/v1/scans", &odd).await;
        assert_eq!(refusal(refused), is(422, "request_invalid"), "{member}");
    }
}

#[tokio::test]
async fn an_order_is_paid_once_over_two_providers() {
    let bench = bench_with(None, &["74"]).await;
    let (one, two) = (bench.terminal().await, bench.terminal().await);
    let mut foreign = scan(1, "740123456789654321");
    // The other provider may have been asked: it is away now.
    let asked = two.post("/v1/scans", &foreign).await;
    assert_eq!(refusal(asked), is(503, "provider_unavailable"));
    assert_eq!(
        refusal(one.scan(1, DIGITS).await),
        is(409, "order_conflict")
    );
    assert!(bench.others.names().is_empty());
    foreign["order_id"] = json!("A-2");
    foreign["trace"] = json!(2);
    let mut ours = scan(2, DIGITS);
    ours["order_id"] = json!("A-2");
    for (pay, answered) in [(Err(away()), false), (Ok(standing("approved", None)), true)] {
        Others::say(&bench.others.pay, pay);
        assert_eq!(one.post("/v1/scans", &ours).await.is_ok(), answered);
        let asked = two.post("/v1/scans", &foreign).await;
        assert_eq!(refusal(asked), is(409, "order_conflict"));
    }
    // What was declined leaves the order to the other one.
    let declined = standing("declined", Some("insufficient_funds"));
    Others::say(&bench.others.pay, Ok(declined));
    for scan in [&mut ours, &mut foreign] {
        scan["order_id"] = json!("A-3");
        scan["trace"] = json!(3);
    }
    let answer = one.post("/v1/scans", &ours).await.unwrap();
    assert_eq!(answer["reason"], "insufficient_funds");
    let asked = two.post("/v1/scans", &foreign).await;
    assert_eq!(refusal(asked), is(503, "provider_unavailable"));
    // That one may be paid now, and what was answered stays.
    assert_eq!(one.post("/v1/scans", &ours).await.unwrap(), answer);
}

#[tokio::test]
async fn a_scan_without_an_answer_is_asked_about_and_never_paid_later() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.pay, Err(away()));
    assert_eq!(
        refusal(terminal.scan(1, DIGITS).await),
        is(503, "provider_unavailable")
    );
    Others::say(&bench.others.query, Ok(standing("approved", None)));
    let background = bench.acquirer.start();
    bench.booked().await;
    drop(background);
    assert_eq!(bench.others.names(), ["pay", "query"]);
    // The terminal comes back after all and gets the same answer.
    assert_eq!(
        terminal.scan(1, DIGITS).await.unwrap()["result"],
        "approved"
    );
    assert_eq!(bench.acquirer.ledger().await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn a_provider_that_is_away_is_503() {
    let mut bench = bench().await;
    bench.others_running.take().unwrap().stop().await;
    let terminal = bench.terminal().await;
    assert_eq!(
        refusal(terminal.scan(1, DIGITS).await),
        is(503, "provider_unavailable")
    );
}
