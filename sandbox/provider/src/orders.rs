//! Orders to the network that must be carried out: the tokens of a wiped phone are deleted, however long it takes.
//!
//! They are written in the step that causes them. [`carry_out`] sends what is due; requests that cause orders call it at
//! once, [`Background`] goes on where that was not enough, and also picks up what the support desk ordered.

use std::time::Duration;

use sandbox_kit::bind::bind;
use sandbox_kit::{bytes, clock};
use serde::{Deserialize, Serialize};

use crate::codes::settle;
use crate::{Inner, Shared};

/// How often a running provider looks for orders.
const LOOK: Duration = Duration::from_millis(500);
/// How long a request waits for the network before it leaves its orders to the background.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest pause between two tries, seconds.
const LONGEST_PAUSE: i64 = 10;

/// Work beside the API; dropping it ends the work, which goes on at the next start where it was.
pub struct Background(tokio::task::JoinHandle<()>);

impl Background {
    pub(crate) fn start(provider: Shared) -> Self {
        Self(tokio::spawn(async move {
            // What is open at the start was left by an earlier run, however young it is.
            let mut patience = Duration::ZERO;
            loop {
                if let Err(error) = carry_out(&provider).await {
                    eprintln!("provider: the orders cannot be read: {error}");
                }
                if let Err(problem) = settle::round(&provider, patience).await {
                    eprintln!("provider: payments by code cannot be finished: {problem}");
                }
                patience = settle::PATIENCE;
                tokio::time::sleep(LOOK).await;
            }
        }))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A token's state as the network is asked for it.
#[derive(Serialize)]
pub(crate) struct StateOrder<'a> {
    pub(crate) device_id: &'a str,
    pub(crate) state: &'a str,
}

/// A token's state as the network answers it.
#[derive(Deserialize, Serialize)]
pub(crate) struct TokenState {
    pub(crate) token_ref: String,
    pub(crate) state: String,
}

/// Sends what is due now, for as long as a request may wait. What is left over stays written down.
pub(crate) async fn carry_out_now(provider: &Inner) {
    match tokio::time::timeout(PATIENCE, carry_out(provider)).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => eprintln!("provider: the orders cannot be read: {error}"),
    }
}

async fn carry_out(provider: &Inner) -> Result<(), sqlx::Error> {
    for order in provider.store.due_orders().await? {
        let body = StateOrder {
            device_id: &order.device_id,
            state: "deleted",
        };
        // The same order always under the same key: repeating it is harmless even while another try is on its way.
        let key = bytes::to_hex(&bytes::sha256(&bind(
            "provider-order",
            &[order.token_ref.as_bytes(), b"deleted"],
        )));
        let path = format!("/v1/tokens/{}/state", order.token_ref);
        let told: Result<TokenState, _> = provider.network.post(&path, &body, &key, &[404]).await;
        match told {
            Ok(_) => provider.store.order_done(&order).await?,
            // The network has no such token, or withdrew it before.
            Err(problem) if problem.status == 404 => provider.store.order_done(&order).await?,
            Err(_) => {
                let pause = order.attempts.clamp(1, LONGEST_PAUSE);
                let due = clock::unix_now().saturating_add(pause);
                provider.store.order_again(&order, due).await?;
            }
        }
    }
    Ok(())
}
