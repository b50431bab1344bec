//! Statements and books: the network's notifications, and the entries that phones are shown.
//!
//! An entry's `seq` is counted per user inside the transaction that writes the entry, so a phone that reads on from the
//! last `seq` it saw misses nothing. An entry that changes (a decline that turns out to be followed by the approval of
//! the same counter) gets a new `seq` and keeps its id.

use sandbox_kit::bytes;
use sandbox_kit::ledger::{Ledger, LedgerEntry};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Result, Store, Work};
use crate::entries::{Entry, Notification, Outcome};

impl Store {
    /// Books a notification and brings the entry of its counter up to date, both or neither. `false` when no device
    /// has the token. The same id again changes nothing. What comes late for somebody who was erased is booked without
    /// a name.
    pub(crate) async fn take_notification(&self, told: &Notification) -> Result<bool> {
        let mut work = self.db.begin().await?;
        let user = sqlx::query("SELECT d.user_id FROM tokens t JOIN devices d ON d.device_id = t.device_id WHERE t.token_ref = $1")
            .bind(told.token_ref.as_str())
            .fetch_optional(&mut *work)
            .await?;
        let user: Option<String> = user.map(|row| row.try_get(0)).transpose()?;
        if user.is_none() && !is_gone(&mut work, &told.token_ref).await? {
            return Ok(false);
        }
        let added = sqlx::query(
            "INSERT INTO notifications (id, token_ref, atc, amount_minor, currency, merchant, result, reason, authorisation, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING",
        )
        .bind(told.id.as_str())
        .bind(user.as_ref().map_or("", |_| told.token_ref.as_str()))
        .bind(i64::from(told.atc))
        .bind(told.amount_minor)
        .bind(told.currency.as_str())
        .bind(told.merchant.as_str())
        .bind(told.result.name())
        .bind(told.reason.as_deref())
        .bind(told.authorisation.as_deref())
        .bind(told.at.as_str())
        .execute(&mut *work)
        .await?;
        if let Some(user) = user
            && added.rows_affected() == 1
        {
            write_entry(&mut work, &user, told).await?;
        }
        work.commit().await?;
        Ok(true)
    }

    pub(crate) async fn entries(&self, user: &str, after: i64, limit: i64) -> Result<Vec<Entry>> {
        sqlx::query(
            "SELECT seq, id, token_ref, atc, amount_minor, currency, merchant, result, reason, authorisation, at FROM entries WHERE user_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .bind(user)
        .bind(after)
        .bind(limit)
        .fetch_all(self.db.pool())
        .await?
        .iter()
        .map(entry)
        .collect()
    }

    /// The place of the user's last entry, of whatever kind. Everything up to it is written.
    pub(crate) async fn last_seq(&self, user: &str) -> Result<i64> {
        let row = sqlx::query("SELECT last_seq FROM users WHERE user_id = $1")
            .bind(user)
            .fetch_optional(self.db.pool())
            .await?;
        row.map_or(Ok(0), |row| row.try_get(0))
    }

    pub(crate) async fn ledger(&self) -> Result<Ledger> {
        let rows = sqlx::query(
            "SELECT id, token_ref, atc, amount_minor, currency, merchant, result, reason, at FROM notifications ORDER BY at, token_ref, atc, id",
        )
        .fetch_all(self.db.pool())
        .await?;
        let mut entries = rows.iter().map(memo).collect::<Result<Vec<_>>>()?;
        let rows = sqlx::query(
            "SELECT payment_id, token_ref, amount_minor, currency, merchant, state, reason, at FROM code_payments WHERE state IN ('approved', 'declined', 'revoked') AND amount_minor > 0 ORDER BY at, payment_id",
        )
        .fetch_all(self.db.pool())
        .await?;
        for row in &rows {
            entries.push(code_memo(row)?);
        }
        // Stable: lines of one moment stay in the order they were read in.
        entries.sort_by(|one, other| one.at.cmp(&other.at));
        // No line names an account, so there is nothing that could be out of balance.
        let balanced = entries
            .iter()
            .all(|entry| entry.debit.is_empty() && entry.credit.is_empty());
        Ok(Ledger {
            party: "provider".to_owned(),
            entries,
            balanced,
        })
    }
}

async fn is_gone(work: &mut Work, token: &str) -> Result<bool> {
    let row = sqlx::query("SELECT 1 FROM gone_tokens WHERE token_ref = $1")
        .bind(token)
        .fetch_optional(&mut **work)
        .await?;
    Ok(row.is_some())
}

/// Writes or replaces the entry of a counter. An approval stands; a decline gives way to an approval, and the decline
/// of a cryptogram that anybody could have made up gives way to a decline of the genuine one.
async fn write_entry(work: &mut Work, user: &str, told: &Notification) -> Result<()> {
    let present =
        sqlx::query("SELECT id, result, reason FROM entries WHERE token_ref = $1 AND atc = $2")
            .bind(told.token_ref.as_str())
            .bind(i64::from(told.atc))
            .fetch_optional(&mut **work)
            .await?;
    let id = match present {
        None => bytes::random_id("ent"),
        Some(row) => {
            let approved = row.try_get::<String, _>(1)? == Outcome::Approved.name();
            let forged =
                row.try_get::<Option<String>, _>(2)?.as_deref() == Some("cryptogram_invalid");
            let genuine = told.reason.as_deref() != Some("cryptogram_invalid");
            if approved || !(told.result == Outcome::Approved || (forged && genuine)) {
                return Ok(());
            }
            row.try_get(0)?
        }
    };
    sqlx::query("UPDATE users SET last_seq = last_seq + 1 WHERE user_id = $1")
        .bind(user)
        .execute(&mut **work)
        .await?;
    let seq: i64 = sqlx::query("SELECT last_seq FROM users WHERE user_id = $1")
        .bind(user)
        .fetch_one(&mut **work)
        .await?
        .try_get(0)?;
    sqlx::query(
        "INSERT INTO entries (user_id, seq, id, token_ref, atc, amount_minor, currency, merchant, result, reason, authorisation, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (token_ref, atc) DO UPDATE SET seq = excluded.seq, amount_minor = excluded.amount_minor, currency = excluded.currency, merchant = excluded.merchant, result = excluded.result, reason = excluded.reason, authorisation = excluded.authorisation, at = excluded.at",
    )
    .bind(user)
    .bind(seq)
    .bind(id)
    .bind(told.token_ref.as_str())
    .bind(i64::from(told.atc))
    .bind(told.amount_minor)
    .bind(told.currency.as_str())
    .bind(told.merchant.as_str())
    .bind(told.result.name())
    .bind(told.reason.as_deref())
    .bind(told.authorisation.as_deref())
    .bind(told.at.as_str())
    .execute(&mut **work)
    .await?;
    Ok(())
}

pub(super) fn entry(row: &AnyRow) -> Result<Entry> {
    Ok(Entry {
        seq: row.try_get(0)?,
        id: row.try_get(1)?,
        token_ref: row.try_get(2)?,
        atc: row.try_get(3)?,
        amount_minor: row.try_get(4)?,
        currency: row.try_get(5)?,
        merchant: row.try_get(6)?,
        result: row.try_get(7)?,
        reason: row.try_get(8)?,
        authorisation: row.try_get(9)?,
        at: row.try_get(10)?,
    })
}

/// The line of a payment by code. It has no counter, since no card was read.
fn code_memo(row: &AnyRow) -> Result<LedgerEntry> {
    Ok(LedgerEntry {
        kind: "memo".to_owned(),
        reference: row.try_get(0)?,
        token: Some(row.try_get::<String, _>(1)?).filter(|token| !token.is_empty()),
        amount_minor: row.try_get(2)?,
        currency: row.try_get(3)?,
        merchant: row.try_get(4)?,
        result: row.try_get(5)?,
        reason: row.try_get(6)?,
        at: row.try_get(7)?,
        ..LedgerEntry::default()
    })
}

fn memo(row: &AnyRow) -> Result<LedgerEntry> {
    Ok(LedgerEntry {
        kind: "memo".to_owned(),
        reference: row.try_get(0)?,
        token: Some(row.try_get::<String, _>(1)?).filter(|token| !token.is_empty()),
        atc: u32::try_from(row.try_get::<i64, _>(2)?).ok(),
        amount_minor: row.try_get(3)?,
        currency: row.try_get(4)?,
        merchant: row.try_get(5)?,
        result: row.try_get(6)?,
        reason: row.try_get(7)?,
        at: row.try_get(8)?,
        ..LedgerEntry::default()
    })
}
