//! Payments by digits: asked of their provider until it has decided, or the person has taken too long.

use std::time::Instant;

use sandbox_kit::client::CallError;
use sandbox_kit::problem::Problem;

use super::provider::Standing;
use super::{Answer, Scan, away, booked, card};
use crate::Inner;

/// Pays an order with digits, or answers how it stands.
pub(super) async fn pay(acquirer: &Inner, terminal: &str, scan: &Scan) -> Result<Answer, Problem> {
    // The provider knows nothing of orders that were paid with a card's code.
    if let Some(answer) = card::standing(acquirer, terminal, scan).await? {
        return Ok(answer);
    }
    let Some(url) = acquirer.route(&scan.code) else {
        let nobody = Standing::declined("code_not_routed");
        return booked(acquirer, terminal, scan, nobody).await;
    };
    match decided(acquirer, terminal, url, scan).await {
        Ok(standing) => booked(acquirer, terminal, scan, standing).await,
        Err(CallError::Refused(problem)) if matches!(problem.status, 400 | 409 | 422) => {
            acquirer.store.give_up_scan(terminal, scan.trace).await?;
            Err(problem)
        }
        Err(error) => {
            eprintln!("acquirer: provider: {error}");
            Err(away())
        }
    }
}

/// Asks the provider until it has decided or the person has taken too long.
async fn decided(
    acquirer: &Inner,
    terminal: &str,
    url: &str,
    scan: &Scan,
) -> Result<Standing, CallError> {
    let begun = Instant::now();
    let mut standing = acquirer.ask_to_pay(url, terminal, scan).await?;
    if !standing.is_pending() {
        return Ok(standing);
    }
    let ours = standing.payment_id.clone().ok_or_else(nameless)?;
    while standing.is_pending() {
        if !standing.is_of(&ours) {
            return Ok(superseded(&ours));
        }
        let left = acquirer.code_waits.give_up.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return given_up(acquirer, url, scan, (&ours, &standing)).await;
        }
        tokio::time::sleep(acquirer.code_waits.poll.min(left)).await;
        match acquirer.ask_how(url, &scan.order_id).await {
            Ok(now) => standing = now,
            // It may be back before the time is over.
            Err(CallError::Unreachable(why)) => eprintln!("acquirer: provider: {why}"),
            Err(error) => return Err(error),
        }
    }
    Ok(standing)
}

/// Gives up the payment that this scan asked for and that was last heard of as waiting, and no other: what was decided
/// meanwhile stands.
async fn given_up(
    acquirer: &Inner,
    url: &str,
    scan: &Scan,
    (ours, waiting): (&str, &Standing),
) -> Result<Standing, CallError> {
    let standing = acquirer.ask_to_give_up(url, &scan.order_id, ours).await?;
    if standing.is_pending() {
        return match standing.is_of(ours) {
            true => Err(CallError::Malformed(
                "given up, and pending still".to_owned(),
            )),
            false => Ok(superseded(ours)),
        };
    }
    if standing.state == "revoked" && standing.is_of(ours) {
        return Ok(Standing {
            reason: Some(waiting.timeout().to_owned()),
            ..standing
        });
    }
    Ok(standing)
}

/// Another scan took the order over while the person was waited for.
fn superseded(ours: &str) -> Standing {
    Standing {
        payment_id: Some(ours.to_owned()),
        ..Standing::declined("superseded")
    }
}

/// Nobody could ask about it or give it up.
fn nameless() -> CallError {
    CallError::Malformed("a payment that is pending has no name".to_owned())
}
