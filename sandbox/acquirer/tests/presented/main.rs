//! Codes with a card's cryptogram and codes that the shop shows: terminals, an acquirer over TLS, network and wallet provider
//! played by the test.

mod card_codes;
mod common;
mod shop_codes;
