//! A party's HTTP client: HTTPS with the sandbox's own CA as the only root, requests signed, problems as values.

use std::time::Duration;

use reqwest::Url;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keys::PartyKey;
use crate::problem::Problem;
use crate::signed::{self, Target};

/// Talks to other parties. Clones share connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    signer: Option<(PartyKey, String)>,
}

/// Why a call brought no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The other side answered with a problem.
    #[error("{0}")]
    Refused(Problem),
    /// It was not reached, or did not answer in time: whether it acted is not known.
    #[error("not reachable: {0}")]
    Unreachable(String),
    /// It answered something that is not in the contract.
    #[error("unintelligible answer: {0}")]
    Malformed(String),
}

impl CallError {
    /// The code of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => Some(&problem.code),
            _ => None,
        }
    }
}

/// How long a call may take in all, unless [`Client::with_timeout`] says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(20);

impl Client {
    /// A client that signs every request with `key` under `key_id` and trusts only the CA in `ca_pem`.
    pub fn new(ca_pem: &[u8], key: PartyKey, key_id: impl Into<String>) -> anyhow::Result<Self> {
        Ok(Self {
            http: http(ca_pem, TIMEOUT)?,
            signer: Some((key, key_id.into())),
        })
    }

    /// A client that does not sign.
    pub fn unsigned(ca_pem: &[u8]) -> anyhow::Result<Self> {
        Ok(Self {
            http: http(ca_pem, TIMEOUT)?,
            signer: None,
        })
    }

    /// The same with another limit on the time of a whole call.
    pub fn with_timeout(self, ca_pem: &[u8], timeout: Duration) -> anyhow::Result<Self> {
        Ok(Self {
            http: http(ca_pem, timeout)?,
            signer: self.signer,
        })
    }

    /// POSTs `body` as JSON.
    pub async fn post<T, R>(
        &self,
        url: &str,
        body: &T,
        idempotency: Option<&str>,
    ) -> Result<R, CallError>
    where
        T: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let body =
            serde_json::to_vec(body).map_err(|error| CallError::Malformed(error.to_string()))?;
        self.call("POST", url, Some(body), idempotency).await
    }

    /// POSTs without a body.
    pub async fn post_empty<R: DeserializeOwned>(&self, url: &str) -> Result<R, CallError> {
        self.call("POST", url, None, None).await
    }

    /// GETs.
    pub async fn get<R: DeserializeOwned>(&self, url: &str) -> Result<R, CallError> {
        self.call("GET", url, None, None).await
    }

    async fn call<R: DeserializeOwned>(
        &self,
        method: &str,
        url: &str,
        body: Option<Vec<u8>>,
        idempotency: Option<&str>,
    ) -> Result<R, CallError> {
        let answer = self.send(method, url, body, idempotency).await?;
        let status = answer.status().as_u16();
        let text = answer
            .bytes()
            .await
            .map_err(|error| CallError::Unreachable(because(&error)))?;
        if (200..300).contains(&status) {
            return serde_json::from_slice(&text)
                .map_err(|error| CallError::Malformed(error.to_string()));
        }
        match serde_json::from_slice::<Problem>(&text) {
            Ok(problem) => Err(CallError::Refused(Problem { status, ..problem })),
            Err(_) => Err(CallError::Malformed(format!(
                "status {status} without a problem document"
            ))),
        }
    }

    async fn send(
        &self,
        method: &str,
        url: &str,
        body: Option<Vec<u8>>,
        idempotency: Option<&str>,
    ) -> Result<reqwest::Response, CallError> {
        let malformed = |error: &dyn std::fmt::Display| CallError::Malformed(error.to_string());
        let url = Url::parse(url).map_err(|error| malformed(&error))?;
        let verb =
            reqwest::Method::from_bytes(method.as_bytes()).map_err(|error| malformed(&error))?;
        let mut request = self.http.request(verb, url.clone());
        if let Some((key, key_id)) = &self.signer {
            let target = Target {
                method,
                authority: url.authority(),
                path: url.path(),
                query: url.query(),
                idempotency,
            };
            let headers = signed::sign(key, key_id, &target, body.as_deref().unwrap_or_default())
                .map_err(|error| malformed(&error))?;
            request = request
                .header("content-digest", headers.content_digest)
                .header("signature-input", headers.signature_input)
                .header("signature", headers.signature);
        }
        if let Some(key) = idempotency {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        request
            .send()
            .await
            .map_err(|error| CallError::Unreachable(because(&error)))
    }
}

fn http(ca_pem: &[u8], timeout: Duration) -> anyhow::Result<reqwest::Client> {
    crate::server::install_crypto();
    Ok(reqwest::Client::builder()
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(ca_pem)?)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(timeout)
        .build()?)
}

/// reqwest's own sentence names only the address; the reason is further down.
fn because(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(deeper) = reason.source() {
        reason = deeper;
    }
    reason.to_string()
}
