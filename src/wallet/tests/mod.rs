//! The wallet on a phone that things happen to.

mod code_views;
mod codes;
#[cfg(target_os = "linux")]
mod core_dump;
mod hardware;
mod model;
mod permit;
mod person;
mod phone;
mod presented;
mod shop_payments;
mod standing;
mod tap;
