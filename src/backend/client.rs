//! The client: sessions, signatures, tries.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand_core::{OsRng, RngCore};
use reqwest::{Method, Url, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::protocol::{SessionAnswer, SessionRequest};
use super::signature::{Covered, Parameters, content_digest, signature_base, signature_header};
use super::{BackendError, Refusal, pins};
use crate::bind::bind;
use crate::vault::{SessionKey, VaultError};

/// Tries of one request, the first included.
const TRIES: u32 = 3;
/// Wait before the second try; it doubles, and up to half of it is added at random.
const BACK_OFF: Duration = Duration::from_millis(200);
/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 1 << 20;
/// How long a session is asked for, in milliseconds.
const SESSION_MS: i64 = 3_600_000;

/// Whom the phone talks to.
#[derive(Clone, Debug)]
pub struct Trust<'a> {
    /// `https://host:port`.
    pub provider_url: &'a str,
    /// The only CA that is trusted, PEM.
    pub ca_pem: &'a str,
    /// SHA-256 of the leaf keys, in hexadecimal; none before enrolment.
    pub pins: &'a [String],
}

/// Who the phone is.
pub struct Identity {
    /// The device's identifier.
    pub device_id: String,
    /// Version of the app.
    pub app_version: String,
    /// Signs with the device key. Runs on a thread that may block.
    pub sign: Arc<DeviceSigner>,
}

/// Signs with the device key: ECDSA P-256 with SHA-256, r ‖ s.
pub type DeviceSigner = dyn Fn(&[u8]) -> Result<Vec<u8>, VaultError> + Send + Sync;

/// The provider's client.
pub struct Backend {
    http: reqwest::Client,
    base: Url,
    authority: String,
    identity: Option<Identity>,
    session: Mutex<Option<Arc<Session>>>,
    now_ms: Box<dyn Fn() -> i64 + Send + Sync>,
    /// The provider's clock less the phone's, from the last session.
    offset_ms: AtomicI64,
}

struct Session {
    id: String,
    key: SessionKey,
    ends_ms: i64,
}

impl Backend {
    /// A client; without an identity it can only enrol. `now_ms` is the phone's clock in milliseconds of Unix time.
    ///
    /// # Errors
    /// [`BackendError::Configuration`] when the address or the CA cannot be used.
    pub fn new(
        trust: &Trust<'_>,
        identity: Option<Identity>,
        now_ms: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Result<Self, BackendError> {
        let address =
            BackendError::Configuration("the provider's address must look like https://host:port");
        let Some(base) = Url::parse(trust.provider_url)
            .ok()
            .filter(|url| url.scheme() == "https" && url.path() == "/" && url.query().is_none())
        else {
            return Err(address);
        };
        let Some(host) = base.host_str() else {
            return Err(address);
        };
        let authority = match base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let pins: Option<Vec<[u8; 32]>> = trust
            .pins
            .iter()
            .map(|pin| hex::FromHex::from_hex(pin).ok())
            .collect();
        let pins = pins.ok_or(BackendError::Malformed)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(pins::client_config(trust.ca_pem, &pins)?)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(15))
            .build()
            .map_err(|_| BackendError::Configuration("this build cannot make TLS connections"))?;
        Ok(Self {
            http,
            base,
            authority,
            identity,
            session: Mutex::new(None),
            now_ms: Box::new(now_ms),
            offset_ms: AtomicI64::new(0),
        })
    }

    /// Opens a session: the provider answers by a pinned key and knows this device.
    ///
    /// # Errors
    /// [`BackendError`]; a passing failure was tried again.
    pub async fn check(&self) -> Result<(), BackendError> {
        self.with_tries(|| async { self.session().await.map(drop) })
            .await
    }

    /// Sends a request that needs no session: enrolment.
    ///
    /// # Errors
    /// [`BackendError`]; a passing failure was tried again.
    pub async fn post_unsigned<B: Serialize, R: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
        idempotency_key: &str,
    ) -> Result<R, BackendError> {
        let request = Request::post(path, body, idempotency_key)?;
        parse(&self.with_tries(|| self.send(&request, None)).await?)
    }

    /// Sends a signed request that creates or moves something. The provider answers the same key with the same answer.
    ///
    /// # Errors
    /// [`BackendError`]; a passing failure was tried again.
    pub async fn post<B: Serialize, R: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
        idempotency_key: &str,
    ) -> Result<R, BackendError> {
        let request = Request::post(path, body, idempotency_key)?;
        parse(&self.signed(&request).await?)
    }

    /// Sends a signed query; `path` may carry a query string.
    ///
    /// # Errors
    /// [`BackendError`]; a passing failure was tried again.
    pub async fn get<R: DeserializeOwned>(&self, path: &str) -> Result<R, BackendError> {
        let request = Request {
            method: Method::GET,
            path,
            body: Vec::new(),
            idempotency_key: None,
        };
        parse(&self.signed(&request).await?)
    }

    /// The answer's body. Not generic over what is in it, so that all requests share this code.
    async fn signed(&self, request: &Request<'_>) -> Result<Vec<u8>, BackendError> {
        let attempt = || async {
            let session = self.session().await?;
            match self.send(request, Some(&session)).await {
                // The provider may have forgotten the session, or the phone's clock jumped: once more with a fresh one.
                Err(error) if error.wants_new_session() => {
                    self.drop_session(&session).await;
                    let session = self.session().await?;
                    self.send(request, Some(&session)).await
                }
                answer => answer,
            }
        };
        self.with_tries(attempt).await
    }

    async fn with_tries<R, F: Future<Output = Result<R, BackendError>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<R, BackendError> {
        let mut wait = BACK_OFF;
        for _ in 1..TRIES {
            match attempt().await {
                Err(error) if error.is_passing() => {
                    tracing::warn!(%error, "trying again");
                    let jitter =
                        wait.mul_f64(f64::from(OsRng.next_u32()) / f64::from(u32::MAX) / 2.0);
                    tokio::time::sleep(wait + jitter).await;
                    wait *= 2;
                }
                answer => return answer,
            }
        }
        attempt().await
    }

    async fn session(&self) -> Result<Arc<Session>, BackendError> {
        let mut held = self.session.lock().await;
        let now = self.provider_ms();
        // A minute before its end it is as good as over: a request under way must not outlive it.
        if let Some(session) = held
            .as_ref()
            .filter(|session| session.ends_ms > now + 60_000)
        {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(self.open_session().await?);
        *held = Some(Arc::clone(&session));
        Ok(session)
    }

    async fn drop_session(&self, stale: &Arc<Session>) {
        let mut held = self.session.lock().await;
        if held
            .as_ref()
            .is_some_and(|session| Arc::ptr_eq(session, stale))
        {
            *held = None;
        }
    }

    async fn open_session(&self) -> Result<Session, BackendError> {
        let identity = self.identity.as_ref().ok_or(BackendError::Malformed)?;
        let key = SessionKey::generate()?;
        for _ in 0..2 {
            let offset_ms = self.offset_ms.load(Ordering::Relaxed);
            let expires_at = rfc3339(self.provider_ms().saturating_add(SESSION_MS));
            let message = bind(
                "tapcore-session-v1",
                &[
                    identity.device_id.as_bytes(),
                    key.public(),
                    expires_at.as_bytes(),
                ],
            );
            let sign = Arc::clone(&identity.sign);
            let proof = tokio::task::spawn_blocking(move || sign(&message))
                .await
                .map_err(|_| BackendError::Malformed)??;
            let request = SessionRequest {
                device_id: identity.device_id.clone(),
                session_key: hex::encode_upper(key.public()),
                expires_at,
                app_version: identity.app_version.clone(),
                proof: hex::encode_upper(proof),
            };
            let request = Request::post("/v1/sessions", &request, &fresh_key())?;
            let sent_ms = (self.now_ms)();
            match self.send(&request, None).await {
                Ok(body) => {
                    let answer: SessionAnswer = parse(&body)?;
                    let server_ms =
                        parse_rfc3339_ms(&answer.server_time).ok_or(BackendError::Malformed)?;
                    self.offset_ms
                        .store(server_ms.saturating_sub(sent_ms), Ordering::Relaxed);
                    let ends_ms =
                        parse_rfc3339_ms(&answer.expires_at).ok_or(BackendError::Malformed)?;
                    tracing::info!("session opened");
                    return Ok(Session {
                        id: answer.session_id,
                        key,
                        ends_ms,
                    });
                }
                // The refusal told the provider's clock, and the phone's was wrong: once more by the right one.
                Err(BackendError::Refused(_))
                    if offset_ms != self.offset_ms.load(Ordering::Relaxed) => {}
                Err(error) => return Err(error),
            }
        }
        Err(BackendError::Malformed)
    }

    fn provider_ms(&self) -> i64 {
        (self.now_ms)().saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    async fn send(
        &self,
        request: &Request<'_>,
        session: Option<&Session>,
    ) -> Result<Vec<u8>, BackendError> {
        let url = self
            .base
            .join(request.path)
            .map_err(|_| BackendError::Malformed)?;
        let digest = content_digest(&request.body);
        let mut builder = self
            .http
            .request(request.method.clone(), url.clone())
            .header(header::ACCEPT, "application/json")
            .header("content-digest", &digest);
        if request.method == Method::POST {
            builder = builder.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(key) = &request.idempotency_key {
            builder = builder.header("idempotency-key", key);
        }
        if let Some(session) = session {
            let query = url.query().map(|query| format!("?{query}"));
            let covered = Covered {
                method: request.method.as_str(),
                authority: &self.authority,
                path: url.path(),
                query: query.as_deref().unwrap_or("?"),
                content_digest: &digest,
                idempotency_key: request.idempotency_key.as_deref(),
            };
            let (base, input) = signature_base(
                &covered,
                &Parameters {
                    created: self.provider_ms().div_euclid(1000),
                    nonce: &fresh_key(),
                    key_id: &session.id,
                },
            );
            let signature = session.key.sign(base.as_bytes())?;
            builder = builder
                .header("signature-input", input)
                .header("signature", signature_header(&signature));
        }
        let mut response = builder.body(request.body.clone()).send().await?;
        self.note_time(response.headers());
        let status = response.status();
        let route = route(request.path);
        tracing::debug!(method = %request.method, %route, status = status.as_u16(), "answered");
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(BackendError::Malformed);
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(body);
        }
        Err(BackendError::Refused(
            serde_json::from_slice(&body).unwrap_or(Refusal {
                status: status.as_u16(),
                code: "http_error".into(),
                detail: String::new(),
                tries_left: None,
                minimum_version: None,
            }),
        ))
    }

    /// Takes the provider's clock from its answer's `Date`, good to a second, until a session tells it better.
    fn note_time(&self, headers: &header::HeaderMap) {
        let date = headers
            .get(header::DATE)
            .and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let Some(server_ms) = date.and_then(unix_ms) else {
            return;
        };
        let offset = server_ms.saturating_sub((self.now_ms)());
        if offset.abs_diff(self.offset_ms.load(Ordering::Relaxed)) > 2_000 {
            self.offset_ms.store(offset, Ordering::Relaxed);
        }
    }
}

struct Request<'a> {
    method: Method,
    path: &'a str,
    body: Vec<u8>,
    idempotency_key: Option<String>,
}

impl<'a> Request<'a> {
    fn post(
        path: &'a str,
        body: &impl Serialize,
        idempotency_key: &str,
    ) -> Result<Self, BackendError> {
        Ok(Self {
            method: Method::POST,
            path,
            body: serde_json::to_vec(body).map_err(|_| BackendError::Malformed)?,
            idempotency_key: Some(idempotency_key.to_owned()),
        })
    }
}

fn parse<R: DeserializeOwned>(body: &[u8]) -> Result<R, BackendError> {
    serde_json::from_slice(body).map_err(|_| BackendError::Malformed)
}

/// A path for the log: without its query, and without what only this phone and its provider should know, as the digits of a
/// payment code are.
fn route(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let shown = path.split('/').map(|part| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if digits { "…" } else { part }
    });
    shown.collect::<Vec<_>>().join("/")
}

/// Sixteen random bytes in hexadecimal: a nonce or an idempotency key.
pub(crate) fn fresh_key() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    hex::encode_upper(bytes)
}

/// An instant, in milliseconds of Unix time, as RFC 3339 with whole seconds.
pub fn rfc3339(ms: i64) -> String {
    let seconds = u64::try_from(ms.div_euclid(1000)).unwrap_or(0);
    // Year 9999 is where the format ends.
    let instant = UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799));
    humantime::format_rfc3339_seconds(instant).to_string()
}

/// Milliseconds of Unix time of an RFC 3339 instant in UTC.
pub fn parse_rfc3339_ms(text: &str) -> Option<i64> {
    humantime::parse_rfc3339(text).ok().and_then(unix_ms)
}

fn unix_ms(instant: SystemTime) -> Option<i64> {
    let since = instant.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s18_a_logged_path_has_no_digits_of_a_code() {
        let path = "/v1/codes/aliases/7394850263?seen=live&wait_s=10";
        assert_eq!(route(path), "/v1/codes/aliases/…");
        assert_eq!(
            route("/v1/tokens/tok_1/replenish"),
            "/v1/tokens/tok_1/replenish"
        );
    }
}
