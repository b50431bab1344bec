//! Double-entry books. Every posting has two legs that add up to nothing, and moves both accounts' balances in the
//! same transaction; a line without legs is a memo of something that was refused.
//!
//! A balance is what the bank owes to the account: credits raise it, debits lower it.

use sandbox_kit::db::Db;
use sandbox_kit::ledger::{Ledger, LedgerEntry};
use sqlx::{Any, Row, Transaction};

/// The account through which the bank settles with the network.
pub(crate) const SETTLEMENT: &str = "settlement:network";
/// Where opening balances come from.
pub(crate) const FUNDS: &str = "bank:funds";

/// The account of a card.
pub(crate) fn customer(card_ref: &str) -> String {
    format!("customer:{card_ref}")
}

/// Makes sure that an account exists.
pub(crate) async fn open_account(
    tx: &mut Transaction<'static, Any>,
    name: &str,
    currency: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO accounts (name, balance, currency) VALUES ($1, 0, $2) ON CONFLICT (name) DO NOTHING")
        .bind(name)
        .bind(currency)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Whether an account can pay that much, when it may owe up to `credit_minor`.
pub(crate) async fn covers(
    tx: &mut Transaction<'static, Any>,
    account: &str,
    amount_minor: i64,
    credit_minor: i64,
) -> Result<bool, sqlx::Error> {
    let row = sqlx::query("SELECT balance FROM accounts WHERE name = $1")
        .bind(account)
        .fetch_optional(&mut **tx)
        .await?;
    let balance: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(balance.saturating_add(credit_minor) >= amount_minor)
}

/// Books a line; with `debit` and `credit` named it moves the amount between them, without it is a memo.
pub(crate) async fn book(
    tx: &mut Transaction<'static, Any>,
    line: &LedgerEntry,
) -> Result<(), sqlx::Error> {
    let seq: i64 =
        sqlx::query("UPDATE counters SET value = value + 1 WHERE name = 'journal' RETURNING value")
            .fetch_one(&mut **tx)
            .await?
            .try_get(0)?;
    sqlx::query("INSERT INTO journal (seq, at, kind, debit, credit, amount_minor, currency, merchant, reference, result, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
        .bind(seq)
        .bind(line.at.as_str())
        .bind(line.kind.as_str())
        .bind(line.debit.as_str())
        .bind(line.credit.as_str())
        .bind(line.amount_minor)
        .bind(line.currency.as_str())
        .bind(line.merchant.as_str())
        .bind(line.reference.as_str())
        .bind(line.result.as_str())
        .bind(line.reason.as_deref().unwrap_or_default())
        .execute(&mut **tx)
        .await?;
    if line.debit.is_empty() || line.credit.is_empty() {
        return Ok(());
    }
    for (account, change) in [
        (&line.debit, line.amount_minor.saturating_neg()),
        (&line.credit, line.amount_minor),
    ] {
        sqlx::query("INSERT INTO legs (seq, account, amount_minor) VALUES ($1, $2, $3)")
            .bind(seq)
            .bind(account.as_str())
            .bind(change)
            .execute(&mut **tx)
            .await?;
        let moved = sqlx::query("UPDATE accounts SET balance = balance + $1 WHERE name = $2")
            .bind(change)
            .bind(account.as_str())
            .execute(&mut **tx)
            .await?;
        if moved.rows_affected() != 1 {
            return Err(sqlx::Error::RowNotFound);
        }
    }
    Ok(())
}

/// The balance of an account, if there is such an account.
pub(crate) async fn balance(db: &Db, account: &str) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query("SELECT balance FROM accounts WHERE name = $1")
        .bind(account)
        .fetch_optional(db.pool())
        .await?
        .map(|row| row.try_get(0))
        .transpose()
}

/// The whole book, and whether every posting and every account adds up.
pub(crate) async fn ledger(db: &Db, party: &str) -> Result<Ledger, sqlx::Error> {
    let rows = sqlx::query("SELECT at, kind, debit, credit, amount_minor, currency, merchant, reference, result, reason FROM journal ORDER BY seq")
        .fetch_all(db.pool())
        .await?;
    let entries = rows
        .iter()
        .map(|row| {
            let reason: String = row.try_get(9)?;
            Ok(LedgerEntry {
                at: row.try_get(0)?,
                kind: row.try_get(1)?,
                debit: row.try_get(2)?,
                credit: row.try_get(3)?,
                amount_minor: row.try_get(4)?,
                currency: row.try_get(5)?,
                merchant: row.try_get(6)?,
                reference: row.try_get(7)?,
                result: row.try_get(8)?,
                reason: (!reason.is_empty()).then_some(reason),
                ..LedgerEntry::default()
            })
        })
        .collect::<Result<Vec<_>, sqlx::Error>>()?;
    // One statement, so that it sees one moment: lopsided postings, then accounts that differ from their legs.
    let wrong: i64 = sqlx::query(
        "SELECT CAST((SELECT COUNT(*) FROM (SELECT seq FROM legs GROUP BY seq HAVING SUM(amount_minor) <> 0) lopsided)
              + (SELECT COUNT(*) FROM accounts WHERE balance <> COALESCE((SELECT CAST(SUM(amount_minor) AS BIGINT) FROM legs WHERE legs.account = accounts.name), 0)) AS BIGINT)",
    )
    .fetch_one(db.pool())
    .await?
    .try_get(0)?;
    Ok(Ledger {
        party: party.to_owned(),
        entries,
        balanced: wrong == 0,
    })
}
