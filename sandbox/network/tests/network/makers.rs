//! Cards that go into the wallet of the phone's maker, and the tokens that live there.

use std::sync::atomic::Ordering;

use crate::common::{DEVICE, GOOD, Here, Phone};
use sandbox_kit::bind::bind;
use sandbox_kit::client::{CallError, Client};
use sandbox_kit::keys::PartyKey;
use sandbox_kit::maker_wallet::{MAKER, MakerWallet, signing_key};
use sandbox_kit::problem::Problem;
use sandbox_kit::server::serve;
use sandbox_network::entry::IssuedToken;
use sandbox_network::makers::{Activation, MakerActivation, MakerAnswer, MakerPayload, MakerQuery};
use sandbox_network::scheme::Scheme;
use sandbox_network::state::{StateQuery, TokenState};

fn code_of<T>(result: Result<T, Problem>) -> (u16, String) {
    match result {
        Ok(_) => panic!("this must be refused"),
        Err(problem) => (problem.status, problem.code),
    }
}

/// What the provider passes on of the wallet's question.
fn query(wallet: &MakerWallet) -> MakerQuery {
    let ask = wallet.ask();
    MakerQuery {
        device_id: DEVICE.into(),
        maker: ask.maker,
        maker_key: ask.maker_key,
        nonce: ask.nonce,
        maker_signature: ask.maker_signature,
    }
}

/// Carries a card's boxes between wallet and network, as the app does.
async fn carried(here: &Here, phone: &Phone) -> (MakerAnswer, MakerPayload) {
    let wallet = MakerWallet::begin();
    let token_ref = &phone.card.token_ref;
    let answer = here
        .network
        .maker_payload(token_ref, &query(&wallet))
        .await
        .unwrap();
    let opened = wallet.open(&here.network.signing_key(), &answer.sealed);
    let payload = serde_json::from_value(opened.unwrap()).unwrap();
    (answer, payload)
}

async fn redeemed(
    here: &Here,
    key: &PartyKey,
    activation: &Activation,
) -> Result<IssuedToken, Problem> {
    let query = MakerActivation {
        activation: activation.clone(),
        provisioning_key: key.public_hex(),
    };
    here.network.maker_token(MAKER, &query).await
}

/// Opens the token that a maker's wallet was given.
fn opened(here: &Here, key: &PartyKey, activation: &Activation, issued: &IssuedToken) -> Phone {
    let parts = [
        DEVICE.as_bytes(),
        activation.activation_id.as_bytes(),
        issued.token_ref.as_bytes(),
    ];
    Phone {
        card: here.opened(key, &bind("provisioning", &parts), &issued.sealed),
        atc: 0,
    }
}

async fn set(here: &Here, token_ref: &str, state: TokenState) {
    let order = StateQuery {
        device_id: DEVICE.into(),
        state,
    };
    here.network.set_state(token_ref, &order).await.unwrap();
}

#[tokio::test]
async fn a_maker_s_wallet_gets_a_token_of_its_own() {
    let mut here = Here::new().await;
    let mut phone = here.card_of(GOOD, Some("visa")).await;
    let (answer, payload) = carried(&here, &phone).await;
    assert_eq!(
        (payload.kind.as_str(), payload.masked_card.as_str()),
        ("maker_wallet", "…0015")
    );
    assert_eq!(payload.scheme, Scheme::Visa);
    assert_eq!(payload.activation.expires_at, answer.expires_at);
    let told = serde_json::to_string(&payload).unwrap();
    assert!(!told.contains(GOOD) && !told.contains(&phone.card.token));

    let key = PartyKey::generate();
    let issued = redeemed(&here, &key, &payload.activation).await.unwrap();
    assert_eq!(issued.token_ref, answer.token_ref);
    let mut elsewhere = opened(&here, &key, &payload.activation, &issued);
    assert_ne!(elsewhere.card.token, phone.card.token);
    assert_eq!(elsewhere.card.profile.scheme, Scheme::Visa);
    // Both pay from the same card, each under its own reference.
    for (trace, tap) in [(1, phone.tap(1, 100)), (2, elsewhere.tap(2, 200))] {
        let answer = here.network.authorise(&tap).await.unwrap();
        assert_eq!(answer.result, "approved", "{trace}");
    }
    let told = here.notifications(2).await;
    assert!(told.iter().any(|note| note.token_ref == issued.token_ref));

    // One activation, one token, also after a restart.
    here.restart().await;
    let again = redeemed(&here, &key, &payload.activation).await;
    assert_eq!(code_of(again), (409, "activation_used".into()));
}

#[tokio::test]
async fn the_phone_orders_the_states_of_a_token_elsewhere() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let (_, payload) = carried(&here, &phone).await;
    let key = PartyKey::generate();
    let issued = redeemed(&here, &key, &payload.activation).await.unwrap();
    let mut elsewhere = opened(&here, &key, &payload.activation, &issued);
    for (trace, state, expected) in [
        (1, TokenState::Suspended, Some("token_suspended")),
        (2, TokenState::Active, None),
        (3, TokenState::Deleted, Some("token_deleted")),
    ] {
        set(&here, &issued.token_ref, state).await;
        let tap = elsewhere.tap(trace, 100);
        let answer = here.network.authorise(&tap).await.unwrap();
        assert_eq!(answer.reason.as_deref(), expected);
    }
    // The phone's own token goes on.
    let answer = here.network.authorise(&phone.tap(4, 100)).await.unwrap();
    assert_eq!(answer.result, "approved");
    // And what lives elsewhere is not the phone's to add elsewhere once more.
    let asked = here
        .network
        .maker_payload(&issued.token_ref, &query(&MakerWallet::begin()))
        .await;
    assert_eq!(code_of(asked), (404, "token_unknown".into()));
}

#[tokio::test]
async fn only_a_maker_s_own_key_is_sealed_for() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let token_ref = &phone.card.token_ref;
    let good = query(&MakerWallet::begin());
    let stranger = PartyKey::generate().public_hex();
    for (odd, expected) in [
        (
            MakerQuery {
                maker_key: stranger,
                ..good.clone()
            },
            (403, "maker_key_unvouched"),
        ),
        (
            MakerQuery {
                nonce: "00".repeat(16),
                ..good.clone()
            },
            (403, "maker_key_unvouched"),
        ),
        (
            MakerQuery {
                maker: "nobody".into(),
                ..good.clone()
            },
            (404, "maker_unknown"),
        ),
        (
            MakerQuery {
                nonce: "00".into(),
                ..good.clone()
            },
            (422, "request_invalid"),
        ),
        (
            MakerQuery {
                device_id: "dev_2".into(),
                ..good.clone()
            },
            (404, "token_unknown"),
        ),
    ] {
        let asked = here.network.maker_payload(token_ref, &odd).await;
        assert_eq!(code_of(asked), (expected.0, expected.1.into()));
    }
    for (state, expected) in [
        (TokenState::Suspended, (409, "token_suspended")),
        (TokenState::Deleted, (410, "token_deleted")),
    ] {
        set(&here, token_ref, state).await;
        let asked = here.network.maker_payload(token_ref, &good).await;
        assert_eq!(code_of(asked), (expected.0, expected.1.into()));
    }
}

#[tokio::test]
async fn an_activation_is_the_network_s_word_for_one_maker_and_a_while() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let (_, payload) = carried(&here, &phone).await;
    let good = payload.activation;
    let key = PartyKey::generate();
    let forged = [
        Activation {
            device_id: "dev_2".into(),
            ..good.clone()
        },
        Activation {
            expires_at: "2099-01-01T00:00:00Z".into(),
            ..good.clone()
        },
        Activation {
            maker: "nobody".into(),
            ..good.clone()
        },
        Activation {
            signature: String::new(),
            ..good.clone()
        },
    ];
    for activation in &forged {
        let refused = redeemed(&here, &key, activation).await;
        assert_eq!(code_of(refused), (403, "activation_invalid".into()));
    }
    let query = MakerActivation {
        activation: good.clone(),
        provisioning_key: key.public_hex(),
    };
    let refused = here.network.maker_token("another-maker", &query).await;
    assert_eq!(code_of(refused), (403, "activation_invalid".into()));

    // A phone's token that does not pay has nothing made of it.
    set(&here, &phone.card.token_ref, TokenState::Suspended).await;
    let refused = redeemed(&here, &key, &good).await;
    assert_eq!(code_of(refused), (409, "token_suspended".into()));
    set(&here, &phone.card.token_ref, TokenState::Active).await;
    here.seconds.store(901, Ordering::SeqCst);
    let refused = redeemed(&here, &key, &good).await;
    assert_eq!(code_of(refused), (410, "activation_expired".into()));
    here.seconds.store(0, Ordering::SeqCst);
    redeemed(&here, &key, &good).await.unwrap();
}

#[tokio::test]
async fn a_token_that_was_deleted_before_it_was_fetched_is_never_made() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let (answer, payload) = carried(&here, &phone).await;
    let order = |device_id: &str, state| StateQuery {
        device_id: device_id.into(),
        state,
    };
    let strangers = order("dev_2", TokenState::Deleted);
    let asked = here.network.set_state(&answer.token_ref, &strangers).await;
    assert_eq!(code_of(asked), (404, "token_unknown".into()));
    for _ in 0..2 {
        set(&here, &answer.token_ref, TokenState::Deleted).await;
    }
    let refused = redeemed(&here, &PartyKey::generate(), &payload.activation).await;
    assert_eq!(code_of(refused), (409, "activation_used".into()));
}

#[tokio::test]
async fn s34_a_token_that_was_suspended_before_it_was_fetched_is_made_so() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let (answer, payload) = carried(&here, &phone).await;
    set(&here, &answer.token_ref, TokenState::Suspended).await;
    let key = PartyKey::generate();
    let issued = redeemed(&here, &key, &payload.activation).await.unwrap();
    let mut elsewhere = opened(&here, &key, &payload.activation, &issued);
    let tap = elsewhere.tap(1, 100);
    let refused = here.network.authorise(&tap).await.unwrap();
    assert_eq!(refused.reason.as_deref(), Some("token_suspended"));
    set(&here, &answer.token_ref, TokenState::Active).await;
    let tap = elsewhere.tap(2, 100);
    let paid = here.network.authorise(&tap).await.unwrap();
    assert_eq!(paid.result, "approved");
}

#[tokio::test]
async fn one_word_of_a_maker_is_good_for_one_token() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let wallet = MakerWallet::begin();
    let token_ref = &phone.card.token_ref;
    here.network
        .maker_payload(token_ref, &query(&wallet))
        .await
        .unwrap();
    let again = here.network.maker_payload(token_ref, &query(&wallet)).await;
    assert_eq!(code_of(again), (409, "maker_question_used".into()));
}

#[tokio::test]
async fn only_makers_redeem_and_only_the_provider_asks() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let identity = here.authority.party("network").unwrap();
    let server = serve(here.network.router(), listener, &identity).unwrap();
    let ca = here.authority.ca_pem();
    let provider = Client::new(ca, here.provider.clone(), "provider").unwrap();
    let maker = Client::new(ca, signing_key(), MAKER).unwrap();
    let wallet = MakerWallet::begin();
    let token_ref = &phone.card.token_ref;
    let ask = format!("{}/v1/tokens/{token_ref}/maker-payload", server.url);
    let refused = maker
        .post::<_, MakerAnswer>(&ask, &query(&wallet), Some("0011223344556677"))
        .await
        .unwrap_err();
    assert!(matches!(refused, CallError::Refused(problem) if problem.status == 401));
    let answer: MakerAnswer = provider
        .post(&ask, &query(&wallet), Some("0011223344556677"))
        .await
        .unwrap();
    let opened = wallet.open(&here.network.signing_key(), &answer.sealed);
    let payload: MakerPayload = serde_json::from_value(opened.unwrap()).unwrap();

    let redeem = format!("{}/v1/maker-tokens", server.url);
    let body = MakerActivation {
        activation: payload.activation,
        provisioning_key: PartyKey::generate().public_hex(),
    };
    let refused = provider
        .post::<_, IssuedToken>(&redeem, &body, Some("0011223344556677"))
        .await
        .unwrap_err();
    assert!(matches!(refused, CallError::Refused(problem) if problem.status == 401));
    // Asked again after a lost answer: the same one.
    let first: IssuedToken = maker
        .post(&redeem, &body, Some("0011223344556677"))
        .await
        .unwrap();
    let second: IssuedToken = maker
        .post(&redeem, &body, Some("0011223344556677"))
        .await
        .unwrap();
    assert_eq!(first, second);
    assert_eq!(first.token_ref, answer.token_ref);
}
