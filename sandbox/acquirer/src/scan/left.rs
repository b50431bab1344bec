//! Scans that were left without an answer: the acquirer stopped meanwhile, or the provider or the network was away.

use sandbox_kit::client::CallError;

use super::cpm::CardCode;
use super::{Scan, booked, card};
use crate::Inner;

/// Looks after scans that were left without an answer: the provider is asked how their orders stand, and never to pay
/// them, since nobody stands at the till any more.
pub(crate) async fn resolve(acquirer: &Inner, until: &str) -> Result<(), sqlx::Error> {
    for (terminal, trace, request) in acquirer.store.unresolved_scans(until).await? {
        let scan = serde_json::from_str::<Scan>(&request).ok();
        let card = scan.as_ref().and_then(|scan| CardCode::read(&scan.code));
        if let (Some(scan), Some(code)) = (&scan, card) {
            // The network may have decided on it: it is asked again, as for a tap.
            if let Err(problem) = card::pay(acquirer, &terminal, scan, &code).await {
                eprintln!("acquirer: trace {trace} of {terminal} is not decided: {problem}");
            }
            continue;
        }
        let url = scan.as_ref().and_then(|scan| acquirer.route(&scan.code));
        let (Some(scan), Some(url)) = (scan.as_ref(), url) else {
            acquirer.store.give_up_scan(&terminal, trace).await?;
            continue;
        };
        match acquirer.ask_how(url, &scan.order_id).await {
            Ok(standing) if standing.is_pending() => {}
            Ok(standing) => {
                if let Err(problem) = booked(acquirer, &terminal, scan, standing).await {
                    eprintln!("acquirer: trace {trace} of {terminal} stays open: {problem}");
                }
            }
            // Nothing was ever paid for it.
            Err(CallError::Refused(problem)) if problem.status == 404 => {
                acquirer.store.give_up_scan(&terminal, trace).await?;
            }
            Err(error) => {
                eprintln!("acquirer: trace {trace} of {terminal} stays open: {error}");
                break;
            }
        }
    }
    Ok(())
}
