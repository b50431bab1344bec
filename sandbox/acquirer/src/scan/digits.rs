//! Payments by digits: asked of their provider until it has decided, or the person has taken too long.
//!
//! Only the provider's first word, on the question to pay, refuses a scan for good. Whatever goes wrong after it leaves the
//! scan open: the order may be paid at this moment.

use std::time::Instant;

use sandbox_kit::client::CallError;
use sandbox_kit::problem::Problem;

use super::provider::Standing;
use super::{Answer, Scan, away, booked, card};
use crate::Inner;

/// Why the provider has not decided on a scan.
enum Undecided {
    /// It does not take it: nothing is paid for this scan.
    Refused(Problem),
    /// Nobody knows how the order stands.
    Open(CallError),
    /// Somebody else's payment of the order is still waited for.
    Others,
}

impl From<CallError> for Undecided {
    fn from(error: CallError) -> Self {
        Self::Open(error)
    }
}

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
        Err(Undecided::Refused(problem)) => {
            acquirer.store.give_up_scan(terminal, scan.trace).await?;
            Err(problem)
        }
        Err(Undecided::Open(error)) => {
            eprintln!("acquirer: provider: {error}");
            Err(undecided())
        }
        Err(Undecided::Others) => Err(undecided()),
    }
}

/// Asks the provider until it has decided or the person has taken too long.
async fn decided(
    acquirer: &Inner,
    terminal: &str,
    url: &str,
    scan: &Scan,
) -> Result<Standing, Undecided> {
    let begun = Instant::now();
    let asked = acquirer.ask_to_pay(url, terminal, scan).await;
    let mut standing = asked.map_err(|error| match error {
        CallError::Refused(problem) if matches!(problem.status, 400 | 409 | 422) => {
            Undecided::Refused(problem)
        }
        error => Undecided::Open(error),
    })?;
    if !standing.is_pending() {
        return Ok(standing);
    }
    // The order may stand by a payment that another till, or the shop's own code, has begun: that one is not given up here.
    let others = standing.of_code == Some(false);
    let ours = standing.payment_id.clone().ok_or_else(nameless)?;
    while standing.is_pending() {
        if !others && !standing.is_of(&ours) {
            return Ok(superseded(&ours));
        }
        let left = acquirer.code_waits.give_up.saturating_sub(begun.elapsed());
        if left.is_zero() && others {
            return Err(Undecided::Others);
        }
        if left.is_zero() {
            let ended = given_up(acquirer, url, scan, (ours.as_str(), &standing)).await;
            return ended.map_err(Undecided::Open);
        }
        tokio::time::sleep(acquirer.code_waits.poll.min(left)).await;
        match acquirer.ask_how(url, &scan.order_id).await {
            Ok(now) => standing = now,
            // It may be back before the time is over.
            Err(CallError::Unreachable(why)) => eprintln!("acquirer: provider: {why}"),
            Err(CallError::Refused(problem)) if problem.status >= 500 => {
                eprintln!("acquirer: provider: {problem}");
            }
            Err(error) => return Err(error.into()),
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

fn undecided() -> Problem {
    away(
        "How this order stands is not known just now: it may be paid. Ask again with the same trace number, or look at the order by scanning a fresh code for it, which pays it once.",
    )
}
