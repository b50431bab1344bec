//! Payment codes: `prefix | alias | otp`, shown by phones without a network, scanned by shops, paid once.
//!
//! The provider draws the aliases and gives each phone a few of them in a sealed batch, together with a seed. An alias
//! is for one showing; while it is shown its one-time password changes with the time. A shop's acquirer hands a scanned
//! code to [`shops::pay`], which finds account and seed by one look-up, decides, and asks the network for a payment on
//! the account's token. A shop shows codes too ([`mpm`]): those are paid online, by the same rules and without an alias. What
//! the numbers are worth stands in `docs/codes.md`.
//!
//! ```text
//! format    the code's form, as phones are told it        rules     the provider's own limits
//! otp       the one-time password                         seeds     phones' seeds, sealed at rest
//! aliases   drawn, looked up, ended, recycled             misses    guesses, per merchant
//! payments  their table and states                        entries   the statement's lines
//! mpm       what a shop's code says                       judge     whether an account may pay a shop so much
//! decide    a scanned code, in one transaction            settle    the network's part, and what was left open
//! shops     routes for acquirers                          phone, watch, merchants   routes for phones
//! ```

mod aliases;
mod decide;
mod entries;
mod form;
mod format;
#[cfg(test)]
mod guessing;
mod judge;
mod merchants;
mod misses;
mod mpm;
mod otp;
mod payments;
mod phone;
mod rules;
mod seeds;
pub(crate) mod settle;
mod shops;
mod watch;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::{get, post};
use sandbox_kit::clock;
use sandbox_kit::db::Db;
use sandbox_kit::signed::FixedKeys;
use tokio::sync::watch as channel;

use crate::{Inner, Shared};
use seeds::Seeds;

pub(crate) use aliases::LOOK_UP;
pub(crate) use entries::{CodeEntry, alias, code_entry};
pub use format::CodePolicy;
pub(crate) use payments::end_waiting;
pub use rules::{CodeAcquirer, CodeRules, DailyLimits, RefusedClass};

/// Everything about codes that requests need.
pub(crate) struct Codes {
    seeds: Seeds,
    rules: CodeRules,
    /// Counts up whenever an alias or a payment changes, for phones that wait for it.
    changes: channel::Sender<u64>,
    /// The policy, and when it was read.
    policy: Mutex<Option<(Instant, CodePolicy)>>,
}

/// How old the policy may be that a till's question is answered by: the support desk, which may be another process, changes
/// it now and then, and a statement of its own for each scan would double the cost of a look-up.
const POLICY_AGE: Duration = Duration::from_secs(1);

impl Codes {
    /// Opens the key beside the database that seeds are sealed with.
    pub(crate) async fn open(database: &Path, db: &Db, rules: CodeRules) -> anyhow::Result<Self> {
        Ok(Self {
            seeds: Seeds::open(database, db).await?,
            rules,
            changes: channel::Sender::new(0),
            policy: Mutex::new(None),
        })
    }

    /// The policy, as of a second ago at most.
    async fn policy(&self, provider: &Inner) -> anyhow::Result<CodePolicy> {
        let held = self
            .policy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((_, policy)) = held.filter(|(read, _)| read.elapsed() < POLICY_AGE) {
            return Ok(policy);
        }
        let policy = provider.policy().await?.codes;
        let now = Some((Instant::now(), policy.clone()));
        *self.policy.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(policy)
    }

    /// The keys of the acquirers that may ask for payments.
    pub(crate) fn acquirers(&self) -> FixedKeys {
        let acquirers = self.rules.acquirers.iter();
        let keys: HashMap<_, _> = acquirers
            .map(|acquirer| (acquirer.acquirer_id.clone(), acquirer.key))
            .collect();
        FixedKeys(keys)
    }

    /// Wakes the phones that wait.
    fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Routes behind a phone's signature.
pub(crate) fn phone_routes() -> Router<Shared> {
    Router::new()
        .route("/v1/codes/aliases", post(phone::aliases))
        .route("/v1/codes/void", post(phone::void))
        .route(
            "/v1/codes/payments/{payment_id}/confirm",
            post(phone::confirm),
        )
        .route("/v1/codes/aliases/{alias}", get(watch::alias))
        .route("/v1/codes/acceptance", get(watch::acceptance))
        .route("/v1/merchant-codes", post(merchants::look_up))
        .route("/v1/merchant-payments", post(merchants::pay))
}

/// Routes behind an acquirer's signature.
pub(crate) fn shop_routes() -> Router<Shared> {
    Router::new()
        .route("/v1/codes/pay", post(shops::pay))
        .route("/v1/codes/query", post(shops::query))
        .route("/v1/codes/revoke", post(shops::revoke))
}

/// Whether a code would be taken at this moment, whoever asks.
pub(crate) async fn resolves(provider: &Inner, code: &str) -> anyhow::Result<bool> {
    let policy = provider.codes.policy(provider).await?;
    Ok(decide::resolves(provider, &policy, code, clock::unix_now()).await?)
}

/// What erasing a user ($1) removes here, after all devices of the user are wiped. What is still under way keeps its
/// names until it has ended.
pub(crate) const ERASE: &[&str] = &[
    "DELETE FROM code_entries WHERE user_id = $1",
    "UPDATE code_payments SET user_id = '', device_id = '', token_ref = '', alias = '' WHERE user_id = $1 AND state IN ('approved', 'declined', 'revoked')",
];

/// What wiping a device ($1) changes here, after [`end_waiting`]. Its numbers rest before anybody else is given them.
pub(crate) const WIPE: &[&str] = &[
    "UPDATE code_aliases SET state = CASE WHEN state = 'live' THEN 'void' ELSE state END, device_id = NULL, token_ref = NULL WHERE device_id = $1",
    "DELETE FROM code_seeds WHERE device_id = $1",
];
