//! The provider over TLS, with a network and phones that are played by the tests.

mod attested;
mod cards;
mod codes;
mod codes_crashes;
mod codes_orders;
mod codes_rounds;
mod codes_shops;
mod common;
mod confirmations;
mod desk;
mod enrolment;
mod entries;
mod makers;
mod merchants;
mod network;
mod opaque;
mod password;
mod person;
mod phones;
mod repeated;
mod vectors;
