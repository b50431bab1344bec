//! The banks as the network sees them: found by BIN, asked over their API.

use sandbox_kit::client::CallError;
use sandbox_kit::problem::Problem;
use serde::{Deserialize, Serialize};

use crate::{BankRoute, Network};

/// A bank's answer to a card that is to be added.
#[derive(Debug, Deserialize)]
pub(crate) struct BankChallenge {
    pub(crate) challenge_id: String,
    pub(crate) masked: String,
    pub(crate) account_type: String,
    pub(crate) sms_expires_at: String,
    pub(crate) tries_left: i64,
}

/// A bank's name for a card.
#[derive(Debug, Deserialize)]
pub(crate) struct BankCard {
    pub(crate) card_ref: String,
}

/// A payment as the bank is asked for it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BankPayment<'a> {
    pub(crate) network_ref: &'a str,
    pub(crate) card_ref: &'a str,
    pub(crate) amount_minor: i64,
    pub(crate) currency: &'a str,
    pub(crate) merchant: &'a str,
    pub(crate) mcc: &'a str,
    pub(crate) terminal_id: &'a str,
    pub(crate) at: &'a str,
}

/// A bank's decision on a payment.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BankDecision {
    pub(crate) result: String,
    pub(crate) reason: Option<String>,
    pub(crate) authorisation: Option<String>,
}

impl Network {
    /// The bank whose cards begin like this number.
    pub(crate) fn bank_of(&self, number: &str) -> Option<&BankRoute> {
        self.inner
            .config
            .banks
            .iter()
            .find(|bank| number.starts_with(&bank.bin))
    }

    /// The bank of this name.
    pub(crate) fn bank_named(&self, name: &str) -> Option<&BankRoute> {
        self.inner
            .config
            .banks
            .iter()
            .find(|bank| bank.name == name)
    }

    /// Asks a bank; its refusals are passed on as they are, silence is `bank_unavailable`.
    pub(crate) async fn ask_bank<T: Serialize, R: for<'de> Deserialize<'de>>(
        &self,
        bank: &BankRoute,
        path: &str,
        body: &T,
    ) -> Result<R, Problem> {
        let answer = self
            .inner
            .to_banks
            .post(&format!("{}{path}", bank.url), body, None)
            .await;
        answer.map_err(|error| match error {
            CallError::Refused(problem) if problem.status != 401 && problem.status != 500 => {
                problem
            }
            error => {
                eprintln!("network: {}: {error}", bank.name);
                unavailable(&bank.name)
            }
        })
    }
}

/// 503: the bank did not answer.
pub(crate) fn unavailable(bank: &str) -> Problem {
    Problem::new(
        503,
        "bank_unavailable",
        "Bank not available",
        format!("{bank} does not answer at the moment. Try again later."),
    )
}
