//! The sandbox's point of sale: entry point, contactless kernels, and the way to the acquirer.
//!
//! [`tap::Pos`] takes payments. Below it: [`entry`] chooses the card's application, [`kernel`] runs it with the
//! terminal's [`data`], [`online`] asks the acquirer, [`receipt`] writes down what came of it, [`folder`] keeps what
//! must survive. [`card`] is the door to whatever card is in the field, [`trace`] decodes what goes through it. [`scan`]
//! takes payments by code, which [`picture`] reads out of a camera's picture; [`merchant_code`] asks for codes that the
//! shop shows.
//!
//! TLV, certificates and signatures are checked with crate `emv`, never with the wallet core's code: a mistake made
//! there must not be agreed with here.

#![forbid(unsafe_code)]

pub mod amount;
pub mod apdu;
pub mod card;
pub mod data;
pub mod entry;
pub mod folder;
pub mod kernel;
pub mod merchant_code;
pub(crate) mod oda;
pub mod online;
pub mod picture;
pub mod receipt;
pub mod scan;
pub mod tap;
pub mod trace;
