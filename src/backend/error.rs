//! What can go wrong between phone and provider.

use std::error::Error as _;
use std::io;

use serde::Deserialize;

use crate::vault::VaultError;

/// A request was not answered as hoped.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The provider could not be reached, or did not answer in time.
    #[error("the provider cannot be reached")]
    Unreachable,
    /// Somebody answered who is not the provider: another CA, another name, or a key that is not pinned.
    #[error("the server is not the wallet's provider")]
    NotTrusted,
    /// The provider refused.
    #[error("the provider refused: {}", .0.code)]
    Refused(Refusal),
    /// The answer is not what the protocol says.
    #[error("the provider's answer cannot be understood")]
    Malformed,
    /// The address or certificate given is not usable.
    #[error("{0}")]
    Configuration(&'static str),
    /// The request could not be signed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// A problem answer (RFC 9457) as the provider writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Stable code, `snake_case`.
    pub code: String,
    /// A sentence for a person.
    #[serde(default)]
    pub detail: String,
    /// For a wrong SMS code: tries that are left.
    #[serde(default)]
    pub tries_left: Option<u32>,
    /// For an app that is too old: the oldest that is served.
    #[serde(default)]
    pub minimum_version: Option<String>,
}

impl Refusal {
    /// Whether the provider has decided, and keeps this answer for the same idempotency key. Anything else may have been
    /// done all the same, so the request must be sent again as it is.
    pub fn is_final(&self) -> bool {
        (400..500).contains(&self.status) && !matches!(self.status, 401 | 408 | 425)
    }
}

impl BackendError {
    /// Whether the same request may do better in a moment.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable => true,
            Self::Refused(refusal) => matches!(refusal.status, 502..=504),
            _ => false,
        }
    }

    /// Whether the session is what the provider refuses.
    pub(super) fn wants_new_session(&self) -> bool {
        let codes = [
            "session_unknown",
            "session_expired",
            "nonce_replayed",
            "signature_stale",
        ];
        matches!(self, Self::Refused(refusal) if codes.contains(&refusal.code.as_str()))
    }
}

impl From<reqwest::Error> for BackendError {
    fn from(error: reqwest::Error) -> Self {
        if error.source().is_some_and(is_tls) {
            return Self::NotTrusted;
        }
        Self::Unreachable
    }
}

/// Whether a TLS error is at the root. I/O errors are looked into: each layer wraps what it got in one of its own, and
/// their `source` skips what they wrap.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    wrapped.is_some_and(|inner| is_tls(inner)) || error.source().is_some_and(is_tls)
}
