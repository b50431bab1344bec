//! Codes as symbols: what a screen shows and a till's scanner reads.
//!
//! [`qr`] and [`code128`] make a [`Matrix`], quiet zone included, which a shell draws as it likes; [`svg`] draws it for
//! everybody else. A symbol without its quiet zone is not read on a dark page: draw light modules too, and the zone around.

pub mod code128;
mod matrix;
pub mod qr;
pub mod svg;

pub use matrix::Matrix;

/// Why a symbol cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// There is nothing to encode.
    #[error("there is no code to draw: ask for one first")]
    Empty,
    /// More than the symbol holds.
    #[error("the code is too long for a symbol that is still read: show a shorter one")]
    TooLong,
    /// Code 128 is for numeric codes here.
    #[error("a bar code holds digits only: show this code as a QR code")]
    NotDigits,
    /// QR codes have eight masks.
    #[error("a mask of a QR code has a number from 0 to 7")]
    Mask,
}
