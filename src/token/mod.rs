//! Payment tokens, their limited-use keys and their payment log: pure values and rules.
//!
//! A token (62…) stands for a card number everywhere on the phone; the number itself is never stored. It pays with
//! limited-use keys, each good for so many payments until a date, and every payment goes into a log whose MAC the
//! network checks before it gives new keys.

mod key;
mod limits;
mod log;
mod payment_token;

pub use key::{KeyIndex, KeyState, KeyStock, Paid};
pub use limits::{Allowance, KeyLimits, Overrun, Spent};
pub use log::{LogEntry, log_mac};
pub use payment_token::{PaymentToken, TokenLife, TokenRef};
