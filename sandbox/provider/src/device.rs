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

use crate::attestation::{Claim, LONGEST_CERTIFICATE, MOST_CERTIFICATES};
use crate::policy::Policy;
use crate::store::{Joining, NewDevice};
use crate::{Shared, form, phones};

const CHALLENGE_LIFE: Duration = Duration::from_secs(5 * 60);

/// What every enrolled device is told alike.
#[derive(Clone, Serialize)]
pub(crate) struct Greeting {
    pins: [String; 2],
    network: NetworkKeys,
}

#[derive(Clone, Serialize)]
struct NetworkKeys {
    signing_key: String,
    hpke_key: String,
}

impl Greeting {
    pub(crate) fn new(pins: [String; 2], signing_key: &[u8], hpke_key: &[u8]) -> Self {
        let network = NetworkKeys {
            signing_key: bytes::to_hex(signing_key),
            hpke_key: bytes::to_hex(hpke_key),
        };
        Self { pins, network }
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
    /// Certificates of the device key, leaf first.
    attestation: Vec<String>,
    link_code: Option<String>,
    proof: String,
}

/// Where a device says that its key lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyStore {
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
    user_id: String,
    server_time: String,
    policy: Policy,
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
    let chain = certificates(&request.attestation)?;
    let link_code = request.link_code.as_deref();
    if !link_code.is_none_or(phones::is_link_code) {
        return Err(Problem::invalid(
            "link_code must be 16 characters of A to Z and 2 to 7.",
        ));
    }
    // Taken before the proof is looked at: a challenge is good for one try, not for one success.
    let now = clock::unix_now();
    if !provider
        .store
        .take_challenge(&bytes::to_hex(&challenge), now)
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
        &[
            &challenge,
            &device_key,
            key_store.as_bytes(),
            &chain_hash(&chain),
            link_code.unwrap_or_default().as_bytes(),
        ],
    );
    if !keys::verify(&device_key, &bound, &proof) {
        return Err(proof_invalid());
    }
    let claim = Claim {
        device_key: &device_key,
        challenge: &challenge,
        key_store: request.key_store,
    };
    let attested = provider.roots.judge(&chain, &claim, now)?;
    let device_id = bytes::random_id("dev");
    let device = NewDevice {
        id: &device_id,
        key: &device_key,
        key_store,
        attested,
        app_version: &request.app_version,
    };
    let Some(joining) = provider.store.enrol(&device, link_code).await? else {
        return Err(Problem::new(
            403,
            "link_code_invalid",
            "Link code not valid",
            "The code is unknown, used or older than ten minutes. Make a new one on the other phone.",
        ));
    };
    provider
        .events
        .tell(Event::new("device_enrolled").with("device_id", device_id.as_str()));
    let user_id = match joining {
        Joining::First(user) | Joining::Linked(user) => user,
        Joining::Moved(user, old) => {
            phones::wiped(&provider, &old).await;
            user
        }
    };
    let enrolled = Enrolled {
        device_id,
        user_id,
        server_time: clock::now_text(),
        policy: provider.policy().await?,
        greeting: provider.greeting.clone(),
    };
    Ok((StatusCode::CREATED, Json(enrolled)))
}

/// The certificates of an attestation as bytes; what they say is judged later.
fn certificates(attestation: &[String]) -> Result<Vec<Vec<u8>>, Problem> {
    if attestation.len() > MOST_CERTIFICATES {
        return Err(Problem::invalid(format!(
            "attestation may have {MOST_CERTIFICATES} certificates at most."
        )));
    }
    let certificate = |text: &String| {
        let der = bytes::from_hex(text);
        der.filter(|der| (1..=LONGEST_CERTIFICATE).contains(&der.len()))
            .ok_or_else(|| {
                Problem::invalid(format!(
                    "attestation must be hex of 1 to {LONGEST_CERTIFICATE} bytes each."
                ))
            })
    };
    attestation.iter().map(certificate).collect()
}

/// SHA-256 over the certificates, each with its length before it.
fn chain_hash(chain: &[Vec<u8>]) -> [u8; 32] {
    let mut all = Vec::new();
    for certificate in chain {
        // Checked to be short.
        let length = u32::try_from(certificate.len()).unwrap_or(u32::MAX);
        all.extend_from_slice(&length.to_be_bytes());
        all.extend_from_slice(certificate);
    }
    bytes::sha256(&all)
}

pub(crate) fn proof_invalid() -> Problem {
    Problem::new(
        403,
        "proof_invalid",
        "Proof not valid",
        "The proof is not the device key's signature over what it must cover.",
    )
}

pub(crate) fn app_version(text: &str) -> Result<(), Problem> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-');
    if (1..=32).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(());
    }
    Err(Problem::invalid(
        "app_version must be 1 to 32 letters, digits, dots, plus or minus signs.",
    ))
}
