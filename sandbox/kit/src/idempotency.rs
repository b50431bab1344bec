//! The same request twice is answered once: answers stored under the caller's idempotency key.
//!
//! ```text
//! let answer = self.answers.once(&scope, &idempotency, &body, || async { do_it().await }).await?;
//! ```
//! `scope` is who asks for what (key id and route), so that one caller's keys mean nothing to another. A second request
//! with the same key waits for the first and gets its answer; with another body it is refused (409). Answers that say
//! "try again" (500 and above) are not kept.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sqlx::Row;
use tokio::sync::Mutex as Turn;

use crate::db::Db;
use crate::problem::{self, Problem};
use crate::{bytes, clock};

/// The header's name.
pub const HEADER: &str = "idempotency-key";

/// The request's `Idempotency-Key`: 16 to 64 hex digits. 400 when it is missing or of another form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub String);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Problem::new(
                400,
                "idempotency_key_missing",
                "Idempotency key missing",
                "Send one Idempotency-Key header with 16 to 64 hex digits; repeat the same one when you try again.",
            ));
        };
        let text = value.to_str().unwrap_or_default();
        if !(16..=64).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Problem::malformed(
                "Idempotency-Key must be 16 to 64 hex digits.",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// An answer as it goes out and into the store: a status and its JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON text.
    pub body: String,
}

impl Answer {
    /// A successful answer.
    pub fn json(status: u16, body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_string(body).map_err(|_| Problem::internal())?;
        Ok(Self { status, body })
    }

    fn problem(problem: &Problem) -> Self {
        Self {
            status: problem.status,
            body: serde_json::to_string(problem).unwrap_or_default(),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = if self.status < 400 {
            "application/json"
        } else {
            problem::MEDIA_TYPE
        };
        (
            status,
            [(header::CONTENT_TYPE, HeaderValue::from_static(kind))],
            self.body,
        )
            .into_response()
    }
}

/// The stored answers of one party.
#[derive(Clone, Debug)]
pub struct Answers {
    db: Db,
    turns: Arc<Mutex<HashMap<String, Arc<Turn<()>>>>>,
}

impl Answers {
    /// The answers stored in `db`.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self {
            db,
            turns: Arc::default(),
        }
    }

    /// Runs `work` unless this scope and key have an answer already, and keeps its answer, a refusal included.
    pub async fn once<W, F>(
        &self,
        scope: &str,
        key: &str,
        request: &[u8],
        work: W,
    ) -> Result<Answer, Problem>
    where
        W: FnOnce() -> F,
        F: Future<Output = Result<Answer, Problem>>,
    {
        let request = bytes::to_hex(&bytes::sha256(request));
        let name = format!("{scope}\n{key}");
        let turn = self.turn(&name);
        let held = turn.lock().await;
        let answer = self.answer(scope, key, &request, work).await;
        drop(held);
        drop(turn);
        self.forget_turn(&name);
        answer
    }

    async fn answer<W, F>(
        &self,
        scope: &str,
        key: &str,
        request: &str,
        work: W,
    ) -> Result<Answer, Problem>
    where
        W: FnOnce() -> F,
        F: Future<Output = Result<Answer, Problem>>,
    {
        let stored = sqlx::query(
            "SELECT request, status, body FROM kit_answers WHERE scope = $1 AND key = $2",
        )
        .bind(scope)
        .bind(key)
        .fetch_optional(self.db.pool())
        .await?;
        if let Some(row) = stored {
            if row.try_get::<String, _>(0)? != request {
                return Err(Problem::new(
                    409,
                    "idempotency_conflict",
                    "Idempotency key used before",
                    "This Idempotency-Key came with another request before. Use a fresh one for a new request.",
                ));
            }
            let status = u16::try_from(row.try_get::<i64, _>(1)?).unwrap_or(500);
            return Ok(Answer {
                status,
                body: row.try_get(2)?,
            });
        }
        let answer = work()
            .await
            .unwrap_or_else(|problem| Answer::problem(&problem));
        if answer.status < 500 {
            sqlx::query(
                "INSERT INTO kit_answers (scope, key, request, status, body, at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (scope, key) DO NOTHING",
            )
            .bind(scope)
            .bind(key)
            .bind(request)
            .bind(i64::from(answer.status))
            .bind(answer.body.as_str())
            .bind(clock::now_text())
            .execute(self.db.pool())
            .await?;
        }
        Ok(answer)
    }

    fn turn(&self, name: &str) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(name.to_owned()).or_default())
    }

    fn forget_turn(&self, name: &str) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Only the map itself holds it: nobody waits.
        if turns
            .get(name)
            .is_some_and(|turn| Arc::strong_count(turn) == 1)
        {
            turns.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    async fn answers(folder: &tempfile::TempDir) -> Answers {
        Answers::new(
            Db::open_at(&folder.path().join("x.db"), None, &[])
                .await
                .unwrap(),
        )
    }

    #[tokio::test]
    async fn twice_is_once_even_at_the_same_time() {
        let folder = tempfile::tempdir().unwrap();
        let answers = answers(&folder).await;
        let runs = AtomicU32::new(0);
        let work = || async {
            let run = runs.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Answer::json(201, &serde_json::json!({ "run": run }))
        };
        let (first, second) = tokio::join!(
            answers.once("who", "K", b"body", work),
            answers.once("who", "K", b"body", work)
        );
        assert_eq!(first.unwrap(), second.unwrap());
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert!(answers.turns.lock().unwrap().is_empty());
        let other = answers
            .once("who", "K", b"other body", work)
            .await
            .unwrap_err();
        assert_eq!(
            (other.status, other.code.as_str()),
            (409, "idempotency_conflict")
        );
        answers
            .once("another", "K", b"other body", work)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_refusal_is_kept_and_an_outage_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let answers = answers(&folder).await;
        let refuse =
            |status| move || async move { Err(Problem::new(status, "code", "title", "detail")) };
        let ok = || async { Answer::json(200, &1) };
        assert_eq!(
            answers
                .once("s", "down", b"", refuse(503))
                .await
                .unwrap()
                .status,
            503
        );
        assert_eq!(
            answers.once("s", "down", b"", ok).await.unwrap().status,
            200
        );
        assert_eq!(
            answers
                .once("s", "no", b"", refuse(403))
                .await
                .unwrap()
                .status,
            403
        );
        assert_eq!(answers.once("s", "no", b"", ok).await.unwrap().status, 403);
    }
}
