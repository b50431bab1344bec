//! The provider's database: challenges, sessions, cards being added, tokens. The rest has files of its own below.

mod entries;
mod leaving;
mod overrides;
mod person;
#[cfg(test)]
mod tests;
mod users;

use std::path::Path;

use sandbox_kit::clock;
use sandbox_kit::db::{Db, Migration};
use sandbox_kit::problem::Problem;
use sqlx::{Any, Row, Transaction};

use crate::sessions;

pub(crate) use person::Export;
pub(crate) use users::{Joining, Known, LinkKind, NewDevice};

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "devices, sessions, tokens, entries",
        sql: include_str!("../migrations/001_provider.sql"),
    },
    Migration {
        version: 2,
        name: "users, token states, link codes, wiping, erasure",
        sql: include_str!("../migrations/002_users.sql"),
    },
    Migration {
        version: 3,
        name: "payment passwords, confirmations",
        sql: include_str!("../migrations/003_password.sql"),
    },
    Migration {
        version: 4,
        name: "payment codes",
        sql: include_str!("../migrations/004_codes.sql"),
    },
    Migration {
        version: 5,
        name: "payments by shops' codes",
        sql: include_str!("../migrations/005_merchant_codes.sql"),
    },
];

type Result<T> = std::result::Result<T, sqlx::Error>;

#[derive(Clone)]
pub(crate) struct Store {
    db: Db,
}

/// A device as requests need it.
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) key: Vec<u8>,
}

/// A session that is about to be opened.
pub(crate) struct NewSession<'a> {
    pub(crate) id: &'a str,
    pub(crate) device: &'a str,
    pub(crate) key: &'a [u8],
    pub(crate) expires_at: i64,
    pub(crate) app_version: &'a str,
}

/// A work in progress on the database: all of it happens or nothing.
type Work = Transaction<'static, Any>;

impl Store {
    pub(crate) async fn open(path: &Path, url: Option<&str>) -> anyhow::Result<Self> {
        Ok(Self {
            db: Db::open_at(path, url, MIGRATIONS).await?,
        })
    }

    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    pub(crate) async fn add_challenge(&self, challenge: &str, expires_at: i64) -> Result<()> {
        // The same visit clears away what nobody used.
        sqlx::query("DELETE FROM challenges WHERE expires_at < $1")
            .bind(clock::unix_now())
            .execute(self.db.pool())
            .await?;
        sqlx::query("INSERT INTO challenges (challenge, expires_at) VALUES ($1, $2)")
            .bind(challenge)
            .bind(expires_at)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// Whether the challenge was there and young enough. Afterwards it is gone.
    pub(crate) async fn take_challenge(&self, challenge: &str, now: i64) -> Result<bool> {
        let taken = sqlx::query("DELETE FROM challenges WHERE challenge = $1 AND expires_at > $2")
            .bind(challenge)
            .bind(now)
            .execute(self.db.pool())
            .await?;
        Ok(taken.rows_affected() == 1)
    }

    /// Opens a session, unless the device has been wiped meanwhile: `false`.
    pub(crate) async fn add_session(&self, session: &NewSession<'_>, now: i64) -> Result<bool> {
        let mut work = self.db.begin().await?;
        // A day's grace, so that a late phone hears "expired" and not "unknown".
        sqlx::query("DELETE FROM sessions WHERE expires_at < $1")
            .bind(now.saturating_sub(86_400))
            .execute(&mut *work)
            .await?;
        let active = sqlx::query(
            "UPDATE devices SET app_version = $1 WHERE device_id = $2 AND state = 'active'",
        )
        .bind(session.app_version)
        .bind(session.device)
        .execute(&mut *work)
        .await?;
        if active.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("INSERT INTO sessions (session_id, device_id, session_key, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(session.id)
            .bind(session.device)
            .bind(session.key)
            .bind(session.expires_at)
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(true)
    }

    /// A session's public key and its end.
    pub(crate) async fn session(&self, id: &str) -> Result<Option<([u8; 65], i64)>> {
        let row = sqlx::query("SELECT session_key, expires_at FROM sessions WHERE session_id = $1")
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let key: Vec<u8> = row.try_get(0)?;
        let expires_at = row.try_get(1)?;
        Ok(key.try_into().ok().map(|key| (key, expires_at)))
    }

    pub(crate) async fn device_of_session(
        &self,
        session: &str,
    ) -> std::result::Result<Device, Problem> {
        let row = sqlx::query(
            "SELECT d.device_id, d.user_id, d.device_key FROM sessions s JOIN devices d ON d.device_id = s.device_id WHERE s.session_id = $1",
        )
        .bind(session)
        .fetch_optional(self.db.pool())
        .await?;
        let row = row.ok_or_else(sessions::unknown)?;
        Ok(Device {
            id: row.try_get(0)?,
            user: row.try_get(1)?,
            key: row.try_get(2)?,
        })
    }

    pub(crate) async fn add_card_challenge(&self, id: &str, device: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO card_challenges (challenge_id, device_id, at) VALUES ($1, $2, $3) ON CONFLICT (challenge_id) DO NOTHING",
        )
        .bind(id)
        .bind(device)
        .bind(clock::now_text())
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    pub(crate) async fn is_card_challenge(&self, id: &str, device: &str) -> Result<bool> {
        let row =
            sqlx::query("SELECT 1 FROM card_challenges WHERE challenge_id = $1 AND device_id = $2")
                .bind(id)
                .bind(device)
                .fetch_optional(self.db.pool())
                .await?;
        Ok(row.is_some())
    }

    /// Writes down a token that the network has issued for a device. When the device was wiped meanwhile the network is
    /// ordered to delete it again: `false`.
    pub(crate) async fn add_token(
        &self,
        token: &str,
        device: &str,
        challenge: &str,
    ) -> Result<bool> {
        let mut work = self.db.begin().await?;
        let active = sqlx::query("SELECT 1 FROM devices WHERE device_id = $1 AND state = 'active'")
            .bind(device)
            .fetch_optional(&mut *work)
            .await?
            .is_some();
        if active {
            // One card check, one living token: the network has withdrawn those whose answers were lost.
            sqlx::query("UPDATE tokens SET state = 'deleted' WHERE device_id = $1 AND challenge_id = $2 AND token_ref <> $3")
                .bind(device)
                .bind(challenge)
                .bind(token)
                .execute(&mut *work)
                .await?;
            sqlx::query("INSERT INTO tokens (token_ref, device_id, at, state, challenge_id) VALUES ($1, $2, $3, 'active', $4) ON CONFLICT (token_ref) DO NOTHING")
                .bind(token)
                .bind(device)
                .bind(clock::now_text())
                .bind(challenge)
                .execute(&mut *work)
                .await?;
        } else {
            leaving::order_deletion(&mut work, token, device).await?;
        }
        work.commit().await?;
        Ok(active)
    }

    /// The state of a device's token; `None` when the device has no such token.
    pub(crate) async fn token_state(&self, token: &str, device: &str) -> Result<Option<String>> {
        let row = sqlx::query("SELECT state FROM tokens WHERE token_ref = $1 AND device_id = $2")
            .bind(token)
            .bind(device)
            .fetch_optional(self.db.pool())
            .await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    /// Writes down what the network made of a token. A deleted one stays deleted.
    pub(crate) async fn set_token_state(&self, token: &str, state: &str) -> Result<()> {
        sqlx::query("UPDATE tokens SET state = $1 WHERE token_ref = $2 AND state <> 'deleted'")
            .bind(state)
            .bind(token)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }
}
