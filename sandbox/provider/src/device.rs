//! Enrolment: a device proves that it holds a key, and gets a name and what it must know of the others.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use sandbox_kit::bind::bind;
use sandbox_kit::event::Event;
use sandbox_kit::problem::Problem;
use sandbox_kit::{ApiJson, bytes, clock, keys};
use serde::{Deserialize, Serialize};

use crate::{Policy, Shared, form};

const CHALLENGE_LIFE: Duration = Duration::from_secs(5 * 60);

/// What every enrolled device is told alike.
#[derive(Clone, Serialize)]
pub(crate) struct Greeting {
    pins: [String; 2],
    network: NetworkKeys,
    policy: Policy,
}

#[derive(Clone, Serialize)]
struct NetworkKeys {
    signing_key: String,
    hpke_key: String,
}

impl Greeting {
    pub(crate) fn new(
        pins: [String; 2],
        signing_key: &[u8],
        hpke_key: &[u8],
        policy: Policy,
    ) -> Self {
        let network = NetworkKeys {
            signing_key: bytes::to_hex(signing_key),
            hpke_key: bytes::to_hex(hpke_key),
        };
        Self {
            pins,
            network,
            policy,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Challenge {
    challenge: String,
    expires_at: String,
}

pub(crate) async fn challenge(
    State(provider): State<Shared>,
) -> Result<(StatusCode, Json<Challenge>), Problem> {
    let challenge = bytes::to_hex(&bytes::random::<32>());
    let life = i64::try_from(CHALLENGE_LIFE.as_secs()).unwrap_or(0);
    provider
        .store
        .add_challenge(&challenge, clock::unix_now().saturating_add(life))
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(Challenge {
            challenge,
            expires_at: clock::text_in(CHALLENGE_LIFE),
        }),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enrolment {
    challenge: String,
    device_key: String,
    key_store: KeyStore,
    app_version: String,
    proof: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeyStore {
    Software,
    Tee,
    Strongbox,
    SecureEnclave,
}

impl KeyStore {
    fn name(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Tee => "tee",
            Self::Strongbox => "strongbox",
            Self::SecureEnclave => "secure_enclave",
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Enrolled {
    device_id: String,
    server_time: String,
    #[serde(flatten)]
    greeting: Greeting,
}

pub(crate) async fn enrol(
    State(provider): State<Shared>,
    ApiJson(request): ApiJson<Enrolment>,
) -> Result<(StatusCode, Json<Enrolled>), Problem> {
    let challenge = form::exact::<32>("challenge", &request.challenge)?;
    let device_key = form::public_key("device_key", &request.device_key)?;
    let proof = form::exact::<64>("proof", &request.proof)?;
    app_version(&request.app_version)?;
    // Taken before the proof is looked at: a challenge is good for one try, not for one success.
    if !provider
        .store
        .take_challenge(&bytes::to_hex(&challenge), clock::unix_now())
        .await?
    {
        return Err(Problem::new(
            403,
            "challenge_invalid",
            "Challenge not valid",
            "The challenge is unknown, used or older than five minutes. Ask for a new one and enrol again.",
        ));
    }
    let key_store = request.key_store.name();
    let bound = bind(
        "tapcore-enrol-v1",
        &[&challenge, &device_key, key_store.as_bytes()],
    );
    if !keys::verify(&device_key, &bound, &proof) {
        return Err(proof_invalid());
    }
    let device_id = bytes::random_id("dev");
    provider
        .store
        .add_device(&device_id, &device_key, key_store, &request.app_version)
        .await?;
    provider
        .events
        .tell(Event::new("device_enrolled").with("device_id", device_id.as_str()));
    let enrolled = Enrolled {
        device_id,
        server_time: clock::now_text(),
        greeting: provider.greeting.clone(),
    };
    Ok((StatusCode::CREATED, Json(enrolled)))
}

pub(crate) fn proof_invalid() -> Problem {
    Problem::new(
        403,
        "proof_invalid",
        "Proof not valid",
        "The proof is not the device key's signature over what it must cover.",
    )
}

fn app_version(text: &str) -> Result<(), Problem> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-');
    if (1..=32).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(());
    }
    Err(Problem::invalid(
        "app_version must be 1 to 32 letters, digits, dots, plus or minus signs.",
    ))
}
