//! An acquirer over TLS with everybody around it: terminals, and network and wallet provider played by the test.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sandbox_acquirer::{Acquirer, AcquirerConfig, CaKey, CodeRoute, CodeWaits, Merchant};
use sandbox_kit::bind::bind;
use sandbox_kit::client::{CallError, Client};
use sandbox_kit::db::{Db, sqlite_url};
use sandbox_kit::event::Events;
use sandbox_kit::keys::{self, PartyKey};
use sandbox_kit::ledger::Ledger;
use sandbox_kit::problem::Problem;
use sandbox_kit::server::{Authority, Running, serve};
use sandbox_kit::signed::{self, FixedKeys, Verifier};
use sandbox_kit::{ApiJson, bytes};
use serde_json::{Value, json};
use sqlx::AnyPool;

/// The application that terminals here select.
pub(crate) const AID: &str = "A000000333010101";

/// A code of the played provider's.
pub(crate) const DIGITS: &str = "730123456789654321";

/// Where nobody listens.
const NOWHERE: &str = "https://127.0.0.1:1";

pub(crate) type Reply = Arc<Mutex<Result<Value, Problem>>>;

/// What network or provider was asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Question {
    pub(crate) name: &'static str,
    /// Its idempotency key.
    key: Option<String>,
    pub(crate) body: Value,
}

/// Network and provider in one: what they were asked, by path, and what they answer to each.
#[derive(Clone)]
pub(crate) struct Others {
    pub(crate) asked: Arc<Mutex<Vec<Question>>>,
    pub(crate) authorise: Reply,
    pub(crate) merchants: Reply,
    pub(crate) pay: Reply,
    pub(crate) query: Reply,
    pub(crate) revoke: Reply,
}

fn reply(value: Value) -> Reply {
    Arc::new(Mutex::new(Ok(value)))
}

pub(crate) fn standing(state: &str, reason: Option<&str>) -> Value {
    let approved = state == "approved";
    let wants = (state == "pending").then_some("password");
    json!({ "order_id": "A-1", "payment_id": "cpy_1", "amount_minor": 1250, "currency": "CNY", "state": state,
            "wants": wants, "reason": reason, "authorisation": approved.then_some("654321"), "network_ref": approved.then_some("net_9"),
            "at": "2026-11-22T09:30:01Z" })
}

pub(crate) fn approval() -> Value {
    json!({ "result": "approved", "reason": null, "authorisation": "123456", "at": "2026-11-22T09:30:01Z", "network_ref": "net_1" })
}

pub(crate) fn decline(reason: &str) -> Value {
    json!({ "result": "declined", "reason": reason, "authorisation": null, "at": "2026-11-22T09:30:02Z", "network_ref": "net_2" })
}

pub(crate) fn away() -> Problem {
    Problem::new(500, "internal", "Internal error", "Later.")
}

impl Others {
    fn new() -> Self {
        Self {
            asked: Arc::default(),
            authorise: reply(approval()),
            merchants: reply(json!({ "merchant_id": "898110058120001" })),
            pay: reply(standing("approved", None)),
            query: reply(standing("pending", None)),
            revoke: reply(standing("revoked", Some("revoked"))),
        }
    }

    fn router(&self, verifier: Verifier) -> Router {
        let route = |name: &'static str, reply: &Reply| {
            let (asked, reply) = (Arc::clone(&self.asked), Arc::clone(reply));
            post(
                move |headers: HeaderMap, ApiJson(body): ApiJson<Value>| async move {
                    let key = headers.get("idempotency-key");
                    let key = key.map(|key| key.to_str().unwrap().to_owned());
                    // The network knows a payment by it, however often it is asked.
                    assert!(key.is_some() || name != "authorise");
                    asked.lock().unwrap().push(Question { name, key, body });
                    reply.lock().unwrap().clone().map(axum::Json)
                },
            )
        };
        let routes = Router::new()
            .route("/v1/authorisations", route("authorise", &self.authorise))
            .route("/v1/merchants", route("merchants", &self.merchants))
            .route("/v1/codes/pay", route("pay", &self.pay))
            .route("/v1/codes/query", route("query", &self.query))
            .route("/v1/codes/revoke", route("revoke", &self.revoke));
        signed::require(routes, verifier)
    }

    pub(crate) fn say(reply: &Reply, answer: Result<Value, Problem>) {
        *reply.lock().unwrap() = answer;
    }

    /// What they were asked under this name.
    pub(crate) fn asked(&self, name: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|question| question.name == name)
            .map(|question| question.body.clone())
            .collect()
    }

    /// What they were asked, in turn, by name.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|question| question.name).collect()
    }
}

/// Everything that runs, in one temporary folder.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) acquirer: Acquirer,
    running: Running,
    pub(crate) others: Others,
    pub(crate) others_running: Option<Running>,
    network_key: PartyKey,
    pub(crate) ca: Vec<u8>,
}

pub(crate) async fn bench() -> Bench {
    bench_with(None, &[]).await
}

/// The same with a database elsewhere, or with providers that are out of reach and whose codes begin so.
pub(crate) async fn bench_with(database_url: Option<String>, unreachable: &[&str]) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let (key, network_key) = (PartyKey::generate(), PartyKey::generate());
    let db = Db::open_at(&folder.path().join("others.db"), None, &[])
        .await
        .unwrap();
    let verifier = Verifier::new(db, FixedKeys::one("acquirer", key.public()));
    let others = Others::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let identity = authority.party("network").unwrap();
    let others_running = serve(others.router(verifier), listener, &identity).unwrap();
    let route = |prefix: &str, url: &str| CodeRoute {
        prefix: prefix.to_owned(),
        provider_url: url.to_owned(),
    };
    let nobody = unreachable.iter().map(|prefix| route(prefix, NOWHERE));
    let somebody = route("73", &others_running.url);
    let acquirer = Acquirer::open(AcquirerConfig {
        database: sandbox_acquirer::database(folder.path()),
        database_url,
        network_url: others_running.url.clone(),
        network_key: network_key.public(),
        ca_pem: authority.ca_pem().to_vec(),
        key,
        acquirer_id: "acquirer".to_owned(),
        merchant: Merchant::default(),
        aids: vec![AID.to_owned()],
        ca_keys: vec![CaKey {
            rid: "A000000333".into(),
            index: "0B".into(),
            modulus: "C0".into(),
            exponent: "03".into(),
        }],
        code_routes: nobody.chain([somebody]).collect(),
        code_waits: CodeWaits {
            poll: Duration::from_millis(50),
            give_up: Duration::from_millis(400),
        },
        events: Events::nobody(),
    })
    .await
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let identity = authority.party("acquirer").unwrap();
    let running = serve(acquirer.router(), listener, &identity).unwrap();
    Bench {
        ca: authority.ca_pem().to_vec(),
        folder,
        acquirer,
        running,
        others,
        others_running: Some(others_running),
        network_key,
    }
}

impl Bench {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.url)
    }

    /// Registers a key with a proof by `signer`, which should be the same.
    pub(crate) async fn register(
        &self,
        key: &PartyKey,
        signer: &PartyKey,
    ) -> Result<Value, CallError> {
        let proof = signer.sign(&bind("tapcore-terminal-v1", &[&key.public()]));
        let body = json!({ "public_key": key.public_hex(), "proof": bytes::to_hex(&proof) });
        let client = Client::unsigned(&self.ca).unwrap();
        client.post(&self.url("/v1/terminals"), &body, None).await
    }

    pub(crate) async fn terminal(&self) -> Terminal<'_> {
        let key = PartyKey::generate();
        let told = self.register(&key, &key).await.unwrap();
        let id = told["terminal_id"].as_str().unwrap().to_owned();
        Terminal {
            bench: self,
            client: Client::new(&self.ca, key, id.as_str()).unwrap(),
            acquirer_key: bytes::from_hex(told["acquirer_key"].as_str().unwrap()).unwrap(),
            id,
        }
    }

    /// The network tells of a payment by a code of the shop's.
    pub(crate) async fn notify(&self, notice: &Value) -> Result<Value, CallError> {
        let client = Client::new(&self.ca, self.network_key.clone(), "network").unwrap();
        client
            .post(&self.url("/v1/merchant-payments"), notice, None)
            .await
    }

    /// The acquirer's database, where it is a file.
    pub(crate) async fn beside(&self) -> AnyPool {
        let file = sandbox_acquirer::database(self.folder.path());
        AnyPool::connect(&sqlite_url(&file)).await.unwrap()
    }

    /// The books, once they have a line.
    pub(crate) async fn booked(&self) -> Ledger {
        for _ in 0..400 {
            let ledger = self.acquirer.ledger().await.unwrap();
            if !ledger.entries.is_empty() {
                return ledger;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("nothing was booked");
    }
}

pub(crate) struct Terminal<'a> {
    bench: &'a Bench,
    pub(crate) id: String,
    client: Client,
    acquirer_key: Vec<u8>,
}

impl Terminal<'_> {
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        self.client.post(&self.bench.url(path), body, None).await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, CallError> {
        self.client.get(&self.bench.url(path)).await
    }

    /// Scans a code for order A-1 of 12.50 yuan.
    pub(crate) async fn scan(&self, trace: u32, code: &str) -> Result<Value, CallError> {
        self.post("/v1/scans", &scan(trace, code)).await
    }

    pub(crate) fn receipt_holds(&self, request: &Value, answer: &Value) -> bool {
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

pub(crate) fn scan(trace: u32, code: &str) -> Value {
    json!({ "trace": trace, "at": "2026-11-22T09:30:00Z", "code": code, "amount_minor": 1250, "currency": "CNY", "order_id": "A-1" })
}

/// A consumer-presented code of this application under this counter.
pub(crate) fn card_code(aid: &str, atc: u16) -> String {
    let object = |tag: &str, value: &str| format!("{tag}{:02X}{value}", value.len() / 2);
    let payment = [
        object("9F10", "0B010103A000000106570201"),
        object("9F26", "0011223344556677"),
        object("9F36", &format!("{atc:04X}")),
        object("9F37", "03912345"),
    ];
    let application = [
        object("4F", aid),
        object("50", &bytes::to_hex(b"UnionPay")),
        object("57", "6258071234567890D291222000000000"),
    ];
    let objects = [
        object("85", &bytes::to_hex(b"CPV01")),
        object("61", &application.concat()),
        object("62", &object("64", &payment.concat())),
    ];
    STANDARD.encode(bytes::from_hex(&objects.concat()).unwrap())
}

pub(crate) fn refusal(result: Result<Value, CallError>) -> (u16, String) {
    match result.unwrap_err() {
        CallError::Refused(problem) => (problem.status, problem.code),
        other => panic!("{other}"),
    }
}

pub(crate) fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// A fresh database on the PostgreSQL server that `TAPCORE_TEST_POSTGRES` names (`postgres://user@host`), so that the
/// same tests run there; without it they run on SQLite.
pub(crate) async fn database_url() -> Option<String> {
    let server = std::env::var("TAPCORE_TEST_POSTGRES").ok()?;
    sqlx::any::install_default_drivers();
    let name = format!(
        "test_{}",
        bytes::to_hex(&bytes::random::<8>()).to_lowercase()
    );
    let pool = AnyPool::connect(&format!("{server}/postgres"))
        .await
        .unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&pool).await.unwrap();
    pool.close().await;
    Some(format!("{server}/{name}"))
}
