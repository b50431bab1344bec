//! Whole taps: a scripted card behind the TCP wire, and an acquirer that answers as the test wants.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::common::ScriptedCard;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use sandbox_kit::bind::bind;
use sandbox_kit::keys::{self, PartyKey};
use sandbox_kit::problem::Problem;
use sandbox_kit::server::{self, Authority, Running};
use sandbox_terminal::card::Card;
use sandbox_terminal::tap::{Order, Pos};
use serde_json::{Value, json};

/// What the acquirer saw and how it is to behave.
pub(crate) struct Acquirer {
    key: PartyKey,
    signer: PartyKey,
    registrations: usize,
    pub(crate) seen: Vec<Value>,
    /// Problems to answer with first, status and code; 200 is none.
    pub(crate) trouble: Vec<(u16, &'static str)>,
    pub(crate) result: &'static str,
}

pub(crate) type Shared = Arc<Mutex<Acquirer>>;

async fn register(
    State(acquirer): State<Shared>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let mut acquirer = acquirer.lock().unwrap();
    acquirer.registrations += 1;
    let public = hex::decode(body["public_key"].as_str().unwrap()).unwrap();
    let proof = hex::decode(body["proof"].as_str().unwrap()).unwrap();
    assert!(keys::verify(
        &public,
        &bind("tapcore-terminal-v1", &[&public]),
        &proof
    ));
    let told = json!({"terminal_id": "T0000001", "merchant_id": "M1", "merchant": "Mapo Tofu House", "mcc": "5812",
        "country": "0156", "currency": "CNY", "aids": ["A000000333010101"], "ca_keys": [],
        "acquirer_key": acquirer.key.public_hex()});
    (StatusCode::CREATED, Json(told))
}

async fn authorise(
    State(acquirer): State<Shared>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    let mut acquirer = acquirer.lock().unwrap();
    acquirer.seen.push(body.clone());
    if !acquirer.trouble.is_empty() {
        let (status, code) = acquirer.trouble.remove(0);
        if status != 200 {
            return Err(Problem::new(
                status,
                code,
                "Trouble",
                "The test wants it so.",
            ));
        }
    }
    let authorisation = (acquirer.result == "approved").then_some("123456");
    let message = bind(
        "tapcore-receipt-v1",
        &[
            b"T0000001",
            body["trace"].to_string().as_bytes(),
            body["amount_minor"].to_string().as_bytes(),
            b"CNY",
            acquirer.result.as_bytes(),
            authorisation.unwrap_or_default().as_bytes(),
        ],
    );
    Ok(Json(
        json!({"result": acquirer.result, "reason": null, "authorisation": authorisation,
        "at": "2026-11-22T10:11:12Z", "network_ref": "N1", "payment_id": "P1",
        "receipt_signature": hex::encode_upper(acquirer.signer.sign(&message))}),
    ))
}

/// Takes what a terminal asks for beside payments, and answers with its order.
async fn order_of(
    State(acquirer): State<Shared>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    let mut acquirer = acquirer.lock().unwrap();
    acquirer.seen.push(body.clone());
    if let Some((status, code)) = acquirer.trouble.pop() {
        return Err(Problem::new(
            status,
            code,
            "Trouble",
            "The test wants it so.",
        ));
    }
    Ok(Json(
        json!({"order_id": body["order_id"], "payment_id": null, "state": "revoked",
        "at": "2026-11-22T10:11:12Z", "code": "0002010102", "amount_minor": null, "currency": "CNY"}),
    ))
}

/// A shop: acquirer, its certificate, the POS's folder.
pub(crate) struct Shop {
    pub(crate) acquirer: Shared,
    server: Running,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Shop {
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(&folder.path().join("ca")).unwrap();
        let key = PartyKey::generate();
        let acquirer = Arc::new(Mutex::new(Acquirer {
            signer: key.clone(),
            key,
            registrations: 0,
            seen: Vec::new(),
            trouble: Vec::new(),
            result: "approved",
        }));
        let router = Router::new()
            .route("/v1/terminals", post(register))
            .route("/v1/authorisations", post(authorise))
            .route("/v1/scans", post(authorise))
            .route("/v1/scans/revoke", post(order_of))
            .route("/v1/merchant-codes", post(order_of))
            .with_state(acquirer.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server =
            server::serve(router, listener, &authority.party("acquirer").unwrap()).unwrap();
        Self {
            acquirer,
            server,
            authority,
            folder,
        }
    }

    pub(crate) async fn pos(&self) -> Pos {
        Pos::open(
            &self.folder.path().join("pos"),
            &self.server.url,
            self.authority.ca_pem(),
        )
        .await
        .unwrap()
    }
}

/// Puts a card on the wire for any number of stays in the field.
fn in_the_field(mut card: ScriptedCard) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut length = [0; 2];
            while stream.read_exact(&mut length).is_ok() {
                let mut command = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut command).unwrap();
                let answer = card.transmit(&command).unwrap();
                stream
                    .write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes())
                    .unwrap();
                stream.write_all(&answer).unwrap();
            }
        }
    });
    address
}

fn order(card: String) -> Order {
    Order {
        amount_minor: 1250,
        card,
        oda: false,
        cvm: false,
        present_twice: false,
        send_amount: None,
    }
}

#[tokio::test]
async fn a_tap_is_approved_written_down_and_asked_for_once() {
    let shop = Shop::open();
    let card = in_the_field(ScriptedCard::online());
    let report = shop
        .pos()
        .await
        .tap(&order(card.clone()), None, |_| {})
        .await
        .unwrap();
    assert_eq!(
        (report.result.as_str(), report.atc, report.trace),
        ("approved", Some(7), Some(1))
    );
    assert_eq!(report.token.as_deref(), Some("625164******1239"));
    let receipt = std::fs::read_to_string(report.receipt.unwrap()).unwrap();
    assert!(
        receipt.contains("CNY 12.50") && receipt.contains("APPROVED") && receipt.contains("123456"),
        "{receipt}"
    );
    assert!(!receipt.contains("6251640000001239"), "{receipt}");

    // Another process on the same folder: no new registration, the next trace number.
    let report = shop
        .pos()
        .await
        .tap(&order(card), None, |_| {})
        .await
        .unwrap();
    assert_eq!(report.trace, Some(2));
    let acquirer = shop.acquirer.lock().unwrap();
    assert_eq!(acquirer.registrations, 1);
    assert!(
        acquirer
            .seen
            .iter()
            .all(|request| request["emv"].get("9F02").is_none())
    );
}

#[tokio::test]
async fn a_receipt_that_cannot_be_kept_does_not_hide_the_result() {
    let shop = Shop::open();
    let card = in_the_field(ScriptedCard::online());
    let pos = shop.pos().await;
    // A folder stands where the receipt belongs.
    let place = shop.folder.path().join("pos/receipts/000001.txt");
    std::fs::create_dir_all(place.join("full")).unwrap();
    let mut said = Vec::new();
    let report = pos
        .tap(&order(card), None, |text| said.push(text.to_owned()))
        .await
        .unwrap();
    assert_eq!((report.result.as_str(), report.receipt), ("approved", None));
    assert!(said.iter().any(|text| text.contains("receipt")), "{said:?}");
}

#[tokio::test]
async fn trouble_on_the_way_is_met_with_the_same_trace_number() {
    let shop = Shop::open();
    shop.acquirer.lock().unwrap().trouble = vec![(503, "network_unavailable"), (500, "internal")];
    let card = in_the_field(ScriptedCard::online());
    let mut waits = 0;
    let report = shop
        .pos()
        .await
        .tap(&order(card), None, |_| waits += 1)
        .await
        .unwrap();
    assert_eq!((report.result.as_str(), waits), ("approved", 2));
    let acquirer = shop.acquirer.lock().unwrap();
    assert_eq!(acquirer.seen.len(), 3);
    assert!(
        acquirer
            .seen
            .iter()
            .all(|request| *request == acquirer.seen[0])
    );
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_is_unclear() {
    for refusal in [
        (422, "request_invalid"),
        (409, "trace_conflict"),
        (401, "terminal_unknown"),
    ] {
        let shop = Shop::open();
        let card = in_the_field(ScriptedCard::online());
        let pos = shop.pos().await;
        shop.acquirer.lock().unwrap().trouble = vec![(500, "internal"), refusal];
        let report = pos.tap(&order(card.clone()), None, |_| {}).await.unwrap();
        assert_eq!(report.result, "unclear", "{refusal:?}");
        assert!(report.detail.unwrap().contains(refusal.1));
        let receipt = std::fs::read_to_string(report.receipt.unwrap()).unwrap();
        assert!(receipt.contains("UNCLEAR"), "{receipt}");
        // As the first word, it says that nothing was paid.
        shop.acquirer.lock().unwrap().trouble = vec![refusal];
        pos.tap(&order(card), None, |_| {}).await.unwrap_err();
    }
}

#[tokio::test]
async fn trouble_with_the_second_presentation_does_not_hide_the_first() {
    let shop = Shop::open();
    shop.acquirer.lock().unwrap().trouble = vec![(200, ""), (422, "request_invalid")];
    let twice = Order {
        present_twice: true,
        ..order(in_the_field(ScriptedCard::online()))
    };
    let mut said = Vec::new();
    let report = shop
        .pos()
        .await
        .tap(&twice, None, |text| said.push(text.to_owned()))
        .await
        .unwrap();
    let again = report.presented_twice.unwrap();
    assert_eq!(
        (report.result.as_str(), report.authorisation.as_deref()),
        ("approved", Some("123456"))
    );
    assert_eq!((again.trace, again.result.as_str()), (2, "unclear"));
    assert!(said.iter().any(|text| text.contains("request_invalid")));
}

#[tokio::test]
async fn an_answer_that_the_acquirer_did_not_sign_is_unclear() {
    let shop = Shop::open();
    shop.acquirer.lock().unwrap().signer = PartyKey::generate();
    let report = shop
        .pos()
        .await
        .tap(&order(in_the_field(ScriptedCard::online())), None, |_| {})
        .await
        .unwrap();
    assert_eq!(report.result, "unclear");
    assert!(
        report
            .detail
            .unwrap()
            .contains("does not carry its signature")
    );
    assert!(
        std::fs::read_to_string(report.receipt.unwrap())
            .unwrap()
            .contains("UNCLEAR")
    );
}

#[tokio::test]
async fn a_terminal_that_was_forgotten_registers_again() {
    let shop = Shop::open();
    shop.acquirer.lock().unwrap().trouble = vec![(401, "terminal_unknown")];
    let card = in_the_field(ScriptedCard::online());
    assert!(
        shop.pos()
            .await
            .tap(&order(card.clone()), None, |_| {})
            .await
            .unwrap_err()
            .to_string()
            .contains("registers again")
    );
    assert_eq!(
        shop.pos()
            .await
            .tap(&order(card), None, |_| {})
            .await
            .unwrap()
            .result,
        "approved"
    );
    assert_eq!(shop.acquirer.lock().unwrap().registrations, 2);
}

#[tokio::test]
async fn lies_have_trace_numbers_of_their_own() {
    let shop = Shop::open();
    shop.acquirer.lock().unwrap().result = "declined";
    let card = in_the_field(ScriptedCard::online());
    let pos = shop.pos().await;
    let twice = Order {
        present_twice: true,
        ..order(card.clone())
    };
    let report = pos.tap(&twice, None, |_| {}).await.unwrap();
    let again = report.presented_twice.unwrap();
    assert_eq!(
        (report.trace, again.trace, again.result.as_str()),
        (Some(1), 2, "declined")
    );
    let other = Order {
        send_amount: Some(99_000),
        ..order(card)
    };
    let report = pos.tap(&other, None, |_| {}).await.unwrap();
    assert_eq!(
        (report.amount_minor, report.sent_amount_minor),
        (1250, Some(99_000))
    );
    let acquirer = shop.acquirer.lock().unwrap();
    let sent: Vec<_> = acquirer
        .seen
        .iter()
        .map(|request| (request["trace"].as_u64(), request["amount_minor"].as_i64()))
        .collect();
    assert_eq!(
        sent,
        [
            (Some(1), Some(1250)),
            (Some(2), Some(1250)),
            (Some(3), Some(99_000))
        ]
    );
    assert_eq!(
        acquirer.seen[0]["emv"]["9F26"],
        acquirer.seen[1]["emv"]["9F26"]
    );
}

#[tokio::test]
async fn a_card_that_declines_asks_nobody() {
    let shop = Shop::open();
    let card = in_the_field(ScriptedCard::online().with("9F27", "00"));
    let report = shop
        .pos()
        .await
        .tap(&order(card), None, |_| {})
        .await
        .unwrap();
    assert_eq!(
        (report.result.as_str(), report.reason.as_deref()),
        ("declined", Some("card_declined"))
    );
    assert_eq!(
        (report.atc, report.receipt, report.trace),
        (Some(7), None, None)
    );
    assert!(shop.acquirer.lock().unwrap().seen.is_empty());
}
