//! Payment codes: what a till reads off the phone's screen, and what the phone reads off a shop's. Pure values and rules.
//!
//! A numeric code ([`numeric`]) is `prefix | alias | one-time password`, laid out by the provider's [`CodeFormat`]. Its
//! alias comes out of a sealed [`AliasStock`] and serves one showing; its password changes with each step of time, which
//! [`steps`] tells from the phone's clocks or refuses to. [`cpm`] writes EMV's consumer-presented code around a
//! cryptogram, [`mpm`] reads the merchant-presented one. [`symbol`] draws codes as QR and Code 128.
//!
//! Whether a code pays is decided by the provider alone: it knows which aliases live, and takes each once.

mod alias;
pub mod cpm;
mod format;
pub mod mpm;
pub mod numeric;
mod policy;
pub mod steps;
mod stock;
pub mod symbol;

pub use alias::{Alias, MalformedAlias};
pub use format::{CodeFormat, FormatError};
pub use policy::CodePolicy;
pub use stock::{AliasEntry, AliasState, AliasStock};
