//! A party's database: a SQLite file by default, PostgreSQL by URL, the same SQL on both.
//!
//! Statements use `$1` placeholders, the types `BIGINT`, `TEXT` and `BYTEA`, and nothing that only one of the two
//! knows; sums are written `CAST(SUM(x) AS BIGINT)`. Migrations run forward, one transaction each, and are recorded;
//! a database that is newer than the program is refused rather than guessed at.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{Any, AnyPool, Row, Transaction};

use crate::clock;

/// One step of a party's schema. Steps are never edited once released, only added.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// 1, 2, 3 …, without gaps.
    pub version: i64,
    /// What it is for, for the record.
    pub name: &'static str,
    /// One or more statements.
    pub sql: &'static str,
}

/// The kit's own tables, in every party's database: settings, nonces seen, answers stored.
const KIT: &[Migration] = &[Migration {
    version: 1,
    name: "settings, nonces, stored answers",
    sql: "CREATE TABLE kit_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
          CREATE TABLE kit_nonces (key_id TEXT NOT NULL, nonce TEXT NOT NULL, forget_at BIGINT NOT NULL, PRIMARY KEY (key_id, nonce));
          CREATE INDEX kit_nonces_forget ON kit_nonces (forget_at);
          CREATE TABLE kit_answers (scope TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, status BIGINT NOT NULL, body TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (scope, key));",
}];

/// An open database. Clones share the pool.
#[derive(Clone, Debug)]
pub struct Db {
    pool: AnyPool,
    sqlite: bool,
}

/// The URL of a SQLite file that is made when missing.
#[must_use]
pub fn sqlite_url(path: &Path) -> String {
    let mut url = String::from("sqlite://");
    for character in path.to_string_lossy().chars() {
        match character {
            '%' => url.push_str("%25"),
            '?' => url.push_str("%3F"),
            '#' => url.push_str("%23"),
            other => url.push(other),
        }
    }
    url.push_str("?mode=rwc");
    url
}

impl Db {
    /// Opens the database at `url` (`sqlite://…` or `postgres://…`) and brings its schema up to date.
    pub async fn open(url: &str, migrations: &[Migration]) -> anyhow::Result<Self> {
        install_default_drivers();
        let sqlite = url.starts_with("sqlite:");
        let pool = AnyPoolOptions::new()
            .max_connections(if sqlite { 4 } else { 8 })
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if sqlite {
                        // WAL lets `tapcore sandbox ledger` read beside a running sandbox.
                        for pragma in [
                            "PRAGMA busy_timeout = 5000",
                            "PRAGMA journal_mode = WAL",
                            "PRAGMA synchronous = FULL",
                            "PRAGMA foreign_keys = ON",
                            // What was deleted is not to be read out of the file's free pages.
                            "PRAGMA secure_delete = ON",
                        ] {
                            sqlx::raw_sql(pragma).execute(&mut *connection).await?;
                        }
                    }
                    Ok(())
                })
            })
            .connect(url)
            .await
            .context("the database does not open: check its folder's permissions or its URL")?;
        let db = Self { pool, sqlite };
        db.migrate("kit", KIT).await?;
        db.migrate("party", migrations).await?;
        Ok(db)
    }

    /// Opens the SQLite file at `path`, or the database at `url` when one is given.
    pub async fn open_at(
        path: &Path,
        url: Option<&str>,
        migrations: &[Migration],
    ) -> anyhow::Result<Self> {
        if let Some(url) = url {
            return Self::open(url, migrations).await;
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Self::open(&sqlite_url(path), migrations).await
    }

    /// The pool, for statements that need no transaction.
    #[must_use]
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Starts a transaction that will write, once those before it have ended: what it reads stays true until it
    /// commits, so a balance that covers a payment still does when the payment is booked. On SQLite it takes the write
    /// lock at once, since a reader that turns writer half-way cannot wait for its turn there; on PostgreSQL a lock on
    /// the table that every database of ours has stands for it.
    pub async fn begin(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        if self.sqlite {
            return self.pool.begin_with("BEGIN IMMEDIATE").await;
        }
        let mut transaction = self.pool.begin().await?;
        sqlx::raw_sql("LOCK TABLE kit_migrations IN SHARE ROW EXCLUSIVE MODE")
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }

    /// The value of a setting.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, sqlx::Error> {
        let row = sqlx::query("SELECT value FROM kit_settings WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    /// Sets a setting.
    pub async fn set_setting(&self, name: &str, value: &str) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO kit_settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(name)
        .bind(value)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Closes all connections; on SQLite the last one folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn migrate(&self, owner: &str, migrations: &[Migration]) -> anyhow::Result<()> {
        sqlx::raw_sql(
            "CREATE TABLE IF NOT EXISTS kit_migrations (owner TEXT NOT NULL, version BIGINT NOT NULL, name TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (owner, version))",
        )
        .execute(&self.pool)
        .await?;
        for (expected, migration) in (1_i64..).zip(migrations) {
            if migration.version != expected {
                bail!(
                    "migration \"{}\" has version {}, expected {expected}",
                    migration.name,
                    migration.version
                );
            }
            let mut step = self.begin().await?;
            // Read inside the transaction: another process may have taken this very step meanwhile.
            if current(&mut step, owner).await? < migration.version {
                sqlx::raw_sql(migration.sql)
                    .execute(&mut *step)
                    .await
                    .with_context(|| {
                        format!(
                            "migration {} \"{}\" failed",
                            migration.version, migration.name
                        )
                    })?;
                sqlx::query(
                    "INSERT INTO kit_migrations (owner, version, name, at) VALUES ($1, $2, $3, $4)",
                )
                .bind(owner)
                .bind(migration.version)
                .bind(migration.name)
                .bind(clock::now_text())
                .execute(&mut *step)
                .await?;
            }
            step.commit().await?;
        }
        let newest = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
        let mut look = self.begin().await?;
        let found = current(&mut look, owner).await?;
        look.rollback().await?;
        if found > newest {
            bail!(
                "the database was written by a newer version ({found} > {newest}): update the program"
            );
        }
        Ok(())
    }
}

async fn current(
    transaction: &mut Transaction<'static, Any>,
    owner: &str,
) -> Result<i64, sqlx::Error> {
    sqlx::query(
        "SELECT CAST(COALESCE(MAX(version), 0) AS BIGINT) FROM kit_migrations WHERE owner = $1",
    )
    .bind(owner)
    .fetch_one(&mut **transaction)
    .await?
    .try_get(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &[Migration] = &[
        Migration {
            version: 1,
            name: "one",
            sql: "CREATE TABLE a (x BIGINT NOT NULL); CREATE TABLE b (y TEXT);",
        },
        Migration {
            version: 2,
            name: "two",
            sql: "INSERT INTO a (x) VALUES (7);",
        },
    ];

    #[tokio::test]
    async fn steps_run_once_and_a_newer_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("odd %?# name.db");
        for steps in [&STEPS[..1], STEPS, STEPS] {
            let db = Db::open_at(&path, None, steps).await.unwrap();
            db.close().await;
        }
        assert!(path.exists());
        let db = Db::open_at(&path, None, STEPS).await.unwrap();
        let rows = sqlx::query("SELECT x FROM a")
            .fetch_all(db.pool())
            .await
            .unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].try_get::<i64, _>(0).unwrap(), 7);
        db.close().await;
        assert!(Db::open_at(&path, None, &STEPS[..1]).await.is_err());
    }

    #[tokio::test]
    async fn a_failing_step_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let bad = [Migration {
            version: 1,
            name: "bad",
            sql: "CREATE TABLE a (x BIGINT); NONSENSE;",
        }];
        assert!(Db::open_at(&path, None, &bad).await.is_err());
        Db::open_at(&path, None, STEPS).await.unwrap();
    }

    #[tokio::test]
    async fn settings() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open_at(&folder.path().join("x.db"), None, &[])
            .await
            .unwrap();
        assert_eq!(db.setting("a").await.unwrap(), None);
        db.set_setting("a", "1").await.unwrap();
        db.set_setting("a", "2").await.unwrap();
        assert_eq!(db.setting("a").await.unwrap().as_deref(), Some("2"));
    }
}
