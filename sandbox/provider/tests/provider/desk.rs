//! The support desk beside a running provider.

use crate::common::{bench_on_file, is, refusal};
use sandbox_provider::desk;
use serde_json::json;

#[tokio::test]
async fn a_policy_set_by_the_desk_counts_from_the_next_request() {
    let bench = bench_on_file().await;
    let phone = bench.phone().await;
    let folder = bench.folder.path();
    let change = json!({ "risk": { "block_at": 60 }, "pin": { "tries": 5 } });
    desk::set_policy(folder, &change).await.unwrap();
    desk::set_policy(folder, &json!({ "pin": { "delays_s": [1, 2] } }))
        .await
        .unwrap();
    let policy = phone.get("/v1/device").await.unwrap()["policy"].clone();
    assert_eq!(policy["risk"]["block_at"], 60);
    assert_eq!(policy["risk"]["weights"]["rooted"], 100);
    assert_eq!(policy["pin"], json!({ "tries": 5, "delays_s": [1, 2] }));
    // What is no policy changes nothing.
    for bad in [
        json!({ "pin": { "tries": 0 } }),
        json!({ "surplus": 1 }),
        json!([]),
    ] {
        desk::set_policy(folder, &bad).await.unwrap_err();
    }
    let after = phone.get("/v1/device").await.unwrap()["policy"].clone();
    assert_eq!(after, policy);
    // A phone that enrols now is told the same.
    let key = sandbox_kit::keys::PartyKey::generate();
    let answer = bench.enrol(&key, &Default::default()).await.unwrap();
    assert_eq!(answer["policy"], policy);
}

#[tokio::test]
async fn a_phone_wiped_by_the_desk_is_wiped_here_and_at_the_network() {
    let bench = bench_on_file().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let folder = bench.folder.path();
    for _ in 0..2 {
        desk::wipe_device(folder, &phone.id).await.unwrap();
    }
    assert_eq!(
        refusal(phone.get("/v1/device").await),
        is(401, "session_unknown")
    );
    assert_eq!(
        refusal(bench.session(&phone.key, &phone.id).await.map(|_| ())),
        is(410, "device_wiped")
    );
    let order = json!({ "token_ref": token, "device_id": phone.id, "state": "deleted" });
    assert!(!bench.network.asked.lock().unwrap().contains(&order));
    // As at a start of the provider.
    let background = bench.provider.start();
    bench.asked_for(&order).await;
    drop(background);
    let unknown = desk::wipe_device(folder, "dev_00000000").await.unwrap_err();
    assert!(unknown.to_string().contains("dev_00000000"));
    let elsewhere = tempfile::tempdir().unwrap();
    desk::wipe_device(elsewhere.path(), &phone.id)
        .await
        .unwrap_err();
    assert!(!elsewhere.path().join("provider.db").exists());
}
