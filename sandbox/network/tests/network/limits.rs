//! What a limited-use key may pay, held by the network whatever the phone believes.

use std::collections::BTreeSet;

use crate::common::{DEVICE, GOOD, Here, Phone, Said};
use sandbox_kit::bind::bind;
use sandbox_kit::bytes;
use sandbox_kit::keys::PartyKey;
use sandbox_network::authorise::AuthorisationQuery;
use sandbox_network::limits::KeyLimits;
use sandbox_network::payload::{IssuedKey, Replenishment, log_mac};
use sandbox_network::replenish::ReplenishQuery;

const ABROAD: Said = Said {
    result: "A0",
    country: "0344",
};
const VERIFIED: Said = Said {
    result: "A4",
    country: "0156",
};

async fn reason(here: &Here, query: &AuthorisationQuery) -> Option<String> {
    here.network.authorise(query).await.unwrap().reason
}

/// Asks for keys as a phone does that has paid nothing.
async fn replenished(here: &Here, phone: &Phone, verified_keys: bool) -> Vec<IssuedKey> {
    let token_ref = &phone.card.token_ref;
    let log_key = hex::decode(&phone.card.log_key).unwrap();
    let mac = log_mac(&log_key, token_ref, &[]).unwrap();
    let key = PartyKey::generate();
    let query = ReplenishQuery {
        device_id: DEVICE.into(),
        log: Vec::new(),
        log_mac: bytes::to_hex(&mac),
        provisioning_key: key.public_hex(),
        verified_keys,
    };
    let answer = here.network.replenish(token_ref, &query).await.unwrap();
    let parts = [DEVICE.as_bytes(), token_ref.as_bytes(), &mac];
    let aad = bind("replenishment", &parts);
    here.opened::<Replenishment>(&key, &aad, &answer.sealed)
        .keys
}

#[tokio::test]
async fn s26_amounts_are_limited_one_by_one_and_together() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let refused = reason(&here, &phone.tap(1, 5_000_001)).await;
    assert_eq!(refused.as_deref(), Some("key_amount_exceeded"));
    // A refused payment counts for nothing, its counter excepted.
    for trace in [2, 3] {
        assert_eq!(reason(&here, &phone.tap(trace, 5_000_000)).await, None);
    }
    let one_more = phone.tap(4, 1);
    let refused = reason(&here, &one_more).await;
    assert_eq!(refused.as_deref(), Some("key_total_exceeded"));
    let again = AuthorisationQuery {
        trace: 5,
        ..one_more
    };
    assert_eq!(reason(&here, &again).await.as_deref(), Some("atc_replayed"));
    // The limits outlive the process, and another key has its own: there only the bank has no more money.
    here.restart().await;
    let refused = reason(&here, &phone.tap(6, 1)).await;
    assert_eq!(refused.as_deref(), Some("key_total_exceeded"));
    let other_key = phone.tap_with(7, 1, 100, 1);
    let refused = reason(&here, &other_key).await;
    assert_eq!(refused.as_deref(), Some("insufficient_funds"));
    // The provider hears of all that was genuine.
    let told = here.notifications(6).await;
    // What was on its way when the process ended may come twice, under one id.
    let refused = told.iter().filter(|note| {
        let reason = note.reason.as_deref();
        reason.is_some_and(|reason| reason.starts_with("key_"))
    });
    let refused: BTreeSet<&str> = refused.map(|note| note.id.as_str()).collect();
    assert_eq!(refused.len(), 3);
}

#[tokio::test]
async fn s26_payments_abroad_are_counted_apart() {
    let mut here = Here::with_limits(KeyLimits {
        foreign_uses: 3,
        ..KeyLimits::standard()
    })
    .await;
    let phone = here.card(GOOD).await;
    for atc in 1..=3 {
        let tap = phone.tap_saying(i64::from(atc), 100, atc, 0, &ABROAD);
        assert_eq!(reason(&here, &tap).await, None);
    }
    let tap = phone.tap_saying(4, 100, 4, 0, &ABROAD);
    let refused = reason(&here, &tap).await;
    assert_eq!(refused.as_deref(), Some("key_foreign_exhausted"));
    // The limit outlives the process; at home the key goes on.
    here.restart().await;
    let tap = phone.tap_saying(5, 100, 5, 0, &ABROAD);
    let refused = reason(&here, &tap).await;
    assert_eq!(refused.as_deref(), Some("key_foreign_exhausted"));
    let home = phone.tap_saying(6, 100, 6, 0, &Said::default());
    assert_eq!(reason(&here, &home).await, None);
    // Where the card was is under its cryptogram.
    let mut moved = phone.tap_saying(12, 100, 12, 1, &ABROAD);
    moved.emv.insert("9F1A".into(), "0156".into());
    let refused = reason(&here, &moved).await;
    assert_eq!(refused.as_deref(), Some("cryptogram_invalid"));
}

#[tokio::test]
async fn a_key_is_for_payments_with_verification_or_without() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let plain = replenished(&here, &phone, false).await;
    assert!(plain.len() == 3 && plain.iter().all(|key| !key.verified));
    let both = replenished(&here, &phone, true).await;
    let classes: Vec<bool> = both.iter().map(|key| key.verified).collect();
    assert_eq!(classes, [false, false, false, true, true, true]);
    phone.card.keys = both;

    let mismatched = [
        phone.tap_saying(1, 100, 1, 3, &Said::default()),
        phone.tap_saying(2, 100, 2, 0, &VERIFIED),
    ];
    for tap in &mismatched {
        let refused = reason(&here, tap).await;
        assert_eq!(refused.as_deref(), Some("verification_mismatch"));
    }
    let fitting = [
        phone.tap_saying(3, 100, 3, 3, &VERIFIED),
        phone.tap_saying(4, 100, 4, 0, &Said::default()),
    ];
    for tap in &fitting {
        assert_eq!(reason(&here, tap).await, None);
    }
}
