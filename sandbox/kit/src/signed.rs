//! Signed requests: HTTP message signatures (RFC 9421) in the one form that Tapcore uses, made and verified.
//!
//! Covered, in this order: `@method`, `@authority`, `@path`, `@query`, `content-digest`, and `idempotency-key` when the
//! request has one; label `sig1`; parameters `created`, `nonce`, `keyid`, `alg`. A party guards its routes with
//! [`require`] and reads who signed from [`SignedBy`]:
//!
//! ```text
//! let routes = signed::require(Router::new().route("/v1/things", post(make_thing)), Verifier::new(db, keys));
//! async fn make_thing(SignedBy(key_id): SignedBy, ApiJson(thing): ApiJson<Thing>) …
//! ```

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httpsig::prelude::message_component::{HttpMessageComponent, HttpMessageComponentId};
use httpsig::prelude::{
    AlgorithmName, HttpSignatureBase, HttpSignatureHeaders, HttpSignatureParams, PublicKey,
    SecretKey, SigningKey as _, VerifyingKey as _,
};

use crate::body::too_large;
use crate::db::Db;
use crate::keys::PartyKey;
use crate::problem::Problem;
use crate::{bytes, clock, idempotency};

/// How far `created` may lie from the server's clock, in seconds, and how long a nonce is remembered after it.
pub const WINDOW_SECONDS: i64 = 300;
/// The longest body that is read before its signature is known to be right, in bytes.
pub const MAX_BODY: usize = 256 * 1024;

const LABEL: &str = "sig1";
const ALGORITHM: &str = "ecdsa-p256-sha256";

/// What a signature covers of a request.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Host and port as in the `Host` header.
    pub authority: &'a str,
    /// Path, percent-encoded as sent.
    pub path: &'a str,
    /// Query without its question mark, `None` when there is none.
    pub query: Option<&'a str>,
    /// The `Idempotency-Key` header, when sent.
    pub idempotency: Option<&'a str>,
}

/// The three headers that make a request a signed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureHeaders {
    /// `Content-Digest`
    pub content_digest: String,
    /// `Signature-Input`
    pub signature_input: String,
    /// `Signature`
    pub signature: String,
}

/// Signs a request now, with a fresh nonce.
pub fn sign(
    key: &PartyKey,
    key_id: &str,
    target: &Target<'_>,
    body: &[u8],
) -> anyhow::Result<SignatureHeaders> {
    let nonce = bytes::to_hex(&bytes::random::<16>());
    sign_at(key, key_id, target, body, clock::unix_now(), &nonce)
}

/// Signs a request as of `created` (seconds since 1970) with this nonce.
pub fn sign_at(
    key: &PartyKey,
    key_id: &str,
    target: &Target<'_>,
    body: &[u8],
    created: i64,
    nonce: &str,
) -> anyhow::Result<SignatureHeaders> {
    let content_digest = content_digest(body);
    let covered = covered(target.idempotency.is_some());
    let list = covered
        .iter()
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(" ");
    let parameters = format!(
        "({list});created={created};nonce=\"{nonce}\";keyid=\"{key_id}\";alg=\"{ALGORITHM}\""
    );
    let parsed = HttpSignatureParams::try_from(parameters.as_str())?;
    let base = signature_base(target, &content_digest, &parsed, &parameters)?;
    let secret = SecretKey::from_bytes(&AlgorithmName::EcdsaP256Sha256, &key.scalar())?;
    let signature = STANDARD.encode(secret.sign(&base)?);
    Ok(SignatureHeaders {
        content_digest,
        signature_input: format!("{LABEL}={parameters}"),
        signature: format!("{LABEL}=:{signature}:"),
    })
}

/// `sha-256=:…:` over a body, the empty one included.
#[must_use]
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(bytes::sha256(body)))
}

/// A future with a lifetime, as [`KeyDirectory`] answers.
pub type KeyFuture<'a> = Pin<Box<dyn Future<Output = Result<[u8; 65], Problem>> + Send + 'a>>;

/// Where a party finds the public key of a key id. Unknown and expired ids are its own 401 problems.
pub trait KeyDirectory: Send + Sync + 'static {
    /// The public key, SEC1 uncompressed.
    fn public_key<'a>(&'a self, key_id: &'a str) -> KeyFuture<'a>;
}

/// Keys known beforehand, as between parties.
#[derive(Clone, Debug, Default)]
pub struct FixedKeys(pub HashMap<String, [u8; 65]>);

impl FixedKeys {
    /// A directory of one key.
    #[must_use]
    pub fn one(key_id: impl Into<String>, public: [u8; 65]) -> Self {
        Self(HashMap::from([(key_id.into(), public)]))
    }
}

impl KeyDirectory for FixedKeys {
    fn public_key<'a>(&'a self, key_id: &'a str) -> KeyFuture<'a> {
        let found = self.0.get(key_id).copied();
        Box::pin(async move { found.ok_or_else(|| unsigned("The key id is not known here.")) })
    }
}

/// Verifies requests against a directory of keys and a memory of nonces.
#[derive(Clone)]
pub struct Verifier {
    db: Db,
    keys: Arc<dyn KeyDirectory>,
}

/// Who signed the request: its key id. Available behind [`require`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy(pub String);

impl<S: Send + Sync> FromRequestParts<S> for SignedBy {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| unsigned("This request must be signed."))
    }
}

/// Lets only signed requests through to the routes of `router`; wrong methods and unknown paths are answered as such.
/// What was let through is carried to its end even when the caller hangs up meanwhile: a payment must not stop between
/// the bank's decision and its booking.
pub fn require<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    verifier: Verifier,
) -> Router<S> {
    router.route_layer(from_fn_with_state(verifier, check))
}

async fn check(State(verifier): State<Verifier>, request: Request, next: Next) -> Response {
    match verifier.verify(request).await {
        // A task of its own, because the server drops the handler of a connection that was closed.
        Ok(request) => tokio::spawn(next.run(request))
            .await
            .unwrap_or_else(|_| Problem::internal().into_response()),
        Err(problem) => problem.into_response(),
    }
}

impl Verifier {
    /// A verifier that remembers nonces in `db`, so that a restart forgets none.
    pub fn new(db: Db, keys: impl KeyDirectory) -> Self {
        Self {
            db,
            keys: Arc::new(keys),
        }
    }

    /// The same request, body included, with [`SignedBy`] among its extensions; or why it is refused.
    pub async fn verify(&self, request: Request) -> Result<Request, Problem> {
        let (mut parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, MAX_BODY)
            .await
            .map_err(|_| too_large())?;
        let key_id = self
            .signer(&parts.method, &parts.uri, &parts.headers, &body)
            .await?;
        parts.extensions.insert(SignedBy(key_id));
        Ok(Request::from_parts(parts, Body::from(body)))
    }

    async fn signer(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<String, Problem> {
        let input = one_header(headers, "signature-input")?;
        let signature = one_header(headers, "signature")?;
        let digest = one_header(headers, "content-digest")?;
        // RFC 9421 signs the parameters as they were sent; httpsig would write them in an order of its own.
        let raw = input
            .trim()
            .strip_prefix("sig1=")
            .ok_or_else(|| unsigned("The signature's label must be sig1."))?;
        let mut parsed = HttpSignatureHeaders::try_parse(signature, input)
            .map_err(|_| unsigned("Signature and Signature-Input do not parse."))?;
        let parsed = match (parsed.swap_remove(LABEL), parsed.is_empty()) {
            (Some(one), true) => one,
            _ => {
                return Err(unsigned(
                    "There must be exactly one signature, labelled sig1.",
                ));
            }
        };
        let parameters = parsed.signature_params();
        let (Some(created), Some(nonce), Some(key_id)) = (
            parameters.created,
            parameters.nonce.as_deref(),
            parameters.keyid.as_deref(),
        ) else {
            return Err(unsigned(
                "created, nonce and keyid must be among the signature's parameters.",
            ));
        };
        if parameters.alg.as_deref() != Some(ALGORITHM) {
            return Err(unsigned("alg must be ecdsa-p256-sha256."));
        }
        if nonce.len() != 32 || !nonce.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(unsigned("nonce must be 16 bytes in hex."));
        }
        let idempotency = match headers.contains_key(idempotency::HEADER) {
            true => Some(one_header(headers, idempotency::HEADER)?),
            false => None,
        };
        let named = parameters
            .covered_components
            .iter()
            .map(ToString::to_string);
        if !named.eq(covered(idempotency.is_some())
            .iter()
            .map(|name| format!("\"{name}\"")))
        {
            return Err(unsigned(
                "The signature does not cover what it must, in the order it must.",
            ));
        }
        if digest.trim() != content_digest(body) {
            return Err(unsigned("Content-Digest is not that of the body."));
        }
        let authority = match headers.get(header::HOST) {
            Some(host) => host.to_str().unwrap_or_default(),
            None => uri.authority().map_or("", |authority| authority.as_str()),
        };
        let target = Target {
            method: method.as_str(),
            authority,
            path: uri.path(),
            query: uri.query(),
            idempotency,
        };
        let base = signature_base(&target, digest.trim(), parameters, raw)
            .map_err(|_| unsigned("The signature base cannot be built."))?;
        let public = self.keys.public_key(key_id).await?;
        let public = PublicKey::from_bytes(&AlgorithmName::EcdsaP256Sha256, &public)
            .map_err(|_| unsigned("The key is not one for this algorithm."))?;
        let value =
            signature_bytes(signature).ok_or_else(|| unsigned("The signature is not base64."))?;
        public
            .verify(&base, &value)
            .map_err(|_| unsigned("The signature is not that of this key and request."))?;
        // Only now: nobody may use up another's nonces or probe the clock without the key.
        self.fresh(created, nonce, key_id).await?;
        Ok(key_id.to_owned())
    }

    async fn fresh(&self, created: u64, nonce: &str, key_id: &str) -> Result<(), Problem> {
        let now = clock::unix_now();
        let created = i64::try_from(created).unwrap_or(i64::MAX);
        if created.saturating_sub(now).abs() > WINDOW_SECONDS {
            return Err(Problem::new(
                401,
                "signature_stale",
                "Signature out of time",
                "The signature's time lies too far from the server's. Set the clock by server_time and sign again.",
            )
            .with("server_time", clock::now_text()));
        }
        sqlx::query("DELETE FROM kit_nonces WHERE forget_at < $1")
            .bind(now)
            .execute(self.db.pool())
            .await?;
        let added = sqlx::query(
            "INSERT INTO kit_nonces (key_id, nonce, forget_at) VALUES ($1, $2, $3) ON CONFLICT (key_id, nonce) DO NOTHING",
        )
        .bind(key_id)
        .bind(nonce.to_ascii_uppercase())
        .bind(created.saturating_add(WINDOW_SECONDS + 1))
        .execute(self.db.pool())
        .await?;
        if added.rows_affected() == 0 {
            return Err(Problem::new(
                401,
                "nonce_replayed",
                "Request seen before",
                "This nonce was used already. Sign the request again with a fresh one.",
            ));
        }
        Ok(())
    }
}

fn covered(idempotency: bool) -> Vec<&'static str> {
    let mut names = vec!["@method", "@authority", "@path", "@query", "content-digest"];
    if idempotency {
        names.push(idempotency::HEADER);
    }
    names
}

/// The bytes that are signed. httpsig writes the component lines; the last line is `raw`, as it was sent.
fn signature_base(
    target: &Target<'_>,
    digest: &str,
    parameters: &HttpSignatureParams,
    raw: &str,
) -> anyhow::Result<Vec<u8>> {
    let query = format!("?{}", target.query.unwrap_or_default());
    let mut values = vec![target.method, target.authority, target.path, &query, digest];
    values.extend(target.idempotency);
    let mut lines = Vec::with_capacity(values.len());
    for (name, value) in covered(target.idempotency.is_some())
        .into_iter()
        .zip(values)
    {
        let id = HttpMessageComponentId::try_from(name)?;
        lines.push(HttpMessageComponent::try_from((
            &id,
            [value.to_owned()].as_slice(),
        ))?);
    }
    let base = HttpSignatureBase::try_new(&lines, parameters)?.to_string();
    let (components, _) = base.rsplit_once('\n').unwrap_or((&base, ""));
    Ok(format!("{components}\n\"@signature-params\": {raw}").into_bytes())
}

fn signature_bytes(header: &str) -> Option<Vec<u8>> {
    let value = header.trim().strip_prefix("sig1=:")?.strip_suffix(':')?;
    STANDARD.decode(value).ok()
}

fn one_header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Problem> {
    let mut values = headers.get_all(name).iter();
    match (
        values.next().and_then(|value| value.to_str().ok()),
        values.next(),
    ) {
        (Some(value), None) => Ok(value),
        _ => Err(unsigned(&format!(
            "There must be exactly one readable {name} header."
        ))),
    }
}

fn unsigned(detail: &str) -> Problem {
    Problem::new(401, "signature_invalid", "Signature not accepted", detail)
}
