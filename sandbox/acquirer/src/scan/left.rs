//! Scans that were left without an answer: the acquirer stopped meanwhile, or the provider or the network was away.

use std::collections::HashMap;
use std::time::Duration;

use sandbox_kit::client::{self, CallError};
use sandbox_kit::{clock, signed};

use super::cpm::CardCode;
use super::table::Left;
use super::{Scan, booked, card};
use crate::Inner;

/// How long the question to pay may be on its way: the provider takes it while its signature is fresh.
const ON_ITS_WAY: Duration =
    Duration::from_secs(signed::WINDOW_SECONDS.unsigned_abs()).saturating_add(client::TIMEOUT);

/// After so many questions without any answer a provider is away, and the other scans of its codes would only wait for the
/// same. One alone may be an order over which it hangs.
const AWAY: u32 = 3;

/// Looks after scans that were left without an answer: the provider is asked how their orders stand, and never to pay
/// them, since nobody stands at the till any more. One that cannot be decided holds up no other.
pub(crate) async fn resolve(acquirer: &Inner, until: &str) -> Result<(), sqlx::Error> {
    let arrived = clock::text(clock::now() - ON_ITS_WAY);
    let mut unheard: HashMap<&str, u32> = HashMap::new();
    for left in acquirer.store.unresolved_scans(until).await? {
        let Left {
            terminal, trace, ..
        } = &left;
        let scan = serde_json::from_str::<Scan>(&left.request).ok();
        let card = scan.as_ref().and_then(|scan| CardCode::read(&scan.code));
        if let (Some(scan), Some(code)) = (&scan, card) {
            // The network may have decided on it: it is asked again, as for a tap.
            if let Err(problem) = card::pay(acquirer, terminal, scan, &code).await {
                eprintln!("acquirer: trace {trace} of {terminal} is not decided: {problem}");
            }
            continue;
        }
        let url = scan.as_ref().and_then(|scan| acquirer.route(&scan.code));
        let (Some(scan), Some(url)) = (scan.as_ref(), url) else {
            acquirer.store.give_up_scan(terminal, *trace).await?;
            continue;
        };
        let unheard = unheard.entry(url).or_default();
        if *unheard == AWAY {
            continue;
        }
        // Until then an order that is not known, or another scan of it that was declined, says nothing of this one.
        let may_arrive = left.asked_at >= arrived;
        let answer = acquirer.ask_how(url, &scan.order_id).await;
        *unheard = match &answer {
            Err(CallError::Unreachable(_)) => *unheard + 1,
            _ => 0,
        };
        match answer {
            Ok(standing) if standing.is_pending() => {}
            Ok(standing) if standing.state == "declined" && may_arrive => {}
            Ok(standing) => {
                if let Err(problem) = booked(acquirer, terminal, scan, standing).await {
                    eprintln!("acquirer: trace {trace} of {terminal} stays open: {problem}");
                }
            }
            // Nothing was ever paid for it.
            Err(CallError::Refused(problem)) if problem.status == 404 && !may_arrive => {
                acquirer.store.give_up_scan(terminal, *trace).await?;
            }
            Err(error) => {
                eprintln!("acquirer: trace {trace} of {terminal} stays open: {error}");
            }
        }
    }
    Ok(())
}
