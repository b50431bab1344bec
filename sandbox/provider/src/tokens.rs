//! A token's state: suspended while its owner looks for the phone, active again, deleted for good. The network decides
//! on payments, so it is asked first; what it says is written down here for phones to read.

use axum::extract::State;
use sandbox_kit::idempotency::{Answer, IdempotencyKey};
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{ApiJson, ApiPath};
use serde::{Deserialize, Serialize};

use crate::Shared;
use crate::cards::fingerprint;
use crate::network::relayed_key;
use crate::orders::{StateOrder, TokenState};
use crate::store::Device;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    state: Wish,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Wish {
    Active,
    Suspended,
    Deleted,
}

impl Wish {
    fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }
}

pub(crate) async fn set_state(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiPath(token): ApiPath,
    ApiJson(wanted): ApiJson<Wanted>,
) -> Result<Answer, Problem> {
    let device = owner(&provider, &session, &token).await?;
    let scope = format!("{} state {token}", device.id);
    let fingerprint = fingerprint(&wanted)?;
    provider
        .answers
        .once(&scope, &key, &fingerprint, || async {
            // One at a time: two wishes must not be written down here in another order than the network took them.
            let _turn = provider.token_turn.lock().await;
            let order = StateOrder {
                device_id: &device.id,
                state: wanted.state.name(),
            };
            let answer: TokenState = provider
                .network
                .post(
                    &format!("/v1/tokens/{token}/state"),
                    &order,
                    &relayed_key(&device.id, &key),
                    &[404, 409],
                )
                .await?;
            provider
                .store
                .set_token_state(&token, &answer.state)
                .await?;
            Answer::json(200, &answer)
        })
        .await
}

/// The device that asks, which must be the one that holds the token.
pub(crate) async fn owner(
    provider: &Shared,
    session: &str,
    token: &str,
) -> Result<Device, Problem> {
    let device = provider.store.device_of_session(session).await?;
    match provider.store.token_state(token, &device.id).await? {
        Some(_) => Ok(device),
        None => Err(Problem::new(
            404,
            "token_unknown",
            "Unknown token",
            "This device has no such token. Add the card again.",
        )),
    }
}
