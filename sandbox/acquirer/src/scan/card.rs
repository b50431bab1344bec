//! Payments by consumer-presented codes: asked of the network like taps, and booked like them.
//!
//! The network knows a payment by terminal and trace number, so that two codes for one order would be two payments to it:
//! one scan at a time holds the order here, until it is declined. Whoever scans for a held order hears how it stands.

use sandbox_kit::bytes;
use sandbox_kit::client::CallError;
use sandbox_kit::mask::mask_number;
use sandbox_kit::problem::Problem;

use super::cpm::CardCode;
use super::orders::{Claim, Holder};
use super::provider::Standing;
use super::{Answer, Scan, booked, tell};
use crate::Inner;
use crate::authorise::{Outcome, Request, answered, ask_network, network_away, receipt};

/// The network's word for such a payment.
const ENTRY: &str = "cpm";
/// How many scans that held an order and were declined are looked at before this one gets it.
const HOLDERS: u32 = 8;

/// Pays an order with a code, or answers how it stands.
pub(super) async fn pay(
    acquirer: &Inner,
    terminal: &str,
    scan: &Scan,
    code: &CardCode,
) -> Result<Answer, Problem> {
    let Some(request) = code.request(scan, &acquirer.aids) else {
        let nobody = Standing::declined("code_not_routed");
        return booked(acquirer, terminal, scan, nobody).await;
    };
    for _ in 0..HOLDERS {
        match acquirer.store.claim(terminal, scan).await? {
            Claim::Ours => return settle(acquirer, terminal, scan, &request).await,
            Claim::Held(holder) => {
                if let Some(answer) = stands(acquirer, terminal, scan, holder).await? {
                    return Ok(answer);
                }
            }
            Claim::Open => return Err(refused(acquirer, terminal, scan, order_open()).await),
            Claim::Shown => return Err(refused(acquirer, terminal, scan, order_shown()).await),
            Claim::Over => return Err(refused(acquirer, terminal, scan, order_over()).await),
        }
    }
    Err(network_away())
}

/// How an order stands that another scan of a card's code holds; `None` when nobody does.
pub(super) async fn standing(
    acquirer: &Inner,
    terminal: &str,
    scan: &Scan,
) -> Result<Option<Answer>, Problem> {
    match acquirer.store.holder_of(&scan.order_id).await? {
        Some(holder) => stands(acquirer, terminal, scan, holder).await,
        None => Ok(None),
    }
}

/// Asks the network for a payment that was written down, and books its answer.
pub(super) async fn settle(
    acquirer: &Inner,
    terminal: &str,
    scan: &Scan,
    request: &Request,
) -> Result<Answer, Problem> {
    let decision = match ask_network(acquirer, terminal, request, Some(ENTRY)).await {
        Ok(decision) => decision,
        // With 409 it knows the payment, with other content: that one may be paid, and keeps the order.
        Err(CallError::Refused(problem)) if matches!(problem.status, 400 | 422) => {
            acquirer.store.let_go(terminal, scan).await?;
            return Err(refused(acquirer, terminal, scan, problem).await);
        }
        Err(error) => {
            eprintln!("acquirer: network: {error}");
            return Err(network_away());
        }
    };
    let paid = answered(acquirer, terminal, request, decision);
    let atc = request.emv.get("9F36");
    let atc = atc.and_then(|atc| bytes::from_hex_exact::<2>(atc));
    let answer = Answer {
        result: paid.result,
        reason: paid.reason.clone(),
        authorisation: paid.authorisation.clone(),
        at: paid.at.clone(),
        network_ref: Some(paid.network_ref.clone()),
        order_id: scan.order_id.clone(),
        payment_id: None,
        receipt_signature: paid.receipt_signature.clone(),
        atc: atc.map(u16::from_be_bytes),
        arqc: request.emv.get("9F26").cloned(),
        token: Some(mask_number(&request.token)),
    };
    let booked = acquirer
        .store
        .book_card(
            terminal,
            (scan, request),
            &acquirer.merchant,
            (&answer, &paid),
        )
        .await?;
    if booked {
        tell(acquirer, terminal, scan, answer.result);
    }
    Ok(answer)
}

/// The answer for a scan whose order another one holds: that one's, once it has one. `None` when it was declined, which
/// lets go of the order.
async fn stands(
    acquirer: &Inner,
    terminal: &str,
    scan: &Scan,
    holder: Holder,
) -> Result<Option<Answer>, Problem> {
    let held: Scan = serde_json::from_str(&holder.request).map_err(|_| Problem::internal())?;
    let answer: Answer = match &holder.answer {
        Some(answer) => serde_json::from_str(answer).map_err(|_| Problem::internal())?,
        None => {
            let request = CardCode::read(&held.code)
                .and_then(|code| code.request(&held, &acquirer.aids))
                .ok_or_else(Problem::internal)?;
            settle(acquirer, &holder.terminal, &held, &request).await?
        }
    };
    if answer.result == Outcome::Declined {
        return Ok(None);
    }
    if held.amount_minor != scan.amount_minor {
        return Err(refused(acquirer, terminal, scan, order_conflict()).await);
    }
    let receipt_signature = receipt(
        acquirer,
        terminal,
        scan.trace,
        (scan.amount_minor, scan.currency.as_str()),
        answer.result,
        answer.authorisation.as_deref(),
    );
    let answer = Answer {
        receipt_signature,
        ..answer
    };
    acquirer
        .store
        .keep_answer(terminal, scan.trace, &answer)
        .await?;
    Ok(Some(answer))
}

/// Gives a scan up that is refused, so that nobody asks for it again but its terminal.
async fn refused(acquirer: &Inner, terminal: &str, scan: &Scan, problem: Problem) -> Problem {
    match acquirer.store.give_up_scan(terminal, scan.trace).await {
        Ok(()) => problem,
        Err(error) => error.into(),
    }
}

fn order_conflict() -> Problem {
    Problem::new(
        409,
        "order_conflict",
        "Order used before",
        "This order was paid with another amount. Use another order number.",
    )
}

fn order_shown() -> Problem {
    Problem::new(
        409,
        "order_conflict",
        "Order shown as a code",
        "A code of this shop was made for this order, and a phone may be paying it. Revoke the order and use another order number.",
    )
}

fn order_open() -> Problem {
    Problem::new(
        409,
        "order_open",
        "Order not decided",
        "Another code is being paid for this order. Wait for it or revoke the order, then scan again.",
    )
}

fn order_over() -> Problem {
    Problem::new(
        409,
        "order_over",
        "Order taken back",
        "This order was paid and taken back. Use another order number.",
    )
}
