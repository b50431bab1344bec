//! The provider's database: devices, sessions, whose challenge and whose token, and the entries of statements.
//!
//! An entry's `seq` is counted per device inside the transaction that writes the entry, so a phone that reads on from
//! the last `seq` it saw misses nothing. An entry that changes (a decline that turns out to be followed by the
//! approval of the same counter) gets a new `seq` and keeps its id.

use std::path::Path;

use sandbox_kit::db::{Db, Migration};
use sandbox_kit::ledger::{Ledger, LedgerEntry};
use sandbox_kit::problem::Problem;
use sandbox_kit::{bytes, clock};
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use crate::entries::{Entry, Notification, Outcome};
use crate::sessions;

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "devices, sessions, tokens, entries",
    sql: include_str!("../migrations/001_provider.sql"),
}];

type Result<T> = std::result::Result<T, sqlx::Error>;

#[derive(Clone)]
pub(crate) struct Store {
    db: Db,
}

/// A device as requests need it.
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) key: Vec<u8>,
}

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

    pub(crate) async fn add_device(
        &self,
        id: &str,
        key: &[u8],
        key_store: &str,
        app_version: &str,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO devices (device_id, device_key, key_store, app_version, enrolled_at, last_seq) VALUES ($1, $2, $3, $4, $5, 0)",
        )
        .bind(id)
        .bind(key)
        .bind(key_store)
        .bind(app_version)
        .bind(clock::now_text())
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    pub(crate) async fn device_key(&self, id: &str) -> Result<Option<Vec<u8>>> {
        let row = sqlx::query("SELECT device_key FROM devices WHERE device_id = $1")
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    pub(crate) async fn add_session(
        &self,
        id: &str,
        device: &str,
        key: &[u8],
        expires_at: i64,
        now: i64,
    ) -> Result<()> {
        // A day's grace, so that a late phone hears "expired" and not "unknown".
        sqlx::query("DELETE FROM sessions WHERE expires_at < $1")
            .bind(now.saturating_sub(86_400))
            .execute(self.db.pool())
            .await?;
        sqlx::query("INSERT INTO sessions (session_id, device_id, session_key, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(id)
            .bind(device)
            .bind(key)
            .bind(expires_at)
            .execute(self.db.pool())
            .await?;
        Ok(())
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
            "SELECT d.device_id, d.device_key FROM sessions s JOIN devices d ON d.device_id = s.device_id WHERE s.session_id = $1",
        )
        .bind(session)
        .fetch_optional(self.db.pool())
        .await?;
        let row = row.ok_or_else(sessions::unknown)?;
        Ok(Device {
            id: row.try_get(0)?,
            key: row.try_get(1)?,
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

    pub(crate) async fn add_token(&self, token: &str, device: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO tokens (token_ref, device_id, at) VALUES ($1, $2, $3) ON CONFLICT (token_ref) DO NOTHING",
        )
        .bind(token)
        .bind(device)
        .bind(clock::now_text())
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    pub(crate) async fn is_token(&self, token: &str, device: &str) -> Result<bool> {
        let row = sqlx::query("SELECT 1 FROM tokens WHERE token_ref = $1 AND device_id = $2")
            .bind(token)
            .bind(device)
            .fetch_optional(self.db.pool())
            .await?;
        Ok(row.is_some())
    }

    /// Books a notification and brings the entry of its counter up to date, both or neither. `false` when no device
    /// has the token. The same id again changes nothing.
    pub(crate) async fn take_notification(&self, told: &Notification) -> Result<bool> {
        let mut work = self.db.begin().await?;
        let device = sqlx::query("SELECT device_id FROM tokens WHERE token_ref = $1")
            .bind(told.token_ref.as_str())
            .fetch_optional(&mut *work)
            .await?;
        let Some(device) = device else {
            return Ok(false);
        };
        let device: String = device.try_get(0)?;
        let added = sqlx::query(
            "INSERT INTO notifications (id, token_ref, atc, amount_minor, currency, merchant, result, reason, authorisation, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING",
        )
        .bind(told.id.as_str())
        .bind(told.token_ref.as_str())
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
        if added.rows_affected() == 1 {
            write_entry(&mut work, &device, told).await?;
        }
        work.commit().await?;
        Ok(true)
    }

    pub(crate) async fn entries(&self, device: &str, after: i64, limit: i64) -> Result<Vec<Entry>> {
        sqlx::query(
            "SELECT seq, id, token_ref, atc, amount_minor, currency, merchant, result, reason, authorisation, at FROM entries WHERE device_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .bind(device)
        .bind(after)
        .bind(limit)
        .fetch_all(self.db.pool())
        .await?
        .iter()
        .map(entry)
        .collect()
    }

    pub(crate) async fn ledger(&self) -> Result<Ledger> {
        let rows = sqlx::query(
            "SELECT id, token_ref, atc, amount_minor, currency, merchant, result, reason, at FROM notifications ORDER BY at, token_ref, atc, id",
        )
        .fetch_all(self.db.pool())
        .await?;
        let entries = rows.iter().map(memo).collect::<Result<Vec<_>>>()?;
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

/// Writes or replaces the entry of a counter. An approval stands; a decline gives way to an approval, and the decline
/// of a cryptogram that anybody could have made up gives way to a decline of the genuine one.
async fn write_entry(
    work: &mut Transaction<'static, Any>,
    device: &str,
    told: &Notification,
) -> Result<()> {
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
    sqlx::query("UPDATE devices SET last_seq = last_seq + 1 WHERE device_id = $1")
        .bind(device)
        .execute(&mut **work)
        .await?;
    let seq: i64 = sqlx::query("SELECT last_seq FROM devices WHERE device_id = $1")
        .bind(device)
        .fetch_one(&mut **work)
        .await?
        .try_get(0)?;
    sqlx::query(
        "INSERT INTO entries (device_id, seq, id, token_ref, atc, amount_minor, currency, merchant, result, reason, authorisation, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (token_ref, atc) DO UPDATE SET seq = excluded.seq, amount_minor = excluded.amount_minor, currency = excluded.currency, merchant = excluded.merchant, result = excluded.result, reason = excluded.reason, authorisation = excluded.authorisation, at = excluded.at",
    )
    .bind(device)
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

fn entry(row: &AnyRow) -> Result<Entry> {
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

fn memo(row: &AnyRow) -> Result<LedgerEntry> {
    Ok(LedgerEntry {
        kind: "memo".to_owned(),
        reference: row.try_get(0)?,
        token: Some(row.try_get(1)?),
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
