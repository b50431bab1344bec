//! What phones read: how a code on their screen stands, waiting for a change if they like, and where codes are taken.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{ApiPath, ApiQuery, clock};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use tokio::time::{Instant, timeout};

use super::payments::{self, Payment, State as Stage};
use super::phone::is_alias;
use super::rules::RefusedClass;
use crate::{Inner, Shared};

/// The longest wait, seconds: below what proxies and clients put up with.
const LONGEST_WAIT: u32 = 15;
/// A change that another process made in the database is seen after so long at the latest.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waiting {
    /// The state that the phone knows: the answer waits until there is another.
    seen: Option<String>,
    /// How long it may wait, seconds.
    wait_s: Option<u32>,
}

/// An alias as its phone sees it.
#[derive(Serialize)]
pub(super) struct Standing {
    alias: String,
    /// `live`, `pending`, `approved`, `declined`, `revoked`, `void`, `expired` or `locked`.
    state: String,
    payment: Option<Told>,
    server_time: String,
}

/// A payment as the phone that pays it sees it.
#[derive(Serialize)]
pub(super) struct Told {
    payment_id: String,
    state: &'static str,
    /// `password`, when the person is to confirm it until `confirm_until`.
    wants: Option<&'static str>,
    confirm_until: String,
    token_ref: String,
    amount_minor: i64,
    currency: String,
    merchant: String,
    reason: Option<String>,
    authorisation: Option<String>,
    at: String,
}

impl Told {
    pub(super) fn of(payment: &Payment) -> Self {
        let late = payment.state == Stage::Wanted && payment.confirm_until <= clock::unix_now();
        let (state, wants) = match payment.state {
            Stage::Wanted if late => ("declined", None),
            Stage::Wanted => ("pending", Some("password")),
            Stage::Started => ("pending", None),
            Stage::Approved => ("approved", None),
            Stage::Declined => ("declined", None),
            Stage::Reversing | Stage::Revoked => ("revoked", None),
        };
        let reason = match late {
            true => Some("password_timeout".to_owned()),
            false => payment.reason.clone(),
        };
        Self {
            payment_id: payment.payment_id.clone(),
            state,
            wants,
            confirm_until: clock::unix_text(payment.confirm_until),
            token_ref: payment.token_ref.clone(),
            amount_minor: payment.amount_minor,
            currency: payment.currency.clone(),
            merchant: payment.merchant.clone(),
            reason,
            authorisation: payment
                .authorisation
                .clone()
                .filter(|_| state == "approved"),
            at: payment.at.clone(),
        }
    }
}

pub(super) async fn alias(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    ApiPath(alias): ApiPath,
    ApiQuery(waiting): ApiQuery<Waiting>,
) -> Result<Json<Standing>, Problem> {
    let wait = waiting.wait_s.unwrap_or(0);
    if wait > LONGEST_WAIT {
        return Err(Problem::invalid(format!(
            "wait_s must be {LONGEST_WAIT} at most."
        )));
    }
    let device = provider.store.device_of_session(&session).await?;
    // Listening begins before the first look, so that nothing happens unheard between the two.
    let mut changes = provider.codes.changes.subscribe();
    let until = Instant::now() + Duration::from_secs(u64::from(wait));
    loop {
        let standing = standing(&provider, &alias, &device.id).await?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || waiting.seen.as_deref() != Some(standing.state.as_str()) {
            return Ok(Json(standing));
        }
        // A time-out is as good a reason to look again as a change.
        let _ = timeout(left.min(LOOK), changes.changed()).await;
    }
}

async fn standing(provider: &Inner, alias: &str, device: &str) -> Result<Standing, Problem> {
    if !is_alias(alias) {
        return Err(unknown());
    }
    let mut work = provider.store.db().pool().begin().await?;
    let row = sqlx::query(
        "SELECT alias_id, state, not_after FROM code_aliases WHERE alias = $1 AND device_id = $2",
    )
    .bind(alias)
    .bind(device)
    .fetch_optional(&mut *work)
    .await?
    .ok_or_else(unknown)?;
    let (id, state, not_after): (String, String, i64) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let payment = payments::of_alias(&mut work, &id).await?;
    work.rollback().await?;
    let payment = payment.as_ref().map(Told::of);
    let state = match &payment {
        Some(payment) => payment.state.to_owned(),
        None if state == "live" && not_after <= clock::unix_now() => "expired".to_owned(),
        None => state,
    };
    Ok(Standing {
        alias: alias.to_owned(),
        state,
        payment,
        server_time: clock::now_text(),
    })
}

fn unknown() -> Problem {
    Problem::new(
        404,
        "alias_unknown",
        "Unknown alias",
        "This device has no such alias, or has it no more.",
    )
}

/// Where codes of this provider are taken.
#[derive(Serialize)]
pub(super) struct Acceptance {
    /// Merchant classes that are refused; every other is accepted.
    refused_classes: Vec<RefusedClass>,
    /// Countries where codes are taken, ISO 3166 numeric.
    countries: Vec<String>,
    /// Why not elsewhere.
    elsewhere: &'static str,
    currency: String,
    password_above_minor: i64,
}

pub(super) async fn acceptance(
    State(provider): State<Shared>,
    _: SignedBy,
) -> Result<Json<Acceptance>, Problem> {
    let policy = provider.policy().await?.codes;
    let rules = &provider.codes.rules;
    Ok(Json(Acceptance {
        refused_classes: rules.refused_classes.clone(),
        countries: rules.countries.clone(),
        elsewhere: super::rules::ABROAD,
        currency: policy.currency,
        password_above_minor: policy.password_above_minor,
    }))
}
