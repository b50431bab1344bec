//! The POS from outside: its kernel against a card made of plain bytes, whole taps and scanned codes with an acquirer.

mod common;
mod kernel;
mod merchant_codes;
mod online;
mod scans;
mod schemes;
mod verification;
