//! Money and the accounts that pay: pure values and rules.

mod kind;
mod money;

pub use kind::AccountType;
pub use money::{Currency, Money};
