//! The store: the only place that speaks SQL.
//!
//! Two SQLite files, because two WAL files cannot commit together (ADR 4). `vault.db` is the truth of what happened on
//! this phone: sealed keys, tokens, the arming, the journal. `statement.db` is a projection of issuer and journal; it can
//! be deleted at any time and comes back.
//!
//! Everything personal is sealed per row through a [`Sealer`]; columns in the clear are what ordering needs.

mod connection;
mod error;
mod lock;
mod manifest;
mod sealer;
mod statement_db;
#[cfg(test)]
mod tests;
mod vault_db;
mod vault_tx;

pub use error::StoreError;
pub use lock::FolderLock;
pub use manifest::ManifestRoot;
pub use sealer::{Place, SealError, Sealer};
pub use statement_db::{StatementDb, StatementTx};
pub use vault_db::{VaultDb, VaultFile};
pub use vault_tx::{OutboxItem, StoredToken, VaultTx};

/// What `vault.db` keeps of the long-lived keys. Nothing of it is secret without the phone's key store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallationRecord {
    /// Drawn when the wallet was set up; part of all associated data.
    pub installation: [u8; 16],
    /// The storage key, wrapped by the platform key whose alias follows from `installation`.
    pub storage: Vec<u8>,
}

/// What `vault.db` keeps of the current arming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmingRecord {
    /// Counts armings; it stands in the associated data as well.
    pub generation: i64,
    /// The alias of the platform key that wraps the arming key. It exists for this generation alone.
    pub alias: String,
    /// The arming key, wrapped.
    pub wrapped: Vec<u8>,
    /// The payment key and the counters, sealed by the arming key.
    pub sealed: Vec<u8>,
}
