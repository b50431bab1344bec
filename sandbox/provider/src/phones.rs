//! A user's phones: what a phone sees of itself and its siblings, codes that link another one, wiping one that is lost.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use rand_core::{OsRng, RngCore};
use sandbox_kit::event::Event;
use sandbox_kit::idempotency::{Answer, IdempotencyKey};
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{ApiJson, ApiPath, clock};
use serde::{Deserialize, Serialize};

use crate::cards::fingerprint;
use crate::policy::Policy;
use crate::store::LinkKind;
use crate::{Shared, orders, password, sessions};

const LINK_CODE_LIFE: Duration = Duration::from_secs(10 * 60);
/// RFC 4648 base 32: nothing that is mistaken for another when read aloud, and five bits a character.
const LINK_CODE_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LINK_CODE_LENGTH: usize = 16;

#[derive(Serialize)]
pub(crate) struct Standing {
    device_id: String,
    user_id: String,
    server_time: String,
    policy: Policy,
    tokens: Vec<Token>,
    phones: Vec<Phone>,
    password: password::State,
}

#[derive(Serialize)]
struct Token {
    token_ref: String,
    state: String,
}

#[derive(Serialize)]
struct Phone {
    device_id: String,
    enrolled_at: String,
    key_store: String,
    attested: bool,
    this: bool,
    state: String,
}

pub(crate) async fn standing(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
) -> Result<Json<Standing>, Problem> {
    let device = provider.store.device_of_session(&session).await?;
    let tokens = provider.store.tokens(&device.id).await?;
    let phones = provider.store.phones(&device.user).await?;
    let password = provider.passwords.records.state(&device.user).await?;
    Ok(Json(Standing {
        server_time: clock::now_text(),
        policy: provider.policy().await?,
        tokens: tokens
            .into_iter()
            .map(|(token_ref, state)| Token { token_ref, state })
            .collect(),
        phones: phones
            .into_iter()
            .map(|phone| Phone {
                this: phone.device_id == device.id,
                device_id: phone.device_id,
                enrolled_at: phone.enrolled_at,
                key_store: phone.key_store,
                attested: phone.attested,
                state: phone.state,
            })
            .collect(),
        password,
        device_id: device.id,
        user_id: device.user,
    }))
}

/// An empty object. An empty list, which serde takes for a struct without members, is none.
#[derive(Deserialize, Serialize)]
#[serde(try_from = "serde_json::Map<String, serde_json::Value>")]
pub(crate) struct Nothing {}

impl TryFrom<serde_json::Map<String, serde_json::Value>> for Nothing {
    type Error = &'static str;

    fn try_from(members: serde_json::Map<String, serde_json::Value>) -> Result<Self, Self::Error> {
        match members.is_empty() {
            true => Ok(Self {}),
            false => Err("an empty object is wanted"),
        }
    }
}

#[derive(Serialize)]
struct Wiped<'a> {
    device_id: &'a str,
    state: &'static str,
}

pub(crate) async fn wipe(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiPath(lost): ApiPath,
    ApiJson(request): ApiJson<Nothing>,
) -> Result<Answer, Problem> {
    let device = provider.store.device_of_session(&session).await?;
    let scope = format!("{} wipe {lost}", device.id);
    let fingerprint = fingerprint(&request)?;
    provider
        .answers
        .once(&scope, &key, &fingerprint, || async {
            if !provider.store.wipe_phone(&lost, &device.user).await? {
                return Err(Problem::new(
                    404,
                    "phone_unknown",
                    "Unknown phone",
                    "This user has no such phone. Fetch the list of phones again.",
                ));
            }
            wiped(&provider, &lost).await;
            Answer::json(
                200,
                &Wiped {
                    device_id: &lost,
                    state: "wiped",
                },
            )
        })
        .await
}

/// What follows once a phone is marked as wiped.
pub(crate) async fn wiped(provider: &Shared, device_id: &str) {
    provider
        .events
        .tell(Event::new("device_wiped").with("device_id", device_id));
    orders::carry_out_now(provider).await;
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkRequest {
    kind: LinkKind,
}

#[derive(Serialize)]
struct LinkCode {
    code: String,
    expires_at: String,
}

pub(crate) async fn link_code(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiJson(request): ApiJson<LinkRequest>,
) -> Result<Answer, Problem> {
    let device = provider.store.device_of_session(&session).await?;
    let scope = format!("{} link-codes", device.id);
    let fingerprint = fingerprint(&request)?;
    provider
        .answers
        .once(&scope, &key, &fingerprint, || async {
            let code = new_link_code();
            let life = i64::try_from(LINK_CODE_LIFE.as_secs()).unwrap_or(0);
            let expires_at = clock::unix_now().saturating_add(life);
            if !provider
                .store
                .add_link_code(&code, request.kind, &device.id, expires_at)
                .await?
            {
                return Err(sessions::wiped());
            }
            Answer::json(
                201,
                &LinkCode {
                    code,
                    expires_at: clock::unix_text(expires_at),
                },
            )
        })
        .await
}

fn new_link_code() -> String {
    let mut random = [0; LINK_CODE_LENGTH];
    OsRng.fill_bytes(&mut random);
    let letter = |byte: u8| {
        // 256 is a multiple of 32: every character is as likely as every other.
        let letter = LINK_CODE_ALPHABET.get(usize::from(byte % 32));
        char::from(letter.copied().unwrap_or(b'A'))
    };
    random.into_iter().map(letter).collect()
}

/// Whether `text` has the form of a link code.
pub(crate) fn is_link_code(text: &str) -> bool {
    text.len() == LINK_CODE_LENGTH && text.bytes().all(|byte| LINK_CODE_ALPHABET.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_codes_have_their_form_and_differ() {
        let (one, other) = (new_link_code(), new_link_code());
        assert!(is_link_code(&one) && is_link_code(&other));
        assert_ne!(one, other);
        for bad in [
            "",
            "ABCDEFGHIJKLMNO",
            "ABCDEFGHIJKLMNO1",
            "abcdefghijklmnop",
        ] {
            assert!(!is_link_code(bad), "{bad}");
        }
    }
}
