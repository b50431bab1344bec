//! The card: everything a reader sees, as values in and values out.
//!
//! A provisioned [`profile::CardProfile`] says what the card is; [`card::Card`] answers APDUs with it. The
//! modules below do no I/O, read no clock and draw no randomness of their own.
//!
//! Terms are EMVCo's: PPSE, PDOL, GPO, AFL, ATC, ARQC, IAD, CTQ (EMV Contactless Books B and C, EMV Book 3).

pub mod afl;
pub mod apdu;
pub mod atc;
pub mod card;
mod computed;
pub mod cryptogram;
pub mod derivation;
pub mod dol;
pub mod oda;
pub mod presented;
pub mod profile;
pub mod tlv;
pub mod verification;
