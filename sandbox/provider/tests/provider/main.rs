//! The provider over TLS, with a network and phones that are played by the tests.

mod cards;
mod common;
mod enrolment;
mod entries;
