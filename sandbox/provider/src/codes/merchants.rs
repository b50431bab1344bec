//! What phones ask about a shop's code: whom it pays, and to pay it. The name that a person is shown comes from the
//! network's directory, which acquirers fill; what is printed in the code is not believed.
//!
//! A payment is known by the phone's Idempotency-Key from the moment it is written down, so that a repeated request is
//! answered how it stands by then, also while the network is away. An order is paid once, over all phones.

use axum::Json;
use axum::extract::State;
use sandbox_kit::bind::bind;
use sandbox_kit::idempotency::IdempotencyKey;
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{ApiJson, bytes, clock};
use serde::{Deserialize, Serialize};
use sqlx::Row;

use super::aliases::Work;
use super::judge::{Purchase, judge};
use super::mpm::{self, ShopCode};
use super::payments::{self, Ending, Payment, Request, State as Stage};
use super::rules::Class;
use super::settle::finished;
use super::watch::Told;
use super::{entries, form::MAX_AMOUNT};
use crate::store::Device;
use crate::{Inner, Shared, form};

/// The terminal of a code that names none.
const NO_TERMINAL: &str = "code";
/// Characters of the order that is made up for a code that stands for many payments, after its `S`.
const ORDER_DIGITS: usize = 24;

/// A code as the phone read it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    code: String,
}

/// Whom it pays and what.
#[derive(Serialize)]
pub(super) struct Offer {
    payee_id: String,
    payee: String,
    /// Merchant category (ISO 18245).
    category: String,
    city: String,
    /// ISO 3166 numeric, four digits.
    country: String,
    /// Absent where the person types it.
    amount_minor: Option<i64>,
    currency: String,
    /// The order.
    bill: Option<String>,
    /// Whether it is for one payment.
    once: bool,
}

/// A shop as the network's directory has it.
#[derive(Deserialize)]
struct Payee {
    name: String,
    mcc: String,
    country: String,
    city: String,
    currency: String,
}

#[derive(Serialize)]
struct Lookup<'a> {
    acquirer_id: &'a str,
    merchant_id: &'a str,
}

/// A payment that the person has agreed to on the phone.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    code: String,
    token_ref: String,
    amount_minor: i64,
    currency: String,
}

pub(super) async fn look_up(
    State(provider): State<Shared>,
    _: SignedBy,
    ApiJson(asked): ApiJson<Asked>,
) -> Result<Json<Offer>, Problem> {
    let code = mpm::read(&asked.code)?;
    let payee = payee(&provider, &code).await?;
    Ok(Json(Offer {
        payee_id: format!("{}/{}", code.acquirer_id, code.merchant_id),
        payee: payee.name,
        category: payee.mcc,
        city: payee.city,
        country: payee.country,
        amount_minor: code.amount_minor,
        currency: payee.currency,
        once: code.order_id.is_some(),
        bill: code.order_id,
    }))
}

pub(super) async fn pay(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiJson(wish): ApiJson<Wish>,
) -> Result<Json<Told>, Problem> {
    wish.check()?;
    let device = provider.store.device_of_session(&session).await?;
    let request = wish.request(&device, &key)?;
    let payment = match repeated(&provider, &request).await? {
        Some(known) => known,
        None => {
            let code = mpm::read(&wish.code)?;
            let payee = payee(&provider, &code).await?;
            wish.agrees(&code)?;
            write_down(&provider, &device, &wish, (&code, payee), request).await?
        }
    };
    provider.codes.changed();
    let payment = finished(&provider, payment).await?;
    Ok(Json(Told::of(&payment)))
}

/// Whom a code pays.
async fn payee(provider: &Inner, code: &ShopCode) -> Result<Payee, Problem> {
    let lookup = Lookup {
        acquirer_id: &code.acquirer_id,
        merchant_id: &code.merchant_id,
    };
    let parts = [code.acquirer_id.as_bytes(), code.merchant_id.as_bytes()];
    let key = bytes::to_hex(&bytes::sha256(&bind("provider-merchant-lookup", &parts)));
    let payee: Result<Payee, Problem> = provider
        .network
        .post("/v1/merchant-lookups", &lookup, &key, &[404])
        .await;
    let payee = payee.map_err(|problem| match problem.status {
        404 => mpm::unknown(),
        _ => problem,
    })?;
    match payee.currency == code.currency {
        true => Ok(payee),
        false => Err(mpm::Unread::Invalid("The code is not in the shop's currency.").into()),
    }
}

/// The payment that this request asked for before.
async fn repeated(provider: &Inner, request: &Request) -> Result<Option<Payment>, Problem> {
    let mut work = provider.store.db().begin().await?;
    payments::expire(&mut work, clock::unix_now(), &clock::now_text()).await?;
    let known = known(&mut work, request).await?;
    work.commit().await?;
    Ok(known)
}

async fn known(work: &mut Work, request: &Request) -> Result<Option<Payment>, Problem> {
    let known = payments::of_request(work, &request.key).await?;
    match known {
        Some(payment) if payment.request.as_ref() != Some(request) => Err(Problem::new(
            409,
            "idempotency_conflict",
            "Idempotency key used before",
            "This Idempotency-Key came with another payment before. Use a fresh one for a new payment.",
        )),
        known => Ok(known),
    }
}

/// Decides and writes the payment down, in one transaction.
async fn write_down(
    provider: &Inner,
    device: &Device,
    wish: &Wish,
    (code, payee): (&ShopCode, Payee),
    request: Request,
) -> Result<Payment, Problem> {
    let policy = provider.policy().await?.codes;
    let (rules, now, at) = (&provider.codes.rules, clock::unix_now(), clock::now_text());
    let order_id = match &code.order_id {
        Some(order) => order.clone(),
        // One for each request, which is paid once like any order.
        None => {
            let digits: String = request.key.chars().take(ORDER_DIGITS).collect();
            format!("S{digits}")
        }
    };
    let mut work = provider.store.db().begin().await?;
    payments::expire(&mut work, now, &at).await?;
    // The same request may have come twice at once.
    if let Some(known) = known(&mut work, &request).await? {
        return Ok(known);
    }
    let token_state = token_state(&mut work, device, &wish.token_ref).await?;
    if token_state.as_deref() != Some("active") {
        return Err(account_not_active());
    }
    let (acquirer, merchant) = (code.acquirer_id.as_str(), code.merchant_id.as_str());
    if let Some(open) = payments::of_order(&mut work, acquirer, merchant, &order_id).await? {
        // A till that scanned a code for the order prints its own amount, which need not be this code's.
        let scanned = open.request.is_none();
        if scanned || open.state != Stage::Wanted {
            return Err(order_paid());
        }
        // It waits for a person who may have gone: whoever reads the same code next takes its place.
        let steps = (Stage::Wanted, Stage::Declined);
        let ending = Ending::because("superseded");
        payments::end(&mut work, &open.payment_id, steps, &ending, &at).await?;
    }
    let purchase = Purchase {
        user: &device.user,
        device: &device.id,
        token_state: "active",
        mcc: &payee.mcc,
        country: &payee.country,
        amount_minor: wish.amount_minor,
        currency: &wish.currency,
    };
    let (state, reason) = judge(&mut work, rules, &policy, &purchase, now).await?;
    let payment = Payment {
        payment_id: bytes::random_id("cpy"),
        acquirer_id: code.acquirer_id.clone(),
        merchant_id: code.merchant_id.clone(),
        order_id,
        alias: String::new(),
        user: device.user.clone(),
        device: device.id.clone(),
        token_ref: wish.token_ref.clone(),
        terminal_id: code
            .terminal_id
            .clone()
            .unwrap_or_else(|| NO_TERMINAL.to_owned()),
        merchant: payee.name,
        mcc: payee.mcc,
        country: payee.country,
        asked_at: at.clone(),
        amount_minor: wish.amount_minor,
        currency: wish.currency.clone(),
        class: Class::C.name().to_owned(),
        state,
        reason,
        authorisation: None,
        network_ref: None,
        at,
        began: now,
        confirm_until: now.saturating_add(rules.password_wait_s),
        request: Some(request),
    };
    payments::insert(&mut work, &payment, None).await?;
    if state == Stage::Declined {
        entries::write(&mut work, &payment).await?;
    }
    work.commit().await?;
    Ok(payment)
}

async fn token_state(
    work: &mut Work,
    device: &Device,
    token: &str,
) -> Result<Option<String>, sqlx::Error> {
    let row = sqlx::query("SELECT state FROM tokens WHERE token_ref = $1 AND device_id = $2")
        .bind(token)
        .bind(device.id.as_str())
        .fetch_optional(&mut **work)
        .await?;
    row.map(|row| row.try_get(0)).transpose()
}

impl Wish {
    fn check(&self) -> Result<(), Problem> {
        if !form::is_id("tok_", &self.token_ref) {
            return Err(Problem::invalid(
                "token_ref must be a token of this device.",
            ));
        }
        if !(1..=MAX_AMOUNT).contains(&self.amount_minor) {
            return Err(Problem::invalid("amount_minor must be 1 to 999999999999."));
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase())
        {
            return Err(Problem::invalid("currency must be three capitals."));
        }
        Ok(())
    }

    fn request(&self, device: &Device, key: &str) -> Result<Request, Problem> {
        let content = serde_json::to_vec(self).map_err(|_| Problem::internal())?;
        let parts = [device.id.as_bytes(), key.as_bytes()];
        let key = bind("provider-merchant-payment", &parts);
        Ok(Request {
            key: bytes::to_hex(&bytes::sha256(&key)),
            content: bytes::to_hex(&bytes::sha256(&content)),
        })
    }

    /// Whether the person agreed to what the code asks for.
    fn agrees(&self, code: &ShopCode) -> Result<(), Problem> {
        let other = code
            .amount_minor
            .is_some_and(|amount| amount != self.amount_minor);
        if other || self.currency != code.currency {
            return Err(Problem::new(
                409,
                "amount_differs",
                "Another amount",
                "The code asks for another amount or currency. Read the code again and pay what it asks for.",
            ));
        }
        Ok(())
    }
}

fn account_not_active() -> Problem {
    Problem::new(
        409,
        "account_not_active",
        "Account not active",
        "This token is not an active one of this device. Choose another account, or resume this one.",
    )
}

fn order_paid() -> Problem {
    Problem::new(
        409,
        "order_paid",
        "Order not open",
        "This order is being paid, paid or taken back. Ask the shop for a fresh code.",
    )
}
