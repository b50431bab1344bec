//! The statement's entries of payments by code, written in the transaction that ends the payment. They share the count
//! of positions with the entries of taps, so that a phone reads both in one order and misses none.

use sandbox_kit::bytes;
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::aliases::Work;
use super::payments::{Payment, State};
use crate::store::Store;

type Result<T> = std::result::Result<T, sqlx::Error>;

/// An entry as phones read it.
#[derive(Debug, Serialize)]
pub(crate) struct CodeEntry {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) payment_id: String,
    /// Absent where a shop's code was paid.
    pub(crate) alias: Option<String>,
    pub(crate) token_ref: String,
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
    pub(crate) merchant: String,
    pub(crate) result: String,
    pub(crate) reason: Option<String>,
    pub(crate) authorisation: Option<String>,
    pub(crate) at: String,
}

/// Reasons that are no news to anybody: nothing was ever asked of the account.
const SILENT: [&str; 2] = ["superseded", "password_timeout"];

/// Writes or replaces the entry of a payment that has come to an end. One that was revoked has an entry only when it
/// had been approved before.
pub(super) async fn write(work: &mut Work, payment: &Payment) -> Result<()> {
    let silent = payment
        .reason
        .as_deref()
        .is_some_and(|reason| SILENT.contains(&reason));
    let (result, fresh) = match payment.state {
        State::Approved => ("approved", true),
        State::Declined => ("declined", !silent),
        State::Revoked => ("declined", false),
        State::Wanted | State::Started | State::Reversing => return Ok(()),
    };
    let known = sqlx::query("SELECT id FROM code_entries WHERE payment_id = $1")
        .bind(payment.payment_id.as_str())
        .fetch_optional(&mut **work)
        .await?;
    let id: String = match known {
        Some(row) => row.try_get(0)?,
        None if fresh => bytes::random_id("ent"),
        None => return Ok(()),
    };
    let counted = sqlx::query("UPDATE users SET last_seq = last_seq + 1 WHERE user_id = $1")
        .bind(payment.user.as_str())
        .execute(&mut **work)
        .await?;
    if counted.rows_affected() == 0 {
        // Erased meanwhile: there is nobody left to be shown it.
        return Ok(());
    }
    let seq: i64 = sqlx::query("SELECT last_seq FROM users WHERE user_id = $1")
        .bind(payment.user.as_str())
        .fetch_one(&mut **work)
        .await?
        .try_get(0)?;
    let approved = payment.state == State::Approved;
    sqlx::query("INSERT INTO code_entries (user_id, seq, id, payment_id, alias, token_ref, amount_minor, currency, merchant, result, reason, authorisation, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (payment_id) DO UPDATE SET seq = excluded.seq, result = excluded.result, reason = excluded.reason, authorisation = excluded.authorisation, at = excluded.at")
        .bind(payment.user.as_str())
        .bind(seq)
        .bind(id)
        .bind(payment.payment_id.as_str())
        .bind(payment.alias.as_str())
        .bind(payment.token_ref.as_str())
        .bind(payment.amount_minor)
        .bind(payment.currency.as_str())
        .bind(payment.merchant.as_str())
        .bind(result)
        .bind(payment.reason.as_deref())
        .bind(payment.authorisation.as_deref().filter(|_| approved))
        .bind(payment.at.as_str())
        .execute(&mut **work)
        .await?;
    Ok(())
}

impl Store {
    /// The entries of a user's payments by code, from a position on.
    pub(crate) async fn code_entries(
        &self,
        user: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<CodeEntry>> {
        sqlx::query("SELECT seq, id, payment_id, alias, token_ref, amount_minor, currency, merchant, result, reason, authorisation, at FROM code_entries WHERE user_id = $1 AND seq > $2 ORDER BY seq LIMIT $3")
            .bind(user)
            .bind(after)
            .bind(limit)
            .fetch_all(self.db().pool())
            .await?
            .iter()
            .map(code_entry)
            .collect()
    }
}

pub(crate) fn code_entry(row: &AnyRow) -> Result<CodeEntry> {
    Ok(CodeEntry {
        seq: row.try_get(0)?,
        id: row.try_get(1)?,
        payment_id: row.try_get(2)?,
        alias: alias(row.try_get(3)?),
        token_ref: row.try_get(4)?,
        amount_minor: row.try_get(5)?,
        currency: row.try_get(6)?,
        merchant: row.try_get(7)?,
        result: row.try_get(8)?,
        reason: row.try_get(9)?,
        authorisation: row.try_get(10)?,
        at: row.try_get(11)?,
    })
}

/// An alias as it is kept: nothing stands for none.
pub(crate) fn alias(kept: String) -> Option<String> {
    Some(kept).filter(|alias| !alias.is_empty())
}
