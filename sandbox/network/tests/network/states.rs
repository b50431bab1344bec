//! Tokens that are suspended, resumed and deleted.

use crate::common::{DEVICE, GOOD, Here, Phone};
use sandbox_kit::bytes;
use sandbox_kit::client::{CallError, Client};
use sandbox_kit::keys::PartyKey;
use sandbox_kit::problem::Problem;
use sandbox_kit::server::serve;
use sandbox_network::authorise::AuthorisationQuery;
use sandbox_network::entry::VerifyQuery;
use sandbox_network::payload::{LogEntry, log_mac};
use sandbox_network::replenish::ReplenishQuery;
use sandbox_network::state::{StateAnswer, StateQuery, TokenState};
use serde_json::{Value, json};

fn order(state: TokenState) -> StateQuery {
    StateQuery {
        device_id: DEVICE.into(),
        state,
    }
}

async fn set(here: &Here, phone: &Phone, state: TokenState) -> Result<StateAnswer, Problem> {
    let token_ref = &phone.card.token_ref;
    here.network.set_state(token_ref, &order(state)).await
}

fn code_of<T>(result: Result<T, Problem>) -> (u16, String) {
    match result {
        Ok(_) => panic!("this must be refused"),
        Err(problem) => (problem.status, problem.code),
    }
}

async fn reason(here: &Here, query: &AuthorisationQuery) -> Option<String> {
    here.network.authorise(query).await.unwrap().reason
}

fn replenishment(phone: &Phone, log: Vec<LogEntry>) -> ReplenishQuery {
    let log_key = hex::decode(&phone.card.log_key).unwrap();
    let mac = log_mac(&log_key, &phone.card.token_ref, &log).unwrap();
    ReplenishQuery {
        device_id: DEVICE.into(),
        log,
        log_mac: bytes::to_hex(&mac),
        provisioning_key: PartyKey::generate().public_hex(),
        verified_keys: false,
    }
}

#[tokio::test]
async fn a_suspended_token_pays_nothing_until_it_is_resumed() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let answer = set(&here, &phone, TokenState::Suspended).await.unwrap();
    assert_eq!(answer.state, TokenState::Suspended);
    // It outlives the network's process.
    here.restart().await;
    let tap = phone.tap(1, 1250);
    assert_eq!(
        reason(&here, &tap).await.as_deref(),
        Some("token_suspended")
    );
    // Whoever has no key to it learns nothing of its state.
    let forged = AuthorisationQuery {
        amount_minor: 1,
        trace: 2,
        ..phone.tap_with(2, 1250, 9, 0)
    };
    assert_eq!(
        reason(&here, &forged).await.as_deref(),
        Some("cryptogram_invalid")
    );
    let token_ref = phone.card.token_ref.clone();
    let asked = here
        .network
        .replenish(&token_ref, &replenishment(&phone, Vec::new()))
        .await;
    assert_eq!(code_of(asked), (409, "token_suspended".into()));

    set(&here, &phone, TokenState::Active).await.unwrap();
    // The cryptogram that was refused is spent.
    let again = AuthorisationQuery {
        trace: 3,
        ..tap.clone()
    };
    assert_eq!(reason(&here, &again).await.as_deref(), Some("atc_replayed"));
    assert_eq!(reason(&here, &phone.tap(4, 300)).await, None);
    // And it is no contradiction to the phone's log, which has it.
    let log = vec![LogEntry {
        atc: 1,
        key_index: phone.card.keys[0].key_index.clone(),
        at: "2026-11-22T10:00:00Z".into(),
        un: "01020304".into(),
        amount_minor: 1250,
        currency: "CNY".into(),
    }];
    here.network
        .replenish(&token_ref, &replenishment(&phone, log))
        .await
        .unwrap();
    let told = here.notifications(3).await;
    assert!(
        told.iter()
            .any(|note| note.reason.as_deref() == Some("token_suspended"))
    );
    assert!(here.network.ledger().await.unwrap().balanced);
}

#[tokio::test]
async fn a_deleted_token_stays_deleted() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    for _ in 0..2 {
        let answer = set(&here, &phone, TokenState::Deleted).await.unwrap();
        assert_eq!(answer.state, TokenState::Deleted);
    }
    for state in [TokenState::Active, TokenState::Suspended] {
        assert_eq!(
            code_of(set(&here, &phone, state).await),
            (409, "token_deleted".into())
        );
    }
    here.restart().await;
    assert_eq!(
        reason(&here, &phone.tap(1, 100)).await.as_deref(),
        Some("token_deleted")
    );
    let query = replenishment(&phone, Vec::new());
    let asked = here.network.replenish(&phone.card.token_ref, &query).await;
    assert_eq!(code_of(asked), (410, "token_deleted".into()));
}

#[tokio::test]
async fn asking_for_a_lost_answer_does_not_undo_a_state() {
    let mut here = Here::new().await;
    let challenge = here.begin(GOOD).await.unwrap();
    let query = VerifyQuery {
        device_id: DEVICE.into(),
        code: here.code(),
        provisioning_key: PartyKey::generate().public_hex(),
    };
    let id = &challenge.challenge_id;
    let issued = here.network.finish_entry(id, &query).await.unwrap();
    for (state, refusal) in [
        (TokenState::Suspended, (409, "token_suspended")),
        (TokenState::Deleted, (410, "token_deleted")),
    ] {
        here.network
            .set_state(&issued.token_ref, &order(state))
            .await
            .unwrap();
        let asked = here.network.finish_entry(id, &query).await;
        assert_eq!(code_of(asked), (refusal.0, refusal.1.into()));
    }
}

#[tokio::test]
async fn only_the_provider_orders_and_only_for_the_device_that_has_the_token() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let token_ref = &phone.card.token_ref;
    let other = StateQuery {
        device_id: "dev_2".into(),
        state: TokenState::Deleted,
    };
    let asked = here.network.set_state(token_ref, &other).await;
    assert_eq!(code_of(asked), (404, "token_unknown".into()));
    let asked = here
        .network
        .set_state("tok_none", &order(TokenState::Active))
        .await;
    assert_eq!(code_of(asked), (404, "token_unknown".into()));

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let identity = here.authority.party("network").unwrap();
    let server = serve(here.network.router(), listener, &identity).unwrap();
    let url = format!("{}/v1/tokens/{token_ref}/state", server.url);
    let body = json!({ "device_id": DEVICE, "state": "suspended" });
    let ca = here.authority.ca_pem();
    let acquirer = Client::new(ca, here.acquirer.clone(), "acq_1").unwrap();
    let refused = acquirer
        .post::<_, Value>(&url, &body, Some("0011223344556677"))
        .await
        .unwrap_err();
    assert!(matches!(refused, CallError::Refused(problem) if problem.status == 401));
    let provider = Client::new(ca, here.provider.clone(), "provider").unwrap();
    for _ in 0..2 {
        let answer: Value = provider
            .post(&url, &body, Some("0011223344556677"))
            .await
            .unwrap();
        assert_eq!(
            answer,
            json!({ "token_ref": token_ref, "state": "suspended" })
        );
    }
    let odd = json!({ "device_id": DEVICE, "state": "withdrawn" });
    let refused = provider
        .post::<_, Value>(&url, &odd, Some("0011223344556688"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("request_invalid"));
}
