//! Scans that nobody answered, and what becomes of them when nobody asks again.

use std::time::Duration;

use sandbox_kit::problem::Problem;
use serde_json::json;

use crate::common::{
    AID, Bench, DIGITS, Others, Terminal, approval, away, bench, bench_with, card_code, is,
    refusal, scan, standing,
};

impl Bench {
    /// Makes all scans older than any question that is on its way.
    async fn long_ago(&self) {
        let db = self.beside().await;
        let sql = "UPDATE scans SET asked_at = '2026-01-01T00:00:00Z'";
        sqlx::raw_sql(sql).execute(&db).await.unwrap();
        db.close().await;
    }

    /// Waits until the provider has been asked so often how orders stand.
    async fn queried(&self, times: usize) {
        for _ in 0..400 {
            if self.others.asked("query").len() >= times {
                // What it answered is heeded before the next question.
                tokio::time::sleep(Duration::from_millis(200)).await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the provider was not asked {times} times");
    }
}

/// A scan of which nobody knows whether it has reached its provider.
async fn lost(bench: &Bench, terminal: &Terminal<'_>) {
    Others::say(&bench.others.pay, Err(away()));
    let asked = terminal.scan(1, DIGITS).await;
    assert_eq!(refusal(asked), is(503, "provider_unavailable"));
}

/// Asked with a card's code whether the order is open.
async fn paid_by_card(terminal: &Terminal<'_>, trace: u32) -> bool {
    match terminal.scan(trace, &card_code(AID, 1)).await {
        Ok(answer) => answer["result"] == "approved",
        asked => {
            assert_eq!(refusal(asked), is(409, "order_open"));
            false
        }
    }
}

#[tokio::test]
async fn a_scan_that_may_be_on_its_way_is_not_given_up() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    lost(&bench, &terminal).await;
    let unknown = Problem::new(404, "order_unknown", "Unknown order", "Who?");
    Others::say(&bench.others.query, Err(unknown));
    let background = bench.acquirer.start();
    bench.queried(1).await;
    drop(background);
    assert!(!paid_by_card(&terminal, 2).await);
    // Nobody takes its question any more.
    bench.long_ago().await;
    let background = bench.acquirer.start();
    bench.queried(2).await;
    drop(background);
    assert!(paid_by_card(&terminal, 3).await);
}

/// It may be another scan of the order that was declined.
#[tokio::test]
async fn a_declined_order_decides_on_a_scan_only_when_that_has_arrived() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    lost(&bench, &terminal).await;
    let declined = standing("declined", Some("password_timeout"));
    Others::say(&bench.others.query, Ok(declined));
    let background = bench.acquirer.start();
    bench.queried(1).await;
    drop(background);
    assert!(bench.acquirer.ledger().await.unwrap().entries.is_empty());
    bench.long_ago().await;
    // Its terminal asks again: from then on it is young.
    lost(&bench, &terminal).await;
    let background = bench.acquirer.start();
    bench.queried(2).await;
    drop(background);
    assert!(bench.acquirer.ledger().await.unwrap().entries.is_empty());
    bench.long_ago().await;
    let background = bench.acquirer.start();
    let ledger = bench.booked().await;
    drop(background);
    assert_eq!(
        ledger.entries[0].reason.as_deref(),
        Some("password_timeout")
    );
}

#[tokio::test]
async fn a_scan_that_cannot_be_decided_holds_up_no_other() {
    let bench = bench_with(None, &["74"]).await;
    let terminal = bench.terminal().await;
    // Four of a provider that is away, one that its own does not talk about, and then the others.
    Others::say(&bench.others.pay, Err(away()));
    for trace in 1..=6 {
        let mut left = scan(trace, DIGITS);
        left["order_id"] = json!(format!("A-{trace}"));
        if trace <= 4 {
            left["code"] = json!("740123456789654321");
        }
        let asked = terminal.post("/v1/scans", &left).await;
        assert_eq!(refusal(asked), is(503, "provider_unavailable"));
    }
    Others::say(&bench.others.authorise, Err(away()));
    let mut card = scan(7, &card_code(AID, 1));
    card["order_id"] = json!("A-7");
    let asked = terminal.post("/v1/scans", &card).await;
    assert_eq!(refusal(asked), is(503, "network_unavailable"));
    bench.others.asked.lock().unwrap().clear();
    Others::say(&bench.others.query, Err(away()));
    Others::say(&bench.others.authorise, Ok(approval()));
    let background = bench.acquirer.start();
    let ledger = bench.booked().await;
    drop(background);
    assert_eq!(ledger.entries[0].atc, Some(1));
    assert_eq!(bench.others.names(), ["query", "query", "authorise"]);
}
