//! Payments confirmed by the person, before they are made: with the payment password, or by the device after its own
//! check (biometric or unlock PIN).
//!
//! Both kinds cover the same bytes, so that a confirmation is good for one amount to one payee under one idempotency
//! key, and for nothing else.

use axum::extract::State;
use sandbox_kit::bind::bind;
use sandbox_kit::idempotency::{Answer, IdempotencyKey};
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{ApiJson, bytes, clock, keys};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cards::fingerprint;
use crate::password::{LoginProof, Proven, login_over, not_confirmed};
use crate::store::Device;
use crate::{Shared, device, form};

/// How long a confirmation may be used, seconds.
const LIFE: i64 = 300;
/// The longest payee, in characters.
const MAX_PAYEE: usize = 140;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirming {
    amount_minor: i64,
    currency: String,
    payee: String,
    method: Method,
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Method {
    Password(LoginProof),
    Device(Signed),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    signature: String,
}

#[derive(Serialize)]
struct Confirmed {
    confirmation_id: String,
    expires_at: String,
}

pub(crate) async fn confirm(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiJson(request): ApiJson<Confirming>,
) -> Result<Answer, Problem> {
    request.check_form()?;
    let device = provider.store.device_of_session(&session).await?;
    let scope = format!("{} confirmations", device.id);
    provider
        .answers
        .once(&scope, &key, &fingerprint(&request)?, || async {
            let bound = bind(
                "tapcore-confirmation-v1",
                &[
                    device.id.as_bytes(),
                    &request.amount_minor.to_be_bytes(),
                    request.currency.as_bytes(),
                    request.payee.as_bytes(),
                    key.as_bytes(),
                ],
            );
            let method = match &request.method {
                Method::Password(proof) => {
                    by_password(&provider, &device, proof, &bound).await?;
                    "password"
                }
                Method::Device(signed) => {
                    by_device(&provider, &device, &signed.signature, &bound).await?;
                    "device"
                }
            };
            let id = bytes::random_id("cnf");
            let expires_at = clock::unix_now().saturating_add(LIFE);
            let proven = Proven {
                id: &id,
                user: &device.user,
                device: &device.id,
                method,
                amount_minor: request.amount_minor,
                currency: &request.currency,
                payee: &request.payee,
                idempotency_key: &key,
                expires_at,
            };
            provider.passwords.records.add_confirmation(&proven).await?;
            Answer::json(
                201,
                &Confirmed {
                    confirmation_id: id,
                    expires_at: clock::unix_text(expires_at),
                },
            )
        })
        .await
}

impl Confirming {
    fn check_form(&self) -> Result<(), Problem> {
        if self.amount_minor < 1 {
            return Err(Problem::invalid("amount_minor must be 1 at least."));
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase())
        {
            return Err(Problem::invalid("currency must be three capitals."));
        }
        let length = self.payee.chars().count();
        if !(1..=MAX_PAYEE).contains(&length) || self.payee.chars().any(char::is_control) {
            return Err(Problem::invalid(format!(
                "payee must be 1 to {MAX_PAYEE} characters without control characters."
            )));
        }
        Ok(())
    }
}

async fn by_password(
    provider: &Shared,
    device: &Device,
    proof: &LoginProof,
    bound: &[u8],
) -> Result<(), Problem> {
    let finished = provider.passwords.finish(device, proof)?;
    // Whoever finishes a login knew the password, whatever they meant to confirm with it.
    let records = &provider.passwords.records;
    if !records.restore(&device.user, &finished.credential).await? {
        return Err(login_over());
    }
    if finished.vouches(bound) {
        Ok(())
    } else {
        Err(not_confirmed())
    }
}

async fn by_device(
    provider: &Shared,
    device: &Device,
    signature: &str,
    bound: &[u8],
) -> Result<(), Problem> {
    let signature = form::exact::<64>("signature", signature)?;
    let key = provider
        .passwords
        .records
        .confirmation_key(&device.id)
        .await?
        .ok_or_else(|| {
            Problem::new(
                409,
                "confirmation_key_missing",
                "No confirmation key",
                "This device has set no confirmation key. Set one first.",
            )
        })?;
    if keys::verify(&key, bound, &signature) {
        Ok(())
    } else {
        Err(not_confirmed())
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    public_key: String,
    proof: String,
}

pub(crate) async fn set_key(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiJson(request): ApiJson<NewKey>,
) -> Result<Answer, Problem> {
    let public = form::public_key("public_key", &request.public_key)?;
    let proof = form::exact::<64>("proof", &request.proof)?;
    let device = provider.store.device_of_session(&session).await?;
    let bound = bind(
        "tapcore-confirmation-key-v1",
        &[device.id.as_bytes(), &public],
    );
    if !keys::verify(&device.key, &bound, &proof) {
        return Err(device::proof_invalid());
    }
    let scope = format!("{} confirmation-key", device.id);
    provider
        .answers
        .once(&scope, &key, &fingerprint(&request)?, || async {
            let records = &provider.passwords.records;
            let known = records.confirmation_key(&device.id).await?;
            // Whoever holds the unlocked phone has its device key: that alone must not make them the person who confirms.
            if known.is_some_and(|known| known != public) {
                return Err(Problem::new(
                    409,
                    "confirmation_key_set",
                    "Confirmation key set already",
                    "This phone confirms by another key already. Confirm by the payment password, or enrol the phone again.",
                ));
            }
            records.set_confirmation_key(&device.id, &public).await?;
            Answer::json(200, &json!({}))
        })
        .await
}
