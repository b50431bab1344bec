//! Sessions: a device key vouches for a short-lived key that signs requests, so that the hardware key works rarely.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use sandbox_kit::bind::bind;
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::{KeyDirectory, KeyFuture};
use sandbox_kit::{ApiJson, bytes, clock, keys};
use serde::{Deserialize, Serialize};

use crate::store::{Known, NewSession, Store};
use crate::version::Version;
use crate::{Shared, device, form};

/// An hour, and five minutes for a phone whose clock is ahead.
const LONGEST_SECONDS: i64 = 65 * 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Opening {
    device_id: String,
    session_key: String,
    expires_at: String,
    app_version: String,
    proof: String,
}

#[derive(Serialize)]
pub(crate) struct Session {
    session_id: String,
    expires_at: String,
    server_time: String,
}

pub(crate) async fn open(
    State(provider): State<Shared>,
    ApiJson(request): ApiJson<Opening>,
) -> Result<(StatusCode, Json<Session>), Problem> {
    let session_key = form::public_key("session_key", &request.session_key)?;
    let proof = form::exact::<64>("proof", &request.proof)?;
    if !form::is_id("dev_", &request.device_id) {
        return Err(Problem::invalid(
            "device_id must be as the enrolment answered it.",
        ));
    }
    let expires_at = clock::parse(&request.expires_at)
        .ok_or_else(|| Problem::invalid("expires_at must be an RFC 3339 time in UTC, with Z."))?
        .unix_timestamp();
    device::app_version(&request.app_version)?;
    let (device_key, active) = match provider.store.device(&request.device_id).await? {
        Some(Known::Active(key)) => (key, true),
        Some(Known::Wiped(key)) => (key, false),
        // Its key is forgotten with everything else, so there is nothing to check a proof by.
        Some(Known::Gone) => return Err(wiped()),
        None => {
            return Err(Problem::new(
                404,
                "device_unknown",
                "Unknown device",
                "This device is not enrolled here. Enrol it first.",
            ));
        }
    };
    let bound = bind(
        "tapcore-session-v1",
        &[
            request.device_id.as_bytes(),
            &session_key,
            request.expires_at.as_bytes(),
        ],
    );
    if !keys::verify(&device_key, &bound, &proof) {
        return Err(device::proof_invalid());
    }
    if !active {
        return Err(wiped());
    }
    let minimum = provider.policy().await?.minimum_app_version;
    if Version::of(&request.app_version) < Version::of(&minimum) {
        return Err(Problem::new(
            426,
            "version_too_old",
            "App too old",
            "This version of the app is not served any more. Update the app.",
        )
        .with("minimum_version", minimum));
    }
    let now = clock::unix_now();
    if expires_at <= now || expires_at > now.saturating_add(LONGEST_SECONDS) {
        return Err(Problem::new(
            422,
            "session_expiry_invalid",
            "Session too long or over",
            "expires_at must lie ahead, by one hour at most. Set the clock by server_time and try again.",
        )
        .with("server_time", clock::now_text()));
    }
    let session_id = bytes::random_id("ses");
    let new = NewSession {
        id: &session_id,
        device: &request.device_id,
        key: &session_key,
        expires_at,
        app_version: &request.app_version,
    };
    if !provider.store.add_session(&new, now).await? {
        return Err(wiped());
    }
    let session = Session {
        session_id,
        expires_at: request.expires_at,
        server_time: clock::now_text(),
    };
    Ok((StatusCode::CREATED, Json(session)))
}

/// The session keys, as the verifier of signatures looks them up.
pub(crate) struct Sessions(pub(crate) Store);

impl KeyDirectory for Sessions {
    fn public_key<'a>(&'a self, key_id: &'a str) -> KeyFuture<'a> {
        Box::pin(async move {
            let Some((key, expires_at)) = self.0.session(key_id).await? else {
                return Err(unknown());
            };
            if expires_at <= clock::unix_now() {
                return Err(Problem::new(
                    401,
                    "session_expired",
                    "Session over",
                    "This session is over. Open a new one and send the request again.",
                ));
            }
            Ok(key)
        })
    }
}

pub(crate) fn unknown() -> Problem {
    Problem::new(
        401,
        "session_unknown",
        "Unknown session",
        "There is no such session. Open a new one and send the request again.",
    )
}

/// The device was wiped, replaced by another or erased. The phone that hears this wipes itself.
pub(crate) fn wiped() -> Problem {
    Problem::new(
        410,
        "device_wiped",
        "Device wiped",
        "This device was wiped by its user or the support desk. Wipe the wallet on it, then enrol it anew if it is in the right hands.",
    )
}
