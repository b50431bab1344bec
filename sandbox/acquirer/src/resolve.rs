//! Payments that were asked for and have no answer: the acquirer stopped between the network's answer and its own books,
//! or the network was away and the terminal gave up.
//!
//! They are asked for again until the network answers. It knows every payment by acquirer, terminal and trace number, so
//! what it has decided already it only repeats, and the books of both agree in the end.

use std::time::Duration;

use sandbox_kit::client::CallError;
use sandbox_kit::clock;

use crate::authorise::{Request, Trouble, settle};
use crate::{Inner, Shared, scan};

/// The time between two rounds.
pub(crate) const PAUSE: Duration = Duration::from_secs(30);

/// Younger payments are usually being answered at this moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// Resolves for ever.
pub(crate) async fn resolve(acquirer: Shared, pause: Duration) {
    // What is open at the start was left by an earlier run, however young it is.
    let mut patience = Duration::ZERO;
    loop {
        if let Err(error) = round(&acquirer, patience).await {
            eprintln!("acquirer: open payments cannot be read: {error}");
        }
        tokio::time::sleep(pause).await;
        patience = PATIENCE;
    }
}

async fn round(acquirer: &Inner, patience: Duration) -> Result<(), sqlx::Error> {
    let until = clock::text(clock::now() - patience);
    scan::resolve(acquirer, &until).await?;
    for (terminal, trace, request) in acquirer.store.unresolved(&until).await? {
        let Ok(request) = serde_json::from_str::<Request>(&request) else {
            eprintln!("acquirer: trace {trace} of {terminal} cannot be read and is given up");
            acquirer.store.give_up(&terminal, trace).await?;
            continue;
        };
        let trouble = match settle(acquirer, &terminal, &request).await {
            Ok(_) => continue,
            Err(trouble) => trouble,
        };
        match trouble {
            Trouble::Refused(problem) => {
                eprintln!("acquirer: trace {trace} of {terminal} is given up: {problem}");
            }
            // Nobody is there: the others would only wait for the same.
            Trouble::Away(error @ CallError::Unreachable(_)) => {
                eprintln!("acquirer: trace {trace} of {terminal} stays open: {error}");
                break;
            }
            Trouble::Away(error) => {
                eprintln!("acquirer: trace {trace} of {terminal} stays open: {error}");
            }
            Trouble::Here(problem) => {
                eprintln!("acquirer: trace {trace} of {terminal} stays open: {problem}");
            }
        }
    }
    Ok(())
}
