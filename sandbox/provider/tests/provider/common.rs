//! A provider over TLS with a network that is played by the test, and a phone made of two keys.

use std::net::TcpListener;

use sandbox_kit::bind::bind;
use sandbox_kit::client::{CallError, Client};
use sandbox_kit::db::Db;
use sandbox_kit::event::Events;
use sandbox_kit::hpke::{self, Sealed};
use sandbox_kit::keys::PartyKey;
use sandbox_kit::server::{Authority, Running, serve};
use sandbox_kit::signed::{FixedKeys, Verifier};
use sandbox_kit::{bytes, clock, maker};
use sandbox_provider::policy::{CodeAcquirer, CodeRules};
use sandbox_provider::{PASSWORD_TRIES, Policy, Provider, ProviderConfig};
use serde_json::{Value, json};

use crate::network::FakeNetwork;

/// The acquirer that asks for payments by code.
pub(crate) const ACQUIRER: &str = "acquirer";

/// Everything that runs, in one temporary folder.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) network: FakeNetwork,
    pub(crate) network_key: PartyKey,
    pub(crate) provider: Provider,
    pub(crate) running: Running,
    pub(crate) network_running: Option<Running>,
    pub(crate) ca: Vec<u8>,
    pub(crate) acquirer_key: PartyKey,
    pub(crate) config: Box<dyn Fn() -> ProviderConfig + Send + Sync>,
}

pub(crate) async fn bench() -> Bench {
    bench_on(database_url().await).await
}

/// On the SQLite file in its folder, where the support desk looks for it.
pub(crate) async fn bench_on_file() -> Bench {
    bench_on(None).await
}

async fn bench_on(database_url: Option<String>) -> Bench {
    bench_with(database_url, CodeRules::default()).await
}

/// The same with other rules for payment codes; the acquirer is put in.
pub(crate) async fn bench_with(database_url: Option<String>, rules: CodeRules) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let (network_key, provider_key) = (PartyKey::generate(), PartyKey::generate());
    let network = FakeNetwork::default();
    let db = Db::open_at(&folder.path().join("network.db"), None, &[])
        .await
        .unwrap();
    let verifier = Verifier::new(
        db,
        FixedKeys::one(sandbox_provider::KEY_ID, provider_key.public()),
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let network_running = serve(
        network.router(verifier),
        listener,
        &authority.party("network").unwrap(),
    )
    .unwrap();
    let identity = authority.party("provider").unwrap();
    let (database, ca) = (
        folder.path().join("provider.db"),
        authority.ca_pem().to_vec(),
    );
    let (network_url, ca_pem) = (network_running.url.clone(), ca.clone());
    let (signing_key, pins) = (network_key.public(), identity.pins());
    let network_hpke_key = PartyKey::generate().public();
    let acquirer_key = PartyKey::generate();
    let acquirer = CodeAcquirer {
        acquirer_id: ACQUIRER.to_owned(),
        key: acquirer_key.public(),
    };
    let codes = CodeRules {
        acquirers: vec![acquirer],
        ..rules
    };
    let config = Box::new(move || ProviderConfig {
        database: database.clone(),
        database_url: database_url.clone(),
        network_url: network_url.clone(),
        network_signing_key: signing_key,
        network_hpke_key,
        ca_pem: ca_pem.clone(),
        key: provider_key.clone(),
        pins: pins.clone(),
        policy: Policy::default(),
        codes: codes.clone(),
        password_tries: PASSWORD_TRIES,
        attestation_roots: vec![maker::root()],
        events: Events::nobody(),
    });
    let provider = Provider::open(config()).await.unwrap();
    let running = serve(
        provider.router(),
        TcpListener::bind("127.0.0.1:0").unwrap(),
        &identity,
    )
    .unwrap();
    Bench {
        folder,
        network,
        network_key,
        provider,
        running,
        network_running: Some(network_running),
        ca,
        acquirer_key,
        config,
    }
}

impl Bench {
    /// Another provider on the same folder in place of the one that ran.
    pub(crate) async fn restart(&mut self) {
        self.provider.close().await;
        self.provider = Provider::open((self.config)()).await.unwrap();
        let identity = Authority::open(self.folder.path())
            .and_then(|authority| authority.party("provider"))
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        self.running = serve(self.provider.router(), listener, &identity).unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.url)
    }

    pub(crate) fn unsigned(&self) -> Client {
        Client::unsigned(&self.ca).unwrap()
    }

    /// Waits until the network has been asked for this.
    pub(crate) async fn asked_for(&self, order: &Value) {
        for _ in 0..400 {
            if self.network.asked.lock().unwrap().contains(order) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("the network was never asked for {order}");
    }

    pub(crate) async fn challenge(&self) -> String {
        let answer: Value = self
            .unsigned()
            .post_empty(&self.url("/v1/enrolment-challenges"))
            .await
            .unwrap();
        answer["challenge"].as_str().unwrap().to_owned()
    }

    /// An enrolled phone with an open session.
    pub(crate) async fn phone(&self) -> Phone<'_> {
        self.joined(None).await
    }

    /// The same, joined by a link code to the user of another.
    pub(crate) async fn joined(&self, link_code: Option<&str>) -> Phone<'_> {
        let key = PartyKey::generate();
        let request = Enrolling {
            link_code,
            ..Enrolling::default()
        };
        let answer = self.enrol(&key, &request).await.unwrap();
        let id = answer["device_id"].as_str().unwrap().to_owned();
        let client = self.session(&key, &id).await.unwrap();
        Phone {
            bench: self,
            id,
            user: answer["user_id"].as_str().unwrap().to_owned(),
            key,
            client,
        }
    }

    /// Enrols a key on a fresh challenge.
    pub(crate) async fn enrol(
        &self,
        key: &PartyKey,
        enrolling: &Enrolling<'_>,
    ) -> Result<Value, CallError> {
        let challenge = self.challenge().await;
        let request = enrolling.request(key, &challenge);
        self.unsigned()
            .post(&self.url("/v1/enrolments"), &request, None)
            .await
    }

    /// Opens a session for a device.
    pub(crate) async fn session(&self, key: &PartyKey, id: &str) -> Result<Client, CallError> {
        let session_key = PartyKey::generate();
        let hour = clock::text_in(std::time::Duration::from_secs(3600));
        let request = session(key, id, &session_key, &hour);
        let answer: Value = self
            .unsigned()
            .post(&self.url("/v1/sessions"), &request, None)
            .await?;
        let session_id = answer["session_id"].as_str().unwrap();
        Ok(Client::new(&self.ca, session_key, session_id).unwrap())
    }

    pub(crate) async fn notify(&self, notification: &Value) -> Result<Value, CallError> {
        let client = Client::new(&self.ca, self.network_key.clone(), "network").unwrap();
        client
            .post(&self.url("/v1/notifications"), notification, None)
            .await
    }
}

pub(crate) struct Phone<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) key: PartyKey,
    pub(crate) client: Client,
}

impl Phone<'_> {
    pub(crate) async fn post(
        &self,
        path: &str,
        body: &Value,
        key: &str,
    ) -> Result<Value, CallError> {
        self.client
            .post(&self.bench.url(path), body, Some(key))
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, CallError> {
        self.client.get(&self.bench.url(path)).await
    }

    /// A link code of this kind.
    pub(crate) async fn link_code(&self, kind: &str) -> String {
        let answer = self
            .post("/v1/link-codes", &json!({ "kind": kind }), &fresh_key())
            .await
            .unwrap();
        answer["code"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn entries(&self, query: &str) -> Value {
        self.client
            .get(&self.bench.url(&format!("/v1/entries{query}")))
            .await
            .unwrap()
    }

    pub(crate) async fn card_challenge(&self) -> String {
        let answer = self
            .post(
                "/v1/cards",
                &json!({ "sealed_card": a_box() }),
                &fresh_key(),
            )
            .await
            .unwrap();
        answer["challenge_id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn verification(&self, challenge: &str) -> Value {
        let provisioning = PartyKey::generate().public();
        let parts: [&[u8]; 3] = [self.id.as_bytes(), challenge.as_bytes(), &provisioning];
        let proof = self.key.sign(&bind("tapcore-provisioning-v1", &parts));
        json!({ "code": "493817", "provisioning_key": bytes::to_hex(&provisioning), "proof": bytes::to_hex(&proof) })
    }

    pub(crate) fn replenishment(&self, token: &str) -> Value {
        let provisioning = PartyKey::generate().public();
        let mac = [7_u8; 32];
        let parts: [&[u8]; 4] = [self.id.as_bytes(), token.as_bytes(), &provisioning, &mac];
        let proof = self.key.sign(&bind("tapcore-replenish-v1", &parts));
        json!({
            "log": [{ "atc": 1, "key_index": "6570201", "at": "2026-11-22T09:30:00Z", "un": "01020304", "amount_minor": 1250, "currency": "CNY" }],
            "log_mac": bytes::to_hex(&mac), "provisioning_key": bytes::to_hex(&provisioning), "proof": bytes::to_hex(&proof)
        })
    }

    pub(crate) async fn token(&self) -> String {
        let challenge = self.card_challenge().await;
        let path = format!("/v1/cards/{challenge}/verify");
        let answer = self
            .post(&path, &self.verification(&challenge), &fresh_key())
            .await
            .unwrap();
        answer["token_ref"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn a_box() -> Sealed {
    hpke::seal(&PartyKey::generate().public(), b"", b"", b"card").unwrap()
}

pub(crate) fn fresh_key() -> String {
    bytes::to_hex(&bytes::random::<16>())
}

/// Makes a chain for a key and a challenge, or none.
pub(crate) type Attest = dyn Fn(&PartyKey, &[u8]) -> Vec<Vec<u8>> + Sync;

/// What a phone says of itself when it enrols: the challenge may be passed to a maker that attests the key for it.
pub(crate) struct Enrolling<'a> {
    pub(crate) key_store: &'a str,
    pub(crate) link_code: Option<&'a str>,
    pub(crate) attest: &'a Attest,
}

impl Default for Enrolling<'_> {
    fn default() -> Self {
        Self {
            key_store: "software",
            link_code: None,
            attest: &|_, _| Vec::new(),
        }
    }
}

impl Enrolling<'_> {
    pub(crate) fn request(&self, key: &PartyKey, challenge: &str) -> Value {
        let raw = bytes::from_hex(challenge).unwrap();
        let chain = (self.attest)(key, &raw);
        let mut all = Vec::new();
        for certificate in &chain {
            all.extend_from_slice(&u32::try_from(certificate.len()).unwrap().to_be_bytes());
            all.extend_from_slice(certificate);
        }
        let parts: [&[u8]; 5] = [
            &raw,
            &key.public(),
            self.key_store.as_bytes(),
            &bytes::sha256(&all),
            self.link_code.unwrap_or_default().as_bytes(),
        ];
        let proof = key.sign(&bind("tapcore-enrol-v1", &parts));
        let chain: Vec<String> = chain.iter().map(|der| bytes::to_hex(der)).collect();
        json!({
            "challenge": challenge, "device_key": key.public_hex(), "key_store": self.key_store, "app_version": "0.1.0",
            "attestation": chain, "link_code": self.link_code, "proof": bytes::to_hex(&proof)
        })
    }
}

pub(crate) fn enrolment(key: &PartyKey, challenge: &str) -> Value {
    Enrolling::default().request(key, challenge)
}

pub(crate) fn session(
    key: &PartyKey,
    device: &str,
    session_key: &PartyKey,
    expires_at: &str,
) -> Value {
    let parts: [&[u8]; 3] = [
        device.as_bytes(),
        &session_key.public(),
        expires_at.as_bytes(),
    ];
    let proof = key.sign(&bind("tapcore-session-v1", &parts));
    json!({ "device_id": device, "session_key": session_key.public_hex(), "expires_at": expires_at, "app_version": "0.1.0", "proof": bytes::to_hex(&proof) })
}

pub(crate) fn notification(
    id: &str,
    token: &str,
    atc: u32,
    result: &str,
    reason: Option<&str>,
) -> Value {
    let authorisation = (result == "approved").then_some("123456");
    json!({ "id": id, "token_ref": token, "atc": atc, "amount_minor": 1250, "currency": "CNY", "merchant": "Mapo Tofu House",
            "result": result, "reason": reason, "authorisation": authorisation, "at": "2026-11-22T09:30:00Z" })
}

pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, CallError>) -> (u16, String) {
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
    let pool = sqlx::AnyPool::connect(&format!("{server}/postgres"))
        .await
        .unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&pool).await.unwrap();
    pool.close().await;
    Some(format!("{server}/{name}"))
}
