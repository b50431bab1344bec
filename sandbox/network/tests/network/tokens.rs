//! Cards become tokens, tokens get keys: the token service from the phone's side.

use std::sync::atomic::Ordering;

use crate::common::{DEVICE, GOOD, Here};
use sandbox_bank::card::BANK_A;
use sandbox_kit::bind::bind;
use sandbox_kit::bytes;
use sandbox_kit::hpke;
use sandbox_kit::keys::PartyKey;
use sandbox_kit::problem::Problem;
use sandbox_network::entry::{EntryQuery, VerifyQuery};
use sandbox_network::payload::{CARD_ENTRY_INFO, LogEntry, Replenishment, log_mac};
use sandbox_network::replenish::ReplenishQuery;

fn code_of<T>(result: Result<T, Problem>) -> (u16, String) {
    match result {
        Ok(_) => panic!("this must be refused"),
        Err(problem) => (problem.status, problem.code),
    }
}

#[tokio::test]
async fn a_card_becomes_a_token() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let card = &phone.card;
    assert!(card.token.starts_with("625807") && card.token.len() == 16);
    assert_eq!(
        (card.masked_card.as_str(), card.bank.as_str()),
        ("…0015", "bank-a")
    );
    assert_eq!(
        (card.expiry.as_str(), card.account_type.as_str()),
        ("2029-12-31", "bank_card")
    );
    let indexes: Vec<&str> = card.keys.iter().map(|key| key.key_index.as_str()).collect();
    assert_eq!(indexes, ["6781100", "6781101", "6781102"]);
    assert!(
        card.keys
            .iter()
            .all(|key| key.uses == 10 && key.not_after == "2026-12-22T10:00:00Z" && !key.verified)
    );
    assert_eq!(
        serde_json::to_value(&card.keys[0].limits).unwrap(),
        serde_json::json!({"currency": "CNY", "single_minor": 5_000_000, "total_minor": 10_000_000, "foreign_uses": 10})
    );
    assert!(
        card.oda_key
            .as_ref()
            .is_some_and(|key| key.modulus.len() == 256)
    );
    // The card number is nowhere in what the phone is given.
    assert!(!serde_json::to_string(card).unwrap().contains(GOOD));
}

#[tokio::test]
async fn an_answer_that_was_lost_is_made_anew_and_the_lost_token_withdrawn() {
    let mut here = Here::new().await;
    let challenge = here.begin(GOOD).await.unwrap();
    let code = here.code();
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let key = PartyKey::generate();
        let query = VerifyQuery {
            device_id: DEVICE.into(),
            code: code.clone(),
            provisioning_key: key.public_hex(),
        };
        let issued = here
            .network
            .finish_entry(&challenge.challenge_id, &query)
            .await
            .unwrap();
        let aad = bind(
            "provisioning",
            &[
                DEVICE.as_bytes(),
                challenge.challenge_id.as_bytes(),
                issued.token_ref.as_bytes(),
            ],
        );
        tokens.push(crate::common::Phone {
            card: here.opened(&key, &aad, &issued.sealed),
            atc: 0,
        });
    }
    let lost = here
        .network
        .authorise(&tokens[0].tap(1, 100))
        .await
        .unwrap();
    assert_eq!(lost.reason.as_deref(), Some("token_unknown"));
    let kept = here
        .network
        .authorise(&tokens[1].tap(2, 100))
        .await
        .unwrap();
    assert_eq!(kept.result, "approved");
}

#[tokio::test]
async fn cards_that_cannot_be_added() {
    let mut here = Here::new().await;
    for (number, status, code) in [
        ("6228480000000016", 422, "card_number_invalid"),
        ("4111111111111111", 404, "card_unknown"),
        (BANK_A.lost, 409, "card_reported_lost"),
        (BANK_A.expired, 422, "card_expired"),
        (BANK_A.down, 503, "bank_unavailable"),
    ] {
        assert_eq!(
            code_of(here.begin(number).await),
            (status, code.into()),
            "{number}"
        );
    }
    here.bank_server.take().unwrap().stop().await;
    assert_eq!(
        code_of(here.begin(GOOD).await),
        (503, "bank_unavailable".into())
    );
}

#[tokio::test]
async fn a_sealed_card_is_for_one_device() {
    let here = Here::new().await;
    let aad = bind("card-entry", &[b"dev_2"]);
    let card = br#"{"number":"6228480000000015","expiry":"12/29"}"#;
    let sealed_card = hpke::seal(&here.network.hpke_key(), CARD_ENTRY_INFO, &aad, card).unwrap();
    let query = EntryQuery {
        device_id: DEVICE.into(),
        sealed_card,
        scheme: None,
    };
    let refused = here.network.begin_entry(&query).await;
    assert_eq!(code_of(refused), (422, "sealed_card_unreadable".into()));
}

#[tokio::test]
async fn sms_codes_wrong_and_late() {
    let mut here = Here::new().await;
    let challenge = here.begin(GOOD).await.unwrap();
    let code = here.code();
    let query = |code: &str| VerifyQuery {
        device_id: DEVICE.into(),
        code: code.into(),
        provisioning_key: PartyKey::generate().public_hex(),
    };
    let id = &challenge.challenge_id;
    let stranger = VerifyQuery {
        device_id: "dev_2".into(),
        ..query(&code)
    };
    let refused = here.network.finish_entry(id, &stranger).await;
    assert_eq!(code_of(refused), (404, "challenge_unknown".into()));
    here.seconds.store(301, Ordering::SeqCst);
    let refused = here.network.finish_entry(id, &query(&code)).await;
    assert_eq!(code_of(refused), (410, "challenge_expired".into()));
    here.seconds.store(0, Ordering::SeqCst);
    let wrong = if code == "111111" { "222222" } else { "111111" };
    for expected in [
        (403, "sms_code_wrong"),
        (403, "sms_code_wrong"),
        (429, "tries_exhausted"),
    ] {
        let refused = here.network.finish_entry(id, &query(wrong)).await;
        assert_eq!(code_of(refused), (expected.0, expected.1.into()));
    }
    let refused = here.network.finish_entry(id, &query(&code)).await;
    assert_eq!(code_of(refused), (429, "tries_exhausted".into()));
}

#[tokio::test]
async fn s27_keys_are_replenished_against_the_log() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let tap = phone.tap(1, 1250);
    here.network.authorise(&tap).await.unwrap();
    let entry = LogEntry {
        atc: 1,
        key_index: phone.card.keys[0].key_index.clone(),
        at: "2026-11-22T10:00:00Z".into(),
        un: "01020304".into(),
        amount_minor: 1250,
        currency: "CNY".into(),
    };
    // A tap the network has not seen yet is no contradiction.
    let pending = LogEntry {
        atc: 2,
        amount_minor: 5,
        ..entry.clone()
    };
    let log_key = hex::decode(&phone.card.log_key).unwrap();
    let token_ref = phone.card.token_ref.clone();
    let key = PartyKey::generate();
    let ask = |log: Vec<LogEntry>| {
        let mac = log_mac(&log_key, &token_ref, &log).unwrap();
        let query = ReplenishQuery {
            device_id: DEVICE.into(),
            log,
            log_mac: bytes::to_hex(&mac),
            provisioning_key: key.public_hex(),
            verified_keys: false,
        };
        (query, mac)
    };
    let (query, mac) = ask(vec![entry.clone(), pending]);
    let answer = here.network.replenish(&token_ref, &query).await.unwrap();
    let aad = bind(
        "replenishment",
        &[DEVICE.as_bytes(), token_ref.as_bytes(), &mac],
    );
    let fresh: Replenishment = here.opened(&key, &aad, &answer.sealed);
    assert_eq!(fresh.keys[0].key_index, "6781103");
    phone.card.keys = fresh.keys;
    let answer = here.network.authorise(&phone.tap(2, 700)).await.unwrap();
    assert_eq!(answer.result, "approved");

    let refused = |query: ReplenishQuery| {
        let (network, token_ref) = (here.network.clone(), token_ref.clone());
        async move { code_of(network.replenish(&token_ref, &query).await) }
    };
    let forged = ReplenishQuery {
        log_mac: "00".repeat(32),
        ..query.clone()
    };
    assert_eq!(refused(forged).await, (409, "log_mac_mismatch".into()));
    for wrong in [
        LogEntry {
            amount_minor: 1,
            ..entry.clone()
        },
        LogEntry {
            un: "01020305".into(),
            ..entry.clone()
        },
        LogEntry {
            key_index: "6781101".into(),
            ..entry.clone()
        },
    ] {
        assert_eq!(
            refused(ask(vec![wrong]).0).await,
            (409, "log_contradicts_network".into())
        );
    }
    let stranger = ReplenishQuery {
        device_id: "dev_2".into(),
        ..query.clone()
    };
    assert_eq!(refused(stranger).await, (404, "token_unknown".into()));
    here.seconds.store(5 * 366 * 86_400, Ordering::SeqCst);
    assert_eq!(refused(query).await, (410, "token_expired".into()));
}

#[tokio::test]
async fn an_hour_has_a_hundred_keys() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let log_key = hex::decode(&phone.card.log_key).unwrap();
    let token_ref = &phone.card.token_ref;
    let query = ReplenishQuery {
        device_id: DEVICE.into(),
        log: Vec::new(),
        log_mac: bytes::to_hex(&log_mac(&log_key, token_ref, &[]).unwrap()),
        provisioning_key: PartyKey::generate().public_hex(),
        verified_keys: false,
    };
    for _ in 0..33 {
        here.network.replenish(token_ref, &query).await.unwrap();
    }
    let refused = here.network.replenish(token_ref, &query).await;
    assert_eq!(code_of(refused), (429, "keys_used_up".into()));
    here.seconds.store(3600, Ordering::SeqCst);
    here.network.replenish(token_ref, &query).await.unwrap();
}
