//! Payments by code that are finished beside the API: whatever becomes of one of them, the others go on.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use sandbox_kit::ApiJson;
use sandbox_kit::problem::Problem;
use sandbox_kit::server::{Authority, serve};
use sandbox_provider::Provider;
use serde_json::{Value, json};
use sqlx::{AnyPool, Row};

use crate::codes::lenient;
use crate::common::bench_with;
use crate::network::Line;
use crate::opaque::{beside, run};

/// A network that pays, or answers with the status that the amount names. It keeps what it was asked.
fn moody(asked: &Arc<Mutex<Vec<Value>>>) -> Router {
    let (pays, undoes) = (Arc::clone(asked), Arc::clone(asked));
    let decision =
        || json!({ "result": "approved", "authorisation": "123456", "network_ref": "net_1" });
    Router::new()
        .route(
            "/v1/on-file-payments",
            post(move |ApiJson(body): ApiJson<Value>| async move {
                pays.lock().unwrap().push(body.clone());
                match body["amount_minor"].as_u64() {
                    Some(status @ (409 | 422 | 500)) => {
                        let status = u16::try_from(status).unwrap();
                        Err(Problem::new(status, "odd", "Odd", "Not this one."))
                    }
                    _ => Ok(Json(decision())),
                }
            }),
        )
        .route(
            "/v1/on-file-reversals",
            post(move |ApiJson(body): ApiJson<Value>| async move {
                undoes.lock().unwrap().push(body);
                Json(decision())
            }),
        )
}

/// The state and reason of the payment of this amount.
async fn stands(db: &AnyPool, amount_minor: i64) -> (String, Option<String>) {
    let row = sqlx::query("SELECT state, reason FROM code_payments WHERE amount_minor = $1")
        .bind(amount_minor)
        .fetch_one(db)
        .await
        .unwrap();
    (row.try_get(0).unwrap(), row.try_get(1).unwrap())
}

#[tokio::test]
async fn one_payment_that_fails_holds_up_no_other() {
    let bench = bench_with(None, lenient()).await;
    let phone = bench.phone().await;
    let codes = phone.fifteen().await;
    *bench.network.line.lock().unwrap() = Line::Away;
    for (place, amount) in [409, 422, 500, 600, 700, 800].into_iter().enumerate() {
        let name = format!("A-{amount}");
        let open = bench.pay(&codes.code(place), &name, amount).await.unwrap();
        assert_eq!(open["state"], "pending");
    }
    bench.about("revoke", "A-800").await.unwrap();
    let db = beside(&bench).await;
    // In the order of their amounts.
    run(
        &db,
        "UPDATE code_payments SET began = began - 1000 + amount_minor",
    )
    .await;
    // What is heard of this one cannot be written down.
    run(
        &db,
        "CREATE TRIGGER broken BEFORE UPDATE ON code_payments WHEN OLD.amount_minor = 600 BEGIN SELECT RAISE(ABORT, 'broken'); END",
    )
    .await;

    let asked = Arc::default();
    let identity = Authority::open(bench.folder.path())
        .and_then(|authority| authority.party("network"))
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let network = serve(moody(&asked), listener, &identity).unwrap();
    let mut config = (bench.config)();
    config.network_url = network.url.clone();
    let provider = Provider::open(config).await.unwrap();
    let background = provider.start();
    for _ in 0..400 {
        if stands(&db, 700).await.0 == "approved" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    drop(background);
    let open = ("started".to_owned(), None);
    assert_eq!(stands(&db, 700).await, ("approved".to_owned(), None));
    for amount in [500, 600] {
        assert_eq!(stands(&db, amount).await, open);
    }
    // The network knows a payment of this id, with another content: who can say that it is not paid?
    assert_eq!(stands(&db, 409).await, open);
    let refused = ("declined".to_owned(), Some("network_refused".to_owned()));
    assert_eq!(stands(&db, 422).await, refused);
    assert_eq!(stands(&db, 800).await.0, "revoked");
    // The money that goes back went first.
    let asked = asked.lock().unwrap();
    assert_eq!(asked[0].get("amount_minor"), None);
}
