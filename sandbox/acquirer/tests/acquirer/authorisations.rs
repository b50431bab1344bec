//! Taps: registered terminals ask, the network decides, and the acquirer books and signs what it said, once.

use std::time::Duration;

use sandbox_kit::client::{CallError, Client};
use sandbox_kit::keys::PartyKey;
use sandbox_kit::problem::Problem;
use serde_json::{Value, json};

use crate::common::{
    Bench, Others, Terminal, approval, away, bench_with, database_url, decline, is, refusal,
};

const PATH: &str = "/v1/authorisations";

/// On PostgreSQL where the tests are given one.
async fn bench() -> Bench {
    bench_with(database_url().await, &[]).await
}

fn payment(trace: u32) -> Value {
    json!({ "trace": trace, "at": "2026-11-22T09:30:00Z", "amount_minor": 1250, "currency": "CNY", "token": "6212345678900015",
            "expiry": "2912", "psn": "01", "emv": { "9F26": "0011223344556677", "9F36": "0001", "9F02": "000000001250" } })
}

impl Terminal<'_> {
    async fn pay(&self, request: &Value) -> Result<Value, CallError> {
        self.post(PATH, request).await
    }
}

#[tokio::test]
async fn a_terminal_registers_once_per_key() {
    let bench = bench().await;
    let key = PartyKey::generate();
    let first = bench.register(&key, &key).await.unwrap();
    assert_eq!(bench.register(&key, &key).await.unwrap(), first);
    assert_eq!(
        (&first["merchant"], &first["mcc"]),
        (&json!("Mapo Tofu House"), &json!("5812"))
    );
    assert_eq!(first["ca_keys"][0]["rid"], "A000000333");
    assert_eq!(
        refusal(bench.register(&key, &PartyKey::generate()).await),
        is(403, "proof_invalid")
    );
}

#[tokio::test]
async fn an_approval_is_forwarded_booked_and_signed() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let request = payment(1);
    let answer = terminal.pay(&request).await.unwrap();
    assert_eq!(
        (&answer["result"], &answer["authorisation"]),
        (&json!("approved"), &json!("123456"))
    );
    assert!(terminal.receipt_holds(&request, &answer));

    let forwarded = bench.others.asked("authorise")[0].clone();
    assert_eq!(forwarded["terminal_id"], terminal.id);
    assert_eq!(
        (&forwarded["merchant"], &forwarded["country"]),
        (&json!("Mapo Tofu House"), &json!("0156"))
    );
    assert_eq!(forwarded["emv"]["9F26"], "0011223344556677");
    assert_eq!(
        forwarded["emv"]["9F02"],
        Value::Null,
        "the amount is never sent twice"
    );

    let ledger = bench.acquirer.ledger().await.unwrap();
    assert!(ledger.balanced);
    let line = &ledger.entries[0];
    assert_eq!(
        (line.debit.as_str(), line.credit.as_str()),
        ("network:receivable", "merchant:898110058120001:payable")
    );
    assert_eq!(
        (line.amount_minor, line.atc, line.reference.as_str()),
        (1250, Some(1), "net_1")
    );
    assert_eq!(line.token.as_deref(), Some("…0015"));
}

#[tokio::test]
async fn the_same_trace_is_the_same_payment() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let first = terminal.pay(&payment(1)).await.unwrap();
    Others::say(&bench.others.authorise, Ok(decline("atc_replayed")));
    assert_eq!(terminal.pay(&payment(1)).await.unwrap(), first);
    assert_eq!(bench.others.asked.lock().unwrap().len(), 1);
    let mut other = payment(1);
    other["amount_minor"] = json!(1);
    assert_eq!(
        refusal(terminal.pay(&other).await),
        is(409, "trace_conflict")
    );
    // Another terminal's trace 1 is another payment.
    let second = bench.terminal().await;
    assert_eq!(second.pay(&payment(1)).await.unwrap()["result"], "declined");
    assert_eq!(bench.acquirer.ledger().await.unwrap().entries.len(), 2);
}

#[tokio::test]
async fn a_decline_moves_nothing_and_keeps_its_reason() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.authorise, Ok(decline("cryptogram_invalid")));
    let request = payment(1);
    let answer = terminal.pay(&request).await.unwrap();
    assert!(terminal.receipt_holds(&request, &answer));
    let ledger = bench.acquirer.ledger().await.unwrap();
    let line = &ledger.entries[0];
    assert!(ledger.balanced);
    assert_eq!((line.debit.as_str(), line.credit.as_str()), ("", ""));
    assert_eq!(
        (line.result.as_str(), line.reason.as_deref()),
        ("declined", Some("cryptogram_invalid"))
    );
}

#[tokio::test]
async fn a_trace_without_an_answer_is_asked_again_under_the_same_key() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.authorise, Err(away()));
    assert_eq!(
        refusal(terminal.pay(&payment(1)).await),
        is(503, "network_unavailable")
    );
    assert!(bench.acquirer.ledger().await.unwrap().entries.is_empty());
    Others::say(&bench.others.authorise, Ok(approval()));
    assert_eq!(
        terminal.pay(&payment(1)).await.unwrap()["result"],
        "approved"
    );
    let asked = bench.others.asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0], asked[1]);
}

impl Bench {
    /// Waits until the network has been asked so often.
    async fn asked(&self, times: usize) {
        for _ in 0..400 {
            if self.others.asked.lock().unwrap().len() >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the network was not asked {times} times");
    }
}

/// The terminal gives up; the network's answer is fetched when the acquirer starts, and booked like any other.
#[tokio::test]
async fn a_payment_left_without_an_answer_is_resolved_at_the_start() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.authorise, Err(away()));
    terminal.pay(&payment(1)).await.unwrap_err();
    Others::say(&bench.others.authorise, Ok(approval()));
    let background = bench.acquirer.start();
    let ledger = bench.booked().await;
    drop(background);
    assert!(ledger.balanced);
    assert_eq!(
        (
            ledger.entries[0].result.as_str(),
            ledger.entries[0].amount_minor
        ),
        ("approved", 1250)
    );
    {
        let asked = bench.others.asked.lock().unwrap();
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0], asked[1]);
    }
    // The terminal comes back after all: it gets the same answer, and nothing is booked again.
    let request = payment(1);
    let answer = terminal.pay(&request).await.unwrap();
    assert!(terminal.receipt_holds(&request, &answer));
    assert_eq!(bench.others.asked.lock().unwrap().len(), 2);
    assert_eq!(bench.acquirer.ledger().await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn an_open_payment_is_asked_for_until_there_is_an_answer() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.authorise, Err(away()));
    terminal.pay(&payment(1)).await.unwrap_err();
    let _background = bench.acquirer.start_every(Duration::from_millis(100));
    bench.asked(2).await;
    assert!(bench.acquirer.ledger().await.unwrap().entries.is_empty());
    Others::say(&bench.others.authorise, Ok(decline("insufficient_funds")));
    let ledger = bench.booked().await;
    assert_eq!(
        ledger.entries[0].reason.as_deref(),
        Some("insufficient_funds")
    );
}

#[tokio::test]
async fn a_payment_the_network_does_not_take_is_not_asked_for_for_ever() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    Others::say(&bench.others.authorise, Err(away()));
    terminal.pay(&payment(1)).await.unwrap_err();
    Others::say(
        &bench.others.authorise,
        Err(Problem::invalid("Not like this.")),
    );
    let background = bench.acquirer.start();
    bench.asked(2).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(background);
    let _background = bench.acquirer.start();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.others.asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_network_that_is_away_is_503() {
    let mut bench = bench().await;
    bench.others_running.take().unwrap().stop().await;
    let terminal = bench.terminal().await;
    assert_eq!(
        refusal(terminal.pay(&payment(1)).await),
        is(503, "network_unavailable")
    );
}

#[tokio::test]
async fn strangers_and_nonsense_are_refused() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let url = bench.url(PATH);
    let stranger = Client::new(&bench.ca, PartyKey::generate(), terminal.id.as_str()).unwrap();
    assert_eq!(
        refusal(stranger.post(&url, &payment(1), None).await),
        is(401, "signature_invalid")
    );
    let unknown = Client::new(&bench.ca, PartyKey::generate(), "T0000000").unwrap();
    assert_eq!(
        refusal(unknown.post(&url, &payment(1), None).await),
        is(401, "terminal_unknown")
    );
    for (member, value) in [
        ("trace", json!(0)),
        ("amount_minor", json!(-1)),
        ("amount_minor", json!(0)),
        ("currency", json!("EUR")),
        ("at", json!("now")),
        ("token", json!("62")),
        ("expiry", json!("29-12")),
        ("emv", json!({ "9F26": "xyz" })),
        ("surplus", json!(1)),
    ] {
        let mut odd = payment(1);
        odd[member] = value;
        assert_eq!(
            refusal(terminal.pay(&odd).await),
            is(422, "request_invalid"),
            "{member}"
        );
    }
    assert!(bench.others.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_books_can_be_read_beside_a_running_acquirer() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    terminal.pay(&payment(1)).await.unwrap();
    if std::env::var("TAPCORE_TEST_POSTGRES").is_ok() {
        // The file is then elsewhere, and so is whoever may read it.
        return;
    }
    let beside = sandbox_acquirer::read_ledger(bench.folder.path())
        .await
        .unwrap();
    assert_eq!(beside, bench.acquirer.ledger().await.unwrap());
}
