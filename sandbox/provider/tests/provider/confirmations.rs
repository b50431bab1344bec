//! Payments confirmed by password or by the device.

use sandbox_kit::bind::bind;
use sandbox_kit::bytes::to_hex;
use sandbox_kit::keys::PartyKey;
use serde_json::{Value, json};
use sqlx::Row;

use crate::common::{bench, bench_on_file, fresh_key, is, refusal};
use crate::opaque::{PASSWORD, beside, by_password, dinner, set};

#[tokio::test]
async fn a_confirmation_is_for_one_amount_payee_and_key() {
    let bench = bench_on_file().await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let key = fresh_key();
    for bound in [
        phone.bound(1251, "CNY", "Mapo Tofu House", &key),
        phone.bound(1250, "USD", "Mapo Tofu House", &key),
        phone.bound(1250, "CNY", "Mapo Tofu Mouse", &key),
        phone.bound(1250, "CNY", "Mapo Tofu House", &fresh_key()),
    ] {
        let login = phone.login().await;
        let method = by_password(&login, &bound);
        // The key is used with each of them, so each is another request: under a fresh key the MAC is over another.
        let refused = phone.confirm(&method, &fresh_key()).await;
        assert_eq!(refusal(refused), is(403, "confirmation_invalid"));
    }
    for (member, value) in [
        ("amount_minor", json!(1251)),
        ("currency", json!("USD")),
        ("payee", json!("Mapo Tofu Mouse")),
    ] {
        let (login, key) = (phone.login().await, fresh_key());
        let bound = phone.bound(1250, "CNY", "Mapo Tofu House", &key);
        let mut body = dinner(&by_password(&login, &bound));
        body[member] = value;
        let refused = phone.post("/v1/confirmations", &body, &key).await;
        assert_eq!(
            refusal(refused),
            is(403, "confirmation_invalid"),
            "{member}"
        );
    }
    let (login, key) = (phone.login().await, fresh_key());
    let bound = phone.bound(1250, "CNY", "Mapo Tofu House", &key);
    let answer = phone
        .confirm(&by_password(&login, &bound), &key)
        .await
        .unwrap();
    let db = beside(&bench).await;
    let row = sqlx::query("SELECT confirmation_id, amount_minor, currency, payee, idempotency_key, device_id, method FROM confirmations")
        .fetch_one(&db)
        .await
        .unwrap();
    let text = |column: usize| row.try_get::<String, _>(column).unwrap();
    assert_eq!(answer["confirmation_id"], text(0));
    assert_eq!(row.try_get::<i64, _>(1).unwrap(), 1250);
    assert_eq!(
        [text(2), text(3), text(4), text(5), text(6)],
        ["CNY", "Mapo Tofu House", &key, &phone.id, "password"]
    );
}

#[tokio::test]
async fn a_login_is_finished_once_by_whom_began_it() {
    let bench = bench().await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let code = phone.link_code("second_phone").await;
    let sibling = bench.joined(Some(&code)).await;
    let (login, key) = (phone.login().await, fresh_key());
    let method = by_password(&login, &phone.bound(1250, "CNY", "Mapo Tofu House", &key));
    // Even the same user's other phone has no part in it, and does not spoil it.
    assert_eq!(
        refusal(sibling.confirm(&method, &key).await),
        is(410, "login_over")
    );
    let answer = phone.confirm(&method, &key).await.unwrap();
    // Repeated under its key: the same answer. Replayed under another: over.
    assert_eq!(phone.confirm(&method, &key).await.unwrap(), answer);
    assert_eq!(
        refusal(phone.confirm(&method, &fresh_key()).await),
        is(410, "login_over")
    );
    // One wrong finish and it is over as well.
    let (login, key) = (phone.login().await, fresh_key());
    let right = by_password(&login, &phone.bound(1250, "CNY", "Mapo Tofu House", &key));
    let mut wrong = right.clone();
    wrong["ke3"] = json!("00".repeat(32));
    assert_eq!(
        refusal(phone.confirm(&wrong, &fresh_key()).await),
        is(403, "confirmation_invalid")
    );
    assert_eq!(phone.password().await, set(4));
    assert_eq!(
        refusal(phone.confirm(&right, &key).await),
        is(410, "login_over")
    );
    for (member, value) in [
        ("ke3", json!("00")),
        ("mac", json!(7)),
        ("surplus", json!(1)),
    ] {
        let mut odd = right.clone();
        odd[member] = value;
        assert_eq!(
            refusal(phone.confirm(&odd, &fresh_key()).await),
            is(422, "request_invalid"),
            "{member}"
        );
    }
    for (member, value) in [
        ("amount_minor", json!(0)),
        ("currency", json!("cny")),
        ("payee", json!("")),
        ("payee", json!("a\u{0}b")),
    ] {
        let mut odd = dinner(&right);
        odd[member] = value;
        assert_eq!(
            refusal(phone.post("/v1/confirmations", &odd, &fresh_key()).await),
            is(422, "request_invalid"),
            "{member}"
        );
    }
}

#[tokio::test]
async fn a_device_confirms_with_its_confirmation_key() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let confirming = PartyKey::generate();
    let by_device = |signer: &PartyKey, key: &str| {
        let bound = phone.bound(1250, "CNY", "Mapo Tofu House", key);
        json!({ "kind": "device", "signature": to_hex(&signer.sign(&bound)) })
    };
    let key = fresh_key();
    assert_eq!(
        refusal(phone.confirm(&by_device(&confirming, &key), &key).await),
        is(409, "confirmation_key_missing")
    );
    let new_key = |signer: &PartyKey| {
        let parts: [&[u8]; 2] = [phone.id.as_bytes(), &confirming.public()];
        let proof = signer.sign(&bind("tapcore-confirmation-key-v1", &parts));
        json!({ "public_key": confirming.public_hex(), "proof": to_hex(&proof) })
    };
    let path = "/v1/confirmation-key";
    assert_eq!(
        refusal(phone.post(path, &new_key(&confirming), &fresh_key()).await),
        is(403, "proof_invalid")
    );
    for _ in 0..2 {
        let answer = phone.post(path, &new_key(&phone.key), &fresh_key()).await;
        assert_eq!(answer.unwrap(), json!({}));
    }
    let other = PartyKey::generate();
    let parts: [&[u8]; 2] = [phone.id.as_bytes(), &other.public()];
    let proof = phone.key.sign(&bind("tapcore-confirmation-key-v1", &parts));
    let replaced = json!({ "public_key": other.public_hex(), "proof": to_hex(&proof) });
    assert_eq!(
        refusal(phone.post(path, &replaced, &fresh_key()).await),
        is(409, "confirmation_key_set")
    );
    let key = fresh_key();
    let right = by_device(&confirming, &key);
    phone.confirm(&right, &key).await.unwrap();
    for (method, key) in [
        (right, fresh_key()),
        (by_device(&phone.key, &key), fresh_key()),
    ] {
        assert_eq!(
            refusal(phone.confirm(&method, &key).await),
            is(403, "confirmation_invalid")
        );
    }
}
