//! Error answers: RFC 9457 problem documents with a stable `code`, and the answers axum would otherwise give itself.

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The media type of error answers.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An error answer. `code` is for programs and stays, `detail` is a sentence a person can act on and may change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{title}: {detail} ({status} {code})")]
pub struct Problem {
    /// A short heading that is the same for every problem of this code.
    pub title: String,
    /// HTTP status, 400 to 599.
    pub status: u16,
    /// Stable name, for example `sms_code_wrong`.
    pub code: String,
    /// What is wrong and what to do.
    pub detail: String,
    /// Further members, for example `tries_left`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Problem {
    /// A problem without further members.
    #[must_use]
    pub fn new(status: u16, code: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            title: title.to_owned(),
            status,
            code: code.to_owned(),
            detail: detail.into(),
            extra: Map::new(),
        }
    }

    /// The same with one more member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// 400 `request_malformed`: not what the API's form asks for at all.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(400, "request_malformed", "Malformed request", detail)
    }

    /// 422 `request_invalid`: well-formed JSON, but a member is missing, unknown or not as the API's document says.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(422, "request_invalid", "Invalid request", detail)
    }

    /// 500 `internal`. The cause goes to the party's own log, not to the caller.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            500,
            "internal",
            "Internal error",
            "The server could not finish this. Try again; if it goes on, look at the sandbox's log.",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        (
            status,
            [(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))],
            body,
        )
            .into_response()
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        eprintln!("sandbox: database: {error}");
        Self::internal()
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        eprintln!("sandbox: {error:#}");
        Self::internal()
    }
}

/// Gives unknown routes (404 `route_unknown`) and wrong methods (405 `method_not_allowed`, `Allow` is kept) the common form.
pub fn fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .fallback(|| async {
            Problem::new(
                404,
                "route_unknown",
                "Unknown address",
                "There is nothing at this path. Check the API document.",
            )
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                405,
                "method_not_allowed",
                "Method not allowed",
                "This path does not take this method; the Allow header says which it takes.",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_lie_flat_and_come_back() {
        let problem = Problem::new(403, "sms_code_wrong", "Wrong SMS code", "Type it again.")
            .with("tries_left", 2);
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["tries_left"], 2);
        assert_eq!(json["status"], 403);
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
        let response = problem.into_response();
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
    }
}
