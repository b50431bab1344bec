//! Enrolment and sessions as a phone meets them.

use std::time::Duration;

use crate::common::{bench, enrolment, is, refusal, session};
use sandbox_kit::client::Client;
use sandbox_kit::clock;
use sandbox_kit::keys::PartyKey;
use serde_json::{Value, json};

#[tokio::test]
async fn an_enrolled_device_learns_pins_keys_and_policy() {
    let bench = bench().await;
    let request = enrolment(&PartyKey::generate(), &bench.challenge().await);
    let answer: Value = bench
        .unsigned()
        .post(&bench.url("/v1/enrolments"), &request, None)
        .await
        .unwrap();
    assert!(answer["device_id"].as_str().unwrap().starts_with("dev_"));
    assert_eq!(answer["pins"].as_array().unwrap().len(), 2);
    assert_eq!(
        answer["network"]["signing_key"],
        bench.network_key.public_hex()
    );
    assert_eq!(
        answer["policy"],
        json!({
            "atc_block": 4, "cryptograms_per_field": 3, "tap_response_ms": 400, "replenish_below": 5, "pending_expires_hours": 168,
            "minimum_app_version": "0.0.0",
            "risk": { "weights": { "rooted": 100, "emulator": 40, "hooked": 100, "debugger": 20, "clock_jump": 20 }, "block_at": 100 },
            "pin": { "tries": 10, "delays_s": [0, 0, 30, 60, 300, 900, 3600] },
            "verification_window_s": 60, "one_tap_ceiling_minor": 100_000,
            "tap_verification": "never", "pays_locked": true, "deactivation_grace_ms": 500,
            "codes": { "prefix": "73", "alias_digits": 10, "otp_digits": 6, "check_digit": false, "aliases": 15,
                       "refill_below": 5, "contact_hours": 72, "password_above_minor": 100_000, "currency": "CNY",
                       "cpm_refreshes": 5 }
        })
    );
    assert!(clock::parse(answer["server_time"].as_str().unwrap()).is_some());
}

#[tokio::test]
async fn a_challenge_is_good_for_one_try() {
    let bench = bench().await;
    let (client, url) = (bench.unsigned(), bench.url("/v1/enrolments"));
    let request = enrolment(&PartyKey::generate(), &bench.challenge().await);
    client.post::<_, Value>(&url, &request, None).await.unwrap();
    assert_eq!(
        refusal(client.post::<_, Value>(&url, &request, None).await),
        is(403, "challenge_invalid")
    );

    let mut wrong = enrolment(&PartyKey::generate(), &bench.challenge().await);
    let right = wrong.clone();
    wrong["key_store"] = json!("strongbox");
    assert_eq!(
        refusal(client.post::<_, Value>(&url, &wrong, None).await),
        is(403, "proof_invalid")
    );
    assert_eq!(
        refusal(client.post::<_, Value>(&url, &right, None).await),
        is(403, "challenge_invalid")
    );

    let invented = enrolment(&PartyKey::generate(), &"AB".repeat(32));
    assert_eq!(
        refusal(client.post::<_, Value>(&url, &invented, None).await),
        is(403, "challenge_invalid")
    );
}

#[tokio::test]
async fn requests_of_another_form_are_named_and_use_up_nothing() {
    let bench = bench().await;
    let (client, url) = (bench.unsigned(), bench.url("/v1/enrolments"));
    let good = enrolment(&PartyKey::generate(), &bench.challenge().await);
    for (member, value) in [
        ("challenge", json!("AB")),
        ("device_key", json!("04".repeat(65))),
        ("key_store", json!("pocket")),
        ("app_version", json!("")),
        ("proof", json!(7)),
        ("surplus", json!(1)),
        ("attestation", json!("AB")),
        ("attestation", json!(["A"])),
        ("link_code", json!(7)),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        assert_eq!(
            refusal(client.post::<_, Value>(&url, &bad, None).await),
            is(422, "request_invalid"),
            "{member}"
        );
    }
    client.post::<_, Value>(&url, &good, None).await.unwrap();
}

#[tokio::test]
async fn a_session_needs_the_device_key_and_an_hour_at_most() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let (client, url) = (bench.unsigned(), bench.url("/v1/sessions"));
    let key = PartyKey::generate();
    let hour = clock::text_in(Duration::from_secs(3600));
    let post = async |body: Value| client.post::<_, Value>(&url, &body, None).await;
    post(session(&phone.key, &phone.id, &key, &hour))
        .await
        .unwrap();
    assert_eq!(
        refusal(post(session(&key, &phone.id, &key, &hour)).await),
        is(403, "proof_invalid")
    );
    let nobody = format!("dev_{}", "0".repeat(32));
    assert_eq!(
        refusal(post(session(&phone.key, &nobody, &key, &hour)).await),
        is(404, "device_unknown")
    );
    let long = clock::text_in(Duration::from_secs(3600 + 600));
    assert_eq!(
        refusal(post(session(&phone.key, &phone.id, &key, &long)).await),
        is(422, "session_expiry_invalid")
    );
    let past = "2020-01-01T00:00:00Z";
    assert_eq!(
        refusal(post(session(&phone.key, &phone.id, &key, past)).await),
        is(422, "session_expiry_invalid")
    );
    let vague = "tomorrow";
    assert_eq!(
        refusal(post(session(&phone.key, &phone.id, &key, vague)).await),
        is(422, "request_invalid")
    );
}

#[tokio::test]
async fn a_session_that_is_over_or_unknown_is_said_so() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let key = PartyKey::generate();
    let soon = clock::text_in(Duration::from_secs(2));
    let request = session(&phone.key, &phone.id, &key, &soon);
    let answer: Value = bench
        .unsigned()
        .post(&bench.url("/v1/sessions"), &request, None)
        .await
        .unwrap();
    let short = Client::new(
        &bench.ca,
        key.clone(),
        answer["session_id"].as_str().unwrap(),
    )
    .unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(
        refusal(short.get::<Value>(&bench.url("/v1/entries")).await),
        is(401, "session_expired")
    );
    let unknown = Client::new(&bench.ca, key, "ses_00000000").unwrap();
    assert_eq!(
        refusal(unknown.get::<Value>(&bench.url("/v1/entries")).await),
        is(401, "session_unknown")
    );
}
