//! The network's books: what issuers owe and acquirers are owed. An approved payment moves its amount from the issuer's
//! position to the acquirer's, both legs in one transaction; refusals and declines are lines that move nothing.

use sandbox_kit::db::Db;
use sandbox_kit::ledger::{Ledger, LedgerEntry};
use sqlx::{Any, Row, Transaction};

/// Books a line; it moves money between the positions it names, if it names any.
pub(crate) async fn book(
    tx: &mut Transaction<'static, Any>,
    line: &LedgerEntry,
) -> Result<(), sqlx::Error> {
    let seq: i64 =
        sqlx::query("UPDATE counters SET value = value + 1 WHERE name = 'journal' RETURNING value")
            .fetch_one(&mut **tx)
            .await?
            .try_get(0)?;
    sqlx::query("INSERT INTO journal (seq, at, kind, debit, credit, amount_minor, currency, merchant, reference, result, reason, atc, arqc, token) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)")
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
        .bind(line.atc.map_or(-1, i64::from))
        .bind(line.arqc.as_deref().unwrap_or_default())
        .bind(line.token.as_deref().unwrap_or_default())
        .execute(&mut **tx)
        .await?;
    if line.debit.is_empty() || line.credit.is_empty() {
        return Ok(());
    }
    for (position, change) in [
        (&line.debit, line.amount_minor.saturating_neg()),
        (&line.credit, line.amount_minor),
    ] {
        sqlx::query("INSERT INTO legs (seq, name, amount_minor) VALUES ($1, $2, $3)")
            .bind(seq)
            .bind(position.as_str())
            .bind(change)
            .execute(&mut **tx)
            .await?;
        sqlx::query("INSERT INTO positions (name, balance) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET balance = positions.balance + excluded.balance")
            .bind(position.as_str())
            .bind(change)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// The whole book, and whether every posting and every position adds up.
pub(crate) async fn ledger(db: &Db) -> Result<Ledger, sqlx::Error> {
    let rows = sqlx::query("SELECT at, kind, debit, credit, amount_minor, currency, merchant, reference, result, reason, atc, arqc, token FROM journal ORDER BY seq")
        .fetch_all(db.pool())
        .await?;
    let entries = rows
        .iter()
        .map(|row| {
            let text = |column: usize| -> Result<Option<String>, sqlx::Error> {
                let text: String = row.try_get(column)?;
                Ok((!text.is_empty()).then_some(text))
            };
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
                reason: text(9)?,
                atc: u32::try_from(row.try_get::<i64, _>(10)?).ok(),
                arqc: text(11)?,
                token: text(12)?,
            })
        })
        .collect::<Result<Vec<_>, sqlx::Error>>()?;
    // One statement, so that it sees one moment: lopsided postings, then positions that differ from their legs.
    let wrong: i64 = sqlx::query(
        "SELECT CAST((SELECT COUNT(*) FROM (SELECT seq FROM legs GROUP BY seq HAVING SUM(amount_minor) <> 0) lopsided)
              + (SELECT COUNT(*) FROM positions WHERE balance <> COALESCE((SELECT CAST(SUM(amount_minor) AS BIGINT) FROM legs WHERE legs.name = positions.name), 0)) AS BIGINT)",
    )
    .fetch_one(db.pool())
    .await?
    .try_get(0)?;
    Ok(Ledger {
        party: "network".into(),
        entries,
        balanced: wrong == 0,
    })
}
