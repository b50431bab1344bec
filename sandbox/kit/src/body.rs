//! JSON bodies and queries read strictly, with every refusal as a problem document.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// A JSON body. 415 for another content type, 400 for what is no JSON, 422 for JSON of another shape, 413 when too long.
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                415,
                "content_type_unsupported",
                "Unsupported content type",
                "Send the body as application/json.",
            ));
        }
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| refused_body(&rejection))?;
        // First whether it is JSON at all, then whether it is this request: two different mistakes.
        let value: serde_json::Value = serde_json::from_slice(&body)
            .map_err(|error| Problem::malformed(format!("The body is not JSON: {error}.")))?;
        serde_json::from_value(value).map(Self).map_err(|error| {
            Problem::invalid(format!("The body does not fit this request: {error}."))
        })
    }
}

/// A query string read into a struct. 422 when it does not fit.
pub struct ApiQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::invalid(format!(
                "The query does not fit this request: {rejection}."
            ))),
        }
    }
}

/// The one variable part of a path. 404 when it is not even text: such a thing cannot exist here.
pub struct ApiPath(pub String);

impl<S: Send + Sync> FromRequestParts<S> for ApiPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(part)) => Ok(Self(part)),
            Err(_) => Err(Problem::new(
                404,
                "route_unknown",
                "Unknown address",
                "There is nothing at this path. Check the API document.",
            )),
        }
    }
}

pub(crate) fn too_large() -> Problem {
    Problem::new(
        413,
        "body_too_large",
        "Body too large",
        "The body is longer than this server takes.",
    )
}

fn refused_body(rejection: &BytesRejection) -> Problem {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => too_large(),
        _ => Problem::malformed("The body could not be read to its end."),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
