//! The POS from outside: its kernel against a card made of plain bytes, and whole taps with an acquirer.

mod common;
mod kernel;
mod merchant_codes;
mod online;
mod schemes;
mod verification;
