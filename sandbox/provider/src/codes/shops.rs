//! What acquirers ask for their shops: pay with a code, see how an order stands, revoke it. Requests are signed by the
//! acquirer's key under its name; no `Idempotency-Key` is needed, since the order is one.
//!
//! ```text
//! POST /v1/codes/pay     {code, amount_minor, currency, order_id, merchant_id, merchant, mcc, country, terminal_id, at}
//! POST /v1/codes/query   {merchant_id, order_id}
//! POST /v1/codes/revoke  {merchant_id, order_id, payment_id?}
//! each answers           {order_id, payment_id, amount_minor, currency, state, wants, reason, authorisation, network_ref, at}
//! ```
//! The answer to a code says in `of_code` whether it is that code which pays: else the order stands by what somebody else began.
//! `payment_id`, `amount_minor` and `currency` are of the payment that the order stands by, which a till is to compare with
//! what it asked for; null when nothing was written down or the order was revoked before anybody had paid.
//! A revocation with `payment_id` gives up that payment, and only while the person or the network is waited for; otherwise
//! it changes nothing and answers how the order stands.
//!
//! `state` is `approved`, `declined`, `pending` (then `wants` is `password`, or null while the network is asked) or
//! `revoked`. Problems: 409 `order_conflict`, 409 `revoke_too_early` with `retry_after_s`, 404 `order_unknown`.
//!
//! Reasons of the code itself: `code_not_valid`, `code_used`, `code_void`, `code_expired`, `code_throttled`,
//! `merchant_throttled`; of the payment: `account_not_active`, `currency_not_supported`, `class_…`, `place_abroad`,
//! `daily_limit`, `password_not_set`, `password_timeout`, `superseded`, `revoked`, `device_wiped`, `network_refused`, and
//! what network and bank decline for.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use sandbox_kit::ApiJson;
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{bytes, clock};
use tokio::time::timeout;

use super::aliases::Work;
use super::decide::{Decided, decide};
use super::form::{OrderName, Revocation, Scan, Standing};
use super::payments::{self, Ending, Payment, State as Stage};
use super::rules::Class;
use super::settle::finished;
use crate::{Inner, Shared};

/// How long a till that asks how its order stands waits for the network: it asks again every few seconds.
const ASKING: Duration = Duration::from_secs(5);

/// Pays an order with a code. The same order again, with this code or another, is answered how it stands: it is paid
/// once, however often it is asked for.
pub(super) async fn pay(
    State(provider): State<Shared>,
    SignedBy(acquirer): SignedBy,
    ApiJson(scan): ApiJson<Scan>,
) -> Result<Json<Standing>, Problem> {
    scan.check()?;
    let policy = provider.codes.policy(&provider).await?;
    match decide(&provider, &policy, &acquirer, &scan, clock::unix_now()).await? {
        Decided::Refused(reason) => {
            // A code that was tried too often is dead: its phone is to show another.
            provider.codes.changed();
            Ok(Json(Standing::refused(&scan, reason)))
        }
        Decided::Conflict => Err(Problem::new(
            409,
            "order_conflict",
            "Order used before",
            "This order of the merchant came with another amount before. Use another order number.",
        )),
        Decided::Stands(payment) => {
            // The phone flips at once, not only when the bank has answered.
            provider.codes.changed();
            let payment = finished(&provider, *payment).await?;
            let alias = policy.read(&scan.code).map(|shown| shown.alias);
            Ok(Json(Standing {
                of_code: Some(alias == Some(payment.alias.as_str())),
                ..Standing::of(&payment)
            }))
        }
    }
}

/// How an order stands.
pub(super) async fn query(
    State(provider): State<Shared>,
    SignedBy(acquirer): SignedBy,
    ApiJson(name): ApiJson<OrderName>,
) -> Result<Json<Standing>, Problem> {
    name.check()?;
    let mut work = provider.store.db().begin().await?;
    payments::expire(&mut work, clock::unix_now(), &clock::now_text()).await?;
    let stands = stands_by(&mut work, &acquirer, &name.merchant_id, &name.order_id).await?;
    work.commit().await?;
    told(&provider, stands.ok_or_else(order_unknown)?).await
}

/// How a payment stands, once the network was asked for what is under way: an answer that was lost is not to keep a till
/// waiting until the background comes by.
async fn told(provider: &Inner, payment: Payment) -> Result<Json<Standing>, Problem> {
    let before = Standing::of(&payment);
    match timeout(ASKING, finished(provider, payment)).await {
        Ok(payment) => Ok(Json(Standing::of(&payment?))),
        Err(_) => Ok(Json(before)),
    }
}

/// The payment that an order stands by: the one beside which there is no other, or else the last that was declined.
async fn stands_by(
    work: &mut Work,
    acquirer: &str,
    merchant: &str,
    order: &str,
) -> Result<Option<Payment>, sqlx::Error> {
    match payments::of_order(work, acquirer, merchant, order).await? {
        Some(only) => Ok(Some(only)),
        None => payments::last_declined(work, acquirer, merchant, order).await,
    }
}

/// Revokes an order, paid or not: it is paid by nobody from here on, and what was paid goes back. Whatever a person or
/// the bank does at the same moment, the order ends revoked. A till that gives a payment up names it: what was decided
/// meanwhile, and what somebody else pays, it does not take back.
pub(super) async fn revoke(
    State(provider): State<Shared>,
    SignedBy(acquirer): SignedBy,
    ApiJson(asked): ApiJson<Revocation>,
) -> Result<Json<Standing>, Problem> {
    asked.check()?;
    let (now, at) = (clock::unix_now(), clock::now_text());
    let (merchant, order) = (asked.merchant_id.as_str(), asked.order_id.as_str());
    let mut work = provider.store.db().begin().await?;
    payments::expire(&mut work, now, &at).await?;
    let known = payments::of_order(&mut work, &acquirer, merchant, order).await?;
    if let Some(given_up) = &asked.payment_id
        && !known.as_ref().is_some_and(|open| open.is_open(given_up))
    {
        let stands = stands_by(&mut work, &acquirer, merchant, order).await?;
        work.commit().await?;
        return told(&provider, stands.ok_or_else(order_unknown)?).await;
    }
    let payment_id = match known {
        // The order itself is dead from now on, for a scan that is still on its way as well.
        None => {
            let dead = nothing_paid(&acquirer, (merchant, order), now, &at);
            payments::insert(&mut work, &dead, None).await?;
            dead.payment_id
        }
        Some(payment) => {
            let to = match payment.state {
                Stage::Wanted => Some(Stage::Revoked),
                // The network undoes what it may have done, and refuses what has not reached it yet.
                Stage::Started | Stage::Approved => Some(Stage::Reversing),
                Stage::Declined | Stage::Reversing | Stage::Revoked => None,
            };
            if let Some(to) = to {
                let wait = provider.codes.rules.revoke_after_s - (now - payment.began);
                if wait > 0 {
                    return Err(too_early(wait));
                }
                let steps = (payment.state, to);
                let ending = Ending::because("revoked");
                payments::end(&mut work, &payment.payment_id, steps, &ending, &at).await?;
            }
            payment.payment_id
        }
    };
    let payment = payments::by_id(&mut work, &payment_id).await?;
    work.commit().await?;
    provider.codes.changed();
    let payment = finished(&provider, payment.ok_or_else(Problem::internal)?).await?;
    Ok(Json(Standing::of(&payment)))
}

/// What stands for an order that was revoked before anything was paid.
fn nothing_paid(acquirer: &str, (merchant, order): (&str, &str), now: i64, at: &str) -> Payment {
    Payment {
        payment_id: bytes::random_id("cpy"),
        acquirer_id: acquirer.to_owned(),
        merchant_id: merchant.to_owned(),
        order_id: order.to_owned(),
        alias: String::new(),
        user: String::new(),
        device: String::new(),
        token_ref: String::new(),
        terminal_id: String::new(),
        merchant: String::new(),
        mcc: String::new(),
        country: String::new(),
        asked_at: at.to_owned(),
        amount_minor: 0,
        currency: String::new(),
        class: Class::C.name().to_owned(),
        state: Stage::Revoked,
        reason: Some("revoked".to_owned()),
        authorisation: None,
        network_ref: None,
        at: at.to_owned(),
        began: now,
        confirm_until: now,
        request: None,
    }
}

fn order_unknown() -> Problem {
    Problem::new(
        404,
        "order_unknown",
        "Unknown order",
        "No code was good for anything under this order of the merchant.",
    )
}

fn too_early(wait: i64) -> Problem {
    Problem::new(
        409,
        "revoke_too_early",
        "Too early to revoke",
        "The person may be typing the password at this moment. Revoke in a few seconds.",
    )
    .with("retry_after_s", wait)
}
