//! Signed requests as they arrive: what the signature covers, and what happens when the provider does not take it.

use std::collections::BTreeSet;

use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use rustls::version::TLS13;
use serde_json::{Value, json};
use tapcore::backend::{Backend, BackendError};

use crate::client;
use crate::provider::{Authority, Heard, Provider, SERVER_MS, session};

/// A provider that opens sessions and answers signed requests by `answer`, which is told how many came before.
fn provider(answer: impl Fn(usize) -> (u16, Value) + Send + 'static) -> (Provider, Backend) {
    let ca = Authority::new();
    let leaf = ca.leaf();
    let counted = std::sync::atomic::AtomicUsize::new(0);
    let provider = Provider::serve(leaf.config(&[&TLS13]), move |heard| {
        match heard.target.as_str() {
            "/v1/sessions" => session(),
            _ => answer(counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst)),
        }
    });
    let backend = client(&provider, &ca.pem, &[leaf.pin(), ca.leaf().pin()]);
    (provider, backend)
}

/// A refusal as the provider writes it.
fn refusal(code: &str) -> (u16, Value) {
    (
        401,
        json!({ "status": 401, "code": code, "detail": "Sign again." }),
    )
}

/// A parameter of the signature.
fn parameter<'a>(heard: &'a Heard, name: &str) -> &'a str {
    let input = heard.header("signature-input");
    let value = input.split(';').find_map(|part| part.strip_prefix(name));
    value
        .unwrap_or_else(|| panic!("no {name} in {input}"))
        .trim_matches('"')
}

/// The signature base (RFC 9421, 2.5), written from what arrived and from nothing else.
fn base(heard: &Heard, change: Option<(&str, &str)>) -> String {
    let described = heard
        .header("signature-input")
        .strip_prefix("sig1=")
        .unwrap();
    let (names, _) = described
        .strip_prefix('(')
        .unwrap()
        .split_once(')')
        .unwrap();
    let (path, query) = match heard.target.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (heard.target.as_str(), "?".to_owned()),
    };
    let lines = names.split(' ').map(|name| {
        let name = name.trim_matches('"');
        let value = match change {
            Some((changed, value)) if changed == name => value,
            _ => match name {
                "@method" => &heard.method,
                "@authority" => heard.header("host"),
                "@path" => path,
                "@query" => &query,
                header => heard.header(header),
            },
        };
        format!("\"{name}\": {value}\n")
    });
    let lines: String = lines.collect();
    format!("{lines}\"@signature-params\": {described}")
}

/// Whether the session's key has signed this base.
fn verifies(session: &Heard, heard: &Heard, base: &str) -> bool {
    use base64::Engine;
    let opened: Value = serde_json::from_slice(&session.body).unwrap();
    let key = hex::decode(opened["session_key"].as_str().unwrap()).unwrap();
    let signature = heard.header("signature").strip_prefix("sig1=:").unwrap();
    let signature = signature.strip_suffix(':').unwrap();
    let signature = base64::engine::general_purpose::STANDARD
        .decode(signature)
        .unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
        .verify(base.as_bytes(), &signature)
        .is_ok()
}

#[tokio::test]
async fn s37_the_signature_is_over_what_arrived_and_says_when() {
    let (provider, backend) = provider(|_| (200, json!({})));
    let _: Value = backend.get("/v1/entries?after=3").await.unwrap();
    let body = json!({ "amount_minor": 1250 });
    let _: Value = backend
        .post("/v1/confirmations", &body, "00FF")
        .await
        .unwrap();
    let _: Value = backend.get("/v1/devices").await.unwrap();
    let heard = provider.heard();
    let [session, signed @ ..] = heard.as_slice() else {
        panic!("nothing has arrived");
    };
    assert_eq!(signed.len(), 3, "one session serves them all");
    for request in signed {
        assert!(
            verifies(session, request, &base(request, None)),
            "{request:?}"
        );
        for (part, other) in [
            ("@method", "PUT"),
            ("@authority", "provider.example:8443"),
            ("@path", "/v1/other"),
            ("@query", "?after=4"),
            ("content-digest", "sha-256=:AAAA:"),
        ] {
            let changed = base(request, Some((part, other)));
            assert_ne!(changed, base(request, None), "{part} is not covered");
            assert!(!verifies(session, request, &changed), "{part}");
        }
        // By the provider's clock, which runs ahead of the phone's.
        let created: i64 = parameter(request, "created=").parse().unwrap();
        assert_eq!(created, SERVER_MS / 1_000);
        assert_eq!(parameter(request, "alg="), "ecdsa-p256-sha256");
    }
    assert_eq!(signed[1].header("idempotency-key"), "00FF");
    assert!(base(&signed[1], None).contains("\n\"idempotency-key\": 00FF\n"));
    let nonces: BTreeSet<&str> = signed.iter().map(|one| parameter(one, "nonce=")).collect();
    assert_eq!(nonces.len(), 3);
    assert!(nonces.iter().all(|nonce| nonce.len() == 32));
}

#[tokio::test]
async fn s37_a_nonce_or_a_time_that_was_not_taken_is_tried_once_more_afresh() {
    for code in [
        "nonce_replayed",
        "signature_stale",
        "session_unknown",
        "session_expired",
    ] {
        let (provider, backend) = provider(move |before| match before {
            0 => refusal(code),
            _ => (200, json!({ "done": true })),
        });
        let answer: Value = backend
            .post("/v1/confirmations", &json!({}), "00FF")
            .await
            .unwrap();
        assert_eq!(answer["done"], true);
        let signed = provider.signed();
        let [first, second] = signed.as_slice() else {
            panic!("{code}: {signed:?}");
        };
        assert_ne!(parameter(first, "nonce="), parameter(second, "nonce="));
        assert_ne!(parameter(first, "keyid="), parameter(second, "keyid="));
        // It is the same request all the same.
        assert_eq!(
            first.header("idempotency-key"),
            second.header("idempotency-key")
        );
        assert_eq!(first.body, second.body);
    }
}

#[tokio::test]
async fn s37_a_second_refusal_is_the_answer() {
    for (code, requests) in [("nonce_replayed", 2), ("signature_invalid", 1)] {
        let (provider, backend) = provider(move |_| refusal(code));
        let answer: Result<Value, _> = backend.get("/v1/entries").await;
        let told = matches!(&answer, Err(BackendError::Refused(refusal)) if refusal.code == code);
        assert!(told, "{answer:?}");
        assert_eq!(provider.signed().len(), requests, "{code}");
    }
}
