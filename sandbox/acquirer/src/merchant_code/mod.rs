//! Codes that the merchant shows (EMV QRCPS, Merchant-Presented Mode): made for terminals, read by phones, and paid without
//! a word from the shop, so that the network tells of it afterwards.
//!
//! ```text
//! POST /v1/merchant-codes             {amount_minor, order_id, at}  →  {code, order_id, amount_minor, currency, at}
//! GET  /v1/merchant-codes/{order_id}  →  {order_id, state, amount_minor, currency, payment, at}
//! POST /v1/merchant-payments          from the network: a payment, or that one was taken back
//! ```
//! Without an amount the code stands for many payments and names no order; with one it is for one order, which is made up
//! where the terminal names none. A code says nothing that is secret and can be altered by whoever prints it: `state` is
//! `paid` only for the very amount, `differs` for another; else `open` or `revoked`. An order is revoked like a scanned one.
//!
//! Before the first code the network is told who the merchant is: a phone shows the name that stands there.

mod payload;
mod table;

use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use sandbox_kit::event::Event;
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{ApiJson, ApiPath, bytes, clock};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::authorise::{AMOUNTS, check_at, network_away};
use crate::{Inner, Shared};
use payload::LABEL;
use table::Kept;

/// What a terminal asks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Absent for a code that stands for many payments.
    amount_minor: Option<i64>,
    order_id: Option<String>,
    at: String,
}

/// What it is answered.
#[derive(Serialize)]
pub(crate) struct Made {
    code: String,
    order_id: Option<String>,
    amount_minor: Option<i64>,
    currency: String,
    at: String,
}

/// How an order stands.
#[derive(Serialize)]
pub(crate) struct Standing {
    order_id: String,
    /// `open`, `paid`, `differs` or `revoked`.
    state: &'static str,
    amount_minor: i64,
    currency: String,
    payment: Option<Paid>,
    at: String,
}

/// What was paid.
#[derive(Serialize)]
struct Paid {
    payment_id: String,
    amount_minor: i64,
    authorisation: Option<String>,
    network_ref: String,
    at: String,
}

/// What the network tells.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notice {
    id: String,
    payment_id: String,
    network_ref: String,
    merchant_id: String,
    order_id: String,
    amount_minor: i64,
    currency: String,
    /// `approved` or `reversed`.
    result: String,
    authorisation: Option<String>,
    at: String,
}

pub(crate) async fn make(
    State(acquirer): State<Shared>,
    SignedBy(terminal): SignedBy,
    ApiJson(wanted): ApiJson<Wanted>,
) -> Result<(StatusCode, Json<Made>), Problem> {
    check(&wanted)?;
    acquirer.introduce().await?;
    let merchant = &acquirer.merchant;
    let order = match wanted.amount_minor {
        None => None,
        Some(amount_minor) => {
            let order_id = wanted
                .order_id
                .unwrap_or_else(|| format!("MP{}", bytes::to_hex(&bytes::random::<10>())));
            let order = table::order(order_id, amount_minor, &merchant.currency);
            keep(&acquirer, &terminal, &order).await?;
            Some(order)
        }
    };
    let written = order.as_ref().map(|order| payload::Order {
        order_id: &order.order_id,
        amount_minor: order.amount_minor,
    });
    let code = payload::write(&acquirer.acquirer_id, merchant, &terminal, written.as_ref());
    let made = Made {
        code: code.ok_or_else(unwritable)?,
        order_id: order.map(|order| order.order_id),
        amount_minor: wanted.amount_minor,
        currency: merchant.currency.clone(),
        at: clock::now_text(),
    };
    Ok((StatusCode::CREATED, Json(made)))
}

async fn keep(acquirer: &Inner, terminal: &str, order: &table::Order) -> Result<(), Problem> {
    let detail = match acquirer.store.keep_order(terminal, order).await? {
        Kept::Yes => return Ok(()),
        Kept::Otherwise => {
            "A code was made for this order with another amount. Use another order number."
        }
        Kept::Over => "This order was revoked. Use another order number.",
        Kept::Scanned => {
            "A code on a phone was scanned for this order. Wait for it, or use another order number."
        }
    };
    Err(Problem::new(
        409,
        "order_conflict",
        "Order used before",
        detail,
    ))
}

pub(crate) async fn standing(
    State(acquirer): State<Shared>,
    _: SignedBy,
    ApiPath(order): ApiPath,
) -> Result<Json<Standing>, Problem> {
    let found = acquirer.store.order(&order).await?;
    let (order, payment) = found.ok_or_else(|| {
        Problem::new(
            404,
            "order_unknown",
            "Unknown order",
            "No code was made for this order. Make one; or, where codes on phones were scanned for it, scan a fresh one to hear how it stands.",
        )
    })?;
    let state = match &payment {
        None if order.revoked_at.is_some() => "revoked",
        None => "open",
        Some(payment) if payment.reversed => "revoked",
        Some(payment)
            if payment.paid.amount_minor == order.amount_minor
                && payment.currency == order.currency =>
        {
            "paid"
        }
        Some(_) => "differs",
    };
    Ok(Json(Standing {
        order_id: order.order_id,
        state,
        amount_minor: order.amount_minor,
        currency: order.currency,
        at: match &payment {
            Some(payment) => payment.paid.at.clone(),
            None => order.revoked_at.unwrap_or(order.made_at),
        },
        payment: payment.map(|payment| payment.paid),
    }))
}

/// Books what the network tells, once. That a payment was taken back counts only after the payment itself: the network
/// tells it again until then.
pub(crate) async fn notify(
    State(acquirer): State<Shared>,
    _: SignedBy,
    ApiJson(notice): ApiJson<Notice>,
) -> Result<Json<Value>, Problem> {
    let merchant = &acquirer.merchant;
    if notice.merchant_id != merchant.merchant_id || notice.currency != merchant.currency {
        return Err(Problem::new(
            404,
            "merchant_unknown",
            "Unknown merchant",
            "No merchant here has this id and is paid in this currency.",
        ));
    }
    if notice.amount_minor < 1 || clock::parse(&notice.at).is_none() {
        return Err(Problem::invalid(
            "amount_minor must be positive, at an RFC 3339 time in UTC, with Z.",
        ));
    }
    let fresh = match notice.result.as_str() {
        "approved" => acquirer.store.book_notice(&notice, merchant).await?,
        "reversed" => {
            let store = &acquirer.store;
            if !store.book_reversal(&notice.payment_id, &notice.at).await? {
                return Err(Problem::new(
                    404,
                    "payment_unknown",
                    "Unknown payment",
                    "This payment was not told yet. Tell of it first.",
                ));
            }
            false
        }
        _ => return Err(Problem::invalid("result must be approved or reversed.")),
    };
    if fresh {
        acquirer.events.tell(
            Event::new("paid_by_code")
                .with("order_id", notice.order_id.as_str())
                .with("payment_id", notice.payment_id.as_str())
                .with("amount_minor", notice.amount_minor)
                .with("currency", notice.currency.as_str()),
        );
    }
    Ok(Json(json!({ "id": notice.id })))
}

/// The merchant as the network's directory takes it.
#[derive(Serialize)]
struct Entry<'a> {
    merchant_id: &'a str,
    name: &'a str,
    mcc: &'a str,
    country: &'a str,
    city: &'a str,
    currency: &'a str,
}

impl Inner {
    /// Tells the network who the merchant is, once after each start: its particulars may have changed.
    async fn introduce(&self) -> Result<(), Problem> {
        if self.introduced.load(Ordering::Acquire) {
            return Ok(());
        }
        let merchant = &self.merchant;
        let entry = Entry {
            merchant_id: &merchant.merchant_id,
            name: &merchant.name,
            mcc: &merchant.mcc,
            country: &merchant.country,
            city: &merchant.city,
            currency: &merchant.currency,
        };
        let url = format!("{}/v1/merchants", self.network_url);
        let entered: Result<Value, _> = self.client.post(&url, &entry, None).await;
        if let Err(error) = entered {
            eprintln!("acquirer: network: {error}");
            return Err(network_away());
        }
        self.introduced.store(true, Ordering::Release);
        Ok(())
    }
}

fn check(wanted: &Wanted) -> Result<(), Problem> {
    check_at(&wanted.at)?;
    if let Some(amount) = wanted.amount_minor
        && !AMOUNTS.contains(&amount)
    {
        return Err(Problem::invalid(
            "amount_minor must be 1 to 999999999999, or absent.",
        ));
    }
    let Some(order) = &wanted.order_id else {
        return Ok(());
    };
    if wanted.amount_minor.is_none() {
        return Err(Problem::invalid(
            "A code without an amount stands for many payments: leave order_id out, or name an amount.",
        ));
    }
    // What a code has room for, and a path can carry.
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !(1..=LABEL).contains(&order.len()) || !order.bytes().all(fits) {
        return Err(Problem::invalid(format!(
            "order_id must be 1 to {LABEL} letters, digits, hyphens, underscores and points."
        )));
    }
    Ok(())
}

fn unwritable() -> Problem {
    Problem::new(
        409,
        "merchant_not_codable",
        "No code for this merchant",
        "The merchant's name, city, country or currency does not fit a payment code. Correct them at the acquirer.",
    )
}
