//! Users and their phones: enrolling alone or by link code, and what is known of each phone.

use sandbox_kit::{bytes, clock};
use sqlx::Row;

use super::{Result, Store, Work, leaving};

/// A phone that is about to be enrolled.
pub(crate) struct NewDevice<'a> {
    pub(crate) id: &'a str,
    pub(crate) key: &'a [u8],
    pub(crate) key_store: &'a str,
    pub(crate) attested: bool,
    pub(crate) app_version: &'a str,
}

/// How a phone came to its user.
pub(crate) enum Joining {
    /// As the first of a new user.
    First(String),
    /// As one more of a user.
    Linked(String),
    /// In place of the phone named second, which is wiped.
    Moved(String, String),
}

/// What a link code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LinkKind {
    SecondPhone,
    Move,
}

impl LinkKind {
    fn name(self) -> &'static str {
        match self {
            Self::SecondPhone => "second_phone",
            Self::Move => "move",
        }
    }
}

/// A phone as its user's phones are shown it.
pub(crate) struct PhoneRow {
    pub(crate) device_id: String,
    pub(crate) enrolled_at: String,
    pub(crate) key_store: String,
    pub(crate) attested: bool,
    pub(crate) state: String,
}

/// A device as opening a session needs it.
pub(crate) enum Known {
    Active(Vec<u8>),
    Wiped(Vec<u8>),
    /// Erased with its user: only its name is remembered.
    Gone,
}

impl Store {
    /// Enrols a phone, in one step with everything that its link code causes. `None` when the code is not good.
    pub(crate) async fn enrol(
        &self,
        device: &NewDevice<'_>,
        link_code: Option<&str>,
    ) -> Result<Option<Joining>> {
        let mut work = self.db.begin().await?;
        let joining = match link_code {
            None => Joining::First(add_user(&mut work).await?),
            Some(code) => match take_link_code(&mut work, code).await? {
                Some(joining) => joining,
                None => return Ok(None),
            },
        };
        let (Joining::First(user) | Joining::Linked(user) | Joining::Moved(user, _)) = &joining;
        sqlx::query("INSERT INTO devices (device_id, device_key, key_store, attested, app_version, enrolled_at, user_id, state) VALUES ($1, $2, $3, $4, $5, $6, $7, 'active')")
            .bind(device.id)
            .bind(device.key)
            .bind(device.key_store)
            .bind(i64::from(device.attested))
            .bind(device.app_version)
            .bind(clock::now_text())
            .bind(user.as_str())
            .execute(&mut *work)
            .await?;
        if let Joining::Moved(_, old) = &joining {
            leaving::wipe(&mut work, old).await?;
        }
        work.commit().await?;
        Ok(Some(joining))
    }

    /// What is known of a device id.
    pub(crate) async fn device(&self, id: &str) -> Result<Option<Known>> {
        let row = sqlx::query("SELECT device_key, state FROM devices WHERE device_id = $1")
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?;
        if let Some(row) = row {
            let (key, state): (Vec<u8>, String) = (row.try_get(0)?, row.try_get(1)?);
            return Ok(Some(if state == "active" {
                Known::Active(key)
            } else {
                Known::Wiped(key)
            }));
        }
        let gone = sqlx::query("SELECT 1 FROM gone_devices WHERE device_id = $1")
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?;
        Ok(gone.map(|_| Known::Gone))
    }

    /// All phones of a user, the oldest first.
    pub(crate) async fn phones(&self, user: &str) -> Result<Vec<PhoneRow>> {
        let rows = sqlx::query("SELECT device_id, enrolled_at, key_store, attested, state FROM devices WHERE user_id = $1 ORDER BY enrolled_at, device_id")
            .bind(user)
            .fetch_all(self.db.pool())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(PhoneRow {
                    device_id: row.try_get(0)?,
                    enrolled_at: row.try_get(1)?,
                    key_store: row.try_get(2)?,
                    attested: row.try_get::<i64, _>(3)? != 0,
                    state: row.try_get(4)?,
                })
            })
            .collect()
    }

    /// The tokens of a device with their states, the oldest first.
    pub(crate) async fn tokens(&self, device: &str) -> Result<Vec<(String, String)>> {
        let rows = sqlx::query(
            "SELECT token_ref, state FROM tokens WHERE device_id = $1 ORDER BY at, token_ref",
        )
        .bind(device)
        .fetch_all(self.db.pool())
        .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// Writes down a link code. Codes that are over are cleared away on the same visit. `false` when the device was
    /// wiped meanwhile.
    pub(crate) async fn add_link_code(
        &self,
        code: &str,
        kind: LinkKind,
        device: &str,
        expires_at: i64,
    ) -> Result<bool> {
        let mut work = self.db.begin().await?;
        sqlx::query("DELETE FROM link_codes WHERE expires_at <= $1")
            .bind(clock::unix_now())
            .execute(&mut *work)
            .await?;
        let added = sqlx::query("INSERT INTO link_codes (code_hash, kind, device_id, expires_at) SELECT $1, $2, device_id, $3 FROM devices WHERE device_id = $4 AND state = 'active'")
            .bind(hash(code))
            .bind(kind.name())
            .bind(expires_at)
            .bind(device)
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(added.rows_affected() == 1)
    }
}

async fn add_user(work: &mut Work) -> Result<String> {
    let user = bytes::random_id("usr");
    sqlx::query("INSERT INTO users (user_id, since, last_seq) VALUES ($1, $2, 0)")
        .bind(user.as_str())
        .bind(clock::now_text())
        .execute(&mut **work)
        .await?;
    Ok(user)
}

/// Uses a link code up. `None` when it is unknown, used or over.
async fn take_link_code(work: &mut Work, code: &str) -> Result<Option<Joining>> {
    let row = sqlx::query("SELECT l.kind, l.device_id, d.user_id FROM link_codes l JOIN devices d ON d.device_id = l.device_id WHERE l.code_hash = $1 AND l.expires_at > $2")
        .bind(hash(code))
        .bind(clock::unix_now())
        .fetch_optional(&mut **work)
        .await?;
    let Some(row) = row else { return Ok(None) };
    sqlx::query("DELETE FROM link_codes WHERE code_hash = $1")
        .bind(hash(code))
        .execute(&mut **work)
        .await?;
    let (kind, maker, user): (String, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(Some(if kind == LinkKind::Move.name() {
        Joining::Moved(user, maker)
    } else {
        Joining::Linked(user)
    }))
}

/// Codes have 80 random bits: a plain hash does not give them away.
fn hash(code: &str) -> String {
    bytes::to_hex(&bytes::sha256(code.as_bytes()))
}
