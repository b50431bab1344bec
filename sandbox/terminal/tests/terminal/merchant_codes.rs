//! Codes that the shop shows, asked of an acquirer that is played by the test.

use std::net::TcpListener;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use sandbox_kit::keys::PartyKey;
use sandbox_kit::problem::Problem;
use sandbox_kit::server::{Authority, serve};
use sandbox_terminal::folder::Folder;
use sandbox_terminal::online::{Acquirer, Unregistered};
use serde_json::{Value, json};

async fn register() -> (StatusCode, Json<Value>) {
    let told = json!({"terminal_id": "T0000001", "merchant_id": "M1", "merchant": "Mapo Tofu House", "mcc": "5812",
        "country": "0156", "currency": "CNY", "aids": [], "ca_keys": [], "acquirer_key": PartyKey::generate().public_hex()});
    (StatusCode::CREATED, Json(told))
}

async fn make(Json(wanted): Json<Value>) -> Result<(StatusCode, Json<Value>), Problem> {
    if wanted["amount_minor"] == 1 {
        return Err(Problem::new(
            409,
            "order_conflict",
            "Order",
            "Take another.",
        ));
    }
    let made = json!({"code": "000201", "order_id": wanted["order_id"], "amount_minor": wanted["amount_minor"],
        "currency": "CNY", "at": wanted["at"]});
    Ok((StatusCode::CREATED, Json(made)))
}

async fn standing(Path(order): Path<String>) -> Result<Json<Value>, Problem> {
    if order == "gone" {
        return Err(Problem::new(401, "terminal_unknown", "Unknown", "Who?"));
    }
    let paid = json!({"payment_id": "cpy_1", "amount_minor": 1250, "authorisation": "123456", "network_ref": "net_1",
        "at": "2026-11-22T10:11:12Z"});
    Ok(Json(
        json!({"order_id": order, "state": "paid", "amount_minor": 1250, "currency": "CNY", "payment": paid,
        "at": "2026-11-22T10:11:12Z"}),
    ))
}

#[tokio::test]
async fn a_code_is_asked_for_and_its_order_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(&folder.path().join("ca")).unwrap();
    let router = Router::new()
        .route("/v1/terminals", post(register))
        .route("/v1/merchant-codes", post(make))
        .route("/v1/merchant-codes/{order}", get(standing));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = serve(router, listener, &authority.party("acquirer").unwrap()).unwrap();
    let pos = Folder::open(&folder.path().join("pos")).unwrap();
    let acquirer = Acquirer::contact(&pos, &server.url, authority.ca_pem())
        .await
        .unwrap();
    let made = acquirer
        .request_code(Some(1250), Some("A-1"))
        .await
        .unwrap();
    assert_eq!(
        (made.order_id.as_deref(), made.amount_minor),
        (Some("A-1"), Some(1250))
    );
    let many = acquirer.request_code(None, None).await.unwrap();
    assert_eq!((many.order_id, many.amount_minor), (None, None));
    let refused = acquirer.request_code(Some(1), None).await.unwrap_err();
    assert!(refused.to_string().contains("Take another."), "{refused}");
    let how = acquirer.order_standing("A-1").await.unwrap();
    assert_eq!((how.state.as_str(), how.amount_minor), ("paid", 1250));
    assert_eq!(how.payment.unwrap().payment_id, "cpy_1");
    let refused = acquirer.order_standing("gone").await.unwrap_err();
    assert!(refused.is::<Unregistered>());
    acquirer.order_standing("../A").await.unwrap_err();
}
