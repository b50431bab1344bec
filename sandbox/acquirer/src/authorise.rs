//! One authorisation: asked of the network, booked, signed for the receipt.
//!
//! The request is written down before the network is asked, and the answer with its bookings after, in one
//! transaction. A trace number without an answer may be asked again, by the terminal or by [`crate::resolve`]: the
//! network knows it by the same key.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use axum::Json;
use axum::extract::State;
use sandbox_kit::bind::bind;
use sandbox_kit::client::CallError;
use sandbox_kit::event::Event;
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{ApiJson, bytes, clock};
use serde::{Deserialize, Serialize};

use crate::{Inner, Shared};

/// What can be paid at once, in minor units: twelve digits is what 9F02 holds.
pub(crate) const AMOUNTS: RangeInclusive<i64> = 1..=999_999_999_999;

/// What a terminal asks. What is not a data object of the card stands outside `emv`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) trace: u32,
    pub(crate) at: String,
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
    pub(crate) token: String,
    pub(crate) expiry: String,
    pub(crate) psn: String,
    pub(crate) emv: BTreeMap<String, String>,
}

/// The same with who is asking, for the network.
#[derive(Serialize)]
struct Forwarded<'a> {
    #[serde(flatten)]
    request: &'a Request,
    acquirer_id: &'a str,
    terminal_id: &'a str,
    merchant_id: &'a str,
    merchant: &'a str,
    mcc: &'a str,
    country: &'a str,
    /// How the card's data came, where that was not by a tap.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<&'a str>,
}

/// What the network answers.
#[derive(Deserialize)]
pub(crate) struct Decision {
    pub(crate) result: Outcome,
    pub(crate) reason: Option<String>,
    pub(crate) authorisation: Option<String>,
    pub(crate) at: String,
    pub(crate) network_ref: String,
}

/// Why a payment has no answer.
pub(crate) enum Trouble {
    /// The network does not take what the terminal sent: trying again would not help.
    Refused(Problem),
    /// The network gave no answer of use. It may know the payment all the same.
    Away(CallError),
    /// The acquirer's own database failed.
    Here(Problem),
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

/// What the terminal is answered.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Answer {
    pub(crate) result: Outcome,
    pub(crate) reason: Option<String>,
    pub(crate) authorisation: Option<String>,
    pub(crate) at: String,
    pub(crate) network_ref: String,
    pub(crate) receipt_signature: String,
}

pub(crate) async fn authorise(
    State(acquirer): State<Shared>,
    SignedBy(terminal): SignedBy,
    ApiJson(mut request): ApiJson<Request>,
) -> Result<Json<Answer>, Problem> {
    check(&request, &acquirer.merchant.currency)?;
    // The network derives the amount that the cryptogram must cover from what it is asked to pay, never from here.
    request.emv.remove("9F02");
    let text = serde_json::to_string(&request).map_err(|_| Problem::internal())?;
    let asked = acquirer.store.ask(&terminal, request.trace, &text).await?;
    if let Some(answer) = asked.answer()? {
        return Ok(Json(answer));
    }
    match settle(&acquirer, &terminal, &request).await {
        Ok(answer) => Ok(Json(answer)),
        Err(Trouble::Refused(problem) | Trouble::Here(problem)) => Err(problem),
        Err(Trouble::Away(error)) => {
            eprintln!("acquirer: network: {error}");
            Err(network_away())
        }
    }
}

/// Nobody knows how a payment stands.
pub(crate) fn network_away() -> Problem {
    Problem::new(
        503,
        "network_unavailable",
        "Payment network not reachable",
        "The payment network does not answer just now. Ask again with the same trace number.",
    )
}

/// Asks the network for a request that was written down, and books its answer.
pub(crate) async fn settle(
    acquirer: &Inner,
    terminal: &str,
    request: &Request,
) -> Result<Answer, Trouble> {
    let here = |error: sqlx::Error| Trouble::Here(error.into());
    let decision = match ask_network(acquirer, terminal, request, None).await {
        Ok(decision) => decision,
        Err(CallError::Refused(problem)) if matches!(problem.status, 400 | 409 | 422) => {
            acquirer
                .store
                .give_up(terminal, request.trace)
                .await
                .map_err(here)?;
            return Err(Trouble::Refused(problem));
        }
        Err(error) => return Err(Trouble::Away(error)),
    };
    let answer = answered(acquirer, terminal, request, decision);
    let booked = acquirer
        .store
        .book(terminal, request, &acquirer.merchant, &answer)
        .await
        .map_err(here)?;
    if booked {
        acquirer.events.tell(
            Event::new("authorised")
                .with("terminal_id", terminal)
                .with("trace", request.trace)
                .with("amount_minor", request.amount_minor)
                .with("currency", request.currency.as_str())
                .with("result", answer.result.name()),
        );
    }
    Ok(answer)
}

/// Asks the network; `entry` says how the card's data came where that was not by a tap.
pub(crate) async fn ask_network(
    acquirer: &Inner,
    terminal: &str,
    request: &Request,
    entry: Option<&str>,
) -> Result<Decision, CallError> {
    let forwarded = Forwarded {
        request,
        acquirer_id: &acquirer.acquirer_id,
        terminal_id: terminal,
        merchant_id: &acquirer.merchant.merchant_id,
        merchant: &acquirer.merchant.name,
        mcc: &acquirer.merchant.mcc,
        country: &acquirer.merchant.country,
        entry,
    };
    let trace = request.trace.to_string();
    let parts: [&[u8]; 3] = [
        acquirer.acquirer_id.as_bytes(),
        terminal.as_bytes(),
        trace.as_bytes(),
    ];
    let key = bytes::to_hex(&bytes::sha256(&bind("acquirer-authorisation", &parts)));
    let url = format!("{}/v1/authorisations", acquirer.network_url);
    acquirer.client.post(&url, &forwarded, Some(&key)).await
}

/// The network's decision with the signature for the receipt.
pub(crate) fn answered(
    acquirer: &Inner,
    terminal: &str,
    request: &Request,
    decision: Decision,
) -> Answer {
    let receipt_signature = receipt(
        acquirer,
        terminal,
        request.trace,
        (request.amount_minor, request.currency.as_str()),
        decision.result,
        decision.authorisation.as_deref(),
    );
    Answer {
        result: decision.result,
        reason: decision.reason,
        authorisation: decision.authorisation,
        at: decision.at,
        network_ref: decision.network_ref,
        receipt_signature,
    }
}

/// The acquirer's signature over what a receipt says.
pub(crate) fn receipt(
    acquirer: &Inner,
    terminal: &str,
    trace: u32,
    (amount_minor, currency): (i64, &str),
    result: Outcome,
    authorisation: Option<&str>,
) -> String {
    let (trace, amount) = (trace.to_string(), amount_minor.to_string());
    let parts: [&[u8]; 6] = [
        terminal.as_bytes(),
        trace.as_bytes(),
        amount.as_bytes(),
        currency.as_bytes(),
        result.name().as_bytes(),
        authorisation.unwrap_or_default().as_bytes(),
    ];
    bytes::to_hex(&acquirer.key.sign(&bind("tapcore-receipt-v1", &parts)))
}

fn check(request: &Request, currency: &str) -> Result<(), Problem> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let amount = (request.amount_minor, request.currency.as_str());
    check_head(request.trace, &request.at, amount, currency)?;
    if !(12..=19).contains(&request.token.len()) || !digits(&request.token) {
        return Err(Problem::invalid("token must be 12 to 19 digits."));
    }
    if request.expiry.len() != 4
        || !digits(&request.expiry)
        || request.psn.len() != 2
        || !digits(&request.psn)
    {
        return Err(Problem::invalid("expiry must be YYMM, psn two digits."));
    }
    let objects = request.emv.iter().all(|(tag, value)| {
        matches!(tag.len(), 2 | 4 | 6)
            && bytes::from_hex(tag).is_some()
            && bytes::from_hex(value).is_some()
    });
    if !objects {
        return Err(Problem::invalid(
            "emv must map tags to values, both in hex.",
        ));
    }
    Ok(())
}

/// Checks what a tap and a scan have in common, for a merchant that is paid in `paid_in`.
pub(crate) fn check_head(
    trace: u32,
    at: &str,
    (amount_minor, currency): (i64, &str),
    paid_in: &str,
) -> Result<(), Problem> {
    if trace == 0 {
        return Err(Problem::invalid("trace must be a positive number."));
    }
    if !AMOUNTS.contains(&amount_minor) {
        return Err(Problem::invalid("amount_minor must be 1 to 999999999999."));
    }
    if currency != paid_in {
        return Err(Problem::invalid(format!(
            "This merchant is paid in {paid_in}."
        )));
    }
    check_at(at)
}

/// Checks that a terminal's clock can be read.
pub(crate) fn check_at(at: &str) -> Result<(), Problem> {
    if clock::parse(at).is_none() {
        return Err(Problem::invalid(
            "at must be an RFC 3339 time in UTC, with Z.",
        ));
    }
    Ok(())
}
