//! QR codes (ISO/IEC 18004): digits at level Q, everything else at level M.
//!
//! Eighteen digits are a version 1 symbol at level Q, the smallest there is, with a quarter of it to lose; 200 characters of
//! a consumer-presented code at level M are version 10, and would grow further at Q.

use qrcodegen::{Mask, QrCode, QrCodeEcc, QrSegment, Version};

use super::{Matrix, SymbolError};

/// Light modules around the symbol (ISO/IEC 18004).
pub const QUIET_ZONE: usize = 4;

/// The masking of what the wallet shows: read as often as the automatic choice, and made in a fraction of its time
/// (`docs/scan-rates.md`).
pub const SHOWN: Masking = Masking::Fixed(4);

/// Which of the eight masks a symbol gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    /// The one that the standard's penalties choose: all eight are tried, which takes most of the time.
    Automatic,
    /// This one, 0 to 7. Any is a valid symbol.
    Fixed(u8),
}

/// A symbol of digits (numeric mode, level Q) or other text (byte mode, level M).
///
/// # Errors
/// [`SymbolError::Empty`], [`SymbolError::TooLong`] beyond version 40, [`SymbolError::Mask`] for another number.
pub fn encode(text: &str, masking: Masking) -> Result<Matrix, SymbolError> {
    let mask = match masking {
        Masking::Automatic => None,
        // The library panics on any other.
        Masking::Fixed(number @ 0..=7) => Some(Mask::new(number)),
        Masking::Fixed(_) => return Err(SymbolError::Mask),
    };
    if text.is_empty() {
        return Err(SymbolError::Empty);
    }
    let (segment, level) = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => (QrSegment::make_numeric(text), QrCodeEcc::Quartile),
        false => (QrSegment::make_bytes(text.as_bytes()), QrCodeEcc::Medium),
    };
    // Never a higher level than asked for where it would fit: the same code has the same symbol everywhere.
    let symbol = QrCode::encode_segments_advanced(
        &[segment],
        level,
        Version::MIN,
        Version::MAX,
        mask,
        false,
    )
    .map_err(|_| SymbolError::TooLong)?;
    let size = symbol.size();
    let side = usize::try_from(size).map_err(|_| SymbolError::TooLong)?;
    let mut dark = Vec::with_capacity(side * side);
    for row in 0..size {
        // By rows of known length, which is a third faster than module by module.
        dark.extend((0..size).map(|column| symbol.get_module(column, row)));
    }
    Ok(Matrix::square(dark, side, QUIET_ZONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn width(text: &str) -> usize {
        encode(text, Masking::Automatic).unwrap().width() - 2 * QUIET_ZONE
    }

    /// ISO/IEC 18004, table 7: version 1 holds 27 digits at level Q, version 10 holds 213 bytes at level M, and a version
    /// is 17 + 4 × its number modules wide.
    #[test]
    fn versions_are_the_standards() {
        assert_eq!(width("737394850263403002"), 21);
        assert_eq!(width(&"7".repeat(27)), 21);
        assert_eq!(width(&"7".repeat(28)), 25);
        assert_eq!(width(&"x".repeat(200)), 57);
        assert_eq!(width(&"x".repeat(213)), 57);
        assert_eq!(width(&"x".repeat(214)), 61);
    }

    #[test]
    fn what_no_symbol_holds_is_refused() {
        assert_eq!(encode("", Masking::Automatic), Err(SymbolError::Empty));
        assert_eq!(encode("1", Masking::Fixed(8)), Err(SymbolError::Mask));
        let long = "x".repeat(2_332);
        assert_eq!(encode(&long, Masking::Fixed(0)), Err(SymbolError::TooLong));
    }

    #[test]
    fn each_mask_is_another_symbol_and_automatic_is_one_of_them() {
        let text = "737394850263403002";
        let all: Vec<_> = (0..8)
            .map(|mask| encode(text, Masking::Fixed(mask)).unwrap())
            .collect();
        for (at, one) in all.iter().enumerate() {
            assert!(!all.iter().take(at).any(|other| other == one));
        }
        assert!(all.contains(&encode(text, Masking::Automatic).unwrap()));
    }
}
