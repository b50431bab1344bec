//! Consumer-presented codes at the till: like taps for network and books, and once per order.

use std::time::Duration;

use sandbox_kit::problem::Problem;
use serde_json::{Value, json};

use crate::common::{
    AID, Bench, DIGITS, Others, approval, away, bench, card_code, decline, is, refusal, scan,
    standing,
};

#[tokio::test]
async fn a_card_s_code_is_asked_booked_and_signed_like_a_tap() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let code = card_code(AID, 7);
    let answer = terminal.scan(1, &code).await.unwrap();
    assert_eq!(
        (&answer["result"], &answer["authorisation"], &answer["atc"]),
        (&json!("approved"), &json!("123456"), &json!(7))
    );
    assert_eq!(
        (&answer["arqc"], &answer["token"], &answer["payment_id"]),
        (
            &json!("0011223344556677"),
            &json!("625807******7890"),
            &Value::Null
        )
    );
    assert!(terminal.receipt_holds(&scan(1, &code), &answer));
    assert_eq!(terminal.scan(1, &code).await.unwrap(), answer);
    let asked = bench.others.asked("authorise");
    assert_eq!(asked.len(), 1);
    for (member, value) in [
        ("entry", json!("cpm")),
        ("token", json!("6258071234567890")),
        ("expiry", json!("2912")),
        ("psn", json!("")),
        ("trace", json!(1)),
        ("amount_minor", json!(1250)),
        ("terminal_id", json!(terminal.id)),
        ("merchant", json!("Mapo Tofu House")),
    ] {
        assert_eq!(asked[0][member], value, "{member}");
    }
    assert_eq!(
        asked[0]["emv"],
        json!({ "9F10": "0B010103A000000106570201", "9F26": "0011223344556677", "9F36": "0007", "9F37": "03912345" })
    );
    let ledger = bench.acquirer.ledger().await.unwrap();
    assert!(ledger.balanced);
    let line = &ledger.entries[0];
    assert_eq!(
        (line.atc, line.arqc.as_deref(), line.token.as_deref()),
        (Some(7), Some("0011223344556677"), Some("…7890"))
    );
    assert_eq!(
        (line.debit.as_str(), line.reference.as_str()),
        ("network:receivable", "net_1")
    );
}

#[tokio::test]
async fn an_order_is_paid_once_by_cards_codes() {
    let bench = bench().await;
    let (one, two) = (bench.terminal().await, bench.terminal().await);
    Others::say(&bench.others.authorise, Ok(decline("insufficient_funds")));
    let refused = one.scan(1, &card_code(AID, 1)).await.unwrap();
    assert_eq!(refused["reason"], "insufficient_funds");
    // A declined one lets go of the order.
    Others::say(&bench.others.authorise, Ok(approval()));
    let paid = one.scan(2, &card_code(AID, 2)).await.unwrap();
    assert_eq!(paid["result"], "approved");
    // A fresh code, a code of digits, another till: all hear how it stands, with a receipt of their own.
    let (fresh, digits) = (card_code(AID, 3), DIGITS.to_owned());
    for (terminal, trace, code) in [(&one, 3, &fresh), (&two, 1, &fresh), (&two, 2, &digits)] {
        let answer = terminal.scan(trace, code).await.unwrap();
        assert_eq!(
            (&answer["authorisation"], &answer["network_ref"]),
            (&paid["authorisation"], &paid["network_ref"])
        );
        assert!(terminal.receipt_holds(&scan(trace, code), &answer));
        assert_eq!(terminal.scan(trace, code).await.unwrap(), answer);
    }
    let mut dearer = scan(4, &fresh);
    dearer["amount_minor"] = json!(9999);
    assert_eq!(
        refusal(one.post("/v1/scans", &dearer).await),
        is(409, "order_conflict")
    );
    assert_eq!(bench.others.asked("authorise").len(), 2);
    assert!(bench.others.asked("pay").is_empty());
    let ledger = bench.acquirer.ledger().await.unwrap();
    let kinds: Vec<&str> = ledger
        .entries
        .iter()
        .map(|line| line.kind.as_str())
        .collect();
    assert!(ledger.balanced);
    assert!(kinds.contains(&"payment") && kinds.contains(&"decline") && kinds.len() == 2);
    // There is no way to revoke it.
    let order = json!({ "order_id": "A-1" });
    assert_eq!(
        refusal(one.post("/v1/scans/revoke", &order).await),
        is(409, "order_not_revocable")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_codes_at_once_pay_an_order_once() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let codes: Vec<String> = (1..=8).map(|atc| card_code(AID, atc)).collect();
    let (a, b, c, d, e, f, g, h) = tokio::join!(
        terminal.scan(1, &codes[0]),
        terminal.scan(2, &codes[1]),
        terminal.scan(3, &codes[2]),
        terminal.scan(4, &codes[3]),
        terminal.scan(5, &codes[4]),
        terminal.scan(6, &codes[5]),
        terminal.scan(7, &codes[6]),
        terminal.scan(8, &codes[7]),
    );
    for answer in [a, b, c, d, e, f, g, h] {
        assert_eq!(answer.unwrap()["authorisation"], "123456");
    }
    // Whoever found the order held may have asked about its holder, by the holder's trace number.
    let asked = bench.others.asked("authorise");
    assert!(asked.iter().all(|body| body["trace"] == asked[0]["trace"]));
    assert_eq!(bench.acquirer.ledger().await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn an_order_of_digits_is_not_paid_by_a_card_again() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    // Nobody knows how the digits stand.
    Others::say(&bench.others.pay, Err(away()));
    assert_eq!(
        refusal(terminal.scan(1, DIGITS).await),
        is(503, "provider_unavailable")
    );
    let code = card_code(AID, 1);
    assert_eq!(
        refusal(terminal.scan(2, &code).await),
        is(409, "order_open")
    );
    Others::say(&bench.others.pay, Ok(standing("approved", None)));
    let paid = terminal.scan(1, DIGITS).await.unwrap();
    let answer = terminal.scan(2, &code).await.unwrap();
    assert_eq!(answer["authorisation"], paid["authorisation"]);
    assert_eq!(answer["payment_id"], "cpy_1");
    let order = json!({ "order_id": "A-1" });
    terminal.post("/v1/scans/revoke", &order).await.unwrap();
    assert_eq!(
        refusal(terminal.scan(3, &code).await),
        is(409, "order_over")
    );
    assert!(bench.others.asked("authorise").is_empty());
    assert_eq!(bench.acquirer.ledger().await.unwrap().entries.len(), 2);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_before_a_fresh_code_is() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.authorise, Err(away()));
    for (trace, atc) in [(1, 1), (2, 2)] {
        assert_eq!(
            refusal(terminal.scan(trace, &card_code(AID, atc)).await),
            is(503, "network_unavailable")
        );
    }
    Others::say(&bench.others.authorise, Ok(approval()));
    let answer = terminal.scan(3, &card_code(AID, 3)).await.unwrap();
    assert_eq!(
        (&answer["result"], &answer["atc"]),
        (&json!("approved"), &json!(1))
    );
    let asked = bench.others.asked("authorise");
    assert!(asked.iter().all(|body| body["trace"] == 1), "{asked:?}");
    assert_eq!(bench.acquirer.ledger().await.unwrap().entries.len(), 1);
    // What nobody asks for again is looked after.
    let background = bench.acquirer.start_every(Duration::from_millis(50));
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(background);
    assert_eq!(bench.acquirer.ledger().await.unwrap().entries.len(), 1);
    let late = terminal.scan(2, &card_code(AID, 2)).await.unwrap();
    assert_eq!(late["authorisation"], "123456");
    assert!(
        bench
            .others
            .asked("authorise")
            .iter()
            .all(|body| body["trace"] == 1)
    );
}

#[tokio::test]
async fn codes_of_nobody_and_what_is_no_code_move_nothing() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let foreign = card_code("A0000000041010", 1);
    let answer = terminal.scan(1, &foreign).await.unwrap();
    assert_eq!(answer["reason"], "code_not_routed");
    for odd in [
        "hQVDUFYwMQ==",
        "not a code",
        "7312",
        "A".repeat(1000).as_str(),
    ] {
        let refused = terminal.scan(2, odd).await;
        assert_eq!(refusal(refused), is(422, "request_invalid"), "{odd}");
    }
    let invalid = Problem::invalid("The network does not like it.");
    Others::say(&bench.others.authorise, Err(invalid));
    assert_eq!(
        refusal(terminal.scan(3, &card_code(AID, 1)).await),
        is(422, "request_invalid")
    );
    // The order is free again.
    Others::say(&bench.others.authorise, Ok(approval()));
    let paid = terminal.scan(4, &card_code(AID, 2)).await.unwrap();
    assert_eq!(paid["result"], "approved");
}

#[tokio::test]
async fn a_payment_that_the_network_knows_otherwise_keeps_the_order() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let conflict = Problem::new(409, "trace_conflict", "Trace used", "Another.");
    Others::say(&bench.others.authorise, Err(conflict));
    for (trace, atc) in [(1, 1), (2, 2)] {
        assert_eq!(
            refusal(terminal.scan(trace, &card_code(AID, atc)).await),
            is(503, "network_unavailable")
        );
    }
    // Whoever scans for the order asks for the first one.
    let asked = bench.others.asked("authorise");
    assert!(asked.iter().all(|body| body["trace"] == 1), "{asked:?}");
    assert!(bench.acquirer.ledger().await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn a_card_s_code_is_forgotten_once_it_is_of_no_use() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let codes = [card_code(AID, 1), card_code(AID, 2)];
    Others::say(&bench.others.authorise, Err(away()));
    terminal.scan(1, &codes[0]).await.unwrap_err();
    // The network may have to be asked again.
    assert!(bench.keeps(&codes[0]).await);
    Others::say(&bench.others.authorise, Ok(approval()));
    let paid = terminal.scan(1, &codes[0]).await.unwrap();
    let mut dearer = scan(2, &codes[1]);
    dearer["amount_minor"] = json!(9999);
    for _ in 0..2 {
        // Refused, it may come again.
        let refused = terminal.post("/v1/scans", &dearer).await;
        assert_eq!(refusal(refused), is(409, "order_conflict"));
    }
    for code in &codes {
        assert!(!bench.keeps(code).await, "{code}");
    }
    // What comes again is known all the same.
    assert_eq!(terminal.scan(1, &codes[0]).await.unwrap(), paid);
    assert_eq!(
        refusal(terminal.scan(1, &codes[1]).await),
        is(409, "trace_conflict")
    );
    let heard = terminal.scan(3, &card_code(AID, 3)).await.unwrap();
    assert_eq!(heard["authorisation"], paid["authorisation"]);
}

impl Bench {
    /// Whether the acquirer has a scan with this code in its database.
    async fn keeps(&self, code: &str) -> bool {
        let db = self.beside().await;
        let row = sqlx::query("SELECT 1 FROM scans WHERE request LIKE $1")
            .bind(format!("%{code}%"))
            .fetch_optional(&db)
            .await
            .unwrap();
        db.close().await;
        row.is_some()
    }
}
