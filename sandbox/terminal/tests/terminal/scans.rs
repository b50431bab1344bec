//! Payments by code, with an acquirer that answers as the test wants.

use sandbox_terminal::online::Refused;
use sandbox_terminal::scan::{Code, Order, fresh_order};

use crate::online::Shop;

fn order(order_id: &str) -> Order {
    Order {
        code: Code::read("7394 8502 6340 3002 17").unwrap(),
        amount_minor: 1250,
        order_id: order_id.to_owned(),
    }
}

#[tokio::test]
async fn a_scan_is_approved_written_down_and_asked_for_once() {
    let shop = Shop::open();
    shop.acquirer.lock().unwrap().trouble = vec![(503, "provider_unavailable")];
    let mut said = 0;
    let pos = shop.pos().await;
    let report = pos.scan(&order("A-1"), |_| said += 1).await.unwrap();
    assert_eq!(
        (report.result.as_str(), report.trace, said),
        ("approved", 1, 1)
    );
    assert_eq!(report.payment_id.as_deref(), Some("P1"));
    assert_eq!((report.atc, report.token), (None, None));
    let receipt = std::fs::read_to_string(report.receipt.unwrap()).unwrap();
    assert!(
        receipt.contains("A-1") && receipt.contains("CNY 12.50") && receipt.contains("P1"),
        "{receipt}"
    );
    // A code is the customer's: it is on no receipt.
    assert!(!receipt.contains("739485026340300217"), "{receipt}");
    let again = pos.scan(&order("A-2"), |_| {}).await.unwrap();
    assert_eq!(again.trace, 2);

    let acquirer = shop.acquirer.lock().unwrap();
    assert_eq!(acquirer.seen[0], acquirer.seen[1]);
    let asked = acquirer.seen[0].as_object().unwrap();
    let mut members: Vec<_> = asked.keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(
        members,
        [
            "amount_minor",
            "at",
            "code",
            "currency",
            "order_id",
            "trace"
        ]
    );
    assert_eq!(asked["code"], "739485026340300217");
}

#[tokio::test]
async fn a_scan_that_is_refused_after_a_lost_answer_is_unclear() {
    let shop = Shop::open();
    let pos = shop.pos().await;
    shop.acquirer.lock().unwrap().trouble = vec![(500, "internal"), (409, "order_conflict")];
    let report = pos.scan(&order("A-1"), |_| {}).await.unwrap();
    assert_eq!(report.result, "unclear");
    assert!(report.detail.unwrap().contains("order_conflict"));
    // As the first word, it says that nothing was paid.
    shop.acquirer.lock().unwrap().trouble = vec![(409, "order_conflict")];
    let refused = pos.scan(&order("A-1"), |_| {}).await.unwrap_err();
    assert_eq!(
        refused.downcast::<Refused>().unwrap().code,
        "order_conflict"
    );
}

#[tokio::test]
async fn codes_are_asked_for_and_orders_taken_back() {
    let shop = Shop::open();
    let pos = shop.pos().await;
    let code = pos.merchant_code(Some(1250), Some("A-1")).await.unwrap();
    assert_eq!(code.code, "0002010102");
    assert_eq!(code.order_id.as_deref(), Some("A-1"));
    let any = pos.merchant_code(None, None).await.unwrap();
    assert_eq!(any.order_id, None);
    let revoked = pos.revoke("A-1").await.unwrap();
    assert_eq!(
        (revoked.order_id.as_str(), revoked.payment_id),
        ("A-1", None)
    );
    shop.acquirer.lock().unwrap().trouble = vec![(409, "revoke_too_early")];
    let early = pos.revoke("A-1").await.unwrap_err();
    let early = early.downcast::<Refused>().unwrap();
    assert_eq!(
        early.to_string(),
        "the acquirer does not revoke the order: The test wants it so. (revoke_too_early)"
    );
    assert_ne!(fresh_order(), fresh_order());
}
