//! A token's state, as the provider orders it for the token's owner: active, suspended, deleted for good. It is in the
//! token's row, so it outlives a restart and every authorisation reads it in its own transaction.

use sandbox_kit::problem::Problem;
use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::{Network, makers};

/// The states that can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// It pays.
    Active,
    /// It does not pay until it is active again.
    Suspended,
    /// It never pays again.
    Deleted,
}

impl TokenState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }
}

/// The state that a token shall have.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateQuery {
    /// The phone that has the token.
    pub device_id: String,
    /// The state.
    pub state: TokenState,
}

/// The state that a token has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateAnswer {
    /// The token.
    pub token_ref: String,
    /// Its state.
    pub state: TokenState,
}

impl Network {
    /// Sets a token's state. Ordering the state that it has changes nothing.
    pub async fn set_state(
        &self,
        token_ref: &str,
        query: &StateQuery,
    ) -> Result<StateAnswer, Problem> {
        let mut tx = self.db().begin().await?;
        let row = sqlx::query("SELECT state FROM tokens WHERE token_ref = $1 AND device_id = $2 AND state <> 'withdrawn'")
            .bind(token_ref)
            .bind(query.device_id.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else {
            // One that a maker's wallet has not fetched yet is made in that state, or never.
            if !makers::order(&mut tx, token_ref, &query.device_id, query.state).await? {
                return Err(unknown());
            }
            tx.commit().await?;
            return Ok(StateAnswer {
                token_ref: token_ref.to_owned(),
                state: query.state,
            });
        };
        let state: String = row.try_get(0)?;
        if state == TokenState::Deleted.name() && query.state != TokenState::Deleted {
            return Err(deleted(409));
        }
        // Nothing of a deleted token is replenished again: the key to its payment log goes with it.
        sqlx::query("UPDATE tokens SET state = $1, log_key = CASE WHEN $1 = 'deleted' THEN '' ELSE log_key END WHERE token_ref = $2")
            .bind(query.state.name())
            .bind(token_ref)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(StateAnswer {
            token_ref: token_ref.to_owned(),
            state: query.state,
        })
    }
}

/// Refuses what only an active token gets.
pub(crate) fn must_be_active(state: &str) -> Result<(), Problem> {
    match state {
        "active" => Ok(()),
        "suspended" => Err(Problem::new(
            409,
            "token_suspended",
            "Token suspended",
            "The token is suspended. Resume it first.",
        )),
        "deleted" => Err(deleted(410)),
        _ => Err(unknown()),
    }
}

/// Why a token in this state does not pay; `None` when it does.
pub(crate) fn refusal(state: &str) -> Option<&'static str> {
    match state {
        "active" => None,
        "suspended" => Some("token_suspended"),
        _ => Some("token_deleted"),
    }
}

pub(crate) fn unknown() -> Problem {
    Problem::new(
        404,
        "token_unknown",
        "Unknown token",
        "This device has no such token. Add the card again.",
    )
}

/// As a conflict (409) where a deleted token is ordered back, as gone (410) where it is asked for something.
fn deleted(status: u16) -> Problem {
    Problem::new(
        status,
        "token_deleted",
        "Token deleted",
        "The token was deleted for good. Add the card again.",
    )
}
