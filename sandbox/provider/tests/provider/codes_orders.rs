//! Payment codes that wait for the person, that are revoked, and that a crash left open.

use std::time::Duration;

use sandbox_kit::client::CallError;
use sandbox_kit::problem::Problem;
use sandbox_provider::policy::CodeRules;
use serde_json::{Value, json};

use crate::codes::lenient;
use crate::codes_shops::{open, rounds, text};
use crate::common::{Phone, bench_with, fresh_key, is, refusal};
use crate::network::Line;
use crate::opaque::{PASSWORD, beside, by_password, run};

impl Phone<'_> {
    /// Confirms a payment by the password, for this amount.
    pub(crate) async fn type_password(
        &self,
        payment: &str,
        amount_minor: i64,
    ) -> Result<Value, CallError> {
        let (word, key) = self.word(amount_minor).await?;
        self.give(payment, &word, &key).await
    }

    pub(crate) async fn give(
        &self,
        payment: &str,
        word: &Value,
        key: &str,
    ) -> Result<Value, CallError> {
        let path = format!("/v1/codes/payments/{payment}/confirm");
        self.post(&path, word, key).await
    }

    /// The person's word for this amount, and the key that it is good under.
    pub(crate) async fn word(&self, amount_minor: i64) -> Result<(Value, String), CallError> {
        let (login, key) = (self.login().await, fresh_key());
        let bound = self.bound(amount_minor, "CNY", "Mapo Tofu House", &key);
        let body = json!({ "amount_minor": amount_minor, "currency": "CNY", "payee": "Mapo Tofu House",
                           "method": by_password(&login, &bound) });
        let confirmed = self.post("/v1/confirmations", &body, &key).await?;
        let word = json!({ "confirmation_id": confirmed["confirmation_id"] });
        Ok((word, key))
    }
}

#[tokio::test]
async fn above_an_amount_the_person_types_the_password() {
    let mut rules = lenient();
    rules.daily.b = Some(300_000);
    let bench = bench_with(None, rules).await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let codes = phone.fifteen().await;
    let asked = bench.pay(&codes.code(0), "A-1", 200_000).await.unwrap();
    assert_eq!(
        (&asked["state"], &asked["wants"]),
        (&json!("pending"), &json!("password"))
    );
    assert_eq!(bench.paid(), 0);
    let alias = phone.alias(&codes.aliases[0].0).await.unwrap();
    assert_eq!(
        (
            &alias["state"],
            &alias["payment"]["wants"],
            &alias["payment"]["amount_minor"]
        ),
        (&json!("pending"), &json!("password"), &json!(200_000))
    );
    let payment = text(&alias["payment"]["payment_id"]);
    // A confirmation of another amount is none of this payment.
    let refused = phone.type_password(&payment, 200_001).await;
    assert_eq!(refusal(refused), is(403, "confirmation_invalid"));
    let stranger = bench.phone().await;
    let word = json!({ "confirmation_id": "cnf_00000000" });
    let path = format!("/v1/codes/payments/{payment}/confirm");
    assert_eq!(
        refusal(stranger.post(&path, &word, &fresh_key()).await),
        is(404, "payment_unknown")
    );
    let asked = bench.pay(&codes.code(1), "A-2", 200_000).await.unwrap();
    let paid = phone.type_password(&payment, 200_000).await.unwrap();
    assert_eq!(paid["state"], "approved");
    assert_eq!(
        bench.about("query", "A-1").await.unwrap()["state"],
        "approved"
    );
    // The day's sum by password is not enough for the one that was asked for meanwhile.
    let paid = phone
        .type_password(&text(&asked["payment_id"]), 200_000)
        .await
        .unwrap();
    assert_eq!(
        (&paid["state"], &paid["reason"]),
        (&json!("declined"), &json!("daily_limit"))
    );
    assert_eq!(bench.paid(), 1);
    // Nobody is asked for a password then: it could not help.
    let declined = bench.pay(&codes.code(2), "A-3", 150_000).await.unwrap();
    assert_eq!(
        (&declined["state"], &declined["reason"]),
        (&json!("declined"), &json!("daily_limit"))
    );
}

#[tokio::test]
async fn a_password_that_nobody_types_is_too_late() {
    let bench = bench_with(None, lenient()).await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let codes = phone.fifteen().await;
    let asked = bench.pay(&codes.code(0), "A-1", 150_000).await.unwrap();
    let db = beside(&bench).await;
    run(&db, "UPDATE code_payments SET confirm_until = 1").await;
    let over = bench.about("query", "A-1").await.unwrap();
    assert_eq!(over["reason"], "password_timeout");
    let late = phone
        .type_password(&text(&asked["payment_id"]), 150_000)
        .await;
    assert_eq!(late.unwrap()["reason"], "password_timeout");
    assert_eq!(bench.paid(), 0);
}

#[tokio::test]
async fn a_payment_counts_on_the_day_of_its_password() {
    let mut rules = lenient();
    rules.daily.b = Some(300_000);
    let bench = bench_with(None, rules).await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let codes = phone.fifteen().await;
    let asked = [
        bench.pay(&codes.code(0), "A-1", 200_000).await.unwrap(),
        bench.pay(&codes.code(1), "A-2", 200_000).await.unwrap(),
    ];
    // Both were scanned before midnight.
    let db = beside(&bench).await;
    run(&db, "UPDATE code_payments SET day = day - 1").await;
    let mut ends = Vec::new();
    for asked in asked {
        let payment = text(&asked["payment_id"]);
        let typed = phone.type_password(&payment, 200_000).await.unwrap();
        ends.push((typed["state"].clone(), typed["reason"].clone()));
    }
    let approved = (json!("approved"), Value::Null);
    assert_eq!(ends, [approved, (json!("declined"), json!("daily_limit"))]);
}

#[tokio::test]
async fn a_wiped_phone_s_payment_is_over_and_the_other_phone_is_told() {
    let bench = open().await;
    let phone = bench.phone().await;
    let code = phone.link_code("second_phone").await;
    let second = bench.joined(Some(&code)).await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let codes = phone.fifteen().await;
    let asked = bench.pay(&codes.code(0), "A-1", 200_000).await.unwrap();
    assert_eq!(asked["wants"], "password");
    let path = format!("/v1/phones/{}/wipe", phone.id);
    second.post(&path, &json!({}), &fresh_key()).await.unwrap();
    let stands = bench.about("query", "A-1").await.unwrap();
    assert_eq!(stands["reason"], "device_wiped");
    let entry = second.entries("").await["code_entries"][0].clone();
    assert_eq!(
        (&entry["payment_id"], &entry["reason"]),
        (&asked["payment_id"], &json!("device_wiped"))
    );
}

#[tokio::test]
async fn another_code_takes_the_place_of_one_that_waits() {
    let bench = open().await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let codes = phone.fifteen().await;
    let first = bench.pay(&codes.code(0), "A-1", 200_000).await.unwrap();
    // The same code again only asks how it stands.
    assert_eq!(
        bench.pay(&codes.code(0), "A-1", 200_000).await.unwrap(),
        first
    );
    let second = bench.pay(&codes.code(1), "A-1", 200_000).await.unwrap();
    assert_ne!(second["payment_id"], first["payment_id"]);
    let late = phone
        .type_password(&text(&first["payment_id"]), 200_000)
        .await;
    assert_eq!(late.unwrap()["reason"], "superseded");
    let paid = phone
        .type_password(&text(&second["payment_id"]), 200_000)
        .await;
    assert_eq!(paid.unwrap()["state"], "approved");
    assert_eq!(bench.paid(), 1);
}

#[tokio::test]
async fn a_revoked_order_is_paid_by_nobody() {
    let bench = open().await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let codes = phone.fifteen().await;
    // Before anything was scanned for it: there is no payment, of no amount.
    let unseen = bench.about("revoke", "A-1").await.unwrap();
    assert_eq!(unseen["state"], "revoked");
    for member in ["payment_id", "amount_minor", "currency"] {
        assert_eq!(unseen[member], Value::Null, "{member}");
    }
    let answer = bench.pay(&codes.code(0), "A-1", 1250).await.unwrap();
    assert_eq!(answer["state"], "revoked");
    assert_eq!(
        phone.alias(&codes.aliases[0].0).await.unwrap()["state"],
        "live"
    );
    // While the password is waited for.
    let asked = bench.pay(&codes.code(1), "A-2", 200_000).await.unwrap();
    assert_eq!(
        bench.about("revoke", "A-2").await.unwrap()["state"],
        "revoked"
    );
    let late = phone
        .type_password(&text(&asked["payment_id"]), 200_000)
        .await;
    assert_eq!(late.unwrap()["state"], "revoked");
    assert_eq!(bench.paid(), 0);
    // After it was paid: the network takes it back, and the statement says so under the same id.
    bench.pay(&codes.code(2), "A-3", 1250).await.unwrap();
    let before = phone.entries("").await["code_entries"][0].clone();
    for _ in 0..2 {
        assert_eq!(
            bench.about("revoke", "A-3").await.unwrap()["state"],
            "revoked"
        );
    }
    let after = phone.entries("?after=1").await["code_entries"][0].clone();
    assert_eq!(
        (&after["id"], &after["result"], &after["reason"]),
        (&before["id"], &json!("declined"), &json!("revoked"))
    );
    let again = bench.pay(&codes.code(3), "A-3", 1250).await.unwrap();
    assert_eq!(again["state"], "revoked");
}

#[tokio::test]
async fn nobody_revokes_while_the_person_may_be_typing() {
    let rules = CodeRules {
        revoke_after_s: 15,
        ..lenient()
    };
    let bench = bench_with(None, rules).await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let codes = phone.fifteen().await;
    let asked = bench.pay(&codes.code(0), "A-1", 200_000).await.unwrap();
    assert_eq!(
        refusal(bench.about("revoke", "A-1").await),
        is(409, "revoke_too_early")
    );
    assert_eq!(
        refusal(bench.give_up("A-1", &asked["payment_id"]).await),
        is(409, "revoke_too_early")
    );
    let db = beside(&bench).await;
    run(&db, "UPDATE code_payments SET began = began - 15").await;
    assert_eq!(
        bench.about("revoke", "A-1").await.unwrap()["state"],
        "revoked"
    );
}

#[tokio::test]
async fn a_till_gives_up_its_own_payment_and_only_while_it_is_open() {
    let bench = bench_with(None, lenient()).await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let codes = phone.fifteen().await;
    // Another code has taken the place of the one that the till waits for, and is paid.
    let first = bench.pay(&codes.code(0), "A-1", 200_000).await.unwrap();
    let second = bench.pay(&codes.code(1), "A-1", 200_000).await.unwrap();
    let paid = phone
        .type_password(&text(&second["payment_id"]), 200_000)
        .await;
    assert_eq!(paid.unwrap()["state"], "approved");
    // Nor is its own taken back once it is paid.
    for payment in [&first, &second] {
        let stands = bench.give_up("A-1", &payment["payment_id"]).await.unwrap();
        assert_eq!(
            (&stands["state"], &stands["payment_id"]),
            (&json!("approved"), &second["payment_id"])
        );
    }
    // While it waits for the person it is, and the order is over.
    let waits = bench.pay(&codes.code(2), "A-2", 200_000).await.unwrap();
    let over = bench.give_up("A-2", &waits["payment_id"]).await.unwrap();
    assert_eq!(
        (&over["state"], &over["payment_id"]),
        (&json!("revoked"), &waits["payment_id"])
    );
    // So is one that the network has not answered for.
    *bench.network.refuse.lock().unwrap() =
        Some(Problem::new(500, "internal", "Internal error", "Later."));
    let open = bench.pay(&codes.code(3), "A-3", 1250).await.unwrap();
    let over = bench.give_up("A-3", &open["payment_id"]).await.unwrap();
    assert_eq!(over["state"], "revoked");
    *bench.network.refuse.lock().unwrap() = None;
    // What nobody pays any more stays declined, and the order may be tried again.
    let late = bench.pay(&codes.code(4), "A-4", 200_000).await.unwrap();
    let db = beside(&bench).await;
    run(&db, "UPDATE code_payments SET confirm_until = 1").await;
    let stands = bench.give_up("A-4", &late["payment_id"]).await.unwrap();
    assert_eq!(stands["reason"], "password_timeout");
    let again = bench.pay(&codes.code(5), "A-4", 1250).await.unwrap();
    assert_eq!(again["state"], "approved");
    assert_eq!(
        refusal(bench.give_up("A-9", &late["payment_id"]).await),
        is(404, "order_unknown")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revoke_that_races_a_password_ends_in_one_state() {
    let bench = open().await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let codes = phone.fifteen().await;
    for place in 0..rounds().min(10) {
        let name = format!("A-{place}");
        let asked = bench.pay(&codes.code(place), &name, 200_000).await.unwrap();
        let payment = text(&asked["payment_id"]);
        // The login is over before, so that both reach the payment at about the same moment.
        let (word, key) = phone.word(200_000).await.unwrap();
        let (typed, revoked) = tokio::join!(
            phone.give(&payment, &word, &key),
            bench.about("revoke", &name)
        );
        assert_eq!(revoked.unwrap()["state"], "revoked");
        typed.unwrap();
        assert_eq!(
            bench.about("query", &name).await.unwrap()["state"],
            "revoked"
        );
        let alias = phone.alias(&codes.aliases[place].0).await.unwrap();
        assert_eq!(alias["state"], "revoked");
        // Whatever the network was asked to pay, it was asked to take back.
        let asked = bench.network.asked.lock().unwrap();
        let of = |body: &&Value| body["payment_id"] == payment.as_str();
        let pays = asked
            .iter()
            .filter(of)
            .any(|body| body.get("amount_minor").is_some());
        let undone = asked
            .iter()
            .filter(of)
            .any(|body| body.get("amount_minor").is_none());
        assert!(undone || !pays);
    }
}

#[tokio::test]
async fn a_till_that_asks_finishes_what_the_network_did_not_answer() {
    let bench = open().await;
    let phone = bench.phone().await;
    let codes = phone.fifteen().await;
    *bench.network.line.lock().unwrap() = Line::Lost;
    let lost = bench.pay(&codes.code(0), "A-1", 1250).await.unwrap();
    assert_eq!(lost["state"], "pending");
    bench.pay(&codes.code(1), "A-2", 1250).await.unwrap();
    *bench.network.line.lock().unwrap() = Line::Away;
    bench.about("revoke", "A-2").await.unwrap();
    let asked = bench.about("query", "A-1").await.unwrap();
    assert_eq!(asked["state"], "pending");
    // Nothing runs beside the API here.
    *bench.network.line.lock().unwrap() = Line::Up;
    let asked = bench.about("query", "A-1").await.unwrap();
    assert_eq!(
        (&asked["state"], &asked["payment_id"]),
        (&json!("approved"), &lost["payment_id"])
    );
    bench.about("query", "A-2").await.unwrap();
    let decided = bench.network.decided.lock().unwrap().clone();
    let taken_back = decided.values().filter(|reason| reason.is_some());
    assert_eq!((decided.len(), taken_back.count()), (2, 1));
    assert_eq!(
        phone.entries("").await["code_entries"][0]["result"],
        "approved"
    );
    assert_eq!(bench.paid(), 2);
}

#[tokio::test]
async fn what_a_crash_left_open_is_finished_once() {
    let mut bench = bench_with(None, lenient()).await;
    let codes = {
        let phone = bench.phone().await;
        phone.fifteen().await
    };
    let away = Problem::new(500, "internal", "Internal error", "Later.");
    *bench.network.refuse.lock().unwrap() = Some(away);
    let open = bench.pay(&codes.code(0), "A-1", 1250).await.unwrap();
    assert_eq!(
        (&open["state"], &open["wants"]),
        (&json!("pending"), &Value::Null)
    );
    let revoked = bench.pay(&codes.code(1), "A-2", 1250).await.unwrap();
    assert_eq!(revoked["state"], "pending");
    // Revoked without the network: the order is over, and the network is told when it is back.
    let revoked = bench.about("revoke", "A-2").await.unwrap();
    assert_eq!(revoked["state"], "revoked");
    bench.restart().await;
    *bench.network.refuse.lock().unwrap() = None;
    let background = bench.provider.start();
    for _ in 0..400 {
        if bench.about("query", "A-1").await.unwrap()["state"] == "approved" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let db = beside(&bench).await;
    for _ in 0..400 {
        let left =
            sqlx::query("SELECT 1 FROM code_payments WHERE state IN ('started', 'reversing')");
        if left.fetch_optional(&db).await.unwrap().is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    drop(background);
    let undo = json!({ "payment_id": revoked["payment_id"] });
    bench.asked_for(&undo).await;
    assert_eq!(
        bench.about("query", "A-1").await.unwrap()["state"],
        "approved"
    );
    assert_eq!(
        bench.about("query", "A-2").await.unwrap()["state"],
        "revoked"
    );
    let again = bench.pay(&codes.code(0), "A-3", 1250).await.unwrap();
    assert_eq!(again["reason"], "code_used");
}
