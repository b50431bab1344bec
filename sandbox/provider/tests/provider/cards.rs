//! Cards, tokens and keys: what is relayed, what is refused here, what is answered twice the same.

use crate::common::{a_box, bench, fresh_key, is, refusal};
use sandbox_kit::problem::Problem;
use serde_json::json;

#[tokio::test]
async fn a_card_is_relayed_sealed_and_its_answer_kept() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let (body, key) = (json!({ "sealed_card": a_box() }), fresh_key());
    let first = phone.post("/v1/cards", &body, &key).await.unwrap();
    assert_eq!(first["tries_left"], 3);
    // The same again: the same answer, and the network is not asked twice.
    assert_eq!(phone.post("/v1/cards", &body, &key).await.unwrap(), first);
    assert_eq!(
        *bench.network.asked.lock().unwrap(),
        [json!({ "device_id": phone.id, "sealed_card": body["sealed_card"] })]
    );
    let other = json!({ "sealed_card": a_box() });
    assert_eq!(
        refusal(phone.post("/v1/cards", &other, &key).await),
        is(409, "idempotency_conflict")
    );
    assert_eq!(
        refusal(phone.post("/v1/cards", &other, "short").await),
        is(400, "request_malformed")
    );
    // Another phone's key of the same name is another key.
    let second = bench.phone().await;
    assert_ne!(second.post("/v1/cards", &body, &key).await.unwrap(), first);
}

#[tokio::test]
async fn scheme_and_class_of_keys_are_relayed() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let (body, key) = (
        json!({ "sealed_card": a_box(), "scheme": "visa" }),
        fresh_key(),
    );
    phone.post("/v1/cards", &body, &key).await.unwrap();
    let asked = || bench.network.asked.lock().unwrap().last().cloned().unwrap();
    assert_eq!(asked()["scheme"], "visa");
    // The same card as another scheme's is another request.
    let other = json!({ "sealed_card": body["sealed_card"], "scheme": "mastercard" });
    assert_eq!(
        refusal(phone.post("/v1/cards", &other, &key).await),
        is(409, "idempotency_conflict")
    );
    for odd in [json!(null), json!(7)] {
        let odd = json!({ "sealed_card": a_box(), "scheme": odd });
        assert_eq!(
            refusal(phone.post("/v1/cards", &odd, &fresh_key()).await),
            is(422, "request_invalid")
        );
    }

    let token = phone.token().await;
    let path = format!("/v1/tokens/{token}/replenish");
    let mut body = phone.replenishment(&token);
    phone.post(&path, &body, &fresh_key()).await.unwrap();
    assert_eq!(asked().get("verified_keys"), None);
    body["verified_keys"] = json!(true);
    phone.post(&path, &body, &fresh_key()).await.unwrap();
    assert_eq!(asked()["verified_keys"], true);
}

#[tokio::test]
async fn refusals_of_the_network_reach_the_phone_and_outages_are_not_kept() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let body = json!({ "sealed_card": a_box() });
    let refuse = |problem: Option<Problem>| *bench.network.refuse.lock().unwrap() = problem;
    refuse(Some(Problem::new(
        409,
        "card_reported_lost",
        "Card reported lost",
        "Call the bank.",
    )));
    assert_eq!(
        refusal(phone.post("/v1/cards", &body, &fresh_key()).await),
        is(409, "card_reported_lost")
    );
    // The network not accepting *us* is no business of the phone's, least of all a 401.
    refuse(Some(Problem::new(401, "signature_invalid", "No", "No.")));
    let key = fresh_key();
    assert_eq!(
        refusal(phone.post("/v1/cards", &body, &key).await),
        is(503, "network_unavailable")
    );
    refuse(None);
    phone.post("/v1/cards", &body, &key).await.unwrap();
}

#[tokio::test]
async fn a_bank_that_is_down_is_named() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let body = json!({ "sealed_card": a_box() });
    *bench.network.refuse.lock().unwrap() = Some(Problem::new(
        503,
        "bank_unavailable",
        "Bank not reachable",
        "Try again in a moment.",
    ));
    assert_eq!(
        refusal(phone.post("/v1/cards", &body, &fresh_key()).await),
        is(503, "bank_unavailable")
    );
}

#[tokio::test]
async fn a_network_that_is_away_is_503() {
    let mut bench = bench().await;
    bench.network_running.take().unwrap().stop().await;
    let phone = bench.phone().await;
    let body = json!({ "sealed_card": a_box() });
    assert_eq!(
        refusal(phone.post("/v1/cards", &body, &fresh_key()).await),
        is(503, "network_unavailable")
    );
}

#[tokio::test]
async fn only_the_device_that_began_may_finish_and_only_with_its_proof() {
    let bench = bench().await;
    let (phone, stranger) = (bench.phone().await, bench.phone().await);
    let challenge = phone.card_challenge().await;
    let path = format!("/v1/cards/{challenge}/verify");
    let foreign = stranger.verification(&challenge);
    assert_eq!(
        refusal(stranger.post(&path, &foreign, &fresh_key()).await),
        is(404, "challenge_unknown")
    );
    assert_eq!(
        refusal(phone.post(&path, &foreign, &fresh_key()).await),
        is(403, "proof_invalid")
    );
    let mut letters = phone.verification(&challenge);
    letters["code"] = json!("49381x");
    assert_eq!(
        refusal(phone.post(&path, &letters, &fresh_key()).await),
        is(422, "request_invalid")
    );
    let good = phone.verification(&challenge);
    let answer = phone.post(&path, &good, &fresh_key()).await.unwrap();
    assert!(answer["sealed"]["enc"].is_string());
    let asked = bench.network.asked.lock().unwrap().last().cloned().unwrap();
    assert_eq!(
        asked,
        json!({ "device_id": phone.id, "code": "493817", "provisioning_key": good["provisioning_key"] })
    );
}

#[tokio::test]
async fn a_wrong_code_costs_one_try_however_often_the_answer_is_lost() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let challenge = phone.card_challenge().await;
    let path = format!("/v1/cards/{challenge}/verify");
    let wrong = Problem::new(403, "sms_code_wrong", "Wrong SMS code", "Type it again.")
        .with("tries_left", 2);
    *bench.network.refuse.lock().unwrap() = Some(wrong);
    let before = bench.network.asked.lock().unwrap().len();
    let (body, key) = (phone.verification(&challenge), fresh_key());
    for _ in 0..2 {
        assert_eq!(
            refusal(phone.post(&path, &body, &key).await),
            is(403, "sms_code_wrong")
        );
    }
    assert_eq!(bench.network.asked.lock().unwrap().len(), before + 1);
}

#[tokio::test]
async fn keys_are_fetched_for_own_tokens_only() {
    let bench = bench().await;
    let (phone, stranger) = (bench.phone().await, bench.phone().await);
    let token = phone.token().await;
    let path = format!("/v1/tokens/{token}/replenish");
    let answer = phone
        .post(&path, &phone.replenishment(&token), &fresh_key())
        .await
        .unwrap();
    assert!(answer["sealed"]["ciphertext"].is_string());
    let theirs = stranger.replenishment(&token);
    assert_eq!(
        refusal(stranger.post(&path, &theirs, &fresh_key()).await),
        is(404, "token_unknown")
    );
    assert_eq!(
        refusal(phone.post(&path, &theirs, &fresh_key()).await),
        is(403, "proof_invalid")
    );
    let mut odd = phone.replenishment(&token);
    odd["log"][0]["atc"] = json!(65_536);
    assert_eq!(
        refusal(phone.post(&path, &odd, &fresh_key()).await),
        is(422, "request_invalid")
    );
}
