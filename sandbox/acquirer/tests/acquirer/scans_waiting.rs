//! What happens to an order while a till waits for its decision: somebody else pays it, the provider hangs, nobody types.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{Bench, DIGITS, Others, away, bench, is, refusal, scan, standing};

/// How the order stands when another payment than the till's has taken it, of this amount.
fn taken(state: &str, amount_minor: i64) -> Value {
    let mut standing = standing(state, None);
    standing["payment_id"] = json!("cpy_2");
    standing["amount_minor"] = json!(amount_minor);
    standing
}

impl Bench {
    /// The kinds of all lines in the books, which balance.
    async fn kinds(&self) -> Vec<String> {
        let ledger = self.acquirer.ledger().await.unwrap();
        assert!(ledger.balanced);
        let kinds = ledger.entries.into_iter().map(|line| line.kind);
        kinds.collect()
    }
}

#[tokio::test]
async fn what_was_paid_with_another_amount_pays_nothing_here() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.pay, Ok(standing("pending", None)));
    Others::say(&bench.others.query, Ok(taken("approved", 1)));
    let answer = terminal.scan(1, DIGITS).await.unwrap();
    assert_eq!(
        (&answer["result"], &answer["reason"]),
        (&json!("declined"), &json!("order_conflict"))
    );
    assert_eq!(
        (&answer["payment_id"], &answer["authorisation"]),
        (&json!("cpy_2"), &Value::Null)
    );
    assert!(terminal.receipt_holds(&scan(1, DIGITS), &answer));
    assert_eq!(bench.kinds().await, ["decline"]);
    // In another currency it is another amount, and one that is not told is none.
    for (trace, member, value) in [
        (2, "currency", json!("HKD")),
        (3, "currency", Value::Null),
        (4, "amount_minor", Value::Null),
    ] {
        let mut odd = standing("approved", None);
        odd[member] = value;
        Others::say(&bench.others.pay, Ok(odd));
        let answer = terminal.scan(trace, DIGITS).await.unwrap();
        assert_eq!(answer["reason"], "order_conflict", "{trace} {member}");
    }
    assert_eq!(bench.kinds().await, ["decline"; 4]);
}

#[tokio::test]
async fn a_scan_that_is_looked_after_is_not_paid_by_another_amount_either() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.pay, Err(away()));
    assert_eq!(
        refusal(terminal.scan(1, DIGITS).await),
        is(503, "provider_unavailable")
    );
    Others::say(&bench.others.query, Ok(taken("approved", 1)));
    let background = bench.acquirer.start_every(Duration::from_millis(50));
    bench.booked().await;
    drop(background);
    assert_eq!(bench.kinds().await, ["decline"]);
    let answer = terminal.scan(1, DIGITS).await.unwrap();
    assert_eq!(answer["reason"], "order_conflict");
}
