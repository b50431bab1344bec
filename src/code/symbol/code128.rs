//! Code 128 (ISO/IEC 15417) for digits: two to a symbol character in subset C, an odd last one in subset B.
//!
//! Wherever the odd digit stands, it costs its own character and one to switch subsets: at the end no other place is
//! shorter, and scanners' own test symbols have it there.

use super::{Matrix, SymbolError};

/// Light modules on either side (ISO/IEC 15417).
pub const QUIET_ZONE: usize = 10;

/// How high bars are drawn, in modules: above 15% of the width of the longest symbol here, which is usual for reading by
/// hand, so that a scan line that is not quite level crosses all of them.
const HEIGHT: usize = 40;

/// The most digits: the longest numeric codes that tills take (Alipay+) have so many.
const LONGEST: usize = 32;

const CODE_B: u8 = 100;
const START_B: u8 = 104;
const START_C: u8 = 105;
const STOP: u8 = 106;

/// Widths of bars and spaces by value (ISO/IEC 15417, table 1), a bar first; the stop pattern ends in a bar more.
const WIDTHS: [&str; 107] = [
    "212222", "222122", "222221", "121223", "121322", "131222", "122213", "122312", "132212",
    "221213", "221312", "231212", "112232", "122132", "122231", "113222", "123122", "123221",
    "223211", "221132", "221231", "213212", "223112", "312131", "311222", "321122", "321221",
    "312212", "322112", "322211", "212123", "212321", "232121", "111323", "131123", "131321",
    "112313", "132113", "132311", "211313", "231113", "231311", "112133", "112331", "132131",
    "113123", "113321", "133121", "313121", "211331", "231131", "213113", "213311", "213131",
    "311123", "311321", "331121", "312113", "312311", "332111", "314111", "221411", "431111",
    "111224", "111422", "121124", "121421", "141122", "141221", "112214", "112412", "122114",
    "122411", "142112", "142211", "241211", "221114", "413111", "241112", "134111", "111242",
    "121142", "121241", "114212", "124112", "124211", "411212", "421112", "421211", "212141",
    "214121", "412121", "111143", "111341", "131141", "114113", "114311", "411113", "411311",
    "113141", "114131", "311141", "411131", "211412", "211214", "211232", "2331112",
];

/// A symbol of digits.
///
/// # Errors
/// [`SymbolError::Empty`], [`SymbolError::NotDigits`], and [`SymbolError::TooLong`] beyond 32 digits.
pub fn encode(digits: &str) -> Result<Matrix, SymbolError> {
    let values = values(digits)?;
    let mut dark = Vec::with_capacity(11 * values.len() + 2);
    for value in values {
        let widths = WIDTHS.get(usize::from(value)).copied().unwrap_or_default();
        for (at, width) in widths.bytes().enumerate() {
            let width = usize::from(width.saturating_sub(b'0'));
            dark.extend(std::iter::repeat_n(at % 2 == 0, width));
        }
    }
    Ok(Matrix::bars(dark, HEIGHT, QUIET_ZONE))
}

/// The values of the symbol characters, from start to stop.
fn values(digits: &str) -> Result<Vec<u8>, SymbolError> {
    let digits = digits.as_bytes();
    if digits.is_empty() {
        return Err(SymbolError::Empty);
    }
    if digits.len() > LONGEST {
        return Err(SymbolError::TooLong);
    }
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(SymbolError::NotDigits);
    }
    let (pairs, odd) = digits.as_chunks::<2>();
    let pairs = pairs
        .iter()
        .map(|[tens, ones]| (tens - b'0') * 10 + (ones - b'0'));
    // In subset B a digit's value is its place among the printable characters.
    let odd = odd.first().map(|digit| digit - b' ');
    let mut values = Vec::with_capacity(digits.len() / 2 + 5);
    match (pairs.len(), odd) {
        (0, Some(lone)) => values.extend([START_B, lone]),
        (_, odd) => {
            values.push(START_C);
            values.extend(pairs);
            values.extend(odd.into_iter().flat_map(|odd| [CODE_B, odd]));
        }
    }
    // The start counts once, each character after it by its place.
    let weights = std::iter::once(1).chain(1_u32..);
    let sum = values.iter().zip(weights);
    let sum: u32 = sum.map(|(value, weight)| u32::from(*value) * weight).sum();
    values.push(u8::try_from(sum % 103).unwrap_or(0));
    values.push(STOP);
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(digits: &str) -> String {
        let matrix = encode(digits).unwrap();
        let dark = (QUIET_ZONE..matrix.width() - QUIET_ZONE).map(|at| matrix.is_dark(at, 0));
        dark.map(|dark| if dark { '1' } else { '0' }).collect()
    }

    /// What `zint -b 20 -d … --dump` (2.11.1) prints: four modules to a digit, the last one filled up with light.
    fn dumped(digits: &str) -> String {
        let bits = bits(digits);
        let nibbles = bits.as_bytes().chunks(4).map(|chunk| {
            let value = (0..4).fold(0, |value, at| {
                value << 1 | u32::from(chunk.get(at) == Some(&b'1'))
            });
            char::from_digit(value, 16).unwrap().to_ascii_uppercase()
        });
        nibbles.collect()
    }

    /// Every value of subset C stands in one of them.
    #[test]
    fn symbols_are_what_zint_makes() {
        for (digits, dump) in [
            ("737394850263403002", "D390D21A45E9E599A98628DB199B3963AC"),
            (
                "7373948502637184925",
                "D390D21A45E9E599A984D09E95E2F76E4DB18EB",
            ),
            ("7", "D21DBBA663AC"),
            (
                "00010203040506070809101112131415",
                "D39B3336666931232264C898919324644C496726E4CEB99DBB1D6",
            ),
            (
                "16171819202122232425262728293031",
                "D393B273672CB993B72674EDDD3396726EC9CD3996D8D8D6231D6",
            ),
            (
                "32333435363738394041424344454647",
                "D398DA8C45888D62234462D118A3115B8B1D1BAEC5C68EDA3B1D6",
            ),
            (
                "48495051525354555657585960616263",
                "D39DDB4762EDD1B8B77758E8DC5BB4762E35DEB2178AA61E2B1D6",
            ),
            (
                "64656667686970717273747576777879",
                "D394325848685909AC85849A130A1A432C25943DD6148F584B1D6",
            ),
            (
                "80818283848586878889909192939495",
                "D394F25E49EBC93D2797A4F29E4B6F6F6F6D5E28F45EBD1E4B1D6",
            ),
            ("96979899", "D3978BD47A2BBDD1B1D6"),
        ] {
            assert_eq!(dumped(digits), dump, "{digits}");
        }
    }

    /// `zint --verbose` names these code words for the odd length.
    #[test]
    fn an_odd_digit_switches_to_subset_b_at_the_end() {
        assert_eq!(
            values("7373948502637184925").unwrap(),
            [105, 73, 73, 94, 85, 2, 63, 71, 84, 92, 100, 21, 30, 106]
        );
    }

    #[test]
    fn widths_are_11_modules_to_a_character_and_13_to_the_stop() {
        for (digits, modules) in [(18, 134), (19, 156), (24, 167), (1, 46)] {
            let matrix = encode(&"7".repeat(digits)).unwrap();
            assert_eq!(matrix.width(), modules + 20);
        }
        for (value, widths) in WIDTHS.iter().enumerate() {
            let sum: u32 = widths.chars().filter_map(|width| width.to_digit(10)).sum();
            assert_eq!(sum, if value == 106 { 13 } else { 11 }, "{value}");
            let bars: u32 = widths
                .chars()
                .step_by(2)
                .filter_map(|width| width.to_digit(10))
                .sum();
            // The standard's parity: the dark modules of a character are even in number.
            assert_eq!(bars % 2, 0, "{value}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert_eq!(encode(""), Err(SymbolError::Empty));
        assert_eq!(encode("12x4"), Err(SymbolError::NotDigits));
        assert_eq!(encode("１２"), Err(SymbolError::NotDigits));
        assert_eq!(encode(&"1".repeat(33)), Err(SymbolError::TooLong));
    }
}
