//! The tables of the payment password. What must not come apart is one transaction each.

use sandbox_kit::db::Db;
use sandbox_kit::{bytes, clock};
use serde::Serialize;
use sqlx::Row;

type Result<T> = std::result::Result<T, sqlx::Error>;

/// How long a registration may take, seconds.
const REGISTRATION_LIFE: i64 = 600;
/// How long a passed reset may be used, seconds.
const RESET_LIFE: i64 = 600;
/// How many resets a user may begin in a day: each is three guesses at an SMS code.
const RESETS_A_DAY: i64 = 10;
const DAY: i64 = 86_400;

/// The tables, and how many tries a fresh password has.
pub(crate) struct Records {
    db: Db,
    tries: u32,
}

/// How a user's password stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct State {
    /// `none`, `set` or `locked`.
    pub(crate) state: &'static str,
    /// Tries before it locks.
    pub(crate) tries_left: i64,
}

/// What came of asking for a try.
pub(super) enum Try {
    NotSet,
    Locked,
    Spent {
        credential: String,
        record: Vec<u8>,
        tries_left: i64,
    },
}

/// By what right a password is set.
pub(super) enum Authority<'a> {
    /// There is none yet.
    First,
    /// The one before, whose record this names, was proven.
    Change(&'a str),
    /// One of the user's cards was proven.
    Reset(&'a str),
}

/// What came of setting a password.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Done,
    SetAlready,
    RegistrationOver,
    RecordChanged,
    ResetInvalid,
}

/// A payment that a person has confirmed.
pub(crate) struct Proven<'a> {
    pub(crate) id: &'a str,
    pub(crate) user: &'a str,
    pub(crate) device: &'a str,
    /// `password` or `device`.
    pub(crate) method: &'a str,
    pub(crate) amount_minor: i64,
    pub(crate) currency: &'a str,
    pub(crate) payee: &'a str,
    pub(crate) idempotency_key: &'a str,
    /// Seconds since 1970.
    pub(crate) expires_at: i64,
}

impl Records {
    pub(super) fn new(db: Db, tries: u32) -> Self {
        Self { db, tries }
    }

    /// How the user's password stands.
    pub(crate) async fn state(&self, user: &str) -> Result<State> {
        let row = sqlx::query("SELECT tries_left FROM passwords WHERE user_id = $1")
            .bind(user)
            .fetch_optional(self.db.pool())
            .await?;
        let Some(row) = row else {
            return Ok(State {
                state: "none",
                tries_left: 0,
            });
        };
        let tries_left = row.try_get::<i64, _>(0)?.max(0);
        Ok(State {
            state: if tries_left > 0 { "set" } else { "locked" },
            tries_left,
        })
    }

    /// Spends one try. It is durable when this returns, so nothing that is answered afterwards comes without it.
    pub(super) async fn spend(&self, user: &str) -> Result<Try> {
        let mut work = self.db.begin().await?;
        let row =
            sqlx::query("SELECT credential, record, tries_left FROM passwords WHERE user_id = $1")
                .bind(user)
                .fetch_optional(&mut *work)
                .await?;
        let Some(row) = row else {
            return Ok(Try::NotSet);
        };
        let tries_left: i64 = row.try_get(2)?;
        if tries_left <= 0 {
            return Ok(Try::Locked);
        }
        sqlx::query("UPDATE passwords SET tries_left = tries_left - 1 WHERE user_id = $1")
            .bind(user)
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(Try::Spent {
            credential: row.try_get(0)?,
            record: row.try_get(1)?,
            tries_left: tries_left - 1,
        })
    }

    /// Gives all tries back to the record of this name. `false` when the user has another one by now.
    pub(crate) async fn restore(&self, user: &str, credential: &str) -> Result<bool> {
        let restored = sqlx::query(
            "UPDATE passwords SET tries_left = $1 WHERE user_id = $2 AND credential = $3",
        )
        .bind(i64::from(self.tries))
        .bind(user)
        .bind(credential)
        .execute(self.db.pool())
        .await?;
        Ok(restored.rows_affected() == 1)
    }

    /// Notes that a device registers a password under `credential`. The one it began before counts no more.
    pub(super) async fn begin_registration(
        &self,
        device: &str,
        user: &str,
        credential: &str,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO password_registrations (device_id, user_id, credential, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT (device_id) DO UPDATE SET user_id = excluded.user_id, credential = excluded.credential, expires_at = excluded.expires_at",
        )
        .bind(device)
        .bind(user)
        .bind(credential)
        .bind(clock::unix_now().saturating_add(REGISTRATION_LIFE))
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    /// Makes `record` the user's, with all tries, if the authority suffices; registration and authority are used up
    /// with it, or neither is.
    pub(super) async fn set(
        &self,
        device: &str,
        user: &str,
        record: &[u8],
        authority: &Authority<'_>,
    ) -> Result<Setting> {
        let now = clock::unix_now();
        let mut work = self.db.begin().await?;
        let present = sqlx::query("SELECT credential FROM passwords WHERE user_id = $1")
            .bind(user)
            .fetch_optional(&mut *work)
            .await?;
        let present: Option<String> = present.map(|row| row.try_get(0)).transpose()?;
        match (authority, present.as_deref()) {
            (Authority::First, Some(_)) => return Ok(Setting::SetAlready),
            (Authority::Change(proven), present) if present != Some(*proven) => {
                return Ok(Setting::RecordChanged);
            }
            (Authority::Reset(id), _) => {
                let used = sqlx::query(
                    "DELETE FROM password_resets WHERE reset_id = $1 AND user_id = $2 AND device_id = $3 AND good_until > $4",
                )
                .bind(*id)
                .bind(user)
                .bind(device)
                .bind(now)
                .execute(&mut *work)
                .await?;
                if used.rows_affected() == 0 {
                    return Ok(Setting::ResetInvalid);
                }
            }
            _ => {}
        }
        let begun = sqlx::query(
            "SELECT credential FROM password_registrations WHERE device_id = $1 AND user_id = $2 AND expires_at > $3",
        )
        .bind(device)
        .bind(user)
        .bind(now)
        .fetch_optional(&mut *work)
        .await?;
        let Some(begun) = begun else {
            return Ok(Setting::RegistrationOver);
        };
        sqlx::query("DELETE FROM password_registrations WHERE device_id = $1")
            .bind(device)
            .execute(&mut *work)
            .await?;
        sqlx::query(
            "INSERT INTO passwords (user_id, credential, record, tries_left, set_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (user_id) DO UPDATE SET credential = excluded.credential, record = excluded.record, tries_left = excluded.tries_left, set_at = excluded.set_at",
        )
        .bind(user)
        .bind(begun.try_get::<String, _>(0)?)
        .bind(record)
        .bind(i64::from(self.tries))
        .bind(clock::now_text())
        .execute(&mut *work)
        .await?;
        work.commit().await?;
        Ok(Setting::Done)
    }

    /// Whether the user may begin another reset today.
    pub(super) async fn may_reset(&self, user: &str) -> Result<bool> {
        let begun: i64 = sqlx::query(
            "SELECT COUNT(*) FROM password_resets WHERE user_id = $1 AND begun_at > $2",
        )
        .bind(user)
        .bind(clock::unix_now().saturating_sub(DAY))
        .fetch_one(self.db.pool())
        .await?
        .try_get(0)?;
        Ok(begun < RESETS_A_DAY)
    }

    /// Notes a reset that the network's check `check` decides about, and names it.
    pub(super) async fn begin_reset(
        &self,
        device: &str,
        user: &str,
        check: &str,
    ) -> Result<String> {
        let (id, now) = (bytes::random_id("rst"), clock::unix_now());
        sqlx::query("DELETE FROM password_resets WHERE begun_at < $1")
            .bind(now.saturating_sub(DAY))
            .execute(self.db.pool())
            .await?;
        sqlx::query(
            "INSERT INTO password_resets (reset_id, user_id, device_id, check_id, begun_at, good_until) VALUES ($1, $2, $3, $4, $5, 0)",
        )
        .bind(id.as_str())
        .bind(user)
        .bind(device)
        .bind(check)
        .bind(now)
        .execute(self.db.pool())
        .await?;
        Ok(id)
    }

    /// The network's check behind the device's reset.
    pub(super) async fn check_of_reset(&self, id: &str, device: &str) -> Result<Option<String>> {
        let row = sqlx::query(
            "SELECT check_id FROM password_resets WHERE reset_id = $1 AND device_id = $2",
        )
        .bind(id)
        .bind(device)
        .fetch_optional(self.db.pool())
        .await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    /// Lets a reset be used, and until when (seconds since 1970).
    pub(super) async fn pass_reset(&self, id: &str) -> Result<i64> {
        let good_until = clock::unix_now().saturating_add(RESET_LIFE);
        sqlx::query("UPDATE password_resets SET good_until = $1 WHERE reset_id = $2")
            .bind(good_until)
            .bind(id)
            .execute(self.db.pool())
            .await?;
        Ok(good_until)
    }

    /// The tokens of the user's cards, on whatever phone, that may reset the password: those that were there when it was
    /// set, and others after a day. A thief with the unlocked phone may well add a card of their own to it.
    pub(super) async fn tokens(&self, user: &str) -> Result<Vec<String>> {
        sqlx::query("SELECT t.token_ref FROM tokens t JOIN devices d ON d.device_id = t.device_id LEFT JOIN passwords p ON p.user_id = d.user_id WHERE d.user_id = $1 AND t.state <> 'deleted' AND (p.set_at IS NULL OR t.at <= p.set_at OR t.at <= $2) ORDER BY t.at, t.token_ref")
            .bind(user)
            .bind(clock::unix_text(clock::unix_now().saturating_sub(DAY)))
            .fetch_all(self.db.pool())
            .await?
            .iter()
            .map(|row| row.try_get(0))
            .collect()
    }

    /// Sets the key with which a device confirms; one before it counts no more.
    pub(crate) async fn set_confirmation_key(&self, device: &str, key: &[u8]) -> Result<()> {
        sqlx::query(
            "INSERT INTO confirmation_keys (device_id, public_key, at) VALUES ($1, $2, $3) ON CONFLICT (device_id) DO UPDATE SET public_key = excluded.public_key, at = excluded.at",
        )
        .bind(device)
        .bind(key)
        .bind(clock::now_text())
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    /// The key with which a device confirms.
    pub(crate) async fn confirmation_key(&self, device: &str) -> Result<Option<Vec<u8>>> {
        let row = sqlx::query("SELECT public_key FROM confirmation_keys WHERE device_id = $1")
            .bind(device)
            .fetch_optional(self.db.pool())
            .await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    /// Keeps a confirmation.
    pub(crate) async fn add_confirmation(&self, proven: &Proven<'_>) -> Result<()> {
        sqlx::query(
            "INSERT INTO confirmations (confirmation_id, user_id, device_id, method, amount_minor, currency, payee, idempotency_key, at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(proven.id)
        .bind(proven.user)
        .bind(proven.device)
        .bind(proven.method)
        .bind(proven.amount_minor)
        .bind(proven.currency)
        .bind(proven.payee)
        .bind(proven.idempotency_key)
        .bind(clock::now_text())
        .bind(proven.expires_at)
        .execute(self.db.pool())
        .await?;
        Ok(())
    }
}

/// What erasing a user ($1) removes here.
pub(crate) const ERASE: &[&str] = &[
    "DELETE FROM confirmations WHERE user_id = $1",
    "DELETE FROM password_resets WHERE user_id = $1",
    "DELETE FROM password_registrations WHERE user_id = $1",
    "DELETE FROM passwords WHERE user_id = $1",
];

/// What wiping a device ($1) removes here: whatever it could still act with. The password is the user's and stays.
pub(crate) const WIPE: &[&str] = &[
    "DELETE FROM confirmation_keys WHERE device_id = $1",
    "DELETE FROM password_resets WHERE device_id = $1",
    "DELETE FROM password_registrations WHERE device_id = $1",
];
