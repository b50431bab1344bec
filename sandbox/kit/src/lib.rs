//! What the four parties of the sandbox and its terminal have in common, and nothing of their business.
//!
//! A party opens its database with [`db`], its TLS identity with [`server`], verifies requests with [`signed`],
//! answers errors with [`problem`] and stored answers with [`idempotency`]; it talks to others through [`client`].
//! [`bind`], [`keys`] and [`hpke`] are the cryptographic conventions that all of them share.
//!
//! The sandbox never uses the core's code: signatures are checked by crate `httpsig`, sealed boxes by crate `hpke`,
//! so that a mistake made once in the core cannot cancel itself out here.

pub mod bind;
pub mod bytes;
pub mod client;
pub mod clock;
pub mod db;
pub mod event;
pub mod hpke;
pub mod idempotency;
pub mod iso;
pub mod keys;
pub mod ledger;
pub mod maker;
pub mod maker_wallet;
pub mod mask;
pub mod problem;
pub mod server;
pub mod signed;

mod body;

pub use body::{ApiJson, ApiPath, ApiQuery};
