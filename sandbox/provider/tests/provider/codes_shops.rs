//! Payment codes at the till: paid once, whoever asks how often, and not by guessing.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use sandbox_kit::client::{CallError, Client};
use sandbox_kit::clock;
use sandbox_provider::policy::CodeRules;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::codes::{Codes, lenient, shop};
use crate::common::{Bench, Phone, bench_with, database_url, fresh_key, is, notification, refusal};
use crate::opaque::{beside, run};

fn order(code: &str, order: &str, amount_minor: i64) -> Value {
    json!({ "code": code, "amount_minor": amount_minor, "currency": "CNY", "order_id": order, "merchant_id": "898110058120001",
            "merchant": "Mapo Tofu House", "mcc": "5812", "country": "0156", "terminal_id": "T0000001", "at": "2026-11-22T09:30:00Z" })
}

impl Bench {
    /// Scans a code for an order.
    pub(crate) async fn pay(
        &self,
        code: &str,
        name: &str,
        amount_minor: i64,
    ) -> Result<Value, CallError> {
        self.ask("pay", &order(code, name, amount_minor)).await
    }

    async fn ask(&self, what: &str, body: &Value) -> Result<Value, CallError> {
        let url = self.url(&format!("/v1/codes/{what}"));
        shop(self).post(&url, body, None).await
    }

    pub(crate) async fn about(&self, what: &str, name: &str) -> Result<Value, CallError> {
        let body = json!({ "merchant_id": "898110058120001", "order_id": name });
        self.ask(what, &body).await
    }

    /// A till gives up a payment of the order.
    pub(crate) async fn give_up(&self, name: &str, payment: &Value) -> Result<Value, CallError> {
        let body =
            json!({ "merchant_id": "898110058120001", "order_id": name, "payment_id": payment });
        self.ask("revoke", &body).await
    }

    /// How often the network was asked for payments by code, each counted once.
    pub(crate) fn paid(&self) -> usize {
        let asked = self.network.asked.lock().unwrap();
        let ids: HashSet<&str> = asked
            .iter()
            .filter(|body| body.get("amount_minor").is_some())
            .filter_map(|body| body["payment_id"].as_str())
            .collect();
        ids.len()
    }
}

impl Phone<'_> {
    /// Codes of one account.
    pub(crate) async fn fifteen(&self) -> Codes {
        let token = self.token().await;
        self.codes(&[], &[&token]).await.unwrap()
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

pub(crate) async fn open() -> Bench {
    bench_with(database_url().await, lenient()).await
}

#[tokio::test]
async fn a_code_pays_once_and_lands_in_the_statement() {
    let bench = open().await;
    let phone = bench.phone().await;
    let codes = phone.fifteen().await;
    let alias = &codes.aliases[0].0;
    let watched = format!("/v1/codes/aliases/{alias}?seen=live&wait_s=10");
    let begun = Instant::now();
    let (seen, answer) = tokio::join!(phone.get(&watched), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        bench.pay(&codes.code(0), "A-1", 1250).await.unwrap()
    });
    // The screen flips with the scan, not with its own next look.
    assert!(begun.elapsed() < Duration::from_secs(9));
    let seen = seen.unwrap();
    assert!(["pending", "approved"].contains(&seen["state"].as_str().unwrap()));
    assert_eq!(seen["payment"]["merchant"], "Mapo Tofu House");
    assert_eq!(
        (
            &answer["state"],
            &answer["authorisation"],
            &answer["order_id"]
        ),
        (&json!("approved"), &json!("123456"), &json!("A-1"))
    );
    assert_eq!(
        (&answer["amount_minor"], &answer["currency"]),
        (&json!(1250), &json!("CNY"))
    );
    assert_eq!(phone.alias(alias).await.unwrap()["state"], "approved");
    let again = bench.pay(&codes.code(0), "A-2", 1250).await.unwrap();
    assert_eq!(
        (&again["state"], &again["reason"]),
        (&json!("declined"), &json!("code_used"))
    );
    // The same order asked for again, because the answer was lost.
    assert_eq!(
        bench.pay(&codes.code(0), "A-1", 1250).await.unwrap(),
        answer
    );
    let mut told = bench.about("query", "A-1").await.unwrap();
    told["of_code"] = json!(true);
    assert_eq!(told, answer);
    let list = phone.entries("").await;
    assert_eq!(list["entries"], json!([]));
    let entry = &list["code_entries"][0];
    assert_eq!(
        (&entry["alias"], &entry["payment_id"], &entry["result"]),
        (&json!(alias), &answer["payment_id"], &json!("approved"))
    );
    assert_eq!((&entry["seq"], &list["next"]), (&json!(1), &json!(1)));
    let on_file = bench.network.asked.lock().unwrap().last().cloned().unwrap();
    assert_eq!(
        (
            &on_file["token_ref"],
            &on_file["device_id"],
            &on_file["acquirer_id"]
        ),
        (
            &json!(codes.aliases[0].1),
            &json!(phone.id),
            &json!("acquirer")
        )
    );
    assert_eq!(bench.provider.ledger().await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn taps_and_codes_are_read_in_one_order() {
    let bench = open().await;
    let phone = bench.phone().await;
    let codes = phone.fifteen().await;
    let token = &codes.aliases[0].1;
    for number in 0..3 {
        let tap = notification(&format!("n{number}"), token, number + 1, "approved", None);
        bench.notify(&tap).await.unwrap();
        let (place, name) = (usize::try_from(number).unwrap(), format!("A-{number}"));
        bench.pay(&codes.code(place), &name, 100).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut after = json!(0);
    loop {
        let page = phone.entries(&format!("?after={after}&limit=2")).await;
        let (taps, paid) = (&page["entries"][0]["seq"], &page["code_entries"][0]["seq"]);
        seen.extend([taps.as_i64().unwrap(), paid.as_i64().unwrap()]);
        after = page["next"].clone();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
    assert_eq!(after, 6);
}

/// How many rounds the races run: `TAPCORE_ROUNDS`, 20 by default.
pub(crate) fn rounds() -> usize {
    std::env::var("TAPCORE_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(20)
}

/// Eight tills at the same moment, each with its order.
async fn eight(bench: &Bench, code: &str, order_of: impl Fn(usize) -> String) -> Vec<Value> {
    let mut tills = JoinSet::new();
    let url = bench.url("/v1/codes/pay");
    let client: Client = shop(bench);
    for till in 0..8 {
        let (client, url) = (client.clone(), url.clone());
        let body = order(code, &order_of(till), 100);
        tills.spawn(async move { client.post::<_, Value>(&url, &body, None).await.unwrap() });
    }
    tills.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_tills_at_once_are_paid_once() {
    let bench = open().await;
    let mut codes = bench.phone().await.fifteen().await;
    for round in 0..rounds() {
        if codes.aliases.is_empty() {
            // No phone is given as many as long runs take.
            codes = bench.phone().await.fifteen().await;
        }
        let last = codes.aliases.len() - 1;
        let (code, paid) = (codes.code(last), bench.paid());
        codes.aliases.truncate(last);
        // Every other round the tills are one shop's, for one order.
        let one = round % 2 == 1;
        let answers = eight(&bench, &code, |till| match one {
            true => format!("R-{round}"),
            false => format!("R-{round}-{till}"),
        })
        .await;
        let of = |state: &str| {
            answers
                .iter()
                .filter(|answer| answer["state"] == state)
                .count()
        };
        if one {
            // Those that came while the network was being asked hear that, the others how it ended: one payment.
            assert_eq!(of("approved") + of("pending"), 8, "{answers:?}");
            let ids: HashSet<_> = answers
                .iter()
                .map(|answer| text(&answer["payment_id"]))
                .collect();
            assert_eq!(ids.len(), 1);
        } else {
            assert_eq!((of("approved"), of("declined")), (1, 7), "{answers:?}");
            let refused = answers
                .iter()
                .filter(|answer| answer["reason"] == "code_used");
            assert_eq!(refused.count(), 7);
        }
        assert_eq!(bench.paid(), paid + 1);
    }
}

#[tokio::test]
async fn a_fresh_code_for_the_same_order_pays_it_once() {
    let bench = open().await;
    let phone = bench.phone().await;
    let codes = phone.fifteen().await;
    // The bank says no: the order may be tried again, with another code.
    let refused = bench.pay(&codes.code(0), "A-1", 4_444).await.unwrap();
    assert_eq!(refused["reason"], "insufficient_funds");
    assert_eq!(
        bench.pay(&codes.code(0), "A-1", 4_444).await.unwrap(),
        refused
    );
    assert_eq!(refused["of_code"], true);
    let stands = bench.about("query", "A-1").await.unwrap();
    assert_eq!(stands["of_code"], Value::Null, "no code was asked with");
    assert_eq!(stands["payment_id"], refused["payment_id"]);
    let paid = bench.pay(&codes.code(1), "A-1", 1250).await.unwrap();
    assert_eq!(paid["state"], "approved");
    // The cashier saw a time-out and scans a third one: nothing is taken, and that code is as good as before.
    let mut again = bench.pay(&codes.code(2), "A-1", 1250).await.unwrap();
    assert_eq!([&paid["of_code"], &again["of_code"]], [true, false]);
    again["of_code"] = json!(true);
    assert_eq!(again, paid);
    let third = phone.alias(&codes.aliases[2].0).await.unwrap();
    assert_eq!(third["state"], "live");
    let other = bench.pay(&codes.code(3), "A-1", 1251).await;
    assert_eq!(refusal(other), is(409, "order_conflict"));
    assert_eq!(
        refusal(bench.about("query", "A-9").await),
        is(404, "order_unknown")
    );
}

/// Waits until a step has some seconds left, for tests that count steps.
async fn steady() {
    while clock::unix_now() % 30 > 20 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn a_password_counts_for_ninety_seconds_and_three_tries() {
    let bench = open().await;
    let phone = bench.phone().await;
    let codes = phone.fifteen().await;
    steady().await;
    for (place, seconds) in [(0, -30), (1, 0), (2, 30)] {
        let name = format!("A-{place}");
        let code = codes.code_in(place, seconds);
        assert_eq!(
            bench.pay(&code, &name, 100).await.unwrap()["state"],
            "approved"
        );
    }
    for seconds in [-90, 90, -3600] {
        let code = codes.code_in(3, seconds);
        let answer = bench.pay(&code, "A-3", 100).await.unwrap();
        assert_eq!(
            (
                &answer["reason"],
                &answer["payment_id"],
                &answer["amount_minor"]
            ),
            (&json!("code_not_valid"), &Value::Null, &Value::Null)
        );
    }
    // Three wrong ones: the right one comes too late.
    let answer = bench.pay(&codes.code(3), "A-3", 100).await.unwrap();
    assert_eq!(answer["reason"], "code_throttled");
    let alias = phone.alias(&codes.aliases[3].0).await.unwrap();
    assert_eq!(alias["state"], "locked");
    // An alias that nobody has is answered like a wrong password.
    for odd in ["730000000000000000", "740000000000000000", "7300", ""] {
        let answer = bench.pay(odd, "A-4", 100).await.unwrap();
        assert_eq!(answer["reason"], "code_not_valid", "{odd}");
    }
}

#[tokio::test]
async fn a_merchant_that_guesses_is_refused_for_a_while() {
    let mut rules = lenient();
    rules.merchant_misses = 4;
    let bench = bench_with(None, rules).await;
    let phone = bench.phone().await;
    let codes = phone.fifteen().await;
    for guess in 0..4 {
        // What is no code of this provider's form is no guess.
        bench.pay("7312", "A-1", 100).await.unwrap();
        let code = format!("73{guess:010}000000");
        let answer = bench.pay(&code, "A-1", 100).await.unwrap();
        assert_eq!(answer["reason"], "code_not_valid");
    }
    let answer = bench.pay(&codes.code(0), "A-1", 100).await.unwrap();
    assert_eq!(answer["reason"], "merchant_throttled");
    // Another merchant is served, and so is this one when the window is over.
    let mut elsewhere = order(&codes.code(0), "A-1", 100);
    elsewhere["merchant_id"] = json!("898110058120002");
    assert_eq!(
        bench.ask("pay", &elsewhere).await.unwrap()["state"],
        "approved"
    );
    let db = beside(&bench).await;
    run(&db, "UPDATE code_misses SET since = 1").await;
    let answer = bench.pay(&codes.code(1), "A-1", 100).await.unwrap();
    assert_eq!(answer["state"], "approved");
    // Nobody keeps a window that is over.
    let _background = bench.provider.start();
    for _ in 0..400 {
        let kept = sqlx::query("SELECT 1 FROM code_misses").fetch_optional(&db);
        if kept.await.unwrap().is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the window is still there");
}

#[tokio::test]
async fn a_screen_that_was_left_open_is_no_guess() {
    let mut rules = lenient();
    rules.merchant_misses = 2;
    let bench = bench_with(None, rules).await;
    let phone = bench.phone().await;
    let codes = phone.fifteen().await;
    let old = async |place| {
        let code = codes.code_in(place, -300);
        let answer = bench.pay(&code, "A-1", 100).await.unwrap();
        answer["reason"].clone()
    };
    for place in [0, 0, 1, 1, 2, 2] {
        assert_eq!(old(place).await, "code_not_valid");
    }
    // It is a wrong password of its alias all the same.
    assert_eq!(old(0).await, "code_not_valid");
    let alias = phone.alias(&codes.aliases[0].0).await.unwrap();
    assert_eq!(alias["state"], "locked");
    let answer = bench.pay(&codes.code(1), "A-1", 100).await.unwrap();
    assert_eq!(answer["state"], "approved");
    // Of an alias that is dead it is as good as a guess.
    for reason in ["code_not_valid", "code_not_valid", "merchant_throttled"] {
        let code = codes.code_in(0, -300);
        let answer = bench.pay(&code, "A-2", 100).await.unwrap();
        assert_eq!(answer["reason"], reason);
    }
}

#[tokio::test]
async fn an_alias_expires_and_an_account_must_be_active() {
    let bench = bench_with(None, lenient()).await;
    let phone = bench.phone().await;
    let codes = phone.fifteen().await;
    run(
        &beside(&bench).await,
        "UPDATE code_aliases SET not_after = 1",
    )
    .await;
    let answer = bench.pay(&codes.code(0), "A-1", 100).await.unwrap();
    assert_eq!(answer["reason"], "code_expired");
    let alias = phone.alias(&codes.aliases[0].0).await.unwrap();
    assert_eq!(alias["state"], "expired");
    let codes = phone.fifteen().await;
    let path = format!("/v1/tokens/{}/state", codes.aliases[0].1);
    let suspended = json!({ "state": "suspended" });
    phone.post(&path, &suspended, &fresh_key()).await.unwrap();
    let answer = bench.pay(&codes.code(0), "A-1", 100).await.unwrap();
    assert_eq!(answer["reason"], "account_not_active");
}

#[tokio::test]
async fn shops_and_sums_are_refused_with_their_reasons() {
    let mut rules = CodeRules {
        free_payments: 2,
        ..lenient()
    };
    rules.daily.c = Some(3_000);
    let bench = bench_with(None, rules).await;
    let phone = bench.phone().await;
    let codes = phone.fifteen().await;
    for (place, member, value, reason) in [
        (0, "mcc", "7995", "class_gambling"),
        (1, "mcc", "6011", "class_cash"),
        (2, "country", "0840", "place_abroad"),
        (3, "currency", "USD", "currency_not_supported"),
    ] {
        let mut body = order(&codes.code(place), &format!("A-{place}"), 100);
        body[member] = json!(value);
        let answer = bench.ask("pay", &body).await.unwrap();
        assert_eq!(answer["reason"], reason);
        // The code is used up all the same, and the phone is told why.
        let alias = phone.alias(&codes.aliases[place].0).await.unwrap();
        assert_eq!(alias["payment"]["reason"], reason);
    }
    // Two payments are free; without a password there is no third.
    for place in [4, 5] {
        let name = format!("A-{place}");
        let answer = bench.pay(&codes.code(place), &name, 1_400).await.unwrap();
        assert_eq!(answer["state"], "approved");
    }
    let answer = bench.pay(&codes.code(6), "A-6", 100).await.unwrap();
    assert_eq!(answer["reason"], "password_not_set");
    assert_eq!(bench.paid(), 2);
}

#[tokio::test]
async fn what_acquirers_ask_must_have_its_form() {
    let bench = open().await;
    for (member, value) in [
        ("code", json!("7".repeat(33))),
        ("amount_minor", json!(0)),
        ("currency", json!("cny")),
        ("order_id", json!("A 1")),
        ("merchant_id", json!("")),
        ("merchant", json!("a\u{0}b")),
        ("mcc", json!("58")),
        ("country", json!("CN")),
        ("at", json!("now")),
        ("surplus", json!(1)),
    ] {
        let mut odd = order("730000000000000000", "A-1", 100);
        odd[member] = value;
        let refused = bench.ask("pay", &odd).await;
        assert_eq!(refusal(refused), is(422, "request_invalid"), "{member}");
    }
    let unsigned: Result<Value, CallError> = bench
        .unsigned()
        .post(
            &bench.url("/v1/codes/pay"),
            &order("730000000000000000", "A-1", 100),
            None,
        )
        .await;
    assert_eq!(refusal(unsigned), is(401, "signature_invalid"));
}
