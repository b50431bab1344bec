//! An issuing bank of the sandbox: its cards, the cardholder's check by SMS, its books and its decision on payments.
//! Two of them run beside each other, [`BankIdentity::A`] and [`BankIdentity::B`].
//!
//! A bank talks to the payment network only, which signs its requests; it sees merchant and amount as the terminal sent
//! them. Which numbers behave how stands in [`card`].

pub mod authorise;
pub mod card;
pub mod challenge;

mod api;
mod books;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sandbox_kit::db::Db;
use sandbox_kit::event::Events;
use sandbox_kit::ledger::Ledger;
use sandbox_kit::problem::Problem;
use time::OffsetDateTime;

/// Where a bank reads the time; tests pass their own.
pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// Which bank it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BankIdentity {
    /// Name of the party, its folder and its SMS sender.
    pub name: &'static str,
    /// The first six digits of its card numbers.
    pub bin: &'static str,
}

impl BankIdentity {
    /// Bank a, BIN 622848.
    pub const A: Self = Self {
        name: "bank-a",
        bin: "622848",
    };
    /// Bank b, BIN 621700.
    pub const B: Self = Self {
        name: "bank-b",
        bin: "621700",
    };
}

/// What a bank needs to run.
pub struct BankConfig {
    /// The bank's own folder.
    pub folder: PathBuf,
    /// A database to use instead of the file in the folder.
    pub database_url: Option<String>,
    /// Which bank.
    pub identity: BankIdentity,
    /// The network's public key: whose requests are taken (key id `network`).
    pub network_key: [u8; 65],
    /// Where SMS go.
    pub events: Events,
    /// The time.
    pub clock: Clock,
    /// How long the slow card takes, usually [`authorise::SLOW`].
    pub slowness: Duration,
}

/// A running bank. Clones share everything.
#[derive(Clone)]
pub struct Bank {
    db: Db,
    config: Arc<BankConfig>,
}

impl Bank {
    /// Opens the bank's database, made when there is none.
    pub async fn open(config: BankConfig) -> anyhow::Result<Self> {
        let db = Db::open_at(
            &database(&config.folder),
            config.database_url.as_deref(),
            schema::STEPS,
        )
        .await?;
        Ok(Self {
            db,
            config: Arc::new(config),
        })
    }

    /// The bank's books.
    pub async fn ledger(&self) -> anyhow::Result<Ledger> {
        Ok(books::ledger(&self.db, self.name()).await?)
    }

    /// What the card's account holds, in minor units.
    pub async fn balance(&self, card_ref: &str) -> anyhow::Result<Option<i64>> {
        Ok(books::balance(&self.db, &books::customer(card_ref)).await?)
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.db.close().await;
    }

    fn name(&self) -> &'static str {
        self.config.identity.name
    }

    fn bin(&self) -> &'static str {
        self.config.identity.bin
    }

    fn db(&self) -> &Db {
        &self.db
    }

    fn events(&self) -> &Events {
        &self.config.events
    }

    fn now(&self) -> OffsetDateTime {
        (self.config.clock)()
    }

    fn slowness(&self) -> Duration {
        self.config.slowness
    }

    fn unavailable(&self) -> Problem {
        Problem::new(
            503,
            "bank_unavailable",
            "Bank not available",
            format!(
                "{} does not answer at the moment. Try again later.",
                self.name()
            ),
        )
    }
}

/// The database file in a bank's folder.
pub fn database(folder: &Path) -> PathBuf {
    folder.join("bank.db")
}

/// The books of the bank whose folder this is, whether or not it is running.
pub async fn read_ledger(folder: &Path, identity: BankIdentity) -> anyhow::Result<Ledger> {
    let db = Db::open_at(&database(folder), None, schema::STEPS).await?;
    Ok(books::ledger(&db, identity.name).await?)
}
