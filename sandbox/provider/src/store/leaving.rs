//! Phones that are wiped, users that are erased, and the orders to the network that follow: written down in the step
//! that causes them, carried out until the network has taken them.

use sandbox_kit::clock;
use sqlx::Row;

use super::{Result, Store, Work};
use crate::{codes, password};

/// A token that the network has still to delete.
pub(crate) struct Order {
    pub(crate) token_ref: String,
    pub(crate) device_id: String,
    pub(crate) attempts: i64,
}

impl Store {
    /// Wipes a phone of this user, again without effect. `false` when the user has no such phone.
    pub(crate) async fn wipe_phone(&self, device: &str, user: &str) -> Result<bool> {
        let mut work = self.db.begin().await?;
        let row = sqlx::query("SELECT 1 FROM devices WHERE device_id = $1 AND user_id = $2")
            .bind(device)
            .bind(user)
            .fetch_optional(&mut *work)
            .await?;
        if row.is_none() {
            return Ok(false);
        }
        wipe(&mut work, device).await?;
        work.commit().await?;
        Ok(true)
    }

    /// Wipes a phone whoever's it is, for the support desk. `false` when there is no such phone.
    pub(crate) async fn wipe_any(&self, device: &str) -> Result<bool> {
        let mut work = self.db.begin().await?;
        let row = sqlx::query("SELECT 1 FROM devices WHERE device_id = $1")
            .bind(device)
            .fetch_optional(&mut *work)
            .await?;
        if row.is_none() {
            return Ok(false);
        }
        wipe(&mut work, device).await?;
        work.commit().await?;
        Ok(true)
    }

    /// Forgets a user. What stays names nobody: lines in the books, and ids that mean "gone".
    pub(crate) async fn erase(&self, user: &str) -> Result<()> {
        let mut work = self.db.begin().await?;
        let devices = sqlx::query("SELECT device_id FROM devices WHERE user_id = $1")
            .bind(user)
            .fetch_all(&mut *work)
            .await?;
        for row in &devices {
            let device: String = row.try_get(0)?;
            wipe(&mut work, &device).await?;
            // Stored answers begin their scope with the device.
            sqlx::query("DELETE FROM kit_answers WHERE scope LIKE $1")
                .bind(format!("{device} %"))
                .execute(&mut *work)
                .await?;
        }
        let erase = password::ERASE.iter().chain(codes::ERASE).chain(ERASE);
        for statement in erase {
            sqlx::query(*statement)
                .bind(user)
                .execute(&mut *work)
                .await?;
        }
        work.commit().await
    }

    /// Orders that are due.
    pub(crate) async fn due_orders(&self) -> Result<Vec<Order>> {
        let rows = sqlx::query("SELECT token_ref, device_id, attempts FROM network_orders WHERE due <= $1 ORDER BY due, token_ref LIMIT 100")
            .bind(clock::unix_now())
            .fetch_all(self.db.pool())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Order {
                    token_ref: row.try_get(0)?,
                    device_id: row.try_get(1)?,
                    attempts: row.try_get(2)?,
                })
            })
            .collect()
    }

    /// The network has done it.
    pub(crate) async fn order_done(&self, order: &Order) -> Result<()> {
        sqlx::query("DELETE FROM network_orders WHERE token_ref = $1")
            .bind(order.token_ref.as_str())
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// The network has not done it: again at `due`.
    pub(crate) async fn order_again(&self, order: &Order, due: i64) -> Result<()> {
        sqlx::query("UPDATE network_orders SET attempts = $1, due = $2 WHERE token_ref = $3")
            .bind(order.attempts.saturating_add(1))
            .bind(due)
            .bind(order.token_ref.as_str())
            .execute(self.db.pool())
            .await?;
        Ok(())
    }
}

/// What an erasure removes once every device of the user ($1) is wiped, in the order that references allow.
const ERASE: &[&str] = &[
    "UPDATE notifications SET token_ref = '', authorisation = NULL WHERE token_ref IN (SELECT t.token_ref FROM tokens t JOIN devices d ON d.device_id = t.device_id WHERE d.user_id = $1)",
    "DELETE FROM entries WHERE user_id = $1",
    "INSERT INTO gone_tokens (token_ref) SELECT t.token_ref FROM tokens t JOIN devices d ON d.device_id = t.device_id WHERE d.user_id = $1",
    "DELETE FROM tokens WHERE device_id IN (SELECT device_id FROM devices WHERE user_id = $1)",
    "INSERT INTO gone_devices (device_id) SELECT device_id FROM devices WHERE user_id = $1",
    "DELETE FROM devices WHERE user_id = $1",
    "DELETE FROM users WHERE user_id = $1",
];

/// Takes from a device everything it can act with; its tokens go, here at once and at the network by order.
pub(super) async fn wipe(work: &mut Work, device: &str) -> Result<()> {
    codes::end_waiting(work, device, &clock::now_text()).await?;
    let wipe = password::WIPE.iter().chain(codes::WIPE).chain(WIPE);
    for statement in wipe {
        sqlx::query(*statement)
            .bind(device)
            .execute(&mut **work)
            .await?;
    }
    Ok(())
}

/// What wiping a device ($1) changes.
const WIPE: &[&str] = &[
    "UPDATE devices SET state = 'wiped' WHERE device_id = $1",
    "DELETE FROM sessions WHERE device_id = $1",
    "DELETE FROM card_challenges WHERE device_id = $1",
    "DELETE FROM link_codes WHERE device_id = $1",
    "INSERT INTO network_orders (token_ref, device_id, attempts, due) SELECT token_ref, device_id, 0, 0 FROM tokens WHERE device_id = $1 AND state <> 'deleted' ON CONFLICT (token_ref) DO NOTHING",
    "UPDATE tokens SET state = 'deleted' WHERE device_id = $1",
];

/// Orders the deletion of a token that is in no table here.
pub(super) async fn order_deletion(work: &mut Work, token: &str, device: &str) -> Result<()> {
    sqlx::query("INSERT INTO network_orders (token_ref, device_id, attempts, due) VALUES ($1, $2, 0, 0) ON CONFLICT (token_ref) DO NOTHING")
        .bind(token)
        .bind(device)
        .execute(&mut **work)
        .await?;
    sqlx::query(
        "INSERT INTO gone_tokens (token_ref) VALUES ($1) ON CONFLICT (token_ref) DO NOTHING",
    )
    .bind(token)
    .execute(&mut **work)
    .await?;
    Ok(())
}
