//! What happens to an order while a till waits for its decision: somebody else pays it, the provider hangs, nobody types.

use std::time::Duration;

use sandbox_kit::problem::Problem;
use serde_json::{Value, json};

use crate::common::{
    AID, Bench, DIGITS, Others, Terminal, away, bench, card_code, is, refusal, scan, standing,
};

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
async fn what_somebody_else_began_is_not_given_up() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    // A phone that read the shop's own code is paying the order: the scanned code has no part in it.
    let mut others = taken("pending", 1250);
    others["of_code"] = json!(false);
    Others::say(&bench.others.pay, Ok(others));
    Others::say(&bench.others.query, Ok(taken("pending", 1250)));
    assert_eq!(
        refusal(terminal.scan(1, DIGITS).await),
        is(503, "provider_unavailable")
    );
    assert!(!bench.others.names().contains(&"revoke"));
    // Asked again, it hears how the order stands by then.
    Others::say(&bench.others.pay, Ok(taken("approved", 1250)));
    let answer = terminal.scan(1, DIGITS).await.unwrap();
    assert_eq!(
        (&answer["result"], &answer["payment_id"]),
        (&json!("approved"), &json!("cpy_2"))
    );
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

#[tokio::test]
async fn a_till_that_gives_up_names_the_payment_that_it_asked_for() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.pay, Ok(standing("pending", None)));
    terminal.scan(1, DIGITS).await.unwrap();
    let asked = bench.others.asked("revoke");
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (&asked[0]["order_id"], &asked[0]["payment_id"]),
        (&json!("A-1"), &json!("cpy_1"))
    );
    // A cashier takes the order back, whoever has paid it.
    let order = json!({ "order_id": "A-1" });
    terminal.post("/v1/scans/revoke", &order).await.unwrap();
    let asked = bench.others.asked("revoke");
    assert!(asked[1].get("payment_id").is_none(), "{asked:?}");
}

/// Another till's code was paid between the last question and the end of patience.
#[tokio::test]
async fn what_another_till_was_paid_is_not_taken_back() {
    let bench = bench().await;
    let (first, second) = (bench.terminal().await, bench.terminal().await);
    Others::say(&bench.others.pay, Ok(standing("pending", None)));
    Others::say(&bench.others.revoke, Ok(taken("approved", 1250)));
    let heard = first.scan(1, DIGITS).await.unwrap();
    assert_eq!(
        (&heard["result"], &heard["payment_id"]),
        (&json!("approved"), &json!("cpy_2"))
    );
    assert_eq!(bench.others.asked("revoke").len(), 1);
    Others::say(&bench.others.pay, Ok(taken("approved", 1250)));
    let paid = second.scan(1, DIGITS).await.unwrap();
    assert_eq!(paid["payment_id"], "cpy_2");
    assert_eq!(bench.kinds().await, ["payment"]);
}

#[tokio::test]
async fn what_was_decided_at_the_last_moment_stands() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.pay, Ok(standing("pending", None)));
    for (trace, state, amount_minor, result, reason) in [
        (1, "approved", 1250, "approved", Value::Null),
        (2, "approved", 1, "declined", json!("order_conflict")),
        (3, "pending", 1250, "declined", json!("superseded")),
        (4, "revoked", 1250, "declined", json!("revoked")),
    ] {
        Others::say(&bench.others.revoke, Ok(taken(state, amount_minor)));
        let answer = terminal.scan(trace, DIGITS).await.unwrap();
        assert_eq!(
            (&answer["result"], &answer["reason"]),
            (&json!(result), &reason),
            "{trace}"
        );
    }
}

#[tokio::test]
async fn a_till_whose_order_another_code_waits_for_waits_no_longer() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.pay, Ok(standing("pending", None)));
    Others::say(&bench.others.query, Ok(taken("pending", 1250)));
    let answer = terminal.scan(1, DIGITS).await.unwrap();
    assert_eq!(
        (&answer["reason"], &answer["payment_id"]),
        (&json!("superseded"), &json!("cpy_1"))
    );
    assert_eq!(bench.others.names(), ["pay", "query"]);
    assert_eq!(bench.kinds().await, ["decline"]);
}

#[tokio::test]
async fn nobody_is_blamed_for_a_password_that_was_not_wanted() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let mut started = standing("pending", None);
    started["wants"] = Value::Null;
    Others::say(&bench.others.pay, Ok(standing("pending", None)));
    Others::say(&bench.others.query, Ok(started));
    let answer = terminal.scan(1, DIGITS).await.unwrap();
    assert_eq!(
        (&answer["result"], &answer["reason"]),
        (&json!("declined"), &json!("provider_timeout"))
    );
}

/// Whether the order is held by a scan that nobody has decided on: a card's code has to wait for it then.
async fn is_open(terminal: &Terminal<'_>, trace: u32) -> bool {
    let asked = terminal.scan(trace, &card_code(AID, 1)).await;
    refusal(asked) == is(409, "order_open")
}

#[tokio::test]
async fn only_the_first_word_refuses_a_scan_for_good() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let unwilling = Problem::new(409, "revoke_too_late", "Too late", "It is over.");
    Others::say(&bench.others.pay, Ok(standing("pending", None)));
    // To the question how it stands, and to giving up.
    for (trace, query, revoke) in [
        (1, Err(unwilling.clone()), Ok(standing("revoked", None))),
        (3, Ok(standing("pending", None)), Err(unwilling.clone())),
    ] {
        Others::say(&bench.others.query, query);
        Others::say(&bench.others.revoke, revoke);
        assert_eq!(
            refusal(terminal.scan(trace, DIGITS).await),
            is(503, "provider_unavailable")
        );
        assert!(is_open(&terminal, trace + 1).await, "{trace}");
    }
    assert!(bench.kinds().await.is_empty());
    // The same trace number hears of it in the end.
    Others::say(&bench.others.pay, Ok(standing("approved", None)));
    for trace in [1, 3] {
        let answer = terminal.scan(trace, DIGITS).await.unwrap();
        assert_eq!(answer["result"], "approved");
    }
    assert_eq!(bench.kinds().await, ["payment"]);
}

#[tokio::test]
async fn a_provider_that_stumbles_is_asked_until_the_time_is_over() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.pay, Ok(standing("pending", None)));
    Others::say(&bench.others.query, Err(away()));
    let others = bench.others.clone();
    let back = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        Others::say(&others.query, Ok(standing("approved", None)));
    };
    let (answer, ()) = tokio::join!(terminal.scan(1, DIGITS), back);
    assert_eq!(answer.unwrap()["result"], "approved");
    assert!(bench.others.asked("revoke").is_empty());
}
