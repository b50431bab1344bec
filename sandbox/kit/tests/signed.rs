//! Signed requests over real TLS: what goes through, and each way of not going through.

use std::net::TcpListener;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, post};
use sandbox_kit::client::{CallError, Client};
use sandbox_kit::db::Db;
use sandbox_kit::idempotency::IdempotencyKey;
use sandbox_kit::keys::PartyKey;
use sandbox_kit::problem::{self, Problem};
use sandbox_kit::server::{Authority, Running, serve};
use sandbox_kit::signed::{self, FixedKeys, SignedBy, Target, Verifier};
use sandbox_kit::{ApiJson, clock};
use serde_json::{Value, json};
use tower::ServiceExt as _;

struct Bench {
    _folder: tempfile::TempDir,
    verifier: Verifier,
    key: PartyKey,
    running: Running,
    ca: Vec<u8>,
}

async fn echo(SignedBy(who): SignedBy, ApiJson(body): ApiJson<Value>) -> axum::Json<Value> {
    axum::Json(json!({ "who": who, "body": body }))
}

async fn keyed(_: SignedBy, IdempotencyKey(key): IdempotencyKey) -> axum::Json<Value> {
    axum::Json(json!({ "key": key }))
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open_at(&folder.path().join("x.db"), None, &[])
        .await
        .unwrap();
    let key = PartyKey::generate();
    let verifier = Verifier::new(db, FixedKeys::one("me", key.public()));
    let routes = Router::new()
        .route("/echo", post(echo))
        .route("/keyed", post(keyed))
        .route(
            "/who",
            get(|SignedBy(who): SignedBy| async move { axum::Json(who) }),
        );
    let router = problem::fallbacks(signed::require(routes, verifier.clone()));
    let authority = Authority::open(folder.path()).unwrap();
    let identity = authority.party("test").unwrap();
    let running = serve(router, TcpListener::bind("127.0.0.1:0").unwrap(), &identity).unwrap();
    let ca = authority.ca_pem().to_vec();
    Bench {
        _folder: folder,
        verifier,
        key,
        running,
        ca,
    }
}

fn code(error: CallError) -> (u16, String) {
    match error {
        CallError::Refused(problem) => (problem.status, problem.code),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn signed_requests_arrive_with_their_signer() {
    let bench = bench().await;
    let client = Client::new(&bench.ca, bench.key.clone(), "me").unwrap();
    let url = |path: &str| format!("{}{path}", bench.running.url);
    let answer: Value = client
        .post(&url("/echo"), &json!({ "a": 1 }), None)
        .await
        .unwrap();
    assert_eq!(answer, json!({ "who": "me", "body": { "a": 1 } }));
    let answer: String = client.get(&url("/who?x=1&y=%20")).await.unwrap();
    assert_eq!(answer, "me");
    let answer: Value = client
        .post(
            &url("/keyed"),
            &json!({}),
            Some("00112233445566778899AABBCCDDEEFF"),
        )
        .await
        .unwrap();
    assert_eq!(answer["key"], "00112233445566778899AABBCCDDEEFF");
}

#[tokio::test]
async fn others_are_refused_with_problems() {
    let bench = bench().await;
    let url = |path: &str| format!("{}{path}", bench.running.url);
    let client = Client::new(&bench.ca, bench.key.clone(), "me").unwrap();
    let stranger = Client::new(&bench.ca, PartyKey::generate(), "me").unwrap();
    let nameless = Client::new(&bench.ca, bench.key.clone(), "somebody").unwrap();
    let unsigned = Client::unsigned(&bench.ca).unwrap();
    for other in [&stranger, &nameless, &unsigned] {
        let error = other.get::<Value>(&url("/who")).await.unwrap_err();
        assert_eq!(code(error), (401, "signature_invalid".to_owned()));
    }
    let refused = |result: Result<Value, CallError>| code(result.unwrap_err());
    assert_eq!(
        refused(client.get(&url("/nowhere")).await),
        (404, "route_unknown".to_owned())
    );
    assert_eq!(
        refused(client.get(&url("/echo")).await),
        (405, "method_not_allowed".to_owned())
    );
    assert_eq!(
        refused(client.post_empty(&url("/echo")).await),
        (415, "content_type_unsupported".to_owned())
    );
    assert_eq!(
        refused(client.post_empty(&url("/keyed")).await),
        (400, "idempotency_key_missing".to_owned())
    );
    let long = "x".repeat(signed::MAX_BODY);
    assert_eq!(
        refused(client.post(&url("/echo"), &long, None).await),
        (413, "body_too_large".to_owned())
    );
}

/// One request as it would arrive, and a way to spoil it.
fn request(
    key: &PartyKey,
    created: i64,
    nonce: &str,
    spoil: impl Fn(&str, String) -> String,
) -> Request {
    let target = Target {
        method: "POST",
        authority: "bank.test:1",
        path: "/p",
        query: Some("q=1"),
        idempotency: None,
    };
    let headers = signed::sign_at(key, "me", &target, b"body", created, nonce).unwrap();
    Request::builder()
        .method("POST")
        .uri(spoil("uri", "/p?q=1".to_owned()))
        .header("host", spoil("host", "bank.test:1".to_owned()))
        .header("content-digest", spoil("digest", headers.content_digest))
        .header("signature-input", spoil("input", headers.signature_input))
        .header("signature", spoil("signature", headers.signature))
        .body(Body::from(spoil("body", "body".to_owned())))
        .unwrap()
}

async fn refusal(bench: &Bench, request: Request) -> Problem {
    bench
        .verifier
        .verify(request)
        .await
        .map(|_| ())
        .unwrap_err()
}

const NONCE: &str = "000102030405060708090A0B0C0D0E0F";

#[tokio::test]
async fn s38_a_changed_request_its_body_included_is_refused_and_uses_up_nothing() {
    let bench = bench().await;
    let now = clock::unix_now();
    let spoils: [(&str, &str, &str); 9] = [
        ("uri", "/p", "/o"),
        ("uri", "q=1", "q=2"),
        ("host", "bank", "other"),
        ("body", "body", "Body"),
        ("digest", ":", ":A"),
        ("input", "\"@query\" ", ""),
        ("input", "sig1", "sig2"),
        ("input", "ecdsa-p256-sha256", "hmac-sha256"),
        ("signature", "sig1=:", "sig1=:AAAA"),
    ];
    for (part, from, to) in spoils {
        let spoiled = request(&bench.key, now, NONCE, |name, value| {
            if name == part {
                value.replacen(from, to, 1)
            } else {
                value
            }
        });
        assert_eq!(
            refusal(&bench, spoiled).await.code,
            "signature_invalid",
            "{part}: {from} -> {to}"
        );
    }
    bench
        .verifier
        .verify(request(&bench.key, now, NONCE, |_, value| value))
        .await
        .unwrap();
}

#[tokio::test]
async fn s39_a_replayed_request_is_refused() {
    let bench = bench().await;
    let now = clock::unix_now();
    bench
        .verifier
        .verify(request(&bench.key, now, NONCE, |_, value| value))
        .await
        .unwrap();
    let replay = refusal(&bench, request(&bench.key, now, NONCE, |_, value| value)).await;
    assert_eq!(
        (replay.status, replay.code.as_str()),
        (401, "nonce_replayed")
    );
}

#[tokio::test]
async fn s37_out_of_time_either_way_is_stale() {
    let bench = bench().await;
    for offset in [-301, 302] {
        let stale = request(&bench.key, clock::unix_now() + offset, NONCE, |_, value| {
            value
        });
        assert_eq!(refusal(&bench, stale).await.code, "signature_stale");
    }
    bench
        .verifier
        .verify(request(
            &bench.key,
            clock::unix_now() - 290,
            NONCE,
            |_, value| value,
        ))
        .await
        .unwrap();
}

#[tokio::test]
async fn problems_of_wrong_methods_keep_the_allow_header() {
    let router: Router = problem::fallbacks(Router::new().route("/a", get(|| async { "a" })));
    let request = Request::builder()
        .method("DELETE")
        .uri("/a")
        .body(Body::empty())
        .unwrap();
    let response: Response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET,HEAD");
    assert_eq!(response.headers()["content-type"], problem::MEDIA_TYPE);
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    assert_eq!(
        serde_json::from_slice::<Problem>(&body).unwrap().code,
        "method_not_allowed"
    );
}

#[tokio::test]
async fn what_was_begun_is_finished_when_the_caller_hangs_up() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open_at(&folder.path().join("x.db"), None, &[])
        .await
        .unwrap();
    let key = PartyKey::generate();
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let (go, going) = tokio::sync::watch::channel(false);
    let work = move || {
        let (begun, mut going) = (begun.clone(), going.clone());
        async move {
            begun.send("begun").unwrap();
            going.wait_for(|go| *go).await.unwrap();
            begun.send("finished").unwrap();
            axum::Json(())
        }
    };
    let routes = Router::new().route("/work", post(work));
    let router = signed::require(
        routes,
        Verifier::new(db, FixedKeys::one("me", key.public())),
    );
    let authority = Authority::open(folder.path()).unwrap();
    let identity = authority.party("test").unwrap();
    let running = serve(router, TcpListener::bind("127.0.0.1:0").unwrap(), &identity).unwrap();
    let client = Client::new(authority.ca_pem(), key, "me").unwrap();
    let url = format!("{}/work", running.url);
    let call = tokio::spawn(async move { client.post::<_, ()>(&url, &json!({}), None).await });
    assert_eq!(begins.recv().await, Some("begun"));
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // Long enough for the server to see the closed connection.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    go.send(true).unwrap();
    let end = tokio::time::timeout(std::time::Duration::from_secs(5), begins.recv()).await;
    assert_eq!(end.unwrap(), Some("finished"));
}
