//! A terminal, an acquirer over TLS, and a network played by the test.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use sandbox_acquirer::{Acquirer, AcquirerConfig, CaKey, CodeWaits, Merchant};
use sandbox_kit::bind::bind;
use sandbox_kit::client::{CallError, Client};
use sandbox_kit::db::Db;
use sandbox_kit::event::Events;
use sandbox_kit::keys::{self, PartyKey};
use sandbox_kit::ledger::Ledger;
use sandbox_kit::problem::Problem;
use sandbox_kit::server::{Authority, Running, serve};
use sandbox_kit::signed::{self, FixedKeys, Verifier};
use sandbox_kit::{ApiJson, bytes};
use serde_json::{Value, json};

type Asked = Arc<Mutex<Vec<(String, Value)>>>;
type Reply = Arc<Mutex<Result<Value, Problem>>>;

struct Bench {
    folder: tempfile::TempDir,
    acquirer: Acquirer,
    running: Running,
    network: Option<Running>,
    asked: Asked,
    reply: Reply,
    ca: Vec<u8>,
}

fn approval() -> Value {
    json!({ "result": "approved", "reason": null, "authorisation": "123456", "at": "2026-11-22T09:30:01Z", "network_ref": "net_1" })
}

fn decline(reason: &str) -> Value {
    json!({ "result": "declined", "reason": reason, "authorisation": null, "at": "2026-11-22T09:30:02Z", "network_ref": "net_2" })
}

fn network(asked: Asked, reply: Reply, verifier: Verifier) -> Router {
    let answer = move |headers: HeaderMap, ApiJson(body): ApiJson<Value>| async move {
        let key = headers["idempotency-key"].to_str().unwrap().to_owned();
        asked.lock().unwrap().push((key, body));
        reply.lock().unwrap().clone().map(axum::Json)
    };
    signed::require(
        Router::new().route("/v1/authorisations", post(answer)),
        verifier,
    )
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let key = PartyKey::generate();
    let (asked, reply) = (Asked::default(), Arc::new(Mutex::new(Ok(approval()))));
    let db = Db::open_at(&folder.path().join("network.db"), None, &[])
        .await
        .unwrap();
    let verifier = Verifier::new(db, FixedKeys::one("acquirer", key.public()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let router = network(Arc::clone(&asked), Arc::clone(&reply), verifier);
    let network = serve(router, listener, &authority.party("network").unwrap()).unwrap();
    let acquirer = Acquirer::open(AcquirerConfig {
        database: sandbox_acquirer::database(folder.path()),
        database_url: database_url().await,
        network_url: network.url.clone(),
        network_key: PartyKey::generate().public(),
        ca_pem: authority.ca_pem().to_vec(),
        key,
        acquirer_id: "acquirer".to_owned(),
        merchant: Merchant::default(),
        aids: vec!["A000000333010101".to_owned()],
        ca_keys: vec![CaKey {
            rid: "A000000333".into(),
            index: "0B".into(),
            modulus: "C0".into(),
            exponent: "03".into(),
        }],
        code_routes: Vec::new(),
        code_waits: CodeWaits::default(),
        events: Events::nobody(),
    })
    .await
    .unwrap();
    let identity = authority.party("acquirer").unwrap();
    let running = serve(
        acquirer.router(),
        TcpListener::bind("127.0.0.1:0").unwrap(),
        &identity,
    )
    .unwrap();
    let ca = authority.ca_pem().to_vec();
    Bench {
        folder,
        acquirer,
        running,
        network: Some(network),
        asked,
        reply,
        ca,
    }
}

struct Terminal<'a> {
    bench: &'a Bench,
    id: String,
    client: Client,
    registered: Value,
}

impl Bench {
    async fn register(&self, key: &PartyKey, signer: &PartyKey) -> Result<Value, CallError> {
        let proof = signer.sign(&bind("tapcore-terminal-v1", &[&key.public()]));
        let body = json!({ "public_key": key.public_hex(), "proof": bytes::to_hex(&proof) });
        let url = format!("{}/v1/terminals", self.running.url);
        Client::unsigned(&self.ca)
            .unwrap()
            .post(&url, &body, None)
            .await
    }

    async fn terminal(&self) -> Terminal<'_> {
        let key = PartyKey::generate();
        let registered = self.register(&key, &key).await.unwrap();
        let id = registered["terminal_id"].as_str().unwrap().to_owned();
        let client = Client::new(&self.ca, key, id.as_str()).unwrap();
        Terminal {
            bench: self,
            id,
            client,
            registered,
        }
    }
}

impl Terminal<'_> {
    async fn pay(&self, request: &Value) -> Result<Value, CallError> {
        self.client
            .post(
                &format!("{}/v1/authorisations", self.bench.running.url),
                request,
                None,
            )
            .await
    }

    fn receipt_holds(&self, request: &Value, answer: &Value) -> bool {
        let texts = [
            self.id.clone(),
            request["trace"].to_string(),
            request["amount_minor"].to_string(),
            request["currency"].as_str().unwrap().to_owned(),
            answer["result"].as_str().unwrap().to_owned(),
            answer["authorisation"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        ];
        let parts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let key = bytes::from_hex(self.registered["acquirer_key"].as_str().unwrap()).unwrap();
        let signature = bytes::from_hex(answer["receipt_signature"].as_str().unwrap()).unwrap();
        keys::verify(&key, &bind("tapcore-receipt-v1", &parts), &signature)
    }
}

fn payment(trace: u32) -> Value {
    json!({ "trace": trace, "at": "2026-11-22T09:30:00Z", "amount_minor": 1250, "currency": "CNY", "token": "6212345678900015",
            "expiry": "2912", "psn": "01", "emv": { "9F26": "0011223344556677", "9F36": "0001", "9F02": "000000001250" } })
}

fn refusal(result: Result<Value, CallError>) -> (u16, String) {
    match result.unwrap_err() {
        CallError::Refused(problem) => (problem.status, problem.code),
        other => panic!("{other}"),
    }
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
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

    let (_, forwarded) = bench.asked.lock().unwrap()[0].clone();
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
    *bench.reply.lock().unwrap() = Ok(decline("atc_replayed"));
    assert_eq!(terminal.pay(&payment(1)).await.unwrap(), first);
    assert_eq!(bench.asked.lock().unwrap().len(), 1);
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
    *bench.reply.lock().unwrap() = Ok(decline("cryptogram_invalid"));
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
    *bench.reply.lock().unwrap() = Err(Problem::new(500, "internal", "Internal error", "Later."));
    assert_eq!(
        refusal(terminal.pay(&payment(1)).await),
        is(503, "network_unavailable")
    );
    assert!(bench.acquirer.ledger().await.unwrap().entries.is_empty());
    *bench.reply.lock().unwrap() = Ok(approval());
    assert_eq!(
        terminal.pay(&payment(1)).await.unwrap()["result"],
        "approved"
    );
    let asked = bench.asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0], asked[1]);
}

impl Bench {
    /// The books, once they have a line.
    async fn booked(&self) -> Ledger {
        for _ in 0..400 {
            let ledger = self.acquirer.ledger().await.unwrap();
            if !ledger.entries.is_empty() {
                return ledger;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("nothing was booked");
    }

    /// Waits until the network has been asked so often.
    async fn asked(&self, times: usize) {
        for _ in 0..400 {
            if self.asked.lock().unwrap().len() >= times {
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
    *bench.reply.lock().unwrap() = Err(Problem::new(500, "internal", "Internal error", "Later."));
    terminal.pay(&payment(1)).await.unwrap_err();
    *bench.reply.lock().unwrap() = Ok(approval());
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
        let asked = bench.asked.lock().unwrap();
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0], asked[1]);
    }
    // The terminal comes back after all: it gets the same answer, and nothing is booked again.
    let request = payment(1);
    let answer = terminal.pay(&request).await.unwrap();
    assert!(terminal.receipt_holds(&request, &answer));
    assert_eq!(bench.asked.lock().unwrap().len(), 2);
    assert_eq!(bench.acquirer.ledger().await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn an_open_payment_is_asked_for_until_there_is_an_answer() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    *bench.reply.lock().unwrap() = Err(Problem::new(500, "internal", "Internal error", "Later."));
    terminal.pay(&payment(1)).await.unwrap_err();
    let _background = bench.acquirer.start_every(Duration::from_millis(100));
    bench.asked(2).await;
    assert!(bench.acquirer.ledger().await.unwrap().entries.is_empty());
    *bench.reply.lock().unwrap() = Ok(decline("insufficient_funds"));
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
    *bench.reply.lock().unwrap() = Err(Problem::new(500, "internal", "Internal error", "Later."));
    terminal.pay(&payment(1)).await.unwrap_err();
    *bench.reply.lock().unwrap() = Err(Problem::invalid("Not like this."));
    let background = bench.acquirer.start();
    bench.asked(2).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(background);
    let _background = bench.acquirer.start();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_network_that_is_away_is_503() {
    let mut bench = bench().await;
    bench.network.take().unwrap().stop().await;
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
    let url = format!("{}/v1/authorisations", bench.running.url);
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
    assert!(bench.asked.lock().unwrap().is_empty());
}

/// A fresh database on the PostgreSQL server that `TAPCORE_TEST_POSTGRES` names (`postgres://user@host`), so that the
/// same tests run there; without it they run on SQLite.
async fn database_url() -> Option<String> {
    let server = std::env::var("TAPCORE_TEST_POSTGRES").ok()?;
    sqlx::any::install_default_drivers();
    let name = format!(
        "test_{}",
        bytes::to_hex(&bytes::random::<8>()).to_lowercase()
    );
    let pool = sqlx::AnyPool::connect(&format!("{server}/postgres"))
        .await
        .unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&pool).await.unwrap();
    pool.close().await;
    Some(format!("{server}/{name}"))
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
