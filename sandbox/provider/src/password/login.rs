//! The first half of a login. What it is for (a payment, another password) carries the second.

use std::time::Instant;

use axum::extract::State;
use sandbox_kit::idempotency::{Answer, IdempotencyKey};
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{ApiJson, bytes};
use serde::{Deserialize, Serialize};

use super::record::Try;
use super::register::not_a_message;
use super::suite::{self, First};
use super::{Login, locked, login_over, not_set};
use crate::cards::fingerprint;
use crate::{Shared, form};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Beginning {
    ke1: String,
}

/// What is stored as the answer under the idempotency key: all of it but the second message.
#[derive(Deserialize, Serialize)]
struct Begun {
    login_id: String,
    tries_left: i64,
}

#[derive(Serialize)]
struct Answered {
    login_id: String,
    ke2: String,
    tries_left: i64,
}

/// No made-up record for users without a password: who asks has proven by signature to be a device of this user, and
/// is told the same by the device's own page.
pub(super) async fn begin(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiJson(request): ApiJson<Beginning>,
) -> Result<Answer, Problem> {
    let ke1 = form::exact::<{ suite::KE1 }>("ke1", &request.ke1)?;
    // Read before a try is spent: a message that nobody could answer tells nobody anything.
    let ke1 = First::read(&ke1).map_err(|_| not_a_message("ke1"))?;
    let device = provider.store.device_of_session(&session).await?;
    let (passwords, user) = (&provider.passwords, &device.user);
    let scope = format!("{} password logins", device.id);
    let answer = provider
        .answers
        .once(&scope, &key, &fingerprint(&request)?, || async {
            let (credential, record, tries_left) = match passwords.records.spend(user).await? {
                Try::NotSet => return Err(not_set()),
                Try::Locked => return Err(locked()),
                Try::Spent {
                    credential,
                    record,
                    tries_left,
                } => (credential, record, tries_left),
            };
            // From here on the try is gone, whoever dies.
            let (ke2, exchange) = passwords
                .setup
                .answer(&ke1, &record, &credential, user)
                .map_err(|_| Problem::internal())?;
            let login_id = bytes::random_id("lgn");
            let login = Login {
                device: device.id.clone(),
                credential,
                exchange,
                ke2: bytes::to_hex(&ke2),
            };
            passwords
                .logins
                .put(login_id.clone(), login, Instant::now());
            Answer::json(
                201,
                &Begun {
                    login_id,
                    tries_left,
                },
            )
        })
        .await?;
    if answer.status != 201 {
        return Ok(answer);
    }
    let Begun {
        login_id,
        tries_left,
    } = serde_json::from_str(&answer.body).map_err(|_| Problem::internal())?;
    let ke2 = passwords
        .logins
        .ke2(&login_id, Instant::now())
        .ok_or_else(login_over)?;
    Answer::json(
        201,
        &Answered {
            login_id,
            ke2,
            tries_left,
        },
    )
}
