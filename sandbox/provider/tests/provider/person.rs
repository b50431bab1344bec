//! A user's rights: to have everything, to have everything forgotten.

use crate::common::{bench, fresh_key, is, notification, refusal};
use serde_json::json;

#[tokio::test]
async fn an_export_holds_everything_of_the_user_and_nothing_of_others() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let challenge = phone.card_challenge().await;
    let code = phone.link_code("second_phone").await;
    let second = bench.joined(Some(&code)).await;
    phone.link_code("move").await;
    for (id, result, reason) in [
        ("n1", "declined", Some("insufficient_funds")),
        ("n2", "approved", None),
    ] {
        bench
            .notify(&notification(id, &token, 1, result, reason))
            .await
            .unwrap();
    }
    let stranger = bench.phone().await;
    let other = stranger.token().await;
    bench
        .notify(&notification("n3", &other, 1, "approved", None))
        .await
        .unwrap();

    let export = phone.get("/v1/export").await.unwrap();
    assert_eq!(export, second.get("/v1/export").await.unwrap());
    assert_eq!(export["user_id"], phone.user.as_str());
    let count = |list: &str| export[list].as_array().unwrap().len();
    assert_eq!(
        [
            "phones",
            "tokens",
            "card_checks",
            "sessions",
            "link_codes",
            "entries",
            "notifications"
        ]
        .map(count),
        [2, 1, 2, 2, 1, 1, 2]
    );
    assert_eq!(export["tokens"][0]["token_ref"], token.as_str());
    assert_eq!(export["entries"][0]["merchant"], "Mapo Tofu House");
    let text = export.to_string();
    assert!(text.contains(&challenge) && text.contains(&phone.key.public_hex()));
    for foreign in [&stranger.id, &stranger.user, &other] {
        assert!(!text.contains(foreign.as_str()));
    }
    // The secret of a link code is kept by nobody but its maker.
    assert_eq!(export["link_codes"][0]["kind"], "move");
    assert!(export["link_codes"][0].get("code").is_none());
}

#[tokio::test]
async fn an_erasure_leaves_amounts_and_no_person() {
    let bench = crate::common::bench_on_file().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let code = phone.link_code("second_phone").await;
    let second = bench.joined(Some(&code)).await;
    let other = bench.phone().await;
    let others = other.token().await;
    for (id, token) in [("n1", &token), ("n2", &others)] {
        bench
            .notify(&notification(id, token, 1, "approved", None))
            .await
            .unwrap();
    }
    let answer = second.post("/v1/erasure", &json!({}), &fresh_key()).await;
    assert_eq!(answer.unwrap(), json!({ "state": "erased" }));
    let order = json!({ "token_ref": token, "device_id": phone.id, "state": "deleted" });
    assert!(bench.network.asked.lock().unwrap().contains(&order));
    for gone in [&phone, &second] {
        assert_eq!(
            refusal(gone.get("/v1/device").await),
            is(401, "session_unknown")
        );
        assert_eq!(
            refusal(bench.session(&gone.key, &gone.id).await.map(|_| ())),
            is(410, "device_wiped")
        );
    }
    // A payment that was on its way is booked, on nobody.
    bench
        .notify(&notification("n3", &token, 2, "approved", None))
        .await
        .unwrap();
    let ledger = bench.provider.ledger().await.unwrap();
    let tokens: Vec<Option<&str>> = ledger
        .entries
        .iter()
        .map(|entry| entry.token.as_deref())
        .collect();
    assert_eq!(tokens.iter().filter(|token| token.is_none()).count(), 2);
    assert!(tokens.contains(&Some(others.as_str())));
    assert_eq!(
        ledger
            .entries
            .iter()
            .map(|entry| entry.amount_minor)
            .sum::<i64>(),
        3 * 1250
    );
    // Others keep what is theirs.
    assert_eq!(other.entries("").await["next"], 1);

    // The device's key, the user's name and the stored answers are nowhere in the file any more.
    bench.provider.close().await;
    let file = std::fs::read(bench.folder.path().join("provider.db")).unwrap();
    for needle in [phone.user.as_bytes(), &phone.key.public()] {
        let rows = file
            .windows(needle.len())
            .filter(|window| *window == needle)
            .count();
        assert_eq!(rows, 0);
    }
}
