//! After the decision: the network is asked, its answer written down, and what nobody waits for any more finished.
//!
//! A payment is committed as `started` before the network hears of it and as `reversing` before the network is told to
//! undo it, and the network knows a payment by its id: what a crash or an outage left open is asked again until there
//! is an answer, and changes nothing that was decided. One payment that goes wrong holds up no other.

use std::time::Duration;

use sandbox_kit::bind::bind;
use sandbox_kit::client::CallError;
use sandbox_kit::event::Event;
use sandbox_kit::problem::Problem;
use sandbox_kit::{bytes, clock};
use serde::{Deserialize, Serialize};

use super::payments::{self, Ending, Payment, State};
use super::{aliases, misses};
use crate::Inner;

/// Younger payments are usually being finished at this moment.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// After so many questions without any answer the network is away. One alone may be a payment over which it hangs.
const AWAY: u32 = 3;

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

/// What was heard of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// How it decided, which is written down.
    Decision,
    /// Something else: the payment stays open.
    Otherwise,
    /// Nothing: it stays open as well.
    Nothing,
}

impl Heard {
    /// What an answer is that decides nothing.
    fn of(payment: &Payment, error: &CallError) -> Self {
        eprintln!("provider: payment {}: {error}", payment.payment_id);
        match error {
            CallError::Unreachable(_) => Self::Nothing,
            CallError::Refused(_) | CallError::Malformed(_) => Self::Otherwise,
        }
    }
}

/// Finishes a payment that is started or reversing, if the network can be reached, and answers how it stands then.
pub(super) async fn finished(provider: &Inner, payment: Payment) -> Result<Payment, Problem> {
    Ok(ask(provider, payment).await?.0)
}

/// The same, with what was heard.
async fn ask(provider: &Inner, payment: Payment) -> Result<(Payment, Heard), Problem> {
    let heard = match payment.state {
        State::Started => authorise(provider, &payment).await?,
        State::Reversing => reverse(provider, &payment).await?,
        _ => return Ok((payment, Heard::Decision)),
    };
    if heard != Heard::Decision {
        return Ok((payment, heard));
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
    Ok((payment, heard))
}

async fn authorise(provider: &Inner, payment: &Payment) -> Result<Heard, Problem> {
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
    let answer: Result<Authorisation, CallError> = provider
        .network
        .ask("/v1/on-file-payments", &body, &key)
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
        // It does not know of the payment and never will. With 409 it does, with other content: that one may be paid.
        Err(CallError::Refused(problem)) if matches!(problem.status, 400 | 422) => {
            eprintln!("provider: payment {}: {problem}", payment.payment_id);
            (
                State::Declined,
                Some("network_refused".to_owned()),
                None,
                None,
            )
        }
        Err(error) => return Ok(Heard::of(payment, &error)),
    };
    let ending = Ending {
        reason: reason.as_deref(),
        authorisation: authorisation.as_deref(),
        network_ref: network_ref.as_deref(),
    };
    end(provider, payment, (State::Started, to), &ending).await?;
    Ok(Heard::Decision)
}

async fn reverse(provider: &Inner, payment: &Payment) -> Result<Heard, Problem> {
    let body = Undo {
        payment_id: &payment.payment_id,
    };
    let key = key("provider-code-reversal", &payment.payment_id);
    let answer: Result<Authorisation, CallError> = provider
        .network
        .ask("/v1/on-file-reversals", &body, &key)
        .await;
    if let Err(error) = answer {
        return Ok(Heard::of(payment, &error));
    }
    let ending = Ending::default();
    end(
        provider,
        payment,
        (State::Reversing, State::Revoked),
        &ending,
    )
    .await?;
    Ok(Heard::Decision)
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

/// One round of what runs beside the API: passwords that nobody typed, numbers that have rested, guesses that count no
/// more, reversals that the network has not taken yet, payments that were left open for at least so long.
pub(crate) async fn round(provider: &Inner, patience: Duration) -> Result<(), Problem> {
    let now = clock::unix_now();
    let tidied = tidy(provider, now).await;
    let old = now.saturating_sub(i64::try_from(patience.as_secs()).unwrap_or(i64::MAX));
    let mut unheard = 0;
    // Somebody waits for money that is on its way back.
    for (state, until) in [(State::Reversing, now), (State::Started, old)] {
        finish_all(provider, (state, until), &mut unheard).await?;
    }
    tidied
}

async fn tidy(provider: &Inner, now: i64) -> Result<(), Problem> {
    let mut work = provider.store.db().begin().await?;
    payments::expire(&mut work, now, &clock::now_text()).await?;
    aliases::recycle(&mut work, now).await?;
    misses::prune(&mut work, &provider.codes.rules, now).await?;
    work.commit().await?;
    Ok(())
}

/// Finishes what is in a state since a moment, until the network is found away: the others would only wait for the same.
async fn finish_all(
    provider: &Inner,
    (state, until): (State, i64),
    unheard: &mut u32,
) -> Result<(), Problem> {
    let mut after = (i64::MIN, String::new());
    loop {
        let page = payments::in_state(
            provider.store.db(),
            state,
            until,
            (after.0, after.1.as_str()),
        );
        let page = page.await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = (last.began, last.payment_id.clone());
        for payment in page {
            if *unheard == AWAY {
                return Ok(());
            }
            let id = payment.payment_id.clone();
            match ask(provider, payment).await {
                Ok((_, Heard::Nothing)) => *unheard += 1,
                Ok(_) => *unheard = 0,
                Err(problem) => eprintln!("provider: payment {id} stays open: {problem}"),
            }
        }
    }
}
