//! The payment network, played by the test: what it was asked, and what it shall refuse, hold back or lose.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::post;
use sandbox_kit::hpke;
use sandbox_kit::keys::PartyKey;
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::{self, Verifier};
use sandbox_kit::{ApiJson, ApiPath};
use serde_json::{Value, json};

/// What the played network was asked, and what it shall refuse.
#[derive(Clone, Default)]
pub(crate) struct FakeNetwork {
    pub(crate) asked: Arc<Mutex<Vec<Value>>>,
    pub(crate) refuse: Arc<Mutex<Option<Problem>>>,
    /// How well payments by code are heard, there and back.
    pub(crate) line: Arc<Mutex<Line>>,
    /// Payments by code that it has decided on, with the reason of those that it has not paid or has taken back.
    pub(crate) decided: Arc<Mutex<HashMap<String, Option<&'static str>>>>,
    /// While somebody holds it, no token is issued and no payment by code answered.
    gate: Arc<tokio::sync::Mutex<()>>,
    waiting: Arc<tokio::sync::Notify>,
    counter: Arc<AtomicU32>,
}

/// The way to the played network and back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Line {
    #[default]
    Up,
    /// Its answers are lost.
    Lost,
    /// It hears nothing.
    Away,
}

impl FakeNetwork {
    /// Holds back the next token or payment until the answer is dropped.
    pub(crate) fn hold(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.gate).try_lock_owned().unwrap()
    }

    /// Once a token is being issued, or a payment by code asked for.
    pub(crate) async fn reached(&self) {
        self.waiting.notified().await;
    }

    fn answer(
        &self,
        body: Value,
        answer: impl Fn(u32) -> Value,
    ) -> Result<(axum::http::StatusCode, axum::Json<Value>), Problem> {
        self.asked.lock().unwrap().push(body);
        if let Some(problem) = self.refuse.lock().unwrap().clone() {
            return Err(problem);
        }
        let number = self.counter.fetch_add(1, Ordering::SeqCst);
        Ok((axum::http::StatusCode::CREATED, axum::Json(answer(number))))
    }

    /// Decides on a payment by code, or tells what it has decided before; `decide` is given what that was.
    fn on_file(
        &self,
        body: Value,
        decide: impl FnOnce(Option<Option<&'static str>>) -> Option<&'static str>,
    ) -> Result<(axum::http::StatusCode, axum::Json<Value>), Problem> {
        let line = *self.line.lock().unwrap();
        let away = || Problem::new(503, "away", "Away", "Not now.");
        if line == Line::Away || self.refuse.lock().unwrap().is_some() {
            return self.answer(body, |_| Value::Null).and(Err(away()));
        }
        let id = body["payment_id"].as_str().unwrap_or_default().to_owned();
        let mut decided = self.decided.lock().unwrap();
        let reason = decide(decided.get(&id).copied());
        decided.insert(id.clone(), reason);
        drop(decided);
        let answer = self.answer(body, |_| decision(&id, reason));
        if line == Line::Up {
            answer
        } else {
            Err(away())
        }
    }

    pub(crate) fn router(&self, verifier: Verifier) -> Router {
        let (cards, tokens, keys) = (self.clone(), self.clone(), self.clone());
        let (states, checks, checked) = (self.clone(), self.clone(), self.clone());
        let (makers, on_file, reversals) = (self.clone(), self.clone(), self.clone());
        let merchants = self.clone();
        let some_box = || hpke::seal(&PartyKey::generate().public(), b"", b"", b"keys").unwrap();
        let routes = Router::new()
            .route(
                "/v1/card-entries",
                post(move |ApiJson(body): ApiJson<Value>| async move {
                    cards.answer(body, |number| {
                        json!({ "challenge_id": format!("chl_{number:08}"), "masked": "…0015", "bank": "bank-a",
                                "sms_expires_at": "2026-11-22T09:35:00Z", "tries_left": 3 })
                    })
                }),
            )
            .route(
                "/v1/card-entries/{id}/verify",
                post(move |ApiJson(body): ApiJson<Value>| async move {
                    tokens.waiting.notify_one();
                    let _held = tokens.gate.lock().await;
                    tokens.answer(body, |number| {
                        json!({ "token_ref": format!("tok_{number:08}"), "sealed": some_box() })
                    })
                }),
            )
            .route(
                "/v1/tokens/{id}/replenish",
                post(move |ApiJson(body): ApiJson<Value>| async move {
                    keys.answer(body, |_| json!({ "sealed": some_box() }))
                }),
            )
            .route(
                "/v1/tokens/{id}/maker-payload",
                post(move |ApiJson(body): ApiJson<Value>| async move {
                    makers.answer(body, |number| {
                        json!({ "token_ref": format!("tok_{number:08}"), "expires_at": "2026-11-22T09:45:00Z",
                                "sealed": some_box() })
                    })
                }),
            )
            .route(
                "/v1/card-checks",
                post(move |ApiJson(body): ApiJson<Value>| async move {
                    checks.answer(body, |number| {
                        json!({ "check_id": format!("chk_{number:08}"), "masked": "…0015", "bank": "bank-a",
                                "sms_expires_at": "2026-11-22T09:35:00Z", "tries_left": 3 })
                    })
                }),
            )
            .route(
                "/v1/card-checks/{id}/verify",
                post(move |ApiJson(body): ApiJson<Value>| async move {
                    // This code is that of a card which only looks alike.
                    let none = body["code"] == "000000";
                    let tokens = body["token_refs"].clone();
                    checked.answer(body, |_| {
                        json!({ "token_refs": if none { json!(["tok_99999999"]) } else { tokens.clone() } })
                    })
                }),
            )
            .route(
                "/v1/on-file-payments",
                post(move |ApiJson(body): ApiJson<Value>| async move {
                    on_file.waiting.notify_one();
                    let _held = on_file.gate.lock().await;
                    // This amount is more than the account has.
                    let declined = body["amount_minor"] == 4_444;
                    on_file.on_file(body, |before| before.unwrap_or(declined.then_some("insufficient_funds")))
                }),
            )
            .route(
                "/v1/on-file-reversals",
                post(move |ApiJson(body): ApiJson<Value>| async move {
                    reversals.on_file(body, |before| before.flatten().or(Some("reversed")))
                }),
            )
            .route(
                "/v1/merchant-lookups",
                post(move |ApiJson(body): ApiJson<Value>| async move {
                    let (name, mcc) = match body["merchant_id"].as_str() {
                        Some("898110058120001") => ("Mapo Tofu House", "5812"),
                        Some("898110058120002") => ("彩票站", "7995"),
                        _ => {
                            return Err(Problem::new(404, "payee_unknown", "Unknown", "Nobody."));
                        }
                    };
                    let id = body["merchant_id"].clone();
                    merchants.answer(body, |_| {
                        json!({ "merchant_id": id, "name": name, "mcc": mcc, "country": "0156", "city": "Chengdu",
                                "currency": "CNY" })
                    })
                }),
            )
            .route(
                "/v1/tokens/{id}/state",
                post(
                    move |ApiPath(token): ApiPath, ApiJson(body): ApiJson<Value>| async move {
                        let state = body["state"].clone();
                        let asked = json!({ "token_ref": token, "device_id": body["device_id"], "state": state });
                        states.answer(asked, |_| json!({ "token_ref": token, "state": state }))
                    },
                ),
            );
        signed::require(routes, verifier)
    }
}

/// The network's decision on a payment by code, the same however often it is asked.
fn decision(payment: &str, reason: Option<&str>) -> Value {
    let result = if reason.is_none() {
        "approved"
    } else {
        "declined"
    };
    json!({ "result": result, "reason": reason, "authorisation": reason.is_none().then_some("123456"),
            "at": "2026-11-22T09:30:01Z", "network_ref": format!("net_{payment}") })
}
