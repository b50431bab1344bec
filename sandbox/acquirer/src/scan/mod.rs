//! Payments by code: a terminal scanned what is on a phone. Digits are for the provider that they belong to; base64 is a
//! consumer-presented code (EMV QRCPS) with a card's cryptogram, which the network decides on like a tap.
//!
//! The first digits say which provider that is. An order of the merchant is paid once, whatever is scanned for it and
//! however often: the provider sees to it, and the books here have one line per payment. Providers know nothing of each
//! other, so that an order that one may have paid is not asked of another. While the person types a password the provider
//! is asked again now and then; who takes too long is given up, so that the order is not paid behind the cashier's back.
//! What another till has scanned for the same order is left alone.
//!
//! ```text
//! POST /v1/scans         {trace, at, code, amount_minor, currency, order_id}
//!                     →  {result, reason, authorisation, at, network_ref, order_id, payment_id, receipt_signature}
//! POST /v1/scans/revoke  {order_id}  →  {order_id, payment_id, state: "revoked", at}
//! ```
//! The first takes as long as a person takes, up to [`CodeWaits::give_up`]: terminals need more patience for it than for a
//! tap. Its receipt is signed like a tap's, and with a card's cryptogram its answer has a tap's `atc`, `arqc` and masked
//! `token` too.

mod card;
mod cpm;
mod digits;
mod left;
mod orders;
mod provider;
mod table;

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use sandbox_kit::ApiJson;
use sandbox_kit::client::CallError;
use sandbox_kit::event::Event;
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use serde::{Deserialize, Serialize};

use crate::authorise::{Outcome, check_head, receipt};
use crate::{Inner, Shared};
use cpm::CardCode;
use provider::Standing;

pub(crate) use left::resolve;
pub(crate) use table::entry_of;

/// The provider that codes with these first digits belong to.
#[derive(Clone, Debug)]
pub struct CodeRoute {
    /// The first digits. The longest that fits counts.
    pub prefix: String,
    /// `https://…` of the provider, without a slash at its end.
    pub provider_url: String,
}

/// How long a cashier waits for a person's password.
#[derive(Clone, Copy, Debug)]
pub struct CodeWaits {
    /// The time from one question to the next.
    pub poll: Duration,
    /// The time until the payment is given up.
    pub give_up: Duration,
}

impl Default for CodeWaits {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(10),
            give_up: Duration::from_secs(30),
        }
    }
}

/// What a terminal asks.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scan {
    pub(crate) trace: u32,
    pub(crate) at: String,
    pub(crate) code: String,
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
    pub(crate) order_id: String,
}

/// What the terminal is answered: what a tap is answered, and what the payment is called.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Answer {
    pub(crate) result: Outcome,
    pub(crate) reason: Option<String>,
    pub(crate) authorisation: Option<String>,
    pub(crate) at: String,
    pub(crate) network_ref: Option<String>,
    pub(crate) order_id: String,
    pub(crate) payment_id: Option<String>,
    pub(crate) receipt_signature: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) atc: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) arqc: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
}

/// What was scanned.
enum Code {
    /// A provider's digits. What they look like in detail is its business.
    Digits,
    /// A card's cryptogram.
    Card(CardCode),
}

impl Code {
    fn read(code: &str) -> Result<Self, Problem> {
        let digits = code.bytes().all(|byte| byte.is_ascii_digit());
        if (16..=32).contains(&code.len()) && digits {
            return Ok(Self::Digits);
        }
        CardCode::read(code).map(Self::Card).ok_or_else(|| {
            Problem::invalid(
                "code must be 16 to 32 digits, or an EMV consumer-presented code in base64. Scan it again.",
            )
        })
    }

    /// Its name in the database.
    fn kind(&self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Card(_) => "card",
        }
    }
}

pub(crate) async fn scan(
    State(acquirer): State<Shared>,
    SignedBy(terminal): SignedBy,
    ApiJson(scan): ApiJson<Scan>,
) -> Result<Json<Answer>, Problem> {
    check(&scan, &acquirer.merchant.currency)?;
    let code = Code::read(&scan.code)?;
    let text = serde_json::to_string(&scan).map_err(|_| Problem::internal())?;
    let kind = code.kind();
    let asked = acquirer
        .store
        .ask_scan(
            &terminal,
            &scan,
            (kind, text.as_str()),
            &acquirer.code_routes,
        )
        .await?;
    if let Some(answer) = asked.answer()? {
        return Ok(Json(answer));
    }
    Ok(Json(match &code {
        Code::Card(code) => card::pay(&acquirer, &terminal, &scan, code).await?,
        Code::Digits => digits::pay(&acquirer, &terminal, &scan).await?,
    }))
}

/// Signs the decision for the receipt and books it, once. Approved is only what was paid with the scan's amount.
pub(crate) async fn booked(
    acquirer: &Inner,
    terminal: &str,
    scan: &Scan,
    standing: Standing,
) -> Result<Answer, Problem> {
    let standing = standing.seen_by(scan);
    if standing.state == "revoked"
        && let Some(payment) = &standing.payment_id
    {
        // Another till may have heard of it while it was paid.
        acquirer.store.book_reversal(payment, &standing.at).await?;
    }
    let result = match standing.state.as_str() {
        "approved" => Outcome::Approved,
        // One that was revoked is not paid, or will not be for long.
        _ => Outcome::Declined,
    };
    let approved = result == Outcome::Approved;
    let authorisation = standing.authorisation.filter(|_| approved);
    let receipt_signature = receipt(
        acquirer,
        terminal,
        scan.trace,
        (scan.amount_minor, scan.currency.as_str()),
        result,
        authorisation.as_deref(),
    );
    let answer = Answer {
        result,
        reason: match approved {
            true => None,
            false => Some(standing.reason.unwrap_or_else(|| "revoked".to_owned())),
        },
        authorisation,
        at: standing.at,
        network_ref: standing.network_ref,
        order_id: scan.order_id.clone(),
        payment_id: standing.payment_id,
        receipt_signature,
        atc: None,
        arqc: None,
        token: None,
    };
    let booked = acquirer
        .store
        .book_scan(terminal, scan, &acquirer.merchant, &answer)
        .await?;
    if booked {
        tell(acquirer, terminal, scan, answer.result);
        return Ok(answer);
    }
    // Another question was quicker: a trace number is answered the same each time.
    let first = acquirer.store.answer_of(terminal, scan.trace).await?;
    Ok(first.unwrap_or(answer))
}

/// Tells whoever watches what became of a scan.
fn tell(acquirer: &Inner, terminal: &str, scan: &Scan, result: Outcome) {
    acquirer.events.tell(
        Event::new("scanned")
            .with("terminal_id", terminal)
            .with("trace", scan.trace)
            .with("amount_minor", scan.amount_minor)
            .with("currency", scan.currency.as_str())
            .with("result", result.name()),
    );
}

/// An order that a cashier takes back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revocation {
    order_id: String,
}

#[derive(Serialize)]
pub(crate) struct Revoked {
    order_id: String,
    /// What was given up or taken back; nothing where nobody was to pay.
    payment_id: Option<String>,
    state: &'static str,
    at: String,
}

/// Revokes an order, paid or not. What was paid goes back to the customer, and out of the merchant's account here.
pub(crate) async fn revoke(
    State(acquirer): State<Shared>,
    _: SignedBy,
    ApiJson(request): ApiJson<Revocation>,
) -> Result<Json<Revoked>, Problem> {
    order(&request.order_id)?;
    if acquirer.store.holder_of(&request.order_id).await?.is_some() {
        return Err(Problem::new(
            409,
            "order_not_revocable",
            "Paid by card",
            "This order was paid with a card's cryptogram and cannot be revoked. Give the money back at the till.",
        ));
    }
    let mut revoked: Option<Standing> = None;
    for url in acquirer.providers_of(&request.order_id).await? {
        let standing = match acquirer.ask_to_revoke(url, &request.order_id).await {
            Ok(standing) => standing,
            Err(CallError::Refused(problem)) if matches!(problem.status, 400 | 409 | 422) => {
                return Err(problem);
            }
            Err(error) => {
                eprintln!("acquirer: provider: {error}");
                return Err(away(
                    "Whether the order is revoked is not known just now. Revoke it again.",
                ));
            }
        };
        if let Some(payment) = &standing.payment_id {
            acquirer.store.book_reversal(payment, &standing.at).await?;
        }
        // Of several providers that a shown code may have been paid at, one has the payment.
        if revoked.is_none() || standing.payment_id.is_some() {
            revoked = Some(standing);
        }
    }
    let standing = revoked.ok_or_else(|| {
        Problem::new(
            404,
            "order_unknown",
            "Unknown order",
            "No code of a known wallet was scanned for this order, and none was made for it.",
        )
    })?;
    let store = &acquirer.store;
    store.end_order(&request.order_id, &standing.at).await?;
    Ok(Json(Revoked {
        order_id: request.order_id,
        payment_id: standing.payment_id,
        state: "revoked",
        at: standing.at,
    }))
}

fn check(scan: &Scan, currency: &str) -> Result<(), Problem> {
    let amount = (scan.amount_minor, scan.currency.as_str());
    check_head(scan.trace, &scan.at, amount, currency)?;
    order(&scan.order_id)
}

fn order(id: &str) -> Result<(), Problem> {
    if (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Problem::invalid(
        "order_id must be 1 to 64 printable ASCII characters without spaces.",
    ))
}

/// The wallet's provider gave no answer of use; `detail` says what to do.
fn away(detail: &str) -> Problem {
    Problem::new(
        503,
        "provider_unavailable",
        "No word from the wallet provider",
        detail,
    )
}
