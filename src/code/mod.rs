//! Payment codes: what a till reads off the phone's screen, and what the phone reads off a shop's. Pure values and rules.

mod alias;
pub mod cpm;
mod format;
pub mod mpm;
pub mod numeric;
pub mod steps;
mod stock;

pub use alias::{Alias, MalformedAlias};
pub use format::{CodeFormat, FormatError};
pub use stock::{AliasEntry, AliasState, AliasStock};
