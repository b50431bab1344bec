//! The wallet provider's backend: what a phone talks to.
//!
//! It enrols devices, opens sessions, relays sealed boxes between phones and the payment network, and keeps for each
//! phone the list of payments that the network told it of. It sees neither card numbers nor payment keys (both travel
//! sealed), and it holds no money: its books are memos. `docs/backend-api.yaml` is its contract with phones; [`desk`] is
//! for the people who work there.
//!
//! ```text
//! let provider = Provider::open(config).await?;
//! let background = provider.start();
//! sandbox_kit::server::serve(provider.router(), listener, &identity)?;
//! ```

pub mod desk;
pub mod policy;

mod attestation;
mod cards;
mod codes;
mod confirmations;
mod device;
mod entries;
mod form;
mod makers;
mod network;
mod orders;
mod password;
mod person;
mod phones;
mod sessions;
mod store;
mod tokens;
mod version;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use sandbox_kit::client::Client;
use sandbox_kit::event::Events;
use sandbox_kit::idempotency::Answers;
use sandbox_kit::keys::PartyKey;
use sandbox_kit::ledger::Ledger;
use sandbox_kit::signed::{self, FixedKeys, Verifier};
use sandbox_kit::{problem, signed::MAX_BODY};

use crate::attestation::Roots;
use crate::codes::{CodeRules, Codes};
use crate::network::Network;
use crate::password::Passwords;
use crate::sessions::Sessions;
use crate::store::Store;

pub use crate::orders::Background;
pub use crate::policy::Policy;

/// The key id under which the provider signs, and the one under which the network does.
pub const KEY_ID: &str = "provider";
/// The network's key id in its notifications.
pub const NETWORK_KEY_ID: &str = "network";

/// How often the payment password may be wrong before it locks.
pub const PASSWORD_TRIES: u32 = 5;

/// What a provider needs to run.
pub struct ProviderConfig {
    /// The SQLite file, unless `database_url` is given.
    pub database: PathBuf,
    /// A database elsewhere, for example `postgres://…`.
    pub database_url: Option<String>,
    /// `https://…` of the network, without a slash at its end.
    pub network_url: String,
    /// The network's public signing key: notifications and payloads are signed by it.
    pub network_signing_key: [u8; 65],
    /// The network's public HPKE key: phones seal card numbers for it.
    pub network_hpke_key: [u8; 65],
    /// The CA to trust when calling the network.
    pub ca_pem: Vec<u8>,
    /// The provider's own signing key.
    pub key: PartyKey,
    /// Pins of the provider's own TLS keys: in use, spare.
    pub pins: [String; 2],
    /// What phones are told to keep to, as long as the support desk does not say otherwise.
    pub policy: Policy,
    /// The provider's own rules for payment codes.
    pub codes: CodeRules,
    /// How often the payment password may be wrong before it locks, usually [`PASSWORD_TRIES`].
    pub password_tries: u32,
    /// Root certificates of makers whose key attestations are believed, DER.
    pub attestation_roots: Vec<Vec<u8>>,
    /// Who watches.
    pub events: Events,
}

/// A provider, open and ready to serve.
#[derive(Clone)]
pub struct Provider {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    store: Store,
    answers: Answers,
    network: Network,
    passwords: Passwords,
    codes: Codes,
    greeting: device::Greeting,
    policy: Policy,
    roots: Roots,
    token_turn: tokio::sync::Mutex<()>,
    network_signing_key: [u8; 65],
    events: Events,
}

type Shared = Arc<Inner>;

impl Provider {
    /// Opens the database, bringing it up to date. The network is not called yet and may come up later.
    pub async fn open(config: ProviderConfig) -> anyhow::Result<Self> {
        let store = Store::open(&config.database, config.database_url.as_deref()).await?;
        let client = Client::new(&config.ca_pem, config.key, KEY_ID)?;
        let tries = config.password_tries;
        let passwords = Passwords::open(&config.database, store.db(), tries).await?;
        let codes = Codes::open(&config.database, store.db(), config.codes).await?;
        let greeting = device::Greeting::new(
            config.pins,
            &config.network_signing_key,
            &config.network_hpke_key,
        );
        let inner = Inner {
            answers: Answers::new(store.db().clone()),
            network: Network::new(client, config.network_url),
            passwords,
            codes,
            store,
            greeting,
            policy: config.policy,
            roots: Roots::new(config.attestation_roots)?,
            token_turn: tokio::sync::Mutex::default(),
            network_signing_key: config.network_signing_key,
            events: config.events,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// All routes, for phones, for the network and for acquirers.
    pub fn router(&self) -> Router {
        let inner = &self.inner;
        let db = inner.store.db();
        let open = Router::new()
            .route("/v1/enrolment-challenges", post(device::challenge))
            .route("/v1/enrolments", post(device::enrol))
            .route("/v1/sessions", post(sessions::open));
        let phones = Router::new()
            .route("/v1/cards", post(cards::add))
            .route("/v1/cards/{challenge_id}/verify", post(cards::verify))
            .route("/v1/tokens/{token_ref}/replenish", post(cards::replenish))
            .route("/v1/tokens/{token_ref}/state", post(tokens::set_state))
            .route(
                "/v1/tokens/{token_ref}/maker-payload",
                post(makers::payload),
            )
            .route("/v1/entries", get(entries::list))
            .route("/v1/device", get(phones::standing))
            .route("/v1/phones/{device_id}/wipe", post(phones::wipe))
            .route("/v1/link-codes", post(phones::link_code))
            .route("/v1/export", get(person::export))
            .route("/v1/erasure", post(person::erase))
            .route("/v1/confirmations", post(confirmations::confirm))
            .route("/v1/confirmation-key", post(confirmations::set_key))
            .merge(password::routes())
            .merge(codes::phone_routes());
        let phones = signed::require(
            phones,
            Verifier::new(db.clone(), Sessions(inner.store.clone())),
        );
        let network = Router::new().route("/v1/notifications", post(entries::notify));
        let keys = FixedKeys::one(NETWORK_KEY_ID, inner.network_signing_key);
        let network = signed::require(network, Verifier::new(db.clone(), keys));
        let shops = signed::require(
            codes::shop_routes(),
            Verifier::new(db.clone(), inner.codes.acquirers()),
        );
        problem::fallbacks(open.merge(phones).merge(network).merge(shops))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(Arc::clone(inner))
    }

    /// Starts what runs beside the API: orders to the network that could not be carried out at once, or that the support
    /// desk gave, are carried out, and payments by code that a crash left open are finished. It ends when the answer is dropped.
    pub fn start(&self) -> Background {
        Background::start(Arc::clone(&self.inner))
    }

    /// The provider's books: the payments it was told of, as memos that move nothing.
    pub async fn ledger(&self) -> anyhow::Result<Ledger> {
        Ok(self.inner.store.ledger().await?)
    }

    /// The one statement by which an alias ($1) is looked up, for measurements.
    pub const CODE_LOOK_UP: &str = codes::LOOK_UP;

    /// Whether a payment code would be taken at this moment: the look-up and the check that every payment by code makes,
    /// for measurements. Nothing is counted or used up.
    pub async fn resolves_code(&self, code: &str) -> anyhow::Result<bool> {
        codes::resolves(&self.inner, code).await
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.inner.store.db().close().await;
    }
}

impl Inner {
    /// The policy as of now, the support desk's overrides over it.
    async fn policy(&self) -> anyhow::Result<Policy> {
        self.policy.under(&self.store.overrides().await?)
    }
}

/// The database file in the provider's folder.
pub fn database(folder: &Path) -> PathBuf {
    folder.join("provider.db")
}

/// The books of the provider whose folder this is, whether or not it is running.
pub async fn read_ledger(folder: &Path) -> anyhow::Result<Ledger> {
    let store = Store::open(&database(folder), None).await?;
    let ledger = store.ledger().await?;
    store.db().close().await;
    Ok(ledger)
}
