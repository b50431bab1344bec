//! Whether somebody holds a card that some tokens stand for: the bank asks its customer by SMS, as when a card is added,
//! but nothing is issued. The provider rests on it where a person has nothing else left to show.

use sandbox_kit::bytes;
use sandbox_kit::hpke::Sealed;
use sandbox_kit::problem::Problem;
use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::Network;
use crate::number::masked;

/// The most tokens that are asked about at once.
const MAX_TOKENS: usize = 1000;
/// Tokens that stand for a card: those withdrawn or deleted do not any more.
const LIVING: &str = "('active', 'suspended')";

/// A card that somebody claims to hold, and the tokens that it may stand behind.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckQuery {
    /// The phone.
    pub device_id: String,
    /// Number and expiry, sealed by the phone for the network.
    pub sealed_card: Sealed,
    /// The tokens of the phone's user.
    pub token_refs: Vec<String>,
}

/// The bank has sent an SMS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckBegun {
    /// Names the check.
    pub check_id: String,
    /// The card's last four digits.
    pub masked: String,
    /// The bank's name.
    pub bank: String,
    /// When the code dies.
    pub sms_expires_at: String,
    /// Tries left.
    pub tries_left: i64,
}

/// The code as typed, and the tokens once more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckCode {
    /// The phone.
    pub device_id: String,
    /// Six digits.
    pub code: String,
    /// The tokens of the phone's user.
    pub token_refs: Vec<String>,
}

/// The card is held by whoever typed the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Those of the tokens asked about that stand for this card; perhaps none.
    pub token_refs: Vec<String>,
}

impl Network {
    /// Opens the card number and asks its bank for an SMS, provided that one of the tokens may be the card's: strangers
    /// are sent no codes.
    pub async fn begin_check(&self, query: &CheckQuery) -> Result<CheckBegun, Problem> {
        let (card, bank) = self.opened_card(&query.device_id, &query.sealed_card)?;
        let digits = masked(&card.number);
        let likely = self
            .of_a_card(&query.token_refs, &bank.name, "masked_card", &digits)
            .await?;
        if likely.is_empty() {
            return Err(Problem::new(
                403,
                "card_not_yours",
                "Not one of your cards",
                "None of these tokens stands for this card.",
            ));
        }
        let asked = self.ask_for_sms(&card, bank).await?;
        let check_id = bytes::random_id("chk");
        sqlx::query("INSERT INTO card_checks (check_id, device_id, bank, bank_challenge) VALUES ($1, $2, $3, $4)")
            .bind(check_id.as_str())
            .bind(query.device_id.as_str())
            .bind(bank.name.as_str())
            .bind(asked.challenge_id.as_str())
            .execute(self.db().pool())
            .await?;
        Ok(CheckBegun {
            check_id,
            masked: asked.masked,
            bank: bank.name.clone(),
            sms_expires_at: asked.sms_expires_at,
            tries_left: asked.tries_left,
        })
    }

    /// Has the bank check the code and says which of the tokens stand for the card.
    pub async fn finish_check(
        &self,
        check_id: &str,
        query: &CheckCode,
    ) -> Result<Checked, Problem> {
        let row = sqlx::query(
            "SELECT bank, bank_challenge FROM card_checks WHERE check_id = $1 AND device_id = $2",
        )
        .bind(check_id)
        .bind(query.device_id.as_str())
        .fetch_optional(self.db().pool())
        .await?
        .ok_or_else(|| {
            again(
                "challenge_unknown",
                404,
                "Unknown check",
                "There is no such check.",
            )
        })?;
        let (bank_name, bank_challenge): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let card = self
            .code_typed(&bank_name, &bank_challenge, &query.code)
            .await
            .map_err(reworded)?;
        let token_refs = self
            .of_a_card(&query.token_refs, &bank_name, "card_ref", &card.card_ref)
            .await?;
        Ok(Checked { token_refs })
    }

    /// Those of the tokens whose card has `value` in `column` at this bank.
    async fn of_a_card(
        &self,
        token_refs: &[String],
        bank: &str,
        column: &'static str,
        value: &str,
    ) -> Result<Vec<String>, Problem> {
        if token_refs.len() > MAX_TOKENS {
            return Err(Problem::invalid(format!(
                "token_refs may have {MAX_TOKENS} members at most."
            )));
        }
        let statement = format!(
            "SELECT 1 FROM tokens WHERE token_ref = $1 AND bank = $2 AND {column} = $3 AND state IN {LIVING}"
        );
        let mut found = Vec::new();
        for token_ref in token_refs {
            // The statement is put together of constants.
            let row = sqlx::query(sqlx::AssertSqlSafe(statement.as_str()))
                .bind(token_ref.as_str())
                .bind(bank)
                .bind(value)
                .fetch_optional(self.db().pool())
                .await?;
            if row.is_some() {
                found.push(token_ref.clone());
            }
        }
        Ok(found)
    }
}

/// The bank speaks of adding a card; here something else begins anew.
fn reworded(problem: Problem) -> Problem {
    match problem.code.as_str() {
        "challenge_unknown" => again(
            "challenge_unknown",
            404,
            &problem.title,
            "There is no such check.",
        ),
        "challenge_expired" => Problem {
            detail: "The code is older than five minutes. Begin again to get a fresh one.".into(),
            ..problem
        },
        "tries_exhausted" => Problem {
            detail: "The code was typed wrong three times. Begin again to get a fresh one.".into(),
            ..problem
        },
        _ => problem,
    }
}

fn again(code: &str, status: u16, title: &str, detail: &str) -> Problem {
    Problem::new(status, code, title, format!("{detail} Begin again."))
}
