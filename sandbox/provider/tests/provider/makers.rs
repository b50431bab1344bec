//! Cards for the wallet of the phone's maker: what is relayed, and what becomes of the token there.

use crate::common::{Phone, bench, fresh_key, is, refusal};
use sandbox_kit::bind::bind;
use sandbox_kit::bytes;
use sandbox_kit::maker_wallet::MakerWallet;
use serde_json::{Value, json};

/// What a maker's wallet wants, with the device's proof.
pub(crate) fn maker_payload(phone: &Phone<'_>, token: &str) -> Value {
    let ask = MakerWallet::begin().ask();
    let key = bytes::from_hex(&ask.maker_key).unwrap();
    let nonce = bytes::from_hex(&ask.nonce).unwrap();
    let parts: [&[u8]; 4] = [phone.id.as_bytes(), token.as_bytes(), &key, &nonce];
    let proof = phone.key.sign(&bind("tapcore-maker-payload-v1", &parts));
    let mut body = json!(ask);
    body["proof"] = json!(bytes::to_hex(&proof));
    body
}

#[tokio::test]
async fn a_maker_s_question_is_relayed_for_own_tokens_only() {
    let bench = bench().await;
    let (phone, stranger) = (bench.phone().await, bench.phone().await);
    let token = phone.token().await;
    let path = format!("/v1/tokens/{token}/maker-payload");
    let (body, key) = (maker_payload(&phone, &token), fresh_key());
    let first = phone.post(&path, &body, &key).await.unwrap();
    assert!(first["sealed"]["ciphertext"].is_string());
    assert_eq!(first["expires_at"], "2026-11-22T09:45:00Z");
    assert_eq!(phone.post(&path, &body, &key).await.unwrap(), first);
    let asked = bench.network.asked.lock().unwrap().last().cloned().unwrap();
    assert_eq!(
        asked,
        json!({
            "device_id": phone.id, "maker": body["maker"], "maker_key": body["maker_key"],
            "nonce": body["nonce"], "maker_signature": body["maker_signature"],
        })
    );
    let theirs = maker_payload(&stranger, &token);
    assert_eq!(
        refusal(stranger.post(&path, &theirs, &fresh_key()).await),
        is(404, "token_unknown")
    );
    assert_eq!(
        refusal(phone.post(&path, &theirs, &fresh_key()).await),
        is(403, "proof_invalid")
    );
    for (member, odd) in [
        ("maker", json!("")),
        ("nonce", json!("00")),
        ("maker_key", json!("04")),
        ("maker_signature", json!("00")),
        ("more", json!(1)),
    ] {
        let mut odd_body = maker_payload(&phone, &token);
        odd_body[member] = odd;
        assert_eq!(
            refusal(phone.post(&path, &odd_body, &fresh_key()).await),
            is(422, "request_invalid"),
            "{member}"
        );
    }
}

#[tokio::test]
async fn the_token_elsewhere_obeys_the_phone() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let path = format!("/v1/tokens/{token}/maker-payload");
    let body = maker_payload(&phone, &token);
    let answer = phone.post(&path, &body, &fresh_key()).await.unwrap();
    let elsewhere = answer["token_ref"].as_str().unwrap();
    let path = format!("/v1/tokens/{elsewhere}/state");
    let wanted = json!({ "state": "suspended" });
    let state = phone.post(&path, &wanted, &fresh_key()).await.unwrap();
    assert_eq!(state["state"], "suspended");
    // It is one of the device's tokens, beside the one that it was made from.
    let standing = phone.get("/v1/device").await.unwrap();
    let tokens = standing["tokens"].as_array().unwrap();
    let states: Vec<_> = tokens.iter().map(|token| &token["state"]).collect();
    assert_eq!(states.len(), 2, "{tokens:?}");
    assert!(states.contains(&&json!("active")) && states.contains(&&json!("suspended")));
}
