//! Registering a password, and by what right: there is none yet, the one before was proven, or a card was.

use axum::extract::State;
use sandbox_kit::bind::bind;
use sandbox_kit::idempotency::{Answer, IdempotencyKey};
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{ApiJson, bytes};
use serde::{Deserialize, Deserializer, Serialize};

use super::record::{Authority, Setting};
use super::{LoginProof, login_over, not_confirmed, suite};
use crate::cards::fingerprint;
use crate::store::Device;
use crate::{Shared, form};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Beginning {
    request: String,
}

#[derive(Serialize)]
struct Begun {
    response: String,
}

/// Every registration is under a key of the oblivious function that is its own. Under one key for all of a user's, this
/// route would evaluate guesses at the password that is set, uncounted; so would a dictionary evaluated in advance.
pub(super) async fn begin(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiJson(request): ApiJson<Beginning>,
) -> Result<Answer, Problem> {
    let message = form::exact::<{ suite::REQUEST }>("request", &request.request)?;
    let device = provider.store.device_of_session(&session).await?;
    let scope = format!("{} password registrations", device.id);
    provider
        .answers
        .once(&scope, &key, &fingerprint(&request)?, || async {
            let credential = bytes::random_id(&device.user);
            let response = provider
                .passwords
                .setup
                .register(&message, &credential)
                .map_err(|_| not_a_message("request"))?;
            provider
                .passwords
                .records
                .begin_registration(&device.id, &device.user, &credential)
                .await?;
            Answer::json(
                201,
                &Begun {
                    response: bytes::to_hex(&response),
                },
            )
        })
        .await
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    upload: String,
    // Left out is not the same as null: whoever sets a password says by what right.
    #[serde(deserialize_with = "present")]
    authority: Option<Right>,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Right {
    Login(LoginProof),
    Reset(PassedReset),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PassedReset {
    reset_id: String,
}

fn present<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Right>, D::Error> {
    Option::deserialize(source)
}

#[derive(Serialize)]
struct Set {
    state: &'static str,
}

pub(super) async fn set(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiJson(request): ApiJson<NewPassword>,
) -> Result<Answer, Problem> {
    let upload = form::exact::<{ suite::UPLOAD }>("upload", &request.upload)?;
    let record = suite::record(&upload).map_err(|_| not_a_message("upload"))?;
    let device = provider.store.device_of_session(&session).await?;
    let scope = format!("{} password", device.id);
    provider
        .answers
        .once(&scope, &key, &fingerprint(&request)?, || async {
            let proven;
            let authority = match &request.authority {
                None => Authority::First,
                Some(Right::Reset(reset)) if form::is_id("rst_", &reset.reset_id) => {
                    Authority::Reset(&reset.reset_id)
                }
                Some(Right::Reset(_)) => {
                    return Err(Problem::invalid(
                        "reset_id must be as the reset answered it.",
                    ));
                }
                Some(Right::Login(login)) => {
                    proven = change(&provider, &device, login, &upload).await?;
                    Authority::Change(&proven)
                }
            };
            let records = &provider.passwords.records;
            match records
                .set(&device.id, &device.user, &record, &authority)
                .await?
            {
                Setting::Done => Answer::json(200, &Set { state: "set" }),
                Setting::SetAlready => Err(set_already()),
                Setting::RegistrationOver => Err(registration_over()),
                Setting::RecordChanged => Err(login_over()),
                Setting::ResetInvalid => Err(reset_invalid()),
            }
        })
        .await
}

/// The name of the record whose password was proven for this very upload.
async fn change(
    provider: &Shared,
    device: &Device,
    login: &LoginProof,
    upload: &[u8],
) -> Result<String, Problem> {
    let finished = provider.passwords.finish(device, login)?;
    let user = &device.user;
    if !provider
        .passwords
        .records
        .restore(user, &finished.credential)
        .await?
    {
        return Err(login_over());
    }
    let bound = bind(
        "tapcore-password-change-v1",
        &[device.id.as_bytes(), upload],
    );
    if !finished.vouches(&bound) {
        return Err(not_confirmed());
    }
    Ok(finished.credential)
}

pub(super) fn not_a_message(name: &str) -> Problem {
    Problem::invalid(format!(
        "{name} is not a message of OPAQUE with P-256 and SHA-256."
    ))
}

fn set_already() -> Problem {
    Problem::new(
        409,
        "password_set_already",
        "Payment password set already",
        "There is a payment password. Change it with the old one, or reset it with one of your cards.",
    )
}

fn registration_over() -> Problem {
    Problem::new(
        410,
        "registration_over",
        "Registration over",
        "This device has begun no registration, or more than ten minutes ago. Begin a new one.",
    )
}

fn reset_invalid() -> Problem {
    Problem::new(
        403,
        "reset_invalid",
        "Reset not valid",
        "This reset is unknown, not verified by SMS, used or too old. Begin a new one.",
    )
}
