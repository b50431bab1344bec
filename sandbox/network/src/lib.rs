//! The payment network with its token service: it turns cards into tokens, gives phones their limited-use keys, checks
//! every cryptogram and routes what is right to the bank behind the token.
//!
//! Pure parts: [`scheme`], [`mod@derive`], [`certificate`], [`number`], [`profile`], [`payload`]. Around them [`Network`]
//! with its API: the provider adds cards and replenishes keys, the acquirer asks for authorisations, banks are asked by
//! BIN, and the provider is told of what was decided, however long it takes to reach it. Payments by merchants' codes are
//! told to the acquirer, which enters its merchants here.

pub mod authorise;
pub mod card_data;
pub mod certificate;
pub mod check;
pub mod derive;
pub mod entry;
pub mod limits;
pub mod makers;
pub mod merchants;
pub mod number;
pub mod on_file;
pub mod payload;
pub mod profile;
pub mod replenish;
pub mod scheme;
pub mod secrets;
pub mod settle;
pub mod state;

mod api;
mod bank;
mod books;
mod cardholder;
mod issue;
mod outbox;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sandbox_kit::client::Client;
use sandbox_kit::db::Db;
use sandbox_kit::idempotency::Answers;
use sandbox_kit::ledger::Ledger;
use time::OffsetDateTime;
use tokio::sync::Notify;

pub use certificate::CaPublicKey;
use secrets::Secrets;

/// Where the network reads the time; tests pass their own.
pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// How long the network waits for a bank before it declines and reverses.
pub const BANK_TIMEOUT: Duration = Duration::from_secs(8);

/// A bank that the network routes to.
#[derive(Debug, Clone)]
pub struct BankRoute {
    /// Name of the party, for example `bank-a`.
    pub name: String,
    /// The first digits of its card numbers.
    pub bin: String,
    /// Base of its API.
    pub url: String,
}

/// A maker of phones that the network knows.
#[derive(Debug, Clone)]
pub struct Maker {
    /// Its name, which is the key id of its requests.
    pub name: String,
    /// Its public key.
    pub key: [u8; 65],
}

/// What the network needs to run.
pub struct NetworkConfig {
    /// The network's own folder.
    pub folder: PathBuf,
    /// A database to use instead of the file in the folder.
    pub database_url: Option<String>,
    /// The only root that the network trusts when it calls others.
    pub ca_pem: Vec<u8>,
    /// Public key of the provider (key id `provider`).
    pub provider_key: [u8; 65],
    /// The acquirer's name, which is the key id of its requests.
    pub acquirer_id: String,
    /// Its public key.
    pub acquirer_key: [u8; 65],
    /// Base of the acquirer's API.
    pub acquirer_url: String,
    /// Base of the provider's API.
    pub provider_url: String,
    /// The banks.
    pub banks: Vec<BankRoute>,
    /// Makers of phones whose wallets take in cards.
    pub makers: Vec<Maker>,
    /// The time.
    pub clock: Clock,
    /// How long a bank may take, usually [`BANK_TIMEOUT`].
    pub bank_timeout: Duration,
    /// What each limited-use key may pay, usually [`KeyLimits::standard`](limits::KeyLimits::standard).
    pub key_limits: limits::KeyLimits,
}

/// A running network. Clones share everything.
#[derive(Clone)]
pub struct Network {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    config: NetworkConfig,
    secrets: Secrets,
    answers: Answers,
    to_banks: Client,
    /// To provider and acquirer.
    to_parties: Client,
    mail: Notify,
}

impl Network {
    /// Opens database and keys, made when there are none (the RSA keys take a moment the first time).
    pub async fn open(config: NetworkConfig) -> anyhow::Result<Self> {
        let database = database(&config.folder);
        let db = Db::open_at(&database, config.database_url.as_deref(), schema::STEPS).await?;
        let keys = secrets_file(&config.folder);
        let secrets = tokio::task::spawn_blocking(move || Secrets::open_or_create(&keys)).await??;
        let client = Client::new(&config.ca_pem, secrets.signing.clone(), "network")?;
        let to_banks = client
            .clone()
            .with_timeout(&config.ca_pem, config.bank_timeout)?;
        Ok(Self {
            inner: Arc::new(Inner {
                answers: Answers::new(db.clone()),
                db,
                config,
                secrets,
                to_banks,
                to_parties: client,
                mail: Notify::new(),
            }),
        })
    }

    /// Starts what runs beside the API: payments that a crash interrupted are finished, then notifications are
    /// delivered. It ends when the answer is dropped.
    pub fn start(&self) -> Background {
        let network = self.clone();
        Background(tokio::spawn(async move {
            network.finish_interrupted().await;
            network.deliver_mail().await;
        }))
    }

    /// The network's books.
    pub async fn ledger(&self) -> anyhow::Result<Ledger> {
        Ok(books::ledger(self.db()).await?)
    }

    /// What terminals need to know of the schemes' CA, UnionPay first.
    pub fn ca_keys(&self) -> Vec<CaPublicKey> {
        CaPublicKey::all(&self.inner.secrets.ca)
    }

    /// Verifies what the network signs: payloads for phones, and its requests to banks and provider (key id `network`).
    pub fn signing_key(&self) -> [u8; 65] {
        self.inner.secrets.signing.public()
    }

    /// Phones seal card numbers for this key.
    pub fn hpke_key(&self) -> [u8; 65] {
        self.inner.secrets.hpke.public()
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.db().close().await;
    }

    fn db(&self) -> &Db {
        &self.inner.db
    }

    fn now(&self) -> OffsetDateTime {
        (self.inner.config.clock)()
    }
}

/// Work beside the API; dropping it ends the work, which goes on at the next start where it was.
pub struct Background(tokio::task::JoinHandle<()>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The database file in the network's folder.
pub fn database(folder: &Path) -> PathBuf {
    folder.join("network.db")
}

fn secrets_file(folder: &Path) -> PathBuf {
    folder.join("keys.json")
}

/// The books of the network whose folder this is, whether or not it is running.
pub async fn read_ledger(folder: &Path) -> anyhow::Result<Ledger> {
    let db = Db::open_at(&database(folder), None, schema::STEPS).await?;
    Ok(books::ledger(&db).await?)
}

/// The public CA keys of the network whose folder this is, UnionPay's first, whether or not it is running. The network
/// must have been started once.
pub fn read_ca_keys(folder: &Path) -> anyhow::Result<Vec<CaPublicKey>> {
    let secrets = Secrets::open(&secrets_file(folder))
        .context("the network has no keys here yet: start the sandbox on this folder once")?;
    Ok(CaPublicKey::all(&secrets.ca))
}
