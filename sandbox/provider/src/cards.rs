//! Adding a card, checking its SMS code, fetching new keys: sealed boxes relayed to the network and back.
//!
//! The provider checks who asks (session, device proof, whose challenge or token it is); what is in the boxes is
//! between phone and network.

use axum::body::Bytes;
use axum::extract::State;
use sandbox_kit::bind::bind;
use sandbox_kit::event::Event;
use sandbox_kit::hpke::Sealed;
use sandbox_kit::idempotency::{Answer, IdempotencyKey};
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{ApiJson, ApiPath, clock, keys};
use serde::{Deserialize, Serialize};

use crate::network::relayed_key;
use crate::store::Device;
use crate::tokens::owner;
use crate::{Shared, device, form, orders, sessions};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCard {
    sealed_card: Sealed,
    /// Which schemes there are is the network's to say.
    #[serde(
        default,
        deserialize_with = "form::present",
        skip_serializing_if = "Option::is_none"
    )]
    scheme: Option<String>,
}

#[derive(Serialize)]
struct RelayedCard<'a> {
    device_id: &'a str,
    sealed_card: &'a Sealed,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'a str>,
}

#[derive(Deserialize, Serialize)]
struct CardChallenge {
    challenge_id: String,
    masked: String,
    bank: String,
    sms_expires_at: String,
    tries_left: u32,
}

pub(crate) async fn add(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiJson(request): ApiJson<NewCard>,
) -> Result<Answer, Problem> {
    form::sealed("sealed_card", &request.sealed_card)?;
    let device = provider.store.device_of_session(&session).await?;
    let scope = format!("{} cards", device.id);
    let fingerprint = fingerprint(&request)?;
    provider
        .answers
        .once(&scope, &key, &fingerprint, || async {
            let relayed = RelayedCard {
                device_id: &device.id,
                sealed_card: &request.sealed_card,
                scheme: request.scheme.as_deref(),
            };
            let answer: CardChallenge = provider
                .network
                .post(
                    "/v1/card-entries",
                    &relayed,
                    &relayed_key(&device.id, &key),
                    &[400, 404, 409, 422],
                )
                .await?;
            provider
                .store
                .add_card_challenge(&answer.challenge_id, &device.id)
                .await?;
            Answer::json(201, &answer)
        })
        .await
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verification {
    code: String,
    provisioning_key: String,
    proof: String,
}

#[derive(Serialize)]
struct RelayedVerification<'a> {
    device_id: &'a str,
    code: &'a str,
    provisioning_key: &'a str,
}

#[derive(Deserialize, Serialize)]
struct Provisioned {
    token_ref: String,
    sealed: Sealed,
}

pub(crate) async fn verify(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiPath(challenge): ApiPath,
    ApiJson(request): ApiJson<Verification>,
) -> Result<Answer, Problem> {
    let provisioning_key = form::public_key("provisioning_key", &request.provisioning_key)?;
    let proof = form::exact::<64>("proof", &request.proof)?;
    form::sms_code("code", &request.code)?;
    let device = provider.store.device_of_session(&session).await?;
    if !provider
        .store
        .is_card_challenge(&challenge, &device.id)
        .await?
    {
        return Err(Problem::new(
            404,
            "challenge_unknown",
            "Unknown card check",
            "No card of this device is being checked under this id. Add the card again.",
        ));
    }
    let parts: [&[u8]; 3] = [
        device.id.as_bytes(),
        challenge.as_bytes(),
        &provisioning_key,
    ];
    vouched(&device, "tapcore-provisioning-v1", &parts, &proof)?;
    let scope = format!("{} verify {challenge}", device.id);
    let fingerprint = fingerprint(&request)?;
    provider
        .answers
        .once(&scope, &key, &fingerprint, || async {
            let relayed = RelayedVerification {
                device_id: &device.id,
                code: &request.code,
                provisioning_key: &request.provisioning_key,
            };
            let answer: Provisioned = provider
                .network
                .post(
                    &format!("/v1/card-entries/{challenge}/verify"),
                    &relayed,
                    &relayed_key(&device.id, &key),
                    &[400, 403, 404, 409, 410, 422, 429],
                )
                .await?;
            if !provider
                .store
                .add_token(&answer.token_ref, &device.id, &challenge)
                .await?
            {
                // Wiped while the network was at it: the token goes again, and the phone does not get it.
                orders::carry_out_now(&provider).await;
                return Err(sessions::wiped());
            }
            provider
                .events
                .tell(Event::new("token_provisioned").with("token_ref", answer.token_ref.as_str()));
            Answer::json(201, &answer)
        })
        .await
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replenishment {
    log: Vec<LogEntry>,
    log_mac: String,
    provisioning_key: String,
    proof: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    verified_keys: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LogEntry {
    atc: u32,
    key_index: String,
    at: String,
    un: String,
    amount_minor: i64,
    currency: String,
}

#[derive(Serialize)]
struct RelayedReplenishment<'a> {
    device_id: &'a str,
    log: &'a [LogEntry],
    log_mac: &'a str,
    provisioning_key: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    verified_keys: bool,
}

#[derive(Deserialize, Serialize)]
struct Replenished {
    sealed: Sealed,
}

pub(crate) async fn replenish(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiPath(token): ApiPath,
    ApiJson(request): ApiJson<Replenishment>,
) -> Result<Answer, Problem> {
    let provisioning_key = form::public_key("provisioning_key", &request.provisioning_key)?;
    let proof = form::exact::<64>("proof", &request.proof)?;
    let log_mac = form::exact::<32>("log_mac", &request.log_mac)?;
    log_form(&request.log)?;
    let device = owner(&provider, &session, &token).await?;
    let parts: [&[u8]; 4] = [
        device.id.as_bytes(),
        token.as_bytes(),
        &provisioning_key,
        &log_mac,
    ];
    vouched(&device, "tapcore-replenish-v1", &parts, &proof)?;
    let scope = format!("{} replenish {token}", device.id);
    let fingerprint = fingerprint(&request)?;
    provider
        .answers
        .once(&scope, &key, &fingerprint, || async {
            let relayed = RelayedReplenishment {
                device_id: &device.id,
                log: &request.log,
                log_mac: &request.log_mac,
                provisioning_key: &request.provisioning_key,
                verified_keys: request.verified_keys,
            };
            let answer: Replenished = provider
                .network
                .post(
                    &format!("/v1/tokens/{token}/replenish"),
                    &relayed,
                    &relayed_key(&device.id, &key),
                    &[400, 404, 409, 410, 422, 429],
                )
                .await?;
            Answer::json(201, &answer)
        })
        .await
}

fn log_form(log: &[LogEntry]) -> Result<(), Problem> {
    if log.len() > 1000 {
        return Err(Problem::invalid("log may have 1000 entries at most."));
    }
    for entry in log {
        form::exact::<4>("log.un", &entry.un)?;
        let digits =
            entry.key_index.len() == 7 && entry.key_index.bytes().all(|byte| byte.is_ascii_digit());
        // A phone that does not know a currency's letters keeps the digits that the reader told it.
        let code = entry.currency.as_bytes();
        let letters = code.len() == 3
            && (code.iter().all(u8::is_ascii_uppercase) || code.iter().all(u8::is_ascii_digit));
        let counter = (1..=65_535).contains(&entry.atc);
        if !digits
            || !letters
            || !counter
            || entry.amount_minor < 0
            || clock::parse(&entry.at).is_none()
        {
            return Err(Problem::invalid(
                "Each log entry needs an atc of 1 to 65535, a key_index of 7 digits, an RFC 3339 time with Z, an amount that is not negative and a currency of three capitals or digits.",
            ));
        }
    }
    Ok(())
}

/// Refuses what the device's key did not sign.
pub(crate) fn vouched(
    device: &Device,
    label: &str,
    parts: &[&[u8]],
    proof: &[u8],
) -> Result<(), Problem> {
    if keys::verify(&device.key, &bind(label, parts), proof) {
        Ok(())
    } else {
        Err(device::proof_invalid())
    }
}

/// What makes two requests the same: their content, however their JSON was spaced.
pub(crate) fn fingerprint(request: &impl Serialize) -> Result<Bytes, Problem> {
    serde_json::to_vec(request)
        .map(Bytes::from)
        .map_err(|_| Problem::internal())
}
