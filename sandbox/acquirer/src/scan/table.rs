//! Scans in the acquirer's database, and their lines in the books.
//!
//! A card's code names the card. It is kept while the network may have to be asked for it again, and no longer.

use sandbox_kit::{bytes, clock};
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::provider::route;
use super::{Answer, CodeRoute, Scan};
use crate::Merchant;
use crate::authorise::Outcome;
use crate::store::{self, Asked, Store, post_sale, trace_in};

type Result<T> = std::result::Result<T, sqlx::Error>;

/// A scan without an answer.
pub(super) struct Left {
    pub(super) terminal: String,
    pub(super) trace: u32,
    /// Its JSON.
    pub(super) request: String,
    /// When its terminal last asked, RFC 3339.
    pub(super) asked_at: String,
}

impl Store {
    /// Writes the scan down, or says how its trace number stands already. A tap's trace number is no scan's. The code of
    /// another provider's is not written down for an order that may be paid.
    pub(super) async fn ask_scan(
        &self,
        terminal: &str,
        scan: &Scan,
        (kind, text): (&str, &str),
        routes: &[CodeRoute],
    ) -> Result<Asked> {
        let mut work = self.db().begin().await?;
        let tap = sqlx::query("SELECT 1 FROM authorisations WHERE terminal_id = $1 AND trace = $2")
            .bind(terminal)
            .bind(i64::from(scan.trace))
            .fetch_optional(&mut *work)
            .await?;
        if tap.is_some() {
            return Ok(Asked::Otherwise);
        }
        let digest = bytes::to_hex(&bytes::sha256(text.as_bytes()));
        let known = sqlx::query(
            "SELECT request, answer, digest FROM scans WHERE terminal_id = $1 AND trace = $2",
        )
        .bind(terminal)
        .bind(i64::from(scan.trace))
        .fetch_optional(&mut *work)
        .await?;
        if let Some(row) = known {
            let same = match row.try_get::<Option<String>, _>(2)? {
                Some(known) => known == digest,
                None => row.try_get::<String, _>(0)? == text,
            };
            let asked = Asked::of(same, row.try_get(1)?);
            if !matches!(asked, Asked::Open) {
                return Ok(asked);
            }
        }
        if is_elsewhere(&mut work, terminal, scan, routes).await? {
            return Ok(Asked::Elsewhere);
        }
        // One that was given up is open again, and its question to pay on its way again.
        sqlx::query("INSERT INTO scans (terminal_id, trace, order_id, request, asked_at, kind, digest) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (terminal_id, trace) DO UPDATE SET result = NULL, request = excluded.request, asked_at = excluded.asked_at, digest = excluded.digest")
            .bind(terminal)
            .bind(i64::from(scan.trace))
            .bind(scan.order_id.as_str())
            .bind(text)
            .bind(clock::now_text())
            .bind(kind)
            .bind(digest)
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(Asked::Open)
    }

    /// Keeps the answer and books it, once: `false` when another request was quicker. A payment that several tills
    /// scanned for has one line.
    pub(super) async fn book_scan(
        &self,
        terminal: &str,
        scan: &Scan,
        merchant: &Merchant,
        answer: &Answer,
    ) -> Result<bool> {
        let mut work = self.db().begin().await?;
        if !keep(&mut work, terminal, scan.trace, answer).await? {
            return Ok(false);
        }
        write_entry(&mut work, terminal, scan, merchant, answer).await?;
        if let Some(payment) = &answer.payment_id
            && let Some(at) = taken_back(&mut work, payment).await?
        {
            reverse(&mut work, payment, &at).await?;
        }
        work.commit().await?;
        Ok(true)
    }

    /// The answer that was kept for a scan.
    pub(super) async fn answer_of(&self, terminal: &str, trace: u32) -> Result<Option<Answer>> {
        let row = sqlx::query(
            "SELECT answer FROM scans WHERE terminal_id = $1 AND trace = $2 AND answer IS NOT NULL",
        )
        .bind(terminal)
        .bind(i64::from(trace))
        .fetch_optional(self.db().pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let answer = serde_json::from_str(&row.try_get::<String, _>(0)?);
        answer
            .map(Some)
            .map_err(|error| sqlx::Error::Decode(error.into()))
    }

    /// Books that a payment was taken back, once; what is not booked yet will be reversed as it is. `false` for that.
    pub(crate) async fn book_reversal(&self, payment: &str, at: &str) -> Result<bool> {
        let mut work = self.db().begin().await?;
        sqlx::query("INSERT INTO reversals (payment_id, at) VALUES ($1, $2) ON CONFLICT (payment_id) DO NOTHING")
            .bind(payment)
            .bind(at)
            .execute(&mut *work)
            .await?;
        let known = reverse(&mut work, payment, at).await?;
        work.commit().await?;
        Ok(known)
    }

    /// Scans of `until` or before of which nobody knows the result.
    pub(super) async fn unresolved_scans(&self, until: &str) -> Result<Vec<Left>> {
        let rows = sqlx::query("SELECT terminal_id, trace, request, asked_at FROM scans WHERE result IS NULL AND asked_at <= $1 ORDER BY asked_at, terminal_id, trace")
            .bind(until)
            .fetch_all(self.db().pool())
            .await?;
        rows.iter().map(left).collect()
    }

    /// Notes that nothing will be paid for this scan unless its terminal asks again.
    pub(super) async fn give_up_scan(&self, terminal: &str, trace: u32) -> Result<()> {
        let mut work = self.db().begin().await?;
        sqlx::query("UPDATE scans SET result = 'refused' WHERE terminal_id = $1 AND trace = $2 AND answer IS NULL")
            .bind(terminal)
            .bind(i64::from(trace))
            .execute(&mut *work)
            .await?;
        forget_code(&mut work, terminal, trace).await?;
        work.commit().await
    }

    /// The numeric code that paid an order or may, or else the last one that was scanned for it.
    pub(super) async fn code_of_order(&self, order: &str) -> Result<Option<String>> {
        let row = sqlx::query(
            "SELECT request FROM scans WHERE order_id = $1 AND kind = 'digits' ORDER BY CASE WHEN result IS NULL OR result = 'approved' THEN 0 ELSE 1 END, asked_at DESC, trace DESC LIMIT 1",
        )
        .bind(order)
        .fetch_optional(self.db().pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let scan = serde_json::from_str::<Scan>(&row.try_get::<String, _>(0)?);
        Ok(scan.ok().map(|scan| scan.code))
    }
}

fn left(row: &AnyRow) -> Result<Left> {
    Ok(Left {
        terminal: row.try_get(0)?,
        trace: trace_in(row)?,
        request: row.try_get(2)?,
        asked_at: row.try_get(3)?,
    })
}

/// Whether the order may have been paid at another provider: with a code of that one's, or by the shop's own, which all of
/// them pay.
async fn is_elsewhere(
    work: &mut Transaction<'static, Any>,
    terminal: &str,
    scan: &Scan,
    routes: &[CodeRoute],
) -> Result<bool> {
    let Some(provider) = route(routes, &scan.code) else {
        return Ok(false);
    };
    let alone = routes.iter().all(|other| other.provider_url == provider);
    let shown = sqlx::query("SELECT 1 FROM merchant_orders WHERE order_id = $1")
        .bind(scan.order_id.as_str())
        .fetch_optional(&mut **work)
        .await?;
    if shown.is_some() && !alone {
        return Ok(true);
    }
    let rows = sqlx::query("SELECT request FROM scans WHERE order_id = $1 AND kind = 'digits' AND (result IS NULL OR result = 'approved') AND NOT (terminal_id = $2 AND trace = $3)")
        .bind(scan.order_id.as_str())
        .bind(terminal)
        .bind(i64::from(scan.trace))
        .fetch_all(&mut **work)
        .await?;
    for row in &rows {
        let other = serde_json::from_str::<Scan>(&row.try_get::<String, _>(0)?);
        let other = other.ok().and_then(|other| route(routes, &other.code));
        if other.is_some_and(|other| other != provider) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Keeps the answer to a scan; `false` when it has one.
pub(super) async fn keep(
    work: &mut Transaction<'static, Any>,
    terminal: &str,
    trace: u32,
    answer: &Answer,
) -> Result<bool> {
    let update = "UPDATE scans SET result = $1, answer = $2 WHERE terminal_id = $3 AND trace = $4 AND answer IS NULL";
    let kept = store::keep(work, update, (terminal, trace), (answer.result, answer)).await?;
    if kept {
        forget_code(work, terminal, trace).await?;
    }
    Ok(kept)
}

/// Takes a card's code out of a scan for which the network is not asked any more. Without a digest it would not be known
/// again, and one that holds its order may be asked for until it has an answer.
async fn forget_code(
    work: &mut Transaction<'static, Any>,
    terminal: &str,
    trace: u32,
) -> Result<()> {
    let row = sqlx::query("SELECT request FROM scans WHERE terminal_id = $1 AND trace = $2 AND kind = 'card' AND digest IS NOT NULL AND (answer IS NOT NULL OR NOT EXISTS (SELECT 1 FROM card_orders o WHERE o.terminal_id = scans.terminal_id AND o.trace = scans.trace))")
        .bind(terminal)
        .bind(i64::from(trace))
        .fetch_optional(&mut **work)
        .await?;
    let Some(row) = row else { return Ok(()) };
    let Ok(scan) = serde_json::from_str::<Scan>(&row.try_get::<String, _>(0)?) else {
        return Ok(());
    };
    let scan = Scan {
        code: String::new(),
        ..scan
    };
    let text = serde_json::to_string(&scan).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query("UPDATE scans SET request = $1 WHERE terminal_id = $2 AND trace = $3")
        .bind(text)
        .bind(terminal)
        .bind(i64::from(trace))
        .execute(&mut **work)
        .await?;
    Ok(())
}

/// When a payment was taken back, if it was.
async fn taken_back(work: &mut Transaction<'static, Any>, payment: &str) -> Result<Option<String>> {
    let row = sqlx::query("SELECT at FROM reversals WHERE payment_id = $1")
        .bind(payment)
        .fetch_optional(&mut **work)
        .await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// Reverses the line of a payment, once; whether there is one.
async fn reverse(work: &mut Transaction<'static, Any>, payment: &str, at: &str) -> Result<bool> {
    let (paid, id) = (entry_of(payment), format!("{}/reversal", entry_of(payment)));
    let written = sqlx::query("INSERT INTO entries (id, at, kind, amount_minor, currency, merchant, reference, result, reason, atc, arqc, token) SELECT $1, $2, 'reversal', amount_minor, currency, merchant, reference, 'reversed', NULL, CAST(NULL AS BIGINT), NULL, NULL FROM entries WHERE id = $3 ON CONFLICT (id) DO NOTHING")
        .bind(id.as_str())
        .bind(at)
        .bind(paid.as_str())
        .execute(&mut **work)
        .await?;
    if written.rows_affected() == 1 {
        sqlx::query("INSERT INTO postings (entry_id, account, amount_minor) SELECT $1, account, -amount_minor FROM postings WHERE entry_id = $2")
            .bind(id.as_str())
            .bind(paid.as_str())
            .execute(&mut **work)
            .await?;
    }
    let known = sqlx::query("SELECT 1 FROM entries WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(&mut **work)
        .await?;
    if known.is_some() {
        sqlx::query("UPDATE merchant_payments SET reversed_at = $1 WHERE payment_id = $2 AND reversed_at IS NULL")
            .bind(at)
            .bind(payment)
            .execute(&mut **work)
            .await?;
    }
    Ok(known.is_some())
}

/// The line of a payment in the books.
pub(crate) fn entry_of(payment: &str) -> String {
    format!("code/{payment}")
}

async fn write_entry(
    work: &mut Transaction<'static, Any>,
    terminal: &str,
    scan: &Scan,
    merchant: &Merchant,
    answer: &Answer,
) -> Result<()> {
    let approved = answer.result == Outcome::Approved;
    let id = match &answer.payment_id {
        Some(payment) if approved => entry_of(payment),
        // Another scan of the same order may be paid yet.
        _ => format!("code/{terminal}/{:06}", scan.trace),
    };
    let reference = answer
        .network_ref
        .as_deref()
        .or(answer.payment_id.as_deref())
        .unwrap_or(&scan.order_id);
    let written = sqlx::query("INSERT INTO entries (id, at, kind, amount_minor, currency, merchant, reference, result, reason, atc, arqc, token) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, NULL, NULL) ON CONFLICT (id) DO NOTHING")
        .bind(id.as_str())
        .bind(answer.at.as_str())
        .bind(if approved { "payment" } else { "decline" })
        .bind(scan.amount_minor)
        .bind(scan.currency.as_str())
        .bind(merchant.name.as_str())
        .bind(reference)
        .bind(answer.result.name())
        .bind(answer.reason.as_deref())
        .execute(&mut **work)
        .await?;
    if !approved || written.rows_affected() == 0 {
        return Ok(());
    }
    post_sale(work, &id, merchant, scan.amount_minor).await
}
