//! Payments through the network: what is approved, what is refused and in which order, and that nothing counts twice.

use std::sync::atomic::Ordering;

use crate::common::{GOOD, Here};
use sandbox_bank::card::BANK_A;
use sandbox_kit::client::{CallError, Client};
use sandbox_kit::server::serve;
use sandbox_network::authorise::{Authorisation, AuthorisationQuery};

async fn reason(here: &Here, query: &AuthorisationQuery) -> String {
    let answer = here.network.authorise(query).await.unwrap();
    assert_eq!(
        (answer.result.as_str(), answer.authorisation),
        ("declined", None)
    );
    answer.reason.unwrap()
}

#[tokio::test]
async fn an_approved_payment_reaches_bank_books_and_provider() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let query = phone.tap(1, 1250);
    let (first, second) = tokio::join!(
        here.network.authorise(&query),
        here.network.authorise(&query)
    );
    let first = first.unwrap();
    assert_eq!(first, second.unwrap());
    assert_eq!(
        (first.result.as_str(), first.reason.as_deref()),
        ("approved", None)
    );
    // Asked again after a restart: the same answer.
    here.restart().await;
    assert_eq!(here.network.authorise(&query).await.unwrap(), first);

    let ledger = here.network.ledger().await.unwrap();
    assert!(ledger.balanced);
    assert_eq!(ledger.entries.len(), 1);
    let entry = &ledger.entries[0];
    assert_eq!(
        (entry.debit.as_str(), entry.credit.as_str()),
        ("issuer:bank-a", "acquirer:acq_1")
    );
    assert_eq!((entry.amount_minor, entry.atc), (1250, Some(1)));
    assert_eq!(entry.arqc.as_deref(), Some(query.emv["9F26"].as_str()));
    assert_eq!(entry.reference, first.network_ref);
    assert!(
        !serde_json::to_string(&ledger)
            .unwrap()
            .contains(&phone.card.token)
    );
    let paid = here.bank.ledger().await.unwrap().entries;
    assert_eq!(
        paid.iter().filter(|entry| entry.kind == "payment").count(),
        1
    );

    let told = here.notifications(1).await;
    assert_eq!(
        (told[0].token_ref.as_str(), told[0].atc),
        (phone.card.token_ref.as_str(), 1)
    );
    assert_eq!(told[0].authorisation, first.authorisation);
}

#[tokio::test]
async fn a_cryptogram_counts_once() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let query = phone.tap(1, 1250);
    here.network.authorise(&query).await.unwrap();
    let again = AuthorisationQuery {
        trace: 2,
        ..query.clone()
    };
    assert_eq!(reason(&here, &again).await, "atc_replayed");
    // The same counter with another, genuine cryptogram is a replay as well.
    assert_eq!(
        reason(&here, &phone.tap_with(3, 1, 1, 1)).await,
        "atc_replayed"
    );
    // The same trace number with another payment.
    let other = AuthorisationQuery {
        amount_minor: 1,
        ..query
    };
    let problem = here.network.authorise(&other).await.unwrap_err();
    assert_eq!(
        (problem.status, problem.code.as_str()),
        (409, "idempotency_conflict")
    );

    let next = here.network.authorise(&phone.tap(4, 300)).await.unwrap();
    assert_eq!(next.result, "approved");
    let told = here.notifications(2).await;
    assert!(
        told.iter().all(|note| note.result == "approved"),
        "replays are not told"
    );
    let ledger = here.network.ledger().await.unwrap();
    assert!(ledger.balanced);
    let refusal = &ledger.entries[1];
    assert_eq!(
        (refusal.kind.as_str(), refusal.reason.as_deref()),
        ("refusal", Some("atc_replayed"))
    );
    assert_eq!(
        (refusal.debit.as_str(), refusal.amount_minor, refusal.atc),
        ("", 1250, Some(1))
    );
}

#[tokio::test]
async fn an_altered_payment_is_refused_and_leaves_the_counter_unused() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let query = phone.tap(1, 1250);
    let altered = AuthorisationQuery {
        amount_minor: 125_000,
        ..query.clone()
    };
    assert_eq!(reason(&here, &altered).await, "cryptogram_invalid");
    let told = here.notifications(1).await;
    assert_eq!(told[0].reason.as_deref(), Some("cryptogram_invalid"));
    for (trace, tag) in (2..).zip([
        "9F03", "9F1A", "95", "9A", "9C", "9F37", "82", "9F36", "9F26",
    ]) {
        let mut altered = AuthorisationQuery {
            trace,
            ..query.clone()
        };
        let value = altered.emv.get_mut(tag).unwrap();
        value.replace_range(..1, if value.starts_with('7') { "6" } else { "7" });
        assert_eq!(reason(&here, &altered).await, "cryptogram_invalid", "{tag}");
    }
    let genuine = AuthorisationQuery { trace: 99, ..query };
    assert_eq!(
        here.network.authorise(&genuine).await.unwrap().result,
        "approved"
    );
    assert!(here.network.ledger().await.unwrap().balanced);
}

#[tokio::test]
async fn tokens_and_keys_have_their_limits() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let query = phone.tap(1, 100);
    let unknown = AuthorisationQuery {
        token: "6258070000000007".into(),
        ..query.clone()
    };
    assert_eq!(reason(&here, &unknown).await, "token_unknown");
    let other_psn = AuthorisationQuery {
        psn: "02".into(),
        trace: 2,
        ..query.clone()
    };
    assert_eq!(reason(&here, &other_psn).await, "token_unknown");
    let mut no_key = AuthorisationQuery {
        trace: 3,
        ..query.clone()
    };
    no_key
        .emv
        .insert("9F10".into(), "0B010103A000000101234567".into());
    assert_eq!(reason(&here, &no_key).await, "key_unknown");

    for atc in 1..=10 {
        let tap = phone.tap_with(10 + i64::from(atc), 100, atc, 0);
        assert_eq!(
            here.network.authorise(&tap).await.unwrap().result,
            "approved"
        );
    }
    assert_eq!(
        reason(&here, &phone.tap_with(30, 100, 11, 0)).await,
        "key_exhausted"
    );
    // The second key still works, from a counter with a gap; a smaller one that was never used does so too.
    for (trace, atc) in [(31, 500), (32, 12)] {
        let tap = phone.tap_with(trace, 100, atc, 1);
        assert_eq!(
            here.network.authorise(&tap).await.unwrap().result,
            "approved"
        );
    }
    here.seconds.store(31 * 86_400, Ordering::SeqCst);
    assert_eq!(
        reason(&here, &phone.tap_with(33, 100, 501, 1)).await,
        "key_expired"
    );
    here.seconds.store(5 * 366 * 86_400, Ordering::SeqCst);
    assert_eq!(
        reason(&here, &phone.tap_with(34, 100, 502, 1)).await,
        "token_expired"
    );
    assert!(here.network.ledger().await.unwrap().balanced);
}

#[tokio::test]
async fn malformed_card_data_is_no_payment() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let query = phone.tap(1, 100);
    for (tag, value) in [
        ("9F37", "0102030405"),
        ("9F26", ""),
        ("9F10", ""),
        ("95", "no hex"),
    ] {
        let mut broken = query.clone();
        broken.emv.insert(tag.into(), value.into());
        assert_eq!(
            here.network.authorise(&broken).await.unwrap_err().status,
            422,
            "{tag}"
        );
    }
    for amount_minor in [0, -1, i64::MAX] {
        let broken = AuthorisationQuery {
            amount_minor,
            ..query.clone()
        };
        assert_eq!(
            here.network.authorise(&broken).await.unwrap_err().status,
            422
        );
    }
    assert!(here.network.ledger().await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn the_bank_s_word_is_passed_on() {
    let mut here = Here::new().await;
    let mut empty = here.card(BANK_A.no_funds).await;
    assert_eq!(
        reason(&here, &empty.tap(1, 100)).await,
        "insufficient_funds"
    );
    let mut lost = here.card(BANK_A.lost_later).await;
    assert_eq!(reason(&here, &lost.tap(2, 100)).await, "card_reported_lost");
    let mut down = here.card(BANK_A.down_later).await;
    assert_eq!(reason(&here, &down.tap(3, 100)).await, "bank_unavailable");
    let told = here.notifications(3).await;
    assert!(told.iter().all(|note| note.result == "declined"));
}

/// The slow card answers after the network has given up: declined, and the bank's posting is undone.
#[tokio::test]
async fn a_payment_nobody_waited_for_is_reversed() {
    let mut here = Here::new().await;
    let mut slow = here.card(BANK_A.slow).await;
    assert_eq!(reason(&here, &slow.tap(1, 100)).await, "bank_unavailable");
    for _ in 0..200 {
        let entries = here.bank.ledger().await.unwrap().entries;
        if entries.iter().any(|entry| entry.kind == "reversal") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    // Whichever came first at the bank, in the end no money has moved.
    tokio::time::sleep(std::time::Duration::from_millis(1000)).await;
    let ledger = here.bank.ledger().await.unwrap();
    assert!(ledger.balanced);
    let sum = |kind: &str| -> i64 {
        ledger
            .entries
            .iter()
            .filter(|entry| entry.kind == kind && !entry.debit.is_empty())
            .map(|entry| entry.amount_minor)
            .sum()
    };
    assert_eq!(sum("payment"), sum("reversal"));
    assert!(ledger.entries.iter().any(|entry| entry.kind == "reversal"));
}

/// Whoever asked hangs up while the bank is being asked: the payment is finished all the same.
#[tokio::test]
async fn a_payment_whose_asker_went_away_is_finished() {
    let mut here = Here::new().await;
    let mut slow = here.card(BANK_A.slow).await;
    let query = slow.tap(1, 100);
    let patience = std::time::Duration::from_millis(300);
    tokio::time::timeout(patience, here.network.authorise(&query))
        .await
        .unwrap_err();
    assert!(here.network.ledger().await.unwrap().entries.is_empty());
    here.seconds.store(61, Ordering::SeqCst);
    let mut entries = Vec::new();
    for _ in 0..600 {
        entries = here.network.ledger().await.unwrap().entries;
        if !entries.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(entries.len(), 1);
    let answer = here.network.authorise(&query).await.unwrap();
    assert_eq!(answer.result, entries[0].result);
    assert!(here.network.ledger().await.unwrap().balanced);
}

/// Notifications wait for a provider that takes its time; the bank hears of its reversal meanwhile.
#[tokio::test]
async fn a_slow_provider_does_not_hold_reversals_back() {
    let mut here = Here::new().await;
    let mut slow = here.card(BANK_A.slow).await;
    here.provider_takes.store(15_000, Ordering::SeqCst);
    assert_eq!(reason(&here, &slow.tap(1, 100)).await, "bank_unavailable");
    let mut reversed = false;
    for _ in 0..200 {
        let entries = here.bank.ledger().await.unwrap().entries;
        reversed = entries.iter().any(|entry| entry.kind == "reversal");
        if reversed {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert!(reversed);
    assert!(here.told.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_its_bank_a_payment_is_declined_for_good() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let query = phone.tap(1, 100);
    here.bank_server.take().unwrap().stop().await;
    assert_eq!(reason(&here, &query).await, "bank_unavailable");
    assert_eq!(reason(&here, &query).await, "bank_unavailable");
    let fresh = AuthorisationQuery { trace: 2, ..query };
    assert_eq!(reason(&here, &fresh).await, "atc_replayed");
}

#[tokio::test]
async fn notifications_outlive_a_provider_that_is_away_and_a_restart() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    here.provider_is_up.store(false, Ordering::SeqCst);
    here.network.authorise(&phone.tap(1, 100)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    here.restart().await;
    assert!(here.told.lock().unwrap().is_empty());
    here.provider_is_up.store(true, Ordering::SeqCst);
    let told = here.notifications(1).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(here.told.lock().unwrap().as_slice(), &told[..1]);
}

#[tokio::test]
async fn only_the_acquirer_may_ask() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let query = phone.tap(1, 100);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let identity = here.authority.party("network").unwrap();
    let server = serve(here.network.router(), listener, &identity).unwrap();
    let url = format!("{}/v1/authorisations", server.url);
    let ca = here.authority.ca_pem();
    let stranger = Client::new(ca, sandbox_kit::keys::PartyKey::generate(), "acq_1").unwrap();
    let refused = stranger
        .post::<_, Authorisation>(&url, &query, None)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("signature_invalid"));
    let unsigned = Client::unsigned(ca).unwrap();
    let refused = unsigned
        .post::<_, Authorisation>(&url, &query, None)
        .await
        .unwrap_err();
    assert!(matches!(refused, CallError::Refused(problem) if problem.status == 401));
    let acquirer = Client::new(ca, here.acquirer.clone(), "acq_1").unwrap();
    let answer: Authorisation = acquirer.post(&url, &query, None).await.unwrap();
    assert_eq!(answer.result, "approved");
    let other = AuthorisationQuery {
        acquirer_id: "acq_2".into(),
        ..query.clone()
    };
    let refused = acquirer
        .post::<_, Authorisation>(&url, &other, None)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("request_invalid"));
    let entries = format!("{}/v1/card-entries", server.url);
    let refused = acquirer
        .post::<_, Authorisation>(&entries, &query, None)
        .await
        .unwrap_err();
    assert!(matches!(refused, CallError::Refused(problem) if problem.status == 401));
    let keys: serde_json::Value = unsigned
        .get(&format!("{}/v1/keys", server.url))
        .await
        .unwrap();
    assert_eq!(keys["hpke_key"], hex::encode_upper(here.network.hpke_key()));
}

/// What is no text cannot be in a path; the answer is a problem document all the same.
#[tokio::test]
async fn a_path_that_is_no_text_is_a_problem() {
    let here = Here::new().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let identity = here.authority.party("network").unwrap();
    let server = serve(here.network.router(), listener, &identity).unwrap();
    let client = Client::new(here.authority.ca_pem(), here.provider.clone(), "provider").unwrap();
    for path in ["card-entries/%FF/verify", "tokens/%FF/replenish"] {
        let url = format!("{}/v1/{path}", server.url);
        let refused = client
            .post::<_, serde_json::Value>(&url, &serde_json::json!({}), Some("00"))
            .await
            .unwrap_err();
        assert!(
            matches!(&refused, CallError::Refused(problem) if problem.status == 404),
            "{refused}"
        );
        assert_eq!(refused.code(), Some("route_unknown"));
    }
}
