//! A user's rights over what is kept: to have it all, and to have it forgotten.

use axum::Json;
use axum::extract::State;
use sandbox_kit::ApiJson;
use sandbox_kit::event::Event;
use sandbox_kit::idempotency::IdempotencyKey;
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use serde_json::{Value, json};

use crate::phones::Nothing;
use crate::store::Export;
use crate::{Shared, orders, sessions};

pub(crate) async fn export(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
) -> Result<Json<Export>, Problem> {
    let device = provider.store.device_of_session(&session).await?;
    let export = provider.store.export(&device.user).await?;
    export.map(Json).ok_or_else(sessions::unknown)
}

/// No answer is stored for this one, it would be kept of somebody who asked to be forgotten. A phone that missed the
/// answer finds its session unknown and then itself wiped.
pub(crate) async fn erase(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    _: IdempotencyKey,
    ApiJson(Nothing {}): ApiJson<Nothing>,
) -> Result<Json<Value>, Problem> {
    let device = provider.store.device_of_session(&session).await?;
    provider.store.erase(&device.user).await?;
    provider.events.tell(Event::new("user_erased"));
    orders::carry_out_now(&provider).await;
    Ok(Json(json!({ "state": "erased" })))
}
