//! Whether a person holds a card that some tokens stand for.

use std::sync::atomic::Ordering;

use crate::common::{DEVICE, GOOD, Here};
use sandbox_bank::card::BANK_A;
use sandbox_kit::bind::bind;
use sandbox_kit::hpke;
use sandbox_kit::problem::Problem;
use sandbox_network::check::{CheckBegun, CheckCode, CheckQuery, Checked};
use sandbox_network::payload::CARD_ENTRY_INFO;

/// Ends like [`GOOD`], and is another card.
const TWIN: &str = "6228480000180015";

async fn begin(here: &Here, number: &str, tokens: &[&str]) -> Result<CheckBegun, Problem> {
    let card = format!(r#"{{"number":"{number}","expiry":"12/29"}}"#);
    let aad = bind("card-entry", &[DEVICE.as_bytes()]);
    let query = CheckQuery {
        device_id: DEVICE.into(),
        sealed_card: hpke::seal(
            &here.network.hpke_key(),
            CARD_ENTRY_INFO,
            &aad,
            card.as_bytes(),
        )
        .unwrap(),
        token_refs: tokens.iter().map(ToString::to_string).collect(),
    };
    here.network.begin_check(&query).await
}

async fn finish(here: &Here, check: &str, code: &str, tokens: &[&str]) -> Result<Checked, Problem> {
    let query = CheckCode {
        device_id: DEVICE.into(),
        code: code.into(),
        token_refs: tokens.iter().map(ToString::to_string).collect(),
    };
    here.network.finish_check(check, &query).await
}

fn code_of<T: std::fmt::Debug>(result: Result<T, Problem>) -> (u16, String) {
    let problem = result.unwrap_err();
    (problem.status, problem.code)
}

#[tokio::test]
async fn a_check_names_the_tokens_of_the_card() {
    let mut here = Here::new().await;
    let (first, again) = (here.card(GOOD).await, here.card(GOOD).await);
    let other = here.card(BANK_A.no_funds).await;
    let tokens = [&first, &other, &again].map(|phone| phone.card.token_ref.as_str());
    let begun = begin(&here, GOOD, &tokens).await.unwrap();
    assert_eq!(
        (begun.masked.as_str(), begun.bank.as_str(), begun.tries_left),
        ("…0015", "bank-a", 3)
    );
    let code = here.code();
    let checked = finish(&here, &begun.check_id, &code, &tokens)
        .await
        .unwrap();
    assert_eq!(checked.token_refs, [tokens[0], tokens[2]]);
    // Only what is asked about is answered.
    let checked = finish(&here, &begun.check_id, &code, &tokens[1..2]).await;
    assert!(checked.unwrap().token_refs.is_empty());
}

#[tokio::test]
async fn strangers_cards_are_sent_no_code() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let own = [phone.card.token_ref.as_str()];
    assert_eq!(
        code_of(begin(&here, BANK_A.no_funds, &own).await),
        (403, "card_not_yours".into())
    );
    for none in [&[][..], &["tok_00000000"]] {
        assert_eq!(
            code_of(begin(&here, GOOD, none).await),
            (403, "card_not_yours".into())
        );
    }
    assert!(here.sms.try_recv().is_err());
    assert_eq!(
        code_of(begin(&here, "4111111111111111", &own).await),
        (404, "card_unknown".into())
    );
}

#[tokio::test]
async fn a_card_that_only_ends_alike_is_found_out_by_its_bank() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let own = [phone.card.token_ref.as_str()];
    let Ok(begun) = begin(&here, TWIN, &own).await else {
        panic!("the last four digits are the same");
    };
    let code = here.code();
    let checked = finish(&here, &begun.check_id, &code, &own).await.unwrap();
    assert!(checked.token_refs.is_empty());
}

#[tokio::test]
async fn codes_of_a_check_wrong_late_and_foreign() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let own = [phone.card.token_ref.as_str()];
    let check = begin(&here, GOOD, &own).await.unwrap().check_id;
    let code = here.code();
    assert_eq!(
        code_of(finish(&here, "chk_none", &code, &own).await),
        (404, "challenge_unknown".into())
    );
    // A check is no card entry, and a card entry no check.
    let entry = here.begin(GOOD).await.unwrap().challenge_id;
    let second = here.code();
    assert_eq!(
        code_of(finish(&here, &entry, &second, &own).await),
        (404, "challenge_unknown".into())
    );
    here.seconds.store(301, Ordering::SeqCst);
    assert_eq!(
        code_of(finish(&here, &check, &code, &own).await),
        (410, "challenge_expired".into())
    );
    here.seconds.store(0, Ordering::SeqCst);
    let wrong = if code == "111111" { "222222" } else { "111111" };
    for expected in [
        (403, "sms_code_wrong"),
        (403, "sms_code_wrong"),
        (429, "tries_exhausted"),
        (429, "tries_exhausted"),
    ] {
        assert_eq!(
            code_of(finish(&here, &check, wrong, &own).await),
            (expected.0, expected.1.into())
        );
    }
}
