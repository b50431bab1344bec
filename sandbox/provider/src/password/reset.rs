//! The way back for who forgot the password, or was locked out: one of the user's own cards, and its bank's SMS.
//!
//! The card number is sealed for the network, which asks the bank and says which of the user's tokens are that card's.

use axum::extract::State;
use sandbox_kit::hpke::Sealed;
use sandbox_kit::idempotency::{Answer, IdempotencyKey};
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{ApiJson, ApiPath, clock};
use serde::{Deserialize, Serialize};

use crate::cards::fingerprint;
use crate::network::relayed_key;
use crate::{Shared, form};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Beginning {
    sealed_card: Sealed,
}

#[derive(Serialize)]
struct CardCheck<'a> {
    device_id: &'a str,
    sealed_card: &'a Sealed,
    token_refs: &'a [String],
}

#[derive(Deserialize)]
struct CheckBegun {
    check_id: String,
    masked: String,
    bank: String,
    sms_expires_at: String,
    tries_left: u32,
}

#[derive(Serialize)]
struct Begun {
    reset_id: String,
    masked: String,
    bank: String,
    sms_expires_at: String,
    tries_left: u32,
}

pub(super) async fn begin(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiJson(request): ApiJson<Beginning>,
) -> Result<Answer, Problem> {
    form::sealed("sealed_card", &request.sealed_card)?;
    let device = provider.store.device_of_session(&session).await?;
    let (records, user) = (&provider.passwords.records, &device.user);
    let scope = format!("{} password resets", device.id);
    provider
        .answers
        .once(&scope, &key, &fingerprint(&request)?, || async {
            if !records.may_reset(user).await? {
                return Err(too_many());
            }
            let token_refs = records.tokens(user).await?;
            if token_refs.is_empty() {
                return Err(not_yours());
            }
            let check = CardCheck {
                device_id: &device.id,
                sealed_card: &request.sealed_card,
                token_refs: &token_refs,
            };
            let begun: CheckBegun = provider
                .network
                .post(
                    "/v1/card-checks",
                    &check,
                    &relayed_key(&device.id, &key),
                    &[400, 403, 404, 409, 422],
                )
                .await?;
            let reset_id = records
                .begin_reset(&device.id, user, &begun.check_id)
                .await?;
            Answer::json(
                201,
                &Begun {
                    reset_id,
                    masked: begun.masked,
                    bank: begun.bank,
                    sms_expires_at: begun.sms_expires_at,
                    tries_left: begun.tries_left,
                },
            )
        })
        .await
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    code: String,
}

#[derive(Serialize)]
struct CodeTyped<'a> {
    device_id: &'a str,
    code: &'a str,
    token_refs: &'a [String],
}

#[derive(Deserialize)]
struct Checked {
    token_refs: Vec<String>,
}

#[derive(Serialize)]
struct Passed<'a> {
    reset_id: &'a str,
    expires_at: String,
}

pub(super) async fn verify(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiPath(reset_id): ApiPath,
    ApiJson(request): ApiJson<Code>,
) -> Result<Answer, Problem> {
    form::sms_code("code", &request.code)?;
    let device = provider.store.device_of_session(&session).await?;
    let records = &provider.passwords.records;
    let check = records
        .check_of_reset(&reset_id, &device.id)
        .await?
        .ok_or_else(unknown)?;
    let scope = format!("{} password reset {reset_id}", device.id);
    provider
        .answers
        .once(&scope, &key, &fingerprint(&request)?, || async {
            let own = records.tokens(&device.user).await?;
            let typed = CodeTyped {
                device_id: &device.id,
                code: &request.code,
                token_refs: &own,
            };
            let checked: Checked = provider
                .network
                .post(
                    &format!("/v1/card-checks/{check}/verify"),
                    &typed,
                    &relayed_key(&device.id, &key),
                    &[400, 403, 404, 409, 410, 422, 429],
                )
                .await?;
            // The provider's own list decides, whatever the network says beyond it.
            if !checked.token_refs.iter().any(|token| own.contains(token)) {
                return Err(not_yours());
            }
            let good_until = records.pass_reset(&reset_id).await?;
            Answer::json(
                200,
                &Passed {
                    reset_id: &reset_id,
                    expires_at: clock::unix_text(good_until),
                },
            )
        })
        .await
}

fn unknown() -> Problem {
    Problem::new(
        404,
        "reset_unknown",
        "Unknown reset",
        "This device has begun no such reset. Begin a new one.",
    )
}

fn not_yours() -> Problem {
    Problem::new(
        403,
        "card_not_yours",
        "Not one of your cards",
        "Only a card that you pay with here can reset the payment password.",
    )
}

fn too_many() -> Problem {
    Problem::new(
        429,
        "resets_used_up",
        "Too many resets",
        "The payment password was reset too often today. Try again tomorrow.",
    )
}
