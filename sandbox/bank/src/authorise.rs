//! Authorisations. The bank posts at once: decision, debit of the customer and credit of the settlement account are one
//! transaction, and the same reference of the network never moves money twice.

use std::time::Duration;

use sandbox_kit::ledger::LedgerEntry;
use sandbox_kit::problem::Problem;
use sandbox_kit::{bytes, clock};
use serde::{Deserialize, Serialize};
use sqlx::{Any, Row, Transaction};

use crate::card::{AccountType, Behaviour, CURRENCY, look_up};
use crate::{Bank, books};

/// How long the slow card takes over a payment.
pub const SLOW: Duration = Duration::from_secs(3);
/// The largest amount a terminal can say: twelve digits of minor units.
pub const MAX_AMOUNT: i64 = 999_999_999_999;

/// A payment as the network asks for it, with merchant and amount as the terminal sent them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentQuery {
    /// The network's name for the payment; the same one is answered the same.
    pub network_ref: String,
    /// The card, as [`crate::challenge::Verified`] named it.
    pub card_ref: String,
    /// Minor units, above nothing.
    pub amount_minor: i64,
    /// ISO 4217 letters.
    pub currency: String,
    /// Merchant's name.
    pub merchant: String,
    /// Merchant category, four digits.
    pub mcc: String,
    /// The terminal.
    pub terminal_id: String,
    /// When the terminal made it, RFC 3339.
    pub at: String,
}

/// The bank's decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// `approved` or `declined`.
    pub result: String,
    /// Why not.
    pub reason: Option<String>,
    /// Six digits, when approved.
    pub authorisation: Option<String>,
}

/// A payment is to be undone, because the network could not wait for its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reversed {
    /// Whether money went back; not, when the payment had never been approved.
    pub moved: bool,
}

impl Decision {
    fn declined(reason: &str) -> Self {
        Self {
            result: "declined".into(),
            reason: Some(reason.into()),
            authorisation: None,
        }
    }

    fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }
}

impl Bank {
    /// Decides on a payment and posts it.
    pub async fn authorise(&self, query: &PaymentQuery) -> Result<Decision, Problem> {
        if !(1..=MAX_AMOUNT).contains(&query.amount_minor) {
            return Err(Problem::invalid(
                "amount_minor must be from 1 to 999999999999.",
            ));
        }
        let number: Option<String> = sqlx::query("SELECT number FROM cards WHERE card_ref = $1")
            .bind(query.card_ref.as_str())
            .fetch_optional(self.db().pool())
            .await?
            .map(|row| row.try_get(0))
            .transpose()?;
        let number = number.as_deref();
        let behaviour = number.and_then(|number| look_up(number, self.bin()).ok());
        let kind = number.map(|number| AccountType::of(number, self.bin()));
        let credit = kind.unwrap_or_default().credit_limit();
        match behaviour {
            Some(Behaviour::DownLater) => return Err(self.unavailable()),
            Some(Behaviour::Slow) => tokio::time::sleep(self.slowness()).await,
            _ => {}
        }
        let request = digest(query)?;
        let mut tx = self.db().begin().await?;
        if let Some(row) = find(&mut tx, &query.network_ref).await? {
            if row.request != request && row.decision.reason() != "reversed" {
                return Err(Problem::new(
                    409,
                    "idempotency_conflict",
                    "Reference used before",
                    "This network_ref came with another payment before.",
                ));
            }
            return Ok(row.decision);
        }
        let account = books::customer(&query.card_ref);
        let decision = match behaviour {
            None => Decision::declined("card_unknown"),
            Some(Behaviour::LostLater | Behaviour::Lost) => {
                Decision::declined("card_reported_lost")
            }
            Some(_) if query.currency != CURRENCY => Decision::declined("currency_not_supported"),
            Some(_) if !books::covers(&mut tx, &account, query.amount_minor, credit).await? => {
                Decision::declined("insufficient_funds")
            }
            Some(_) => Decision {
                result: "approved".into(),
                reason: None,
                authorisation: Some(authorisation_code()),
            },
        };
        record(&mut tx, query, &request, &decision).await?;
        let approved = decision.authorisation.is_some();
        let line = LedgerEntry {
            kind: if approved { "payment" } else { "decline" }.into(),
            debit: if approved { account } else { String::new() },
            credit: if approved {
                books::SETTLEMENT.into()
            } else {
                String::new()
            },
            result: decision.result.clone(),
            reason: decision.reason.clone(),
            ..self.line(query)
        };
        books::book(&mut tx, &line).await?;
        tx.commit().await?;
        Ok(decision)
    }

    /// Undoes a payment whose answer the network did not wait for, once however often it is told. A payment that has
    /// not arrived yet is refused when it does.
    pub async fn reverse(&self, query: &PaymentQuery) -> Result<Reversed, Problem> {
        let request = digest(query)?;
        let mut tx = self.db().begin().await?;
        let known = find(&mut tx, &query.network_ref).await?;
        let reversed = Decision::declined("reversed");
        let moved = match known {
            None => {
                record(&mut tx, query, &request, &reversed).await?;
                false
            }
            // Delivered again: the books say it already.
            Some(row) if row.decision.reason() == "reversed" => {
                return Ok(Reversed { moved: false });
            }
            Some(row) if row.decision.authorisation.is_none() => false,
            Some(row) if row.request != request => {
                return Err(Problem::new(
                    409,
                    "idempotency_conflict",
                    "Reference used before",
                    "This network_ref belongs to another payment.",
                ));
            }
            Some(_) => {
                sqlx::query("UPDATE authorisations SET result = 'declined', reason = 'reversed', authorisation = '' WHERE network_ref = $1")
                    .bind(query.network_ref.as_str())
                    .execute(&mut *tx)
                    .await?;
                true
            }
        };
        let line = LedgerEntry {
            kind: "reversal".into(),
            debit: if moved {
                books::SETTLEMENT.into()
            } else {
                String::new()
            },
            credit: if moved {
                books::customer(&query.card_ref)
            } else {
                String::new()
            },
            result: "reversed".into(),
            ..self.line(query)
        };
        books::book(&mut tx, &line).await?;
        tx.commit().await?;
        Ok(Reversed { moved })
    }

    fn line(&self, query: &PaymentQuery) -> LedgerEntry {
        LedgerEntry {
            at: clock::text(self.now()),
            amount_minor: query.amount_minor,
            currency: query.currency.clone(),
            merchant: query.merchant.clone(),
            reference: query.network_ref.clone(),
            ..LedgerEntry::default()
        }
    }
}

/// An authorisation that was decided before.
struct Known {
    request: String,
    decision: Decision,
}

async fn find(
    tx: &mut Transaction<'static, Any>,
    network_ref: &str,
) -> Result<Option<Known>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT request, result, reason, authorisation FROM authorisations WHERE network_ref = $1",
    )
    .bind(network_ref)
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| {
        let (reason, authorisation): (String, String) = (row.try_get(2)?, row.try_get(3)?);
        Ok(Known {
            request: row.try_get(0)?,
            decision: Decision {
                result: row.try_get(1)?,
                reason: (!reason.is_empty()).then_some(reason),
                authorisation: (!authorisation.is_empty()).then_some(authorisation),
            },
        })
    })
    .transpose()
}

async fn record(
    tx: &mut Transaction<'static, Any>,
    query: &PaymentQuery,
    request: &str,
    decision: &Decision,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO authorisations (network_ref, request, card_ref, amount_minor, currency, merchant, result, reason, authorisation) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(query.network_ref.as_str())
        .bind(request)
        .bind(query.card_ref.as_str())
        .bind(query.amount_minor)
        .bind(query.currency.as_str())
        .bind(query.merchant.as_str())
        .bind(decision.result.as_str())
        .bind(decision.reason())
        .bind(decision.authorisation.as_deref().unwrap_or_default())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn digest(query: &PaymentQuery) -> Result<String, Problem> {
    let text = serde_json::to_vec(query).map_err(|_| Problem::internal())?;
    Ok(bytes::to_hex(&bytes::sha256(&text)))
}

fn authorisation_code() -> String {
    let number = u32::from_be_bytes(bytes::random::<4>());
    format!("{:06}", number % 1_000_000)
}
