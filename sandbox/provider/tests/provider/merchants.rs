//! Shops' codes: read, paid online, each order once over all phones, whatever is lost on the way.

use std::collections::HashSet;
use std::time::Duration;

use sandbox_kit::client::CallError;
use sandbox_kit::problem::Problem;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::codes::lenient;
use crate::codes_shops::{open, rounds, text};
use crate::common::{Bench, Phone, bench_with, fresh_key, is, refusal};
use crate::opaque::{PASSWORD, beside};

/// EMVCo's Chinese example, a code of other networks.
const BEST_TRANSPORT: &str = "00020101021229300012D156000000000510A93FO3230Q31280012D15600000001030812345678520441115802CN\
     5914BEST TRANSPORT6007BEIJING64200002ZH0104最佳运输0202北京540523.7253031565502016233030412340603***0708A6008667\
     0902ME91320016A0112233449988770708123456786304A13A";

fn object(id: &str, value: &str) -> String {
    format!("{id}{:02}{value}", value.chars().count())
}

/// A code with its checksum, computed bit by bit.
fn sealed(body: &str) -> String {
    let covered = format!("{body}6304");
    let crc = covered.bytes().fold(0xFFFF_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => crc << 1 ^ 0x1021,
        })
    });
    format!("{covered}{crc:04X}")
}

/// The code of a merchant: for an order with its amount, or for many payments. It lies about the name.
pub(crate) fn code_of(merchant: &str, order: Option<(&str, &str)>) -> String {
    let account = [
        object("00", "dev.tapcore.sandbox"),
        object("01", "acquirer"),
        object("02", merchant),
    ];
    let mut parts = vec![
        object("00", "01"),
        object("01", if order.is_some() { "12" } else { "11" }),
        object("26", &account.concat()),
        object("52", "5999"),
        object("53", "156"),
    ];
    if let Some((_, amount)) = order {
        parts.push(object("54", amount));
    }
    parts.extend([
        object("58", "CN"),
        object("59", "SOMEBODY ELSE"),
        object("60", "NOWHERE"),
    ]);
    if let Some((order, _)) = order {
        let labels = [object("05", order), object("07", "T0000001")];
        parts.push(object("62", &labels.concat()));
    }
    sealed(&parts.concat())
}

/// Mapo Tofu House's code for this order of 12.50 yuan.
fn dynamic(order: &str) -> String {
    code_of("898110058120001", Some((order, "12.50")))
}

fn fixed() -> String {
    code_of("898110058120001", None)
}

pub(crate) fn wish(code: &str, token: &str, amount_minor: i64) -> Value {
    json!({ "code": code, "token_ref": token, "amount_minor": amount_minor, "currency": "CNY" })
}

impl Phone<'_> {
    async fn read_code(&self, code: &str) -> Result<Value, CallError> {
        self.post("/v1/merchant-codes", &json!({ "code": code }), &fresh_key())
            .await
    }

    pub(crate) async fn pay_shop(&self, wish: &Value, key: &str) -> Result<Value, CallError> {
        self.post("/v1/merchant-payments", wish, key).await
    }
}

/// What the network was asked to pay last.
fn last_payment(bench: &Bench) -> Value {
    let asked = bench.network.asked.lock().unwrap();
    let is_payment = |body: &&Value| body["payment_id"].is_string();
    asked.iter().rfind(is_payment).cloned().unwrap()
}

#[tokio::test]
async fn a_code_is_read_with_the_name_that_the_network_knows() {
    let bench = open().await;
    let phone = bench.phone().await;
    let offer = phone.read_code(&dynamic("A-1")).await.unwrap();
    let expected = json!({ "payee_id": "acquirer/898110058120001", "payee": "Mapo Tofu House", "category": "5812",
                           "city": "Chengdu", "country": "0156", "amount_minor": 1250, "currency": "CNY", "bill": "A-1",
                           "once": true });
    assert_eq!(offer, expected);
    let offer = phone.read_code(&fixed()).await.unwrap();
    assert_eq!(
        (&offer["amount_minor"], &offer["bill"], &offer["once"]),
        (&Value::Null, &Value::Null, &json!(false))
    );
    let unknown = code_of("898110058129999", None);
    for foreign in [BEST_TRANSPORT, unknown.as_str()] {
        let refused = phone.read_code(foreign).await;
        assert_eq!(refusal(refused), is(404, "payee_unknown"));
    }
    let damaged = dynamic("A-1").replace("12.50", "10.50");
    for damaged in [damaged.as_str(), "", "73", "0002010102119999"] {
        let refused = phone.read_code(damaged).await;
        assert_eq!(refusal(refused), is(422, "merchant_code_invalid"));
        let refused = phone
            .pay_shop(&wish(damaged, "tok_00000000", 1250), &fresh_key())
            .await;
        assert_eq!(refusal(refused), is(422, "merchant_code_invalid"));
    }
    let away = Problem::new(500, "internal", "Internal error", "Later.");
    *bench.network.refuse.lock().unwrap() = Some(away);
    let refused = phone.read_code(&fixed()).await;
    assert_eq!(refusal(refused), is(503, "network_unavailable"));
}

#[tokio::test]
async fn a_payment_is_made_once_and_lands_in_the_statement() {
    let bench = open().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let (body, key) = (wish(&dynamic("A-1"), &token, 1250), fresh_key());
    let paid = phone.pay_shop(&body, &key).await.unwrap();
    assert_eq!(
        (&paid["state"], &paid["wants"], &paid["merchant"]),
        (&json!("approved"), &Value::Null, &json!("Mapo Tofu House"))
    );
    assert_eq!(phone.pay_shop(&body, &key).await.unwrap(), paid);
    assert_eq!(bench.paid(), 1);
    let asked = last_payment(&bench);
    for (member, value) in [
        ("order_id", json!("A-1")),
        ("terminal_id", json!("T0000001")),
        ("mcc", json!("5812")),
        ("acquirer_id", json!("acquirer")),
    ] {
        assert_eq!(asked[member], value, "{member}");
    }
    let entry = phone.entries("").await["code_entries"][0].clone();
    assert_eq!(
        (&entry["alias"], &entry["payment_id"], &entry["result"]),
        (&Value::Null, &paid["payment_id"], &json!("approved"))
    );
    let export = phone.get("/v1/export").await.unwrap();
    assert_eq!(export["code_payments"][0]["alias"], Value::Null);
    // Another payment under the same key is none, and the order is paid.
    let other = wish(&fixed(), &token, 100);
    assert_eq!(
        refusal(phone.pay_shop(&other, &key).await),
        is(409, "idempotency_conflict")
    );
    let stranger = bench.phone().await;
    let theirs = wish(&dynamic("A-1"), &stranger.token().await, 1250);
    assert_eq!(
        refusal(stranger.pay_shop(&theirs, &fresh_key()).await),
        is(409, "order_paid")
    );
    // The acquirer sees how its order stands and of what amount, and may take it back.
    let stands = bench.about("query", "A-1").await.unwrap();
    assert_eq!(
        (
            &stands["state"],
            &stands["amount_minor"],
            &stands["currency"]
        ),
        (&json!("approved"), &json!(1250), &json!("CNY"))
    );
    assert_eq!(
        bench.about("revoke", "A-1").await.unwrap()["state"],
        "revoked"
    );
    assert_eq!(
        phone.pay_shop(&body, &key).await.unwrap()["state"],
        "revoked"
    );
}

#[tokio::test]
async fn a_sticker_is_paid_as_often_as_people_like() {
    let bench = open().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let mut orders = HashSet::new();
    for amount_minor in [100, 100, 300] {
        let body = wish(&fixed(), &token, amount_minor);
        let key = fresh_key();
        for _ in 0..2 {
            let paid = phone.pay_shop(&body, &key).await.unwrap();
            assert_eq!(paid["amount_minor"], amount_minor);
        }
        let asked = last_payment(&bench);
        assert_eq!(asked["terminal_id"], "code");
        orders.insert(text(&asked["order_id"]));
    }
    assert_eq!((orders.len(), bench.paid()), (3, 3));
    assert!(orders.iter().all(|order| order.len() == 25));
}

#[tokio::test]
async fn what_was_not_agreed_to_is_not_paid() {
    let bench = open().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let code = dynamic("A-1");
    let differs = is(409, "amount_differs");
    let refused = phone
        .pay_shop(&wish(&code, &token, 1251), &fresh_key())
        .await;
    assert_eq!(refusal(refused), differs);
    let mut foreign = wish(&code, &token, 1250);
    foreign["currency"] = json!("USD");
    assert_eq!(
        refusal(phone.pay_shop(&foreign, &fresh_key()).await),
        differs
    );
    let stranger = bench.phone().await;
    let theirs = stranger.token().await;
    let refused = phone
        .pay_shop(&wish(&code, &theirs, 1250), &fresh_key())
        .await;
    assert_eq!(refusal(refused), is(409, "account_not_active"));
    let refused = phone
        .pay_shop(&wish(BEST_TRANSPORT, &token, 2372), &fresh_key())
        .await;
    assert_eq!(refusal(refused), is(404, "payee_unknown"));
    for (member, value) in [
        ("token_ref", json!("tok")),
        ("amount_minor", json!(0)),
        ("currency", json!("cny")),
        ("surplus", json!(1)),
    ] {
        let mut odd = wish(&code, &token, 1250);
        odd[member] = value;
        let refused = phone.pay_shop(&odd, &fresh_key()).await;
        assert_eq!(refusal(refused), is(422, "request_invalid"), "{member}");
    }
    // The class is the directory's, not the code's.
    let betting = code_of("898110058120002", None);
    let declined = phone
        .pay_shop(&wish(&betting, &token, 100), &fresh_key())
        .await
        .unwrap();
    assert_eq!(
        (
            &declined["state"],
            &declined["reason"],
            &declined["merchant"]
        ),
        (
            &json!("declined"),
            &json!("class_gambling"),
            &json!("彩票站")
        )
    );
    assert_eq!(bench.paid(), 0);
    // The bank says no: the order may be tried again, under a fresh key.
    let rich = code_of("898110058120001", Some(("A-2", "44.44")));
    let declined = phone
        .pay_shop(&wish(&rich, &token, 4_444), &fresh_key())
        .await
        .unwrap();
    assert_eq!(declined["reason"], "insufficient_funds");
    let again = phone
        .pay_shop(&wish(&rich, &token, 4_444), &fresh_key())
        .await
        .unwrap();
    assert_eq!(again["state"], "declined");
    assert_eq!(bench.paid(), 2);
}

#[tokio::test]
async fn above_an_amount_the_person_confirms_a_shop_s_code_too() {
    let bench = open().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let code = code_of("898110058120001", Some(("A-1", "2000.00")));
    let refused = phone
        .pay_shop(&wish(&code, &token, 200_000), &fresh_key())
        .await
        .unwrap();
    assert_eq!(refused["reason"], "password_not_set");
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let asked = phone
        .pay_shop(&wish(&code, &token, 200_000), &fresh_key())
        .await
        .unwrap();
    assert_eq!(
        (&asked["state"], &asked["wants"]),
        (&json!("pending"), &json!("password"))
    );
    // Somebody else pays what waits for a person who may have gone.
    let second = bench.phone().await;
    second.set_password(PASSWORD, Value::Null).await.unwrap();
    let theirs = wish(&code, &second.token().await, 200_000);
    let key = fresh_key();
    let taken = second.pay_shop(&theirs, &key).await.unwrap();
    let late = phone
        .type_password(&text(&asked["payment_id"]), 200_000)
        .await
        .unwrap();
    assert_eq!(late["reason"], "superseded");
    let paid = second
        .type_password(&text(&taken["payment_id"]), 200_000)
        .await
        .unwrap();
    assert_eq!(paid["state"], "approved");
    // The request asked again tells how it ended.
    assert_eq!(
        second.pay_shop(&theirs, &key).await.unwrap()["state"],
        "approved"
    );
    assert_eq!(bench.paid(), 1);
    // A daily sum without a password counts both kinds of codes.
    let mut rules = lenient();
    rules.daily.c = Some(2_000);
    let bench = bench_with(None, rules).await;
    let phone = bench.phone().await;
    let codes = phone.fifteen().await;
    bench.pay(&codes.code(0), "B-1", 1_500).await.unwrap();
    let declined = phone
        .pay_shop(&wish(&fixed(), &codes.aliases[0].1, 600), &fresh_key())
        .await
        .unwrap();
    assert_eq!(declined["reason"], "password_not_set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_phones_at_once_pay_an_order_once() {
    let bench = open().await;
    let mut phones = Vec::new();
    for _ in 0..8 {
        let phone = bench.phone().await;
        let token = phone.token().await;
        phones.push((phone.client.clone(), token));
    }
    for round in 0..rounds().min(20) {
        let (paid, code) = (bench.paid(), dynamic(&format!("R-{round}")));
        let mut tries = JoinSet::new();
        for (client, token) in &phones {
            let (client, url) = (client.clone(), bench.url("/v1/merchant-payments"));
            let body = wish(&code, token, 1250);
            tries.spawn(async move {
                client
                    .post::<_, Value>(&url, &body, Some(&fresh_key()))
                    .await
            });
        }
        let answers = tries.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        for refused in lost {
            assert_eq!(refusal(refused), is(409, "order_paid"));
        }
        assert_eq!(bench.paid(), paid + 1);
    }
}

#[tokio::test]
async fn a_scanned_order_is_not_paid_by_a_shop_s_code_again() {
    let bench = open().await;
    let phone = bench.phone().await;
    let codes = phone.fifteen().await;
    bench.pay(&codes.code(0), "A-1", 1250).await.unwrap();
    let token = &codes.aliases[0].1;
    let refused = phone
        .pay_shop(&wish(&dynamic("A-1"), token, 1250), &fresh_key())
        .await;
    assert_eq!(refusal(refused), is(409, "order_paid"));
    // And the other way round: the scan hears how the order stands, and its code stays as good as before.
    phone
        .pay_shop(&wish(&dynamic("A-2"), token, 1250), &fresh_key())
        .await
        .unwrap();
    let answer = bench.pay(&codes.code(1), "A-2", 1250).await.unwrap();
    assert_eq!(answer["state"], "approved");
    let alias = phone.alias(&codes.aliases[1].0).await.unwrap();
    assert_eq!(alias["state"], "live");
    assert_eq!(bench.paid(), 2);
}

#[tokio::test]
async fn a_scan_that_waits_for_its_person_keeps_the_order() {
    let bench = open().await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let codes = phone.fifteen().await;
    let asked = bench.pay(&codes.code(0), "A-1", 200_000).await.unwrap();
    assert_eq!(asked["wants"], "password");
    // A code for the same order, which asks for less: the till would print its own amount.
    let refused = phone
        .pay_shop(
            &wish(&dynamic("A-1"), &codes.aliases[0].1, 1250),
            &fresh_key(),
        )
        .await;
    assert_eq!(refusal(refused), is(409, "order_paid"));
    let paid = phone
        .type_password(&text(&asked["payment_id"]), 200_000)
        .await
        .unwrap();
    assert_eq!(paid["state"], "approved");
    let stands = bench.about("query", "A-1").await.unwrap();
    assert_eq!(
        (&stands["state"], &stands["amount_minor"]),
        (&json!("approved"), &json!(200_000))
    );
    assert_eq!(bench.paid(), 1);
}

#[tokio::test]
async fn a_shop_s_payment_outlives_a_crash_and_is_asked_about_by_its_key() {
    let mut bench = bench_with(None, lenient()).await;
    let (key, id, device_key, body) = {
        let phone = bench.phone().await;
        let token = phone.token().await;
        let body = wish(&dynamic("A-1"), &token, 1250);
        let key = fresh_key();
        // What the token's issue left behind.
        bench.network.reached().await;
        let open = {
            // The network is away once the payment is written down.
            let held = bench.network.hold();
            let pays = phone.pay_shop(&body, &key);
            tokio::pin!(pays);
            tokio::select! {
                _ = &mut pays => panic!("the network was held"),
                () = bench.network.reached() => {}
            }
            let away = Problem::new(500, "internal", "Internal error", "Later.");
            *bench.network.refuse.lock().unwrap() = Some(away);
            drop(held);
            pays.await.unwrap()
        };
        assert_eq!(
            (&open["state"], &open["wants"]),
            (&json!("pending"), &Value::Null)
        );
        (key, phone.id.clone(), phone.key.clone(), body)
    };
    bench.restart().await;
    let client = bench.session(&device_key, &id).await.unwrap();
    let url = bench.url("/v1/merchant-payments");
    // The repeated request needs no directory: what it asked for is written down.
    let still: Value = client.post(&url, &body, Some(&key)).await.unwrap();
    assert_eq!(still["state"], "pending");
    *bench.network.refuse.lock().unwrap() = None;
    let background = bench.provider.start();
    for _ in 0..400 {
        if bench.about("query", "A-1").await.unwrap()["state"] == "approved" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    drop(background);
    let paid: Value = client.post(&url, &body, Some(&key)).await.unwrap();
    assert_eq!(paid["state"], "approved");
    assert_eq!(bench.paid(), 1);
    // An erased person leaves a payment without names, and no alias was ever there to find it by.
    let erased: Result<Value, CallError> = client
        .post(&bench.url("/v1/erasure"), &json!({}), Some(&fresh_key()))
        .await;
    erased.unwrap();
    let db = beside(&bench).await;
    let row =
        sqlx::query("SELECT 1 FROM code_payments WHERE user_id <> '' OR alias_id IS NOT NULL")
            .fetch_optional(&db)
            .await
            .unwrap();
    assert!(row.is_none());
}
