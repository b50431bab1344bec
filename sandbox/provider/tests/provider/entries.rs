//! Notifications in, entries out.

use crate::common::{bench, is, notification, refusal};
use sandbox_kit::client::Client;
use sandbox_kit::keys::PartyKey;
use serde_json::{Value, json};

fn seqs(page: &Value) -> Vec<i64> {
    page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["seq"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn entries_are_paged_without_gap_or_repetition() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    assert_eq!(
        phone.entries("").await,
        json!({ "entries": [], "next": 0, "more": false })
    );
    for atc in 1..=5 {
        bench
            .notify(&notification(
                &format!("n{atc}"),
                &token,
                atc,
                "approved",
                None,
            ))
            .await
            .unwrap();
    }
    let first = phone.entries("?after=0&limit=2").await;
    assert_eq!(
        (seqs(&first), &first["next"], &first["more"]),
        (vec![1, 2], &json!(2), &json!(true))
    );
    let second = phone.entries("?after=2&limit=3").await;
    assert_eq!(
        (seqs(&second), &second["next"], &second["more"]),
        (vec![3, 4, 5], &json!(5), &json!(false))
    );
    assert_eq!(
        phone.entries("?after=5").await,
        json!({ "entries": [], "next": 5, "more": false })
    );
    let entry = &first["entries"][0];
    assert_eq!(
        (&entry["merchant"], &entry["amount_minor"]),
        (&json!("Mapo Tofu House"), &json!(1250))
    );
    for query in [
        "?limit=0",
        "?limit=501",
        "?after=-1",
        "?after=x",
        "?surplus=1",
    ] {
        let url = bench.url(&format!("/v1/entries{query}"));
        assert_eq!(
            refusal(phone.client.get::<Value>(&url).await),
            is(422, "request_invalid"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_phone_sees_its_own_tokens_only() {
    let bench = bench().await;
    let (phone, other) = (bench.phone().await, bench.phone().await);
    let token = phone.token().await;
    bench
        .notify(&notification("n1", &token, 1, "approved", None))
        .await
        .unwrap();
    assert_eq!(seqs(&phone.entries("").await), [1]);
    assert_eq!(seqs(&other.entries("").await), Vec::<i64>::new());
}

#[tokio::test]
async fn the_same_notification_twice_is_one_entry_and_one_memo() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    for _ in 0..2 {
        bench
            .notify(&notification("n1", &token, 1, "approved", None))
            .await
            .unwrap();
    }
    assert_eq!(seqs(&phone.entries("").await), [1]);
    let ledger = bench.provider.ledger().await.unwrap();
    assert!(ledger.balanced);
    assert_eq!(ledger.entries.len(), 1);
    let memo = &ledger.entries[0];
    assert_eq!(
        (
            memo.kind.as_str(),
            memo.debit.as_str(),
            memo.credit.as_str()
        ),
        ("memo", "", "")
    );
}

#[tokio::test]
async fn a_decline_never_overwrites_an_approval() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    bench
        .notify(&notification("n1", &token, 1, "approved", None))
        .await
        .unwrap();
    let before = phone.entries("").await;
    bench
        .notify(&notification(
            "n2",
            &token,
            1,
            "declined",
            Some("cryptogram_invalid"),
        ))
        .await
        .unwrap();
    bench
        .notify(&notification(
            "n3",
            &token,
            1,
            "declined",
            Some("insufficient_funds"),
        ))
        .await
        .unwrap();
    assert_eq!(phone.entries("").await, before);
    assert_eq!(bench.provider.ledger().await.unwrap().entries.len(), 3);
}

#[tokio::test]
async fn an_approval_replaces_a_decline_where_a_reading_phone_finds_it() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    bench
        .notify(&notification(
            "n1",
            &token,
            1,
            "declined",
            Some("cryptogram_invalid"),
        ))
        .await
        .unwrap();
    let declined = phone.entries("").await;
    assert_eq!(declined["entries"][0]["result"], "declined");
    bench
        .notify(&notification("n2", &token, 1, "approved", None))
        .await
        .unwrap();
    let approved = phone.entries("?after=1").await;
    assert_eq!(seqs(&approved), [2]);
    assert_eq!(approved["entries"][0]["result"], "approved");
    assert_eq!(approved["entries"][0]["reason"], Value::Null);
    assert_eq!(approved["entries"][0]["id"], declined["entries"][0]["id"]);
}

#[tokio::test]
async fn only_the_network_may_notify_and_only_of_known_tokens() {
    let bench = bench().await;
    let unknown = notification("n1", "tok_99999999", 1, "approved", None);
    assert_eq!(
        refusal(bench.notify(&unknown).await),
        is(404, "token_unknown")
    );
    let forger = Client::new(&bench.ca, PartyKey::generate(), "network").unwrap();
    let answer = forger
        .post::<_, Value>(&bench.url("/v1/notifications"), &unknown, None)
        .await;
    assert_eq!(refusal(answer), is(401, "signature_invalid"));
    let phone = bench.phone().await;
    let answer = phone
        .client
        .post::<_, Value>(&bench.url("/v1/notifications"), &unknown, None)
        .await;
    assert_eq!(refusal(answer), is(401, "signature_invalid"));
}
