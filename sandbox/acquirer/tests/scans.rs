//! Terminals that scan codes, an acquirer over TLS, and a wallet provider played by the test.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use sandbox_acquirer::{Acquirer, AcquirerConfig, CodeRoute, CodeWaits, Merchant};
use sandbox_kit::bind::bind;
use sandbox_kit::client::{CallError, Client};
use sandbox_kit::db::Db;
use sandbox_kit::event::Events;
use sandbox_kit::keys::{self, PartyKey};
use sandbox_kit::problem::Problem;
use sandbox_kit::server::{Authority, Running, serve};
use sandbox_kit::signed::{self, FixedKeys, Verifier};
use sandbox_kit::{ApiJson, bytes};
use serde_json::{Value, json};

const CODE: &str = "730123456789654321";

/// What the played provider was asked, by path, and what it answers to each.
#[derive(Clone)]
struct FakeProvider {
    asked: Arc<Mutex<Vec<(&'static str, Value)>>>,
    pay: Reply,
    query: Reply,
    revoke: Reply,
}

type Reply = Arc<Mutex<Result<Value, Problem>>>;

fn reply(value: Value) -> Reply {
    Arc::new(Mutex::new(Ok(value)))
}

fn standing(state: &str, reason: Option<&str>) -> Value {
    let approved = state == "approved";
    json!({ "order_id": "A-1", "payment_id": "cpy_1", "state": state, "wants": null, "reason": reason,
            "authorisation": approved.then_some("123456"), "network_ref": approved.then_some("net_1"),
            "at": "2026-11-22T09:30:01Z" })
}

impl FakeProvider {
    fn new() -> Self {
        Self {
            asked: Arc::default(),
            pay: reply(standing("approved", None)),
            query: reply(standing("pending", None)),
            revoke: reply(standing("revoked", Some("revoked"))),
        }
    }

    fn router(&self, verifier: Verifier) -> Router {
        let route = |name: &'static str, reply: &Reply| {
            let (asked, reply) = (Arc::clone(&self.asked), Arc::clone(reply));
            post(move |ApiJson(body): ApiJson<Value>| async move {
                asked.lock().unwrap().push((name, body));
                reply.lock().unwrap().clone().map(axum::Json)
            })
        };
        let routes = Router::new()
            .route("/v1/codes/pay", route("pay", &self.pay))
            .route("/v1/codes/query", route("query", &self.query))
            .route("/v1/codes/revoke", route("revoke", &self.revoke));
        signed::require(routes, verifier)
    }

    fn says(reply: &Reply, value: Value) {
        *reply.lock().unwrap() = Ok(value);
    }

    fn names(&self) -> Vec<&'static str> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(name, _)| *name).collect()
    }
}

struct Bench {
    _folder: tempfile::TempDir,
    acquirer: Acquirer,
    running: Running,
    provider: FakeProvider,
    provider_running: Option<Running>,
    ca: Vec<u8>,
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let key = PartyKey::generate();
    let db = Db::open_at(&folder.path().join("provider.db"), None, &[])
        .await
        .unwrap();
    let verifier = Verifier::new(db, FixedKeys::one("acquirer", key.public()));
    let provider = FakeProvider::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let identity = authority.party("provider").unwrap();
    let provider_running = serve(provider.router(verifier), listener, &identity).unwrap();
    let route = |prefix: &str, url: &str| CodeRoute {
        prefix: prefix.to_owned(),
        provider_url: url.to_owned(),
    };
    let acquirer = Acquirer::open(AcquirerConfig {
        database: sandbox_acquirer::database(folder.path()),
        database_url: None,
        network_url: "https://127.0.0.1:1".to_owned(),
        network_key: PartyKey::generate().public(),
        ca_pem: authority.ca_pem().to_vec(),
        key,
        acquirer_id: "acquirer".to_owned(),
        merchant: Merchant::default(),
        aids: Vec::new(),
        ca_keys: Vec::new(),
        // The longer prefix counts, in whatever order they stand.
        code_routes: vec![
            route("7", "https://127.0.0.1:1"),
            route("73", &provider_running.url),
        ],
        code_waits: CodeWaits {
            poll: Duration::from_millis(50),
            give_up: Duration::from_millis(400),
        },
        events: Events::nobody(),
    })
    .await
    .unwrap();
    let running = serve(
        acquirer.router(),
        TcpListener::bind("127.0.0.1:0").unwrap(),
        &authority.party("acquirer").unwrap(),
    )
    .unwrap();
    Bench {
        ca: authority.ca_pem().to_vec(),
        _folder: folder,
        acquirer,
        running,
        provider,
        provider_running: Some(provider_running),
    }
}

struct Terminal<'a> {
    bench: &'a Bench,
    id: String,
    client: Client,
    acquirer_key: Vec<u8>,
}

impl Bench {
    async fn terminal(&self) -> Terminal<'_> {
        let key = PartyKey::generate();
        let proof = key.sign(&bind("tapcore-terminal-v1", &[&key.public()]));
        let body = json!({ "public_key": key.public_hex(), "proof": bytes::to_hex(&proof) });
        let url = format!("{}/v1/terminals", self.running.url);
        let client = Client::unsigned(&self.ca).unwrap();
        let told: Value = client.post(&url, &body, None).await.unwrap();
        let id = told["terminal_id"].as_str().unwrap().to_owned();
        Terminal {
            bench: self,
            client: Client::new(&self.ca, key, id.as_str()).unwrap(),
            acquirer_key: bytes::from_hex(told["acquirer_key"].as_str().unwrap()).unwrap(),
            id,
        }
    }
}

impl Terminal<'_> {
    async fn post(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        let url = format!("{}{path}", self.bench.running.url);
        self.client.post(&url, body, None).await
    }

    async fn scan(&self, trace: u32) -> Result<Value, CallError> {
        self.post("/v1/scans", &scan(trace)).await
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
        let signature = bytes::from_hex(answer["receipt_signature"].as_str().unwrap()).unwrap();
        let message = bind("tapcore-receipt-v1", &parts);
        keys::verify(&self.acquirer_key, &message, &signature)
    }
}

fn scan(trace: u32) -> Value {
    json!({ "trace": trace, "at": "2026-11-22T09:30:00Z", "code": CODE, "amount_minor": 1250, "currency": "CNY", "order_id": "A-1" })
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
async fn a_scanned_code_is_paid_booked_and_signed_like_a_tap() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let answer = terminal.scan(1).await.unwrap();
    assert_eq!(
        (
            &answer["result"],
            &answer["authorisation"],
            &answer["network_ref"]
        ),
        (&json!("approved"), &json!("123456"), &json!("net_1"))
    );
    assert!(terminal.receipt_holds(&scan(1), &answer));
    let asked = bench.provider.asked.lock().unwrap()[0].clone();
    assert_eq!(asked.0, "pay");
    for (member, value) in [
        ("code", json!(CODE)),
        ("order_id", json!("A-1")),
        ("merchant", json!("Mapo Tofu House")),
        ("mcc", json!("5812")),
        ("country", json!("0156")),
        ("terminal_id", json!(terminal.id)),
    ] {
        assert_eq!(asked.1[member], value, "{member}");
    }
    // The same trace is the same payment; another terminal that scanned for the same order adds no line to the books.
    assert_eq!(terminal.scan(1).await.unwrap(), answer);
    let mut other = scan(1);
    other["amount_minor"] = json!(1);
    assert_eq!(
        refusal(terminal.post("/v1/scans", &other).await),
        is(409, "trace_conflict")
    );
    let second = bench.terminal().await;
    second.scan(1).await.unwrap();
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
    FakeProvider::says(&bench.provider.pay, standing("pending", None));
    let provider = bench.provider.clone();
    let typed = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        FakeProvider::says(&provider.query, standing("approved", None));
    };
    let (answer, ()) = tokio::join!(terminal.scan(1), typed);
    assert_eq!(answer.unwrap()["result"], "approved");
    let names = bench.provider.names();
    assert_eq!(names.iter().filter(|name| **name == "pay").count(), 1);
    assert!(!names.contains(&"revoke"));
}

#[tokio::test]
async fn who_does_not_type_has_the_order_revoked() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    FakeProvider::says(&bench.provider.pay, standing("pending", None));
    let answer = terminal.scan(1).await.unwrap();
    assert_eq!(
        (&answer["result"], &answer["reason"]),
        (&json!("declined"), &json!("password_timeout"))
    );
    assert!(terminal.receipt_holds(&scan(1), &answer));
    let names = bench.provider.names();
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
    terminal.scan(1).await.unwrap();
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
    let early = Problem::new(409, "revoke_too_early", "Too early", "Later.");
    *bench.provider.revoke.lock().unwrap() = Err(early);
    assert_eq!(
        refusal(terminal.post("/v1/scans/revoke", &order).await),
        is(409, "revoke_too_early")
    );
}

#[tokio::test]
async fn codes_of_nobody_and_refused_ones_move_nothing() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    let mut foreign = scan(1);
    foreign["code"] = json!("280123456789654321");
    let answer = terminal.post("/v1/scans", &foreign).await.unwrap();
    assert_eq!(answer["reason"], "code_not_routed");
    let mut used = standing("declined", Some("code_used"));
    used["payment_id"] = Value::Null;
    FakeProvider::says(&bench.provider.pay, used);
    let answer = terminal.scan(2).await.unwrap();
    assert_eq!(answer["reason"], "code_used");
    let conflict = Problem::new(409, "order_conflict", "Order used", "Another.");
    *bench.provider.pay.lock().unwrap() = Err(conflict);
    assert_eq!(refusal(terminal.scan(3).await), is(409, "order_conflict"));
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
        let mut odd = scan(4);
        odd[member] = value;
        let refused = terminal.post("/v1/scans", &odd).await;
        assert_eq!(refusal(refused), is(422, "request_invalid"), "{member}");
    }
}

#[tokio::test]
async fn a_scan_without_an_answer_is_asked_about_and_never_paid_later() {
    let bench = bench().await;
    let terminal = bench.terminal().await;
    *bench.provider.pay.lock().unwrap() =
        Err(Problem::new(500, "internal", "Internal error", "Later."));
    assert_eq!(
        refusal(terminal.scan(1).await),
        is(503, "provider_unavailable")
    );
    FakeProvider::says(&bench.provider.query, standing("approved", None));
    let background = bench.acquirer.start();
    for _ in 0..400 {
        if !bench.acquirer.ledger().await.unwrap().entries.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    drop(background);
    assert_eq!(bench.provider.names(), ["pay", "query"]);
    // The terminal comes back after all and gets the same answer.
    assert_eq!(terminal.scan(1).await.unwrap()["result"], "approved");
    assert_eq!(bench.acquirer.ledger().await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn a_provider_that_is_away_is_503() {
    let mut bench = bench().await;
    bench.provider_running.take().unwrap().stop().await;
    let terminal = bench.terminal().await;
    assert_eq!(
        refusal(terminal.scan(1).await),
        is(503, "provider_unavailable")
    );
}
