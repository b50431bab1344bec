//! Who may pay an order with a card's code, in the acquirer's database. A numeric code's provider keeps order itself.

use sqlx::{Any, Row, Transaction};

use super::table::{entry_of, keep};
use super::{Answer, Scan};
use crate::Merchant;
use crate::authorise::{self, Request};
use crate::store::{Store, trace_in, write_entry};

type Result<T> = std::result::Result<T, sqlx::Error>;

/// Another scan of the order.
pub(super) struct Holder {
    pub(super) terminal: String,
    pub(super) trace: u32,
    /// The scan's JSON, without a card's code once it has an answer.
    pub(super) request: String,
    /// Its answer's JSON, once there is one.
    pub(super) answer: Option<String>,
}

/// Whether a card's code may pay an order.
pub(super) enum Claim {
    /// From now on this scan holds it.
    Ours,
    /// That one holds it, or has paid it.
    Held(Holder),
    /// A numeric code is being paid for it.
    Open,
    /// It was paid and taken back.
    Over,
    /// The merchant shows a code for it, which any phone may pay at any moment.
    Shown,
}

impl Store {
    /// Holds the order for this scan, which is written down already.
    pub(super) async fn claim(&self, terminal: &str, scan: &Scan) -> Result<Claim> {
        let mut work = self.db().begin().await?;
        if let Some(holder) = holder(&mut work, &scan.order_id).await? {
            let ours = holder.terminal == terminal && holder.trace == scan.trace;
            return Ok(if ours {
                Claim::Ours
            } else {
                Claim::Held(holder)
            });
        }
        let rows = sqlx::query("SELECT terminal_id, trace, request, answer FROM scans WHERE order_id = $1 AND kind = 'digits' AND (result IS NULL OR result = 'approved')")
            .bind(scan.order_id.as_str())
            .fetch_all(&mut *work)
            .await?;
        let mut open = false;
        for row in &rows {
            let holder = read(row)?;
            let Some(answer) = &holder.answer else {
                open = true;
                continue;
            };
            let answer: Answer =
                serde_json::from_str(answer).map_err(|error| sqlx::Error::Decode(error.into()))?;
            let payment = answer.payment_id.as_deref().unwrap_or_default();
            return Ok(match is_reversed(&mut work, payment).await? {
                true => Claim::Over,
                false => Claim::Held(holder),
            });
        }
        if open {
            return Ok(Claim::Open);
        }
        let shown = sqlx::query("SELECT 1 FROM merchant_orders WHERE order_id = $1")
            .bind(scan.order_id.as_str())
            .fetch_optional(&mut *work)
            .await?;
        if shown.is_some() {
            return Ok(Claim::Shown);
        }
        sqlx::query("INSERT INTO card_orders (order_id, terminal_id, trace) VALUES ($1, $2, $3)")
            .bind(scan.order_id.as_str())
            .bind(terminal)
            .bind(i64::from(scan.trace))
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(Claim::Ours)
    }

    /// The scan of a card's code that holds an order.
    pub(super) async fn holder_of(&self, order: &str) -> Result<Option<Holder>> {
        let mut work = self.db().begin().await?;
        let holder = holder(&mut work, order).await?;
        work.rollback().await?;
        Ok(holder)
    }

    /// Keeps the network's answer to a card's code and books it, once: `false` when another request was quicker. A declined
    /// one lets go of the order.
    pub(super) async fn book_card(
        &self,
        terminal: &str,
        (scan, request): (&Scan, &Request),
        merchant: &Merchant,
        (answer, paid): (&Answer, &authorise::Answer),
    ) -> Result<bool> {
        let mut work = self.db().begin().await?;
        if !keep(&mut work, terminal, scan.trace, answer).await? {
            return Ok(false);
        }
        write_entry(&mut work, terminal, request, merchant, paid).await?;
        if answer.result == authorise::Outcome::Declined {
            let_go(&mut work, terminal, scan).await?;
        }
        work.commit().await?;
        Ok(true)
    }

    /// Keeps the answer to a scan whose order was paid by another one, whose line in the books it shares.
    pub(super) async fn keep_answer(
        &self,
        terminal: &str,
        trace: u32,
        answer: &Answer,
    ) -> Result<()> {
        let mut work = self.db().begin().await?;
        keep(&mut work, terminal, trace, answer).await?;
        work.commit().await
    }

    /// Lets go of an order that this scan does not pay after all.
    pub(super) async fn let_go(&self, terminal: &str, scan: &Scan) -> Result<()> {
        let mut work = self.db().begin().await?;
        let_go(&mut work, terminal, scan).await?;
        work.commit().await
    }
}

async fn let_go(work: &mut Transaction<'static, Any>, terminal: &str, scan: &Scan) -> Result<()> {
    sqlx::query("DELETE FROM card_orders WHERE order_id = $1 AND terminal_id = $2 AND trace = $3")
        .bind(scan.order_id.as_str())
        .bind(terminal)
        .bind(i64::from(scan.trace))
        .execute(&mut **work)
        .await?;
    Ok(())
}

async fn holder(work: &mut Transaction<'static, Any>, order: &str) -> Result<Option<Holder>> {
    let row = sqlx::query("SELECT s.terminal_id, s.trace, s.request, s.answer FROM card_orders o JOIN scans s ON s.terminal_id = o.terminal_id AND s.trace = o.trace WHERE o.order_id = $1")
        .bind(order)
        .fetch_optional(&mut **work)
        .await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &sqlx::any::AnyRow) -> Result<Holder> {
    Ok(Holder {
        terminal: row.try_get(0)?,
        trace: trace_in(row)?,
        request: row.try_get(2)?,
        answer: row.try_get(3)?,
    })
}

async fn is_reversed(work: &mut Transaction<'static, Any>, payment: &str) -> Result<bool> {
    let row = sqlx::query("SELECT 1 FROM entries WHERE id = $1")
        .bind(format!("{}/reversal", entry_of(payment)))
        .fetch_optional(&mut **work)
        .await?;
    Ok(row.is_some())
}
