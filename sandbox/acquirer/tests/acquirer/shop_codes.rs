//! Codes that the shop shows: made for terminals, paid without a word from the shop, told by the network.

use crate::common::{
    AID, DIGITS, Others, away, bench, bench_with, card_code, is, refusal, scan, standing,
};
use serde_json::{Value, json};

const PATH: &str = "/v1/merchant-codes";

fn wanted(amount_minor: Option<i64>, order: Option<&str>) -> Value {
    json!({ "amount_minor": amount_minor, "order_id": order, "at": "2026-11-22T09:30:00Z" })
}

fn notice(payment: &str, order: &str, amount_minor: i64, result: &str) -> Value {
    let authorisation = (result == "approved").then_some("123456");
    json!({ "id": format!("{result}_{payment}"), "payment_id": payment, "network_ref": "net_1", "merchant_id": "898110058120001",
            "order_id": order, "amount_minor": amount_minor, "currency": "CNY", "result": result,
            "authorisation": authorisation, "at": "2026-11-22T09:31:00Z" })
}

#[tokio::test]
async fn an_order_that_all_wallets_may_pay_is_not_scanned_for_one() {
    for (others, refused) in [(&["74"][..], true), (&[], false)] {
        let bench = bench_with(None, others).await;
        let terminal = bench.terminal().await;
        let one = wanted(Some(1250), Some("A-1"));
        terminal.post(PATH, &one).await.unwrap();
        let scanned = terminal.post("/v1/scans", &scan(1, DIGITS)).await;
        match refused {
            true => assert_eq!(refusal(scanned), is(409, "order_conflict")),
            // The one provider sees to it that the order is paid once.
            false => assert_eq!(scanned.unwrap()["result"], "approved"),
        }
    }
}

#[tokio::test]
async fn codes_are_made_and_the_merchant_is_entered_before() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.merchants, Err(away()));
    assert_eq!(
        refusal(terminal.post(PATH, &wanted(None, None)).await),
        is(503, "network_unavailable")
    );
    Others::say(&bench.others.merchants, Ok(json!({})));
    let many = terminal.post(PATH, &wanted(None, None)).await.unwrap();
    assert_eq!(many["order_id"], Value::Null);
    let code = many["code"].as_str().unwrap();
    assert!(code.starts_with("000201010211") && !code.contains("5405"));
    let one = wanted(Some(1250), Some("A-1"));
    let made = terminal.post(PATH, &one).await.unwrap();
    let code = made["code"].as_str().unwrap();
    assert!(code.starts_with("000201010212") && code.contains("540512.50"));
    assert!(code.contains("0503A-1"));
    // Asked again, the same code; with another amount, none.
    assert_eq!(
        terminal.post(PATH, &one).await.unwrap()["code"],
        made["code"]
    );
    assert_eq!(
        refusal(terminal.post(PATH, &wanted(Some(1), Some("A-1"))).await),
        is(409, "order_conflict")
    );
    let unnamed = terminal
        .post(PATH, &wanted(Some(1250), None))
        .await
        .unwrap();
    let order = unnamed["order_id"].as_str().unwrap();
    assert!(unnamed["code"].as_str().unwrap().contains(order));
    // Refused once, taken once, and not asked again.
    let entered = bench.others.asked("merchants");
    assert_eq!(entered.len(), 2);
    assert_eq!(
        entered[1],
        json!({ "merchant_id": "898110058120001", "name": "Mapo Tofu House", "mcc": "5812", "country": "0156",
                "city": "Chengdu", "currency": "CNY" })
    );
    for odd in [
        wanted(None, Some("A-1")),
        wanted(Some(0), None),
        wanted(Some(1), Some("A/1")),
        wanted(Some(1), Some("")),
        wanted(Some(1), Some("12345678901234567890123456")),
        json!({ "amount_minor": 1, "at": "now" }),
    ] {
        let refused = terminal.post(PATH, &odd).await;
        assert_eq!(refusal(refused), is(422, "request_invalid"), "{odd}");
    }
}

#[tokio::test]
async fn what_the_network_tells_is_booked_once_and_seen_at_the_till() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let path = format!("{PATH}/A-1");
    assert_eq!(refusal(terminal.get(&path).await), is(404, "order_unknown"));
    let asked = wanted(Some(1250), Some("A-1"));
    terminal.post(PATH, &asked).await.unwrap();
    let open = terminal.get(&path).await.unwrap();
    assert_eq!(
        (&open["state"], &open["payment"]),
        (&json!("open"), &Value::Null)
    );
    // That it was taken back cannot be heard before that it was paid.
    let reversed = notice("cpy_1", "A-1", 1250, "reversed");
    assert_eq!(
        refusal(bench.notify(&reversed).await),
        is(404, "payment_unknown")
    );
    let approved = notice("cpy_1", "A-1", 1250, "approved");
    for _ in 0..2 {
        bench.notify(&approved).await.unwrap();
    }
    let paid = terminal.get(&path).await.unwrap();
    assert_eq!(
        (&paid["state"], &paid["payment"]["authorisation"]),
        (&json!("paid"), &json!("123456"))
    );
    // A payment of a code that stands for many has no order here.
    bench
        .notify(&notice("cpy_2", "S0123", 300, "approved"))
        .await
        .unwrap();
    for _ in 0..2 {
        bench.notify(&reversed).await.unwrap();
    }
    assert_eq!(terminal.get(&path).await.unwrap()["state"], "revoked");
    let ledger = bench.acquirer.ledger().await.unwrap();
    assert!(ledger.balanced);
    let mut kinds: Vec<(&str, i64)> = ledger
        .entries
        .iter()
        .map(|line| (line.kind.as_str(), line.amount_minor))
        .collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [("payment", 300), ("payment", 1250), ("reversal", 1250)]
    );
    // Somebody printed the code anew, for less.
    terminal
        .post(PATH, &wanted(Some(1250), Some("A-2")))
        .await
        .unwrap();
    let less = notice("cpy_3", "A-2", 1, "approved");
    bench.notify(&less).await.unwrap();
    let differs = terminal.get(&format!("{PATH}/A-2")).await.unwrap();
    assert_eq!(
        (&differs["state"], &differs["payment"]["amount_minor"]),
        (&json!("differs"), &json!(1))
    );
    for (member, value) in [("merchant_id", json!("other")), ("currency", json!("USD"))] {
        let mut odd = approved.clone();
        odd[member] = value;
        assert_eq!(
            refusal(bench.notify(&odd).await),
            is(404, "merchant_unknown")
        );
    }
    // Terminals do not tell of payments.
    let refused = terminal.post("/v1/merchant-payments", &less).await;
    assert_eq!(refusal(refused).0, 401);
}

#[tokio::test]
async fn a_till_that_scans_what_a_shop_s_code_paid_hears_of_it_and_books_nothing_twice() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    terminal
        .post(PATH, &wanted(Some(1250), Some("A-1")))
        .await
        .unwrap();
    // The provider says so before the network's message is there.
    let answer = terminal.scan(1, DIGITS).await.unwrap();
    assert_eq!(answer["payment_id"], "cpy_1");
    bench
        .notify(&notice("cpy_1", "A-1", 1250, "approved"))
        .await
        .unwrap();
    let ledger = bench.acquirer.ledger().await.unwrap();
    assert!(ledger.balanced);
    assert_eq!(ledger.entries.len(), 1);
    let path = format!("{PATH}/A-1");
    assert_eq!(terminal.get(&path).await.unwrap()["state"], "paid");
    let order = json!({ "order_id": "A-1" });
    terminal.post("/v1/scans/revoke", &order).await.unwrap();
    assert_eq!(terminal.get(&path).await.unwrap()["state"], "revoked");
    assert!(bench.acquirer.ledger().await.unwrap().balanced);
}

#[tokio::test]
async fn an_order_is_shown_or_scanned_and_a_shown_one_can_be_revoked() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    terminal.scan(1, &card_code(AID, 1)).await.unwrap();
    assert_eq!(
        refusal(terminal.post(PATH, &wanted(Some(1250), Some("A-1"))).await),
        is(409, "order_conflict")
    );
    terminal
        .post(PATH, &wanted(Some(1250), Some("A-2")))
        .await
        .unwrap();
    let mut scan = crate::common::scan(2, &card_code(AID, 2));
    scan["order_id"] = json!("A-2");
    assert_eq!(
        refusal(terminal.post("/v1/scans", &scan).await),
        is(409, "order_conflict")
    );
    // Paid, and taken back by the cashier: the provider undoes it, and the books follow.
    let approved = notice("cpy_1", "A-2", 1250, "approved");
    bench.notify(&approved).await.unwrap();
    let order = json!({ "order_id": "A-2" });
    let revoked = terminal.post("/v1/scans/revoke", &order).await.unwrap();
    assert_eq!(
        (&revoked["state"], &revoked["payment_id"]),
        (&json!("revoked"), &json!("cpy_1"))
    );
    assert_eq!(bench.others.asked("revoke")[0]["order_id"], "A-2");
    let standing = terminal.get(&format!("{PATH}/A-2")).await.unwrap();
    assert_eq!(standing["state"], "revoked");
    // The network tells of it as well.
    let reversed = notice("cpy_1", "A-2", 1250, "reversed");
    bench.notify(&reversed).await.unwrap();
    let ledger = bench.acquirer.ledger().await.unwrap();
    assert!(ledger.balanced);
    assert_eq!(ledger.entries.len(), 3);
}

#[tokio::test]
async fn a_shown_order_that_nobody_paid_is_over_once_it_is_revoked() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let asked = wanted(Some(1250), Some("A-1"));
    terminal.post(PATH, &asked).await.unwrap();
    let mut unpaid = standing("revoked", Some("revoked"));
    for member in ["payment_id", "amount_minor", "currency"] {
        unpaid[member] = Value::Null;
    }
    Others::say(&bench.others.revoke, Ok(unpaid));
    let order = json!({ "order_id": "A-1" });
    let revoked = terminal.post("/v1/scans/revoke", &order).await.unwrap();
    assert_eq!(revoked["payment_id"], Value::Null);
    let over = terminal.get(&format!("{PATH}/A-1")).await.unwrap();
    assert_eq!(
        (&over["state"], &over["payment"], &over["at"]),
        (&json!("revoked"), &Value::Null, &revoked["at"])
    );
    assert_eq!(
        refusal(terminal.post(PATH, &asked).await),
        is(409, "order_conflict")
    );
}
