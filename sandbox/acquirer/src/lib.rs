//! The acquirer: merchants and their terminals on one side, the payment network on the other.
//!
//! A terminal registers its key once and signs every authorisation; the acquirer adds who is asking, hands it to the
//! network, books the answer and signs it for the receipt. The same trace number of a terminal is one payment: asked
//! again it is answered the same. Approvals are booked by double entry (debit the network's receivable, credit the
//! merchant's payable), declines without effect. Codes that the merchant shows are made here, and what people paid by them
//! is told by the network. A payment whose answer was lost on the way is asked for again until
//! there is one, even when its terminal has given up.
//!
//! ```text
//! let acquirer = Acquirer::open(config).await?;
//! let background = acquirer.start();
//! sandbox_kit::server::serve(acquirer.router(), listener, &identity)?;
//! ```

mod authorise;
mod merchant_code;
mod resolve;
mod scan;
mod store;
mod terminals;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use sandbox_kit::client::Client;
use sandbox_kit::event::Events;
use sandbox_kit::keys::PartyKey;
use sandbox_kit::ledger::Ledger;
use sandbox_kit::problem;
use sandbox_kit::signed::{self, FixedKeys, MAX_BODY, Verifier};
use serde::{Deserialize, Serialize};

use crate::store::Store;
use crate::terminals::Terminals;

pub use crate::scan::{CodeRoute, CodeWaits};

/// The network's key id in what it tells.
const NETWORK_KEY_ID: &str = "network";

/// What an acquirer needs to run.
pub struct AcquirerConfig {
    /// The SQLite file, unless `database_url` is given.
    pub database: PathBuf,
    /// A database elsewhere, for example `postgres://…`.
    pub database_url: Option<String>,
    /// `https://…` of the network, without a slash at its end.
    pub network_url: String,
    /// The network's public signing key (key id `network`): it tells of payments by merchants' codes.
    pub network_key: [u8; 65],
    /// The CA to trust when calling the network.
    pub ca_pem: Vec<u8>,
    /// The acquirer's own signing key, for requests and receipts.
    pub key: PartyKey,
    /// Its name at the network, and the key id of its requests.
    pub acquirer_id: String,
    /// The merchant whose terminals register here.
    pub merchant: Merchant,
    /// Applications that terminals are to select, by AID in upper-case hex, the most wanted first.
    pub aids: Vec<String>,
    /// The schemes' public keys for offline data authentication.
    pub ca_keys: Vec<CaKey>,
    /// Whose payment codes begin how.
    pub code_routes: Vec<CodeRoute>,
    /// How long a person may take over a password at the till.
    pub code_waits: CodeWaits,
    /// Who watches.
    pub events: Events,
}

/// A merchant, as the network and the customer's statement name it.
#[derive(Clone, Debug)]
pub struct Merchant {
    /// 15 characters at most, as acquirers number their merchants.
    pub merchant_id: String,
    /// The name on receipts, in whatever script.
    pub name: String,
    /// The name in Latin letters, for codes; 25 characters of it are shown.
    pub latin_name: String,
    /// The city in Latin letters; a code has room for 15 characters.
    pub city: String,
    /// Merchant category code, ISO 18245.
    pub mcc: String,
    /// ISO 3166-1 numeric, four digits as terminals carry it (9F1A).
    pub country: String,
    /// ISO 4217 letters.
    pub currency: String,
}

impl Default for Merchant {
    fn default() -> Self {
        Self {
            merchant_id: "898110058120001".to_owned(),
            name: "Mapo Tofu House".to_owned(),
            latin_name: "Mapo Tofu House".to_owned(),
            city: "Chengdu".to_owned(),
            mcc: "5812".to_owned(),
            country: "0156".to_owned(),
            currency: "CNY".to_owned(),
        }
    }
}

/// A certification authority's public key, all members upper-case hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaKey {
    /// Registered application provider identifier, five bytes.
    pub rid: String,
    /// Key index, one byte.
    pub index: String,
    /// RSA modulus.
    pub modulus: String,
    /// RSA exponent.
    pub exponent: String,
}

/// An acquirer, open and ready to serve.
#[derive(Clone)]
pub struct Acquirer {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    store: Store,
    client: Client,
    network_url: String,
    key: PartyKey,
    acquirer_id: String,
    merchant: Merchant,
    aids: Vec<String>,
    ca_keys: Vec<CaKey>,
    code_routes: Vec<CodeRoute>,
    code_waits: CodeWaits,
    /// Whether the network was told of the merchant since the start.
    introduced: AtomicBool,
    network_key: [u8; 65],
    events: Events,
}

type Shared = Arc<Inner>;

impl Acquirer {
    /// Opens the database, bringing it up to date. The network is not called yet and may come up later.
    pub async fn open(config: AcquirerConfig) -> anyhow::Result<Self> {
        let store = Store::open(&config.database, config.database_url.as_deref()).await?;
        let client = Client::new(
            &config.ca_pem,
            config.key.clone(),
            config.acquirer_id.as_str(),
        )?;
        let inner = Inner {
            store,
            client,
            network_url: config.network_url,
            key: config.key,
            acquirer_id: config.acquirer_id,
            merchant: config.merchant,
            aids: config.aids,
            ca_keys: config.ca_keys,
            code_routes: config.code_routes,
            code_waits: config.code_waits,
            introduced: AtomicBool::new(false),
            network_key: config.network_key,
            events: config.events,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// All routes.
    pub fn router(&self) -> Router {
        let inner = &self.inner;
        let open = Router::new().route("/v1/terminals", post(terminals::register));
        let terminals = Router::new()
            .route("/v1/authorisations", post(authorise::authorise))
            .route("/v1/scans", post(scan::scan))
            .route("/v1/scans/revoke", post(scan::revoke))
            .route("/v1/merchant-codes", post(merchant_code::make))
            .route(
                "/v1/merchant-codes/{order_id}",
                get(merchant_code::standing),
            );
        let db = inner.store.db();
        let keys = Terminals(inner.store.clone());
        let terminals = signed::require(terminals, Verifier::new(db.clone(), keys));
        let network = Router::new().route("/v1/merchant-payments", post(merchant_code::notify));
        let keys = FixedKeys::one(NETWORK_KEY_ID, inner.network_key);
        let network = signed::require(network, Verifier::new(db.clone(), keys));
        problem::fallbacks(open.merge(terminals).merge(network))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(Arc::clone(inner))
    }

    /// Starts what runs beside the API: payments without an answer are asked for again, at once and then every half
    /// minute. It ends when the answer is dropped.
    pub fn start(&self) -> Background {
        self.start_every(resolve::PAUSE)
    }

    /// The same with another pause.
    pub fn start_every(&self, pause: Duration) -> Background {
        let inner = Arc::clone(&self.inner);
        Background(tokio::spawn(resolve::resolve(inner, pause)))
    }

    /// The acquirer's books.
    pub async fn ledger(&self) -> anyhow::Result<Ledger> {
        Ok(self.inner.store.ledger().await?)
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.inner.store.db().close().await;
    }
}

/// Work beside the API; dropping it ends the work, which goes on at the next start where it was.
pub struct Background(tokio::task::JoinHandle<()>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The database file in the acquirer's folder.
pub fn database(folder: &Path) -> PathBuf {
    folder.join("acquirer.db")
}

/// The books of the acquirer whose folder this is, whether or not it is running.
pub async fn read_ledger(folder: &Path) -> anyhow::Result<Ledger> {
    let store = Store::open(&database(folder), None).await?;
    let ledger = store.ledger().await?;
    store.db().close().await;
    Ok(ledger)
}
