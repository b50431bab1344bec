//! Merchants' codes in the acquirer's database: the orders that they were made for, and what was paid by them.

use sandbox_kit::clock;
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::{Notice, Paid};
use crate::Merchant;
use crate::scan::entry_of;
use crate::store::{Store, post_sale};

type Result<T> = std::result::Result<T, sqlx::Error>;

/// An order that a code was made for.
pub(super) struct Order {
    pub(super) order_id: String,
    pub(super) amount_minor: i64,
    pub(super) currency: String,
    pub(super) made_at: String,
    /// Nobody pays it any more from then on.
    pub(super) revoked_at: Option<String>,
}

/// A payment that the network told of.
pub(super) struct Payment {
    pub(super) paid: Paid,
    pub(super) currency: String,
    pub(super) reversed: bool,
}

/// Whether an order can have a code.
pub(super) enum Kept {
    /// It is written down.
    Yes,
    /// A code was made for it with another amount.
    Otherwise,
    /// A code on a phone was scanned for it, and paid or is being paid.
    Scanned,
    /// It was revoked.
    Over,
}

impl Store {
    /// Writes an order down, once.
    pub(super) async fn keep_order(&self, terminal: &str, order: &Order) -> Result<Kept> {
        let mut work = self.db().begin().await?;
        if let Some(known) = find(&mut work, &order.order_id).await? {
            let same = known.amount_minor == order.amount_minor && known.currency == order.currency;
            return Ok(match known.revoked_at {
                Some(_) => Kept::Over,
                None if same => Kept::Yes,
                None => Kept::Otherwise,
            });
        }
        let scanned = sqlx::query(
            "SELECT 1 FROM scans WHERE order_id = $1 AND (result IS NULL OR result = 'approved')",
        )
        .bind(order.order_id.as_str())
        .fetch_optional(&mut *work)
        .await?;
        if scanned.is_some() {
            return Ok(Kept::Scanned);
        }
        sqlx::query("INSERT INTO merchant_orders (order_id, terminal_id, amount_minor, currency, made_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(order.order_id.as_str())
            .bind(terminal)
            .bind(order.amount_minor)
            .bind(order.currency.as_str())
            .bind(order.made_at.as_str())
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(Kept::Yes)
    }

    /// An order, and what was paid for it.
    pub(super) async fn order(&self, order: &str) -> Result<Option<(Order, Option<Payment>)>> {
        let mut work = self.db().begin().await?;
        let Some(found) = find(&mut work, order).await? else {
            return Ok(None);
        };
        let row = sqlx::query("SELECT payment_id, amount_minor, currency, authorisation, network_ref, at, reversed_at FROM merchant_payments WHERE order_id = $1 ORDER BY at, payment_id LIMIT 1")
            .bind(order)
            .fetch_optional(&mut *work)
            .await?;
        work.rollback().await?;
        Ok(Some((found, row.as_ref().map(payment).transpose()?)))
    }

    /// Notes that an order is revoked, where a code was made for it.
    pub(crate) async fn end_order(&self, order: &str, at: &str) -> Result<()> {
        sqlx::query(
            "UPDATE merchant_orders SET revoked_at = $1 WHERE order_id = $2 AND revoked_at IS NULL",
        )
        .bind(at)
        .bind(order)
        .execute(self.db().pool())
        .await?;
        Ok(())
    }

    /// Whether a code was made for this order.
    pub(crate) async fn has_code(&self, order: &str) -> Result<bool> {
        let row = sqlx::query("SELECT 1 FROM merchant_orders WHERE order_id = $1")
            .bind(order)
            .fetch_optional(self.db().pool())
            .await?;
        Ok(row.is_some())
    }

    /// Books a payment that the network tells of, once: `false` when it is known.
    pub(super) async fn book_notice(&self, notice: &Notice, merchant: &Merchant) -> Result<bool> {
        let mut work = self.db().begin().await?;
        let kept = sqlx::query("INSERT INTO merchant_payments (payment_id, order_id, amount_minor, currency, authorisation, network_ref, at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (payment_id) DO NOTHING")
            .bind(notice.payment_id.as_str())
            .bind(notice.order_id.as_str())
            .bind(notice.amount_minor)
            .bind(notice.currency.as_str())
            .bind(notice.authorisation.as_deref())
            .bind(notice.network_ref.as_str())
            .bind(notice.at.as_str())
            .execute(&mut *work)
            .await?;
        if kept.rows_affected() == 0 {
            return Ok(false);
        }
        let id = entry_of(&notice.payment_id);
        // A till that scanned a code for the order may have heard of the payment, and booked it, before.
        let written = sqlx::query("INSERT INTO entries (id, at, kind, amount_minor, currency, merchant, reference, result, reason, atc, arqc, token) VALUES ($1, $2, 'payment', $3, $4, $5, $6, 'approved', NULL, NULL, NULL, NULL) ON CONFLICT (id) DO NOTHING")
            .bind(id.as_str())
            .bind(notice.at.as_str())
            .bind(notice.amount_minor)
            .bind(notice.currency.as_str())
            .bind(merchant.name.as_str())
            .bind(notice.network_ref.as_str())
            .execute(&mut *work)
            .await?;
        if written.rows_affected() == 1 {
            post_sale(&mut work, &id, merchant, notice.amount_minor).await?;
        }
        work.commit().await?;
        Ok(true)
    }
}

async fn find(work: &mut Transaction<'static, Any>, order: &str) -> Result<Option<Order>> {
    let row = sqlx::query(
        "SELECT order_id, amount_minor, currency, made_at, revoked_at FROM merchant_orders WHERE order_id = $1",
    )
    .bind(order)
    .fetch_optional(&mut **work)
    .await?;
    row.map(|row| {
        Ok(Order {
            order_id: row.try_get(0)?,
            amount_minor: row.try_get(1)?,
            currency: row.try_get(2)?,
            made_at: row.try_get(3)?,
            revoked_at: row.try_get(4)?,
        })
    })
    .transpose()
}

fn payment(row: &AnyRow) -> Result<Payment> {
    Ok(Payment {
        paid: Paid {
            payment_id: row.try_get(0)?,
            amount_minor: row.try_get(1)?,
            authorisation: row.try_get(3)?,
            network_ref: row.try_get(4)?,
            at: row.try_get(5)?,
        },
        currency: row.try_get(2)?,
        reversed: row.try_get::<Option<String>, _>(6)?.is_some(),
    })
}

/// A fresh order in this currency.
pub(super) fn order(order_id: String, amount_minor: i64, currency: &str) -> Order {
    Order {
        order_id,
        amount_minor,
        currency: currency.to_owned(),
        made_at: clock::now_text(),
        revoked_at: None,
    }
}
