//! The provider's line to the payment network: requests handed on, answers handed back, outages named.

use sandbox_kit::bytes;
use sandbox_kit::client::{CallError, Client};
use sandbox_kit::problem::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) struct Network {
    client: Client,
    url: String,
}

impl Network {
    pub(crate) fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// POSTs to the network, for whoever must know whether it refused, could not be understood or was not there.
    pub(crate) async fn ask<T: Serialize, R: DeserializeOwned>(
        &self,
        path: &str,
        body: &T,
        idempotency: &str,
    ) -> Result<R, CallError> {
        let url = format!("{}{path}", self.url);
        self.client.post(&url, body, Some(idempotency)).await
    }

    /// POSTs to the network. Refusals that belong to the phone (`passed` lists their statuses) are handed back as they
    /// are; everything else is an outage in the phone's eyes: it can do nothing about it but try again.
    pub(crate) async fn post<T: Serialize, R: DeserializeOwned>(
        &self,
        path: &str,
        body: &T,
        idempotency: &str,
        passed: &[u16],
    ) -> Result<R, Problem> {
        self.ask(path, body, idempotency)
            .await
            .map_err(|error| match error {
                CallError::Refused(problem)
                    if passed.contains(&problem.status) || problem.code == "bank_unavailable" =>
                {
                    problem
                }
                other => {
                    eprintln!("provider: network {path}: {other}");
                    Problem::new(
                        503,
                        "network_unavailable",
                        "Payment network not reachable",
                        "The payment network does not answer just now. Try again in a moment.",
                    )
                }
            })
    }
}

/// The key under which a phone's request is handed on: repeated with the phone's repetition, and never another phone's.
pub(crate) fn relayed_key(device_id: &str, key: &str) -> String {
    bytes::to_hex(&bytes::sha256(&sandbox_kit::bind::bind(
        "provider-relay",
        &[device_id.as_bytes(), key.as_bytes()],
    )))
}
