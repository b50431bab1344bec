//! The acquirer over TLS, with terminals, a network and a wallet provider that are played by the tests.

mod authorisations;
mod card_codes;
mod common;
mod scans;
mod scans_left;
mod scans_waiting;
mod shop_codes;
