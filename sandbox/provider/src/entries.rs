//! The statement a phone reads: what the network said about the payments of its tokens.

use axum::Json;
use axum::extract::State;
use sandbox_kit::event::Event;
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{ApiJson, ApiQuery, clock};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::codes::CodeEntry;
use crate::{Shared, form};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 500;

/// The network's word on a payment; also a row of the provider's books.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notification {
    pub(crate) id: String,
    pub(crate) token_ref: String,
    pub(crate) atc: u32,
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
    pub(crate) merchant: String,
    pub(crate) result: Outcome,
    pub(crate) reason: Option<String>,
    pub(crate) authorisation: Option<String>,
    pub(crate) at: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Approved,
    Declined,
}

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Declined => "declined",
        }
    }
}

pub(crate) async fn notify(
    State(provider): State<Shared>,
    _: SignedBy,
    ApiJson(notification): ApiJson<Notification>,
) -> Result<Json<Value>, Problem> {
    if notification.id.is_empty() || !form::is_id("tok_", &notification.token_ref) {
        return Err(Problem::invalid(
            "id and token_ref must be those of a payment of a token.",
        ));
    }
    if notification.atc > 65_535 || notification.amount_minor < 0 {
        return Err(Problem::invalid(
            "atc must be 65535 at most, amount_minor not negative.",
        ));
    }
    if clock::parse(&notification.at).is_none() {
        return Err(Problem::invalid(
            "at must be an RFC 3339 time in UTC, with Z.",
        ));
    }
    let known = provider.store.take_notification(&notification).await?;
    if !known {
        return Err(Problem::new(
            404,
            "token_unknown",
            "Unknown token",
            "No device holds this token here, or not yet. Notify again later.",
        ));
    }
    provider.events.tell(
        Event::new("notified")
            .with("token_ref", notification.token_ref.as_str())
            .with("atc", notification.atc)
            .with("result", notification.result.name()),
    );
    Ok(Json(json!({ "id": notification.id })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    after: Option<u64>,
    limit: Option<u32>,
}

#[derive(Serialize)]
pub(crate) struct Entries {
    entries: Vec<Entry>,
    /// Of payments by code, counted together with the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    code_entries: Vec<CodeEntry>,
    next: i64,
    more: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) token_ref: String,
    pub(crate) atc: i64,
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
    pub(crate) merchant: String,
    pub(crate) result: String,
    pub(crate) reason: Option<String>,
    pub(crate) authorisation: Option<String>,
    pub(crate) at: String,
}

pub(crate) async fn list(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    ApiQuery(page): ApiQuery<Page>,
) -> Result<Json<Entries>, Problem> {
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::invalid(format!("limit must be 1 to {MAX_LIMIT}.")));
    }
    let after = i64::try_from(page.after.unwrap_or(0))
        .map_err(|_| Problem::invalid("after must be the next of an earlier answer, or 0."))?;
    let device = provider.store.device_of_session(&session).await?;
    // Two tables are read one after the other. What is written in between has a later place than this, so that no page
    // ends beyond an entry that it did not see.
    let until = provider.store.last_seq(&device.user).await?;
    // One more than asked for tells whether there are more.
    let most = i64::from(limit) + 1;
    let mut entries = provider.store.entries(&device.user, after, most).await?;
    let mut code_entries = provider
        .store
        .code_entries(&device.user, after, most)
        .await?;
    let mut places: Vec<i64> = entries.iter().map(|entry| entry.seq).collect();
    places.extend(code_entries.iter().map(|entry| entry.seq));
    places.retain(|place| *place <= until);
    places.sort_unstable();
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = places.len() > wanted;
    places.truncate(wanted);
    let next = places.last().copied().unwrap_or(after);
    entries.retain(|entry| entry.seq <= next);
    code_entries.retain(|entry| entry.seq <= next);
    Ok(Json(Entries {
        entries,
        code_entries,
        next,
        more,
    }))
}
