//! Payments that the provider asks for on a token, without a card's data.

use crate::common::{DEVICE, GOOD, Here, Phone};
use sandbox_kit::problem::Problem;
use sandbox_network::on_file::{OnFileQuery, ReversalQuery};
use sandbox_network::state::{StateQuery, TokenState};

pub(crate) fn payment(phone: &Phone, id: &str, amount_minor: i64) -> OnFileQuery {
    OnFileQuery {
        payment_id: id.into(),
        device_id: DEVICE.into(),
        token_ref: phone.card.token_ref.clone(),
        acquirer_id: "acq_1".into(),
        terminal_id: "ter_1".into(),
        merchant_id: "mer_1".into(),
        merchant: "Mapo Tofu House".into(),
        mcc: "5812".into(),
        country: "0156".into(),
        at: "2026-11-22T10:00:00Z".into(),
        amount_minor,
        currency: "CNY".into(),
    }
}

pub(crate) fn undo(id: &str) -> ReversalQuery {
    ReversalQuery {
        payment_id: id.into(),
    }
}

fn code_of<T>(result: Result<T, Problem>) -> (u16, String) {
    match result {
        Ok(_) => panic!("this must be refused"),
        Err(problem) => (problem.status, problem.code),
    }
}

#[tokio::test]
async fn a_payment_on_a_token_is_decided_once_and_booked() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let query = payment(&phone, "cpy_1", 1250);
    let first = here.network.authorise_on_file(&query).await.unwrap();
    assert_eq!(first.result, "approved");
    let (again, too) = tokio::join!(
        here.network.authorise_on_file(&query),
        here.network.authorise_on_file(&query)
    );
    assert_eq!((&again.unwrap(), &too.unwrap()), (&first, &first));
    let other = payment(&phone, "cpy_1", 1251);
    assert_eq!(
        code_of(here.network.authorise_on_file(&other).await),
        (409, "idempotency_conflict".into())
    );
    let ledger = here.network.ledger().await.unwrap();
    assert!(ledger.balanced);
    let line = &ledger.entries[0];
    assert_eq!(ledger.entries.len(), 1);
    assert_eq!(
        (line.kind.as_str(), line.atc, line.arqc.as_deref()),
        ("payment", None, None)
    );
    assert_eq!(
        (line.debit.as_str(), line.credit.as_str()),
        ("issuer:bank-a", "acquirer:acq_1")
    );
    // The provider has its answer and is told of taps only.
    here.network.authorise(&phone.tap(1, 300)).await.unwrap();
    let told = here.notifications(1).await;
    assert_eq!((told.len(), told[0].amount_minor), (1, 300));
}

#[tokio::test]
async fn only_the_device_s_own_active_token_pays() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let reason = |answer: Result<sandbox_network::authorise::Authorisation, Problem>| {
        answer.unwrap().reason.unwrap_or_default()
    };
    let foreign = OnFileQuery {
        device_id: "dev_2".into(),
        ..payment(&phone, "cpy_1", 1250)
    };
    let answer = here.network.authorise_on_file(&foreign).await;
    assert_eq!(reason(answer), "token_unknown");
    let suspended = StateQuery {
        device_id: DEVICE.into(),
        state: TokenState::Suspended,
    };
    let token = &phone.card.token_ref;
    here.network.set_state(token, &suspended).await.unwrap();
    let query = payment(&phone, "cpy_2", 1250);
    let answer = here.network.authorise_on_file(&query).await;
    assert_eq!(reason(answer), "token_suspended");
    let abroad = OnFileQuery {
        currency: "USD".into(),
        ..payment(&phone, "cpy_3", 1250)
    };
    assert_eq!(
        code_of(here.network.authorise_on_file(&abroad).await).0,
        422
    );
    let ledger = here.network.ledger().await.unwrap();
    assert!(ledger.balanced);
    assert!(ledger.entries.iter().all(|line| line.debit.is_empty()));
}

#[tokio::test]
async fn a_reversal_takes_money_back_once_and_may_come_first() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let query = payment(&phone, "cpy_1", 1250);
    here.network.authorise_on_file(&query).await.unwrap();
    for _ in 0..2 {
        let answer = here.network.reverse_on_file(&undo("cpy_1")).await.unwrap();
        assert_eq!(answer.reason.as_deref(), Some("reversed"));
    }
    // Asked again, the payment stays undone.
    let answer = here.network.authorise_on_file(&query).await.unwrap();
    assert_eq!(
        (answer.result.as_str(), answer.reason.as_deref()),
        ("declined", Some("reversed"))
    );
    let late = payment(&phone, "cpy_2", 500);
    here.network.reverse_on_file(&undo("cpy_2")).await.unwrap();
    let answer = here.network.authorise_on_file(&late).await.unwrap();
    assert_eq!(answer.reason.as_deref(), Some("reversed"));

    let ledger = here.network.ledger().await.unwrap();
    let kinds: Vec<&str> = ledger
        .entries
        .iter()
        .map(|line| line.kind.as_str())
        .collect();
    assert!(ledger.balanced);
    assert_eq!(kinds, ["payment", "reversal"]);
    // The bank is told by a message that stays until it is taken.
    for _ in 0..400 {
        let bank = here.bank.ledger().await.unwrap();
        if bank.entries.iter().any(|line| line.kind == "reversal") {
            assert!(bank.balanced);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the bank was never told");
}

#[tokio::test]
async fn a_bank_that_is_away_declines_and_it_stays_so() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let query = payment(&phone, "cpy_1", 1250);
    here.bank_server.take().unwrap().stop().await;
    let away = here.network.authorise_on_file(&query).await.unwrap();
    assert_eq!(away.reason.as_deref(), Some("bank_unavailable"));
    here.restart().await;
    let again = here.network.authorise_on_file(&query).await.unwrap();
    assert_eq!(again, away);
}
