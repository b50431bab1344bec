//! The backend: the only place that speaks HTTP.
//!
//! A client of `docs/backend-api.yaml`. TLS trusts one CA and, from enrolment on, one of two leaf keys (`pins`); each
//! request carries an RFC 9421 signature (`signature`) by a session key that the device key has certified; what moves
//! something carries an idempotency key and is tried again when the network fails.

mod client;
mod error;
mod pins;
pub mod protocol;
mod signature;

pub(crate) use client::fresh_key;
pub use client::{Backend, DeviceSigner, Identity, Trust, parse_rfc3339_ms, rfc3339};
pub use error::{BackendError, Refusal};
