//! Tapcore: the core of a mobile payment wallet.
#![forbid(unsafe_code)]

pub mod account;
pub mod backend;
mod bind;
pub mod emv;
pub mod secret;
pub mod statement;
pub mod store;
pub mod token;
pub mod vault;
