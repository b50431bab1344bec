//! Tapcore: the core of a mobile payment wallet.
//!
//! A pure middle with doors around it. The middle ([`emv`], [`token`], [`code`], [`account`], [`statement`]) takes values
//! and returns values, [`clock`] and [`risk`] among them. The doors are [`vault`] (secrets), [`store`] (SQL), [`backend`]
//! (HTTP) and [`ffi`] (Kotlin and Swift). [`wallet`] joins them into use cases: enrol, add a card, arm, tap, settle, sync. What they report passes the
//! redaction of [`log`] on its way to the app.

#![forbid(unsafe_code)]

pub mod account;
pub mod backend;
mod bind;
pub mod clock;
pub mod code;
pub mod emv;
pub mod ffi;
pub mod log;
pub mod risk;
pub mod secret;
pub mod statement;
pub mod store;
mod text;
pub mod token;
pub mod vault;
pub mod wallet;

/// Ciphers leave key schedules in memory that they free. Whatever is freed is wiped.
#[cfg(any(test, feature = "wiping-allocator"))]
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

uniffi::setup_scaffolding!();
