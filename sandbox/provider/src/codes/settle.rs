//! After the decision: the network is asked, its answer written down, and what nobody waits for any more finished.
//!
//! A payment is committed as `started` before the network hears of it and as `reversing` before the network is told to
//! undo it, and the network knows a payment by its id: what a crash or an outage left open is asked again until there
//! is an answer, and changes nothing that was decided.

use std::time::Duration;

use sandbox_kit::bind::bind;
use sandbox_kit::event::Event;
use sandbox_kit::problem::Problem;
use sandbox_kit::{bytes, clock};
use serde::{Deserialize, Serialize};

use super::aliases;
use super::payments::{self, Ending, Payment, State};
use crate::Inner;

/// Younger payments are usually being finished at this moment.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A payment as the network is asked for it.
#[derive(Serialize)]
struct OnFile<'a> {
    payment_id: &'a str,
    device_id: &'a str,
    token_ref: &'a str,
    acquirer_id: &'a str,
    terminal_id: &'a str,
    merchant_id: &'a str,
    merchant: &'a str,
    mcc: &'a str,
    country: &'a str,
    at: &'a str,
    amount_minor: i64,
    currency: &'a str,
    /// Of a payment by the shop's code, of which the network tells the acquirer.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<&'a str>,
}

/// What is asked of a payment that the network knows.
#[derive(Serialize)]
struct Undo<'a> {
    payment_id: &'a str,
}

/// The network's decision.
#[derive(Deserialize)]
struct Authorisation {
    result: String,
    reason: Option<String>,
    authorisation: Option<String>,
    network_ref: String,
}

/// Finishes a payment that is started or reversing, if the network can be reached, and answers how it stands then.
pub(super) async fn finished(provider: &Inner, payment: Payment) -> Result<Payment, Problem> {
    let answered = match payment.state {
        State::Started => authorise(provider, &payment).await?,
        State::Reversing => reverse(provider, &payment).await?,
        _ => return Ok(payment),
    };
    if !answered {
        return Ok(payment);
    }
    let mut work = provider.store.db().begin().await?;
    let now = payments::by_id(&mut work, &payment.payment_id).await?;
    work.commit().await?;
    provider.codes.changed();
    let payment = now.unwrap_or(payment);
    provider.events.tell(
        Event::new("code_payment")
            .with("payment_id", payment.payment_id.as_str())
            .with("state", payment.state.name()),
    );
    Ok(payment)
}

/// Whether there is an answer, which is written down then.
async fn authorise(provider: &Inner, payment: &Payment) -> Result<bool, Problem> {
    let body = OnFile {
        payment_id: &payment.payment_id,
        device_id: &payment.device,
        token_ref: &payment.token_ref,
        acquirer_id: &payment.acquirer_id,
        terminal_id: &payment.terminal_id,
        merchant_id: &payment.merchant_id,
        merchant: &payment.merchant,
        mcc: &payment.mcc,
        country: &payment.country,
        at: &payment.asked_at,
        amount_minor: payment.amount_minor,
        currency: &payment.currency,
        order_id: payment.request.as_ref().map(|_| payment.order_id.as_str()),
    };
    let key = key("provider-code-payment", &payment.payment_id);
    let answer: Result<Authorisation, Problem> = provider
        .network
        .post("/v1/on-file-payments", &body, &key, &[400, 409, 422])
        .await;
    let (to, reason, authorisation, network_ref) = match answer {
        Ok(decided) if decided.result == "approved" => (
            State::Approved,
            None,
            decided.authorisation,
            Some(decided.network_ref),
        ),
        Ok(decided) => (
            State::Declined,
            Some(decided.reason.unwrap_or_else(|| "bank_declined".to_owned())),
            None,
            Some(decided.network_ref),
        ),
        // It does not know of the payment and never will.
        Err(problem) if matches!(problem.status, 400 | 409 | 422) => {
            eprintln!("provider: payment {}: {problem}", payment.payment_id);
            (
                State::Declined,
                Some("network_refused".to_owned()),
                None,
                None,
            )
        }
        Err(_) => return Ok(false),
    };
    let ending = Ending {
        reason: reason.as_deref(),
        authorisation: authorisation.as_deref(),
        network_ref: network_ref.as_deref(),
    };
    end(provider, payment, (State::Started, to), &ending).await?;
    Ok(true)
}

/// Whether the network has undone it, which is written down then.
async fn reverse(provider: &Inner, payment: &Payment) -> Result<bool, Problem> {
    let body = Undo {
        payment_id: &payment.payment_id,
    };
    let key = key("provider-code-reversal", &payment.payment_id);
    let answer: Result<Authorisation, Problem> = provider
        .network
        .post("/v1/on-file-reversals", &body, &key, &[])
        .await;
    if answer.is_err() {
        return Ok(false);
    }
    let ending = Ending::default();
    end(
        provider,
        payment,
        (State::Reversing, State::Revoked),
        &ending,
    )
    .await?;
    Ok(true)
}

async fn end(
    provider: &Inner,
    payment: &Payment,
    steps: (State, State),
    ending: &Ending<'_>,
) -> Result<(), Problem> {
    let mut work = provider.store.db().begin().await?;
    // Somebody else may have been quicker, or a shop may have revoked meanwhile: then that stands.
    payments::end(
        &mut work,
        &payment.payment_id,
        steps,
        ending,
        &clock::now_text(),
    )
    .await?;
    work.commit().await?;
    Ok(())
}

fn key(label: &str, payment: &str) -> String {
    bytes::to_hex(&bytes::sha256(&bind(label, &[payment.as_bytes()])))
}

/// One round of what runs beside the API: passwords that nobody typed, payments that were left open for at least so
/// long, reversals that the network has not taken yet, numbers that have rested.
pub(crate) async fn round(provider: &Inner, patience: Duration) -> Result<(), Problem> {
    let now = clock::unix_now();
    let mut work = provider.store.db().begin().await?;
    payments::expire(&mut work, now, &clock::now_text()).await?;
    aliases::recycle(&mut work, now).await?;
    work.commit().await?;
    let old = now.saturating_sub(i64::try_from(patience.as_secs()).unwrap_or(i64::MAX));
    for (state, until) in [(State::Started, old), (State::Reversing, now)] {
        for payment in payments::in_state(provider.store.db(), state, until).await? {
            let state = payment.state;
            if finished(provider, payment).await?.state == state {
                // The network is away: the others would only wait for the same.
                break;
            }
        }
    }
    Ok(())
}
