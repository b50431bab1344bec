//! One value, written the way its tag wants to be read.

use emv::core::dol::Dol;
use emv::de::application_file_locator::ApplicationFileLocator;

use super::{mask, names};
use crate::amount;

/// Longer values are public keys, certificates and signatures: their ends tell them apart.
const LONGEST_WHOLE: usize = 40;

/// The value in one line, masked where it must be.
pub(super) fn show(tag: u32, value: &[u8]) -> String {
    let hex = hex::encode_upper(value);
    match tag {
        0x5A => mask::mask_number(hex.trim_end_matches('F')),
        0x57 | 0x9F6B | 0x56 => mask::track2(&hex),
        // PIN data, names of people, the issuer's own track digits.
        0x99 | 0x5F20 | 0x9F0B | 0x9F1F | 0x9F20 => format!("({} bytes, hidden)", value.len()),
        0x9F02 | 0x9F03 => format!(
            "{hex} ({})",
            hex.parse()
                .map_or_else(|_| "no amount".into(), amount::show)
        ),
        0x9F36 | 0x9F13 => format!(
            "{hex} ({})",
            value
                .iter()
                .fold(0u64, |sum, byte| sum.wrapping_shl(8) | u64::from(*byte))
        ),
        0x9A | 0x5F24 | 0x5F25 => match (hex.get(..2), hex.get(2..4), hex.get(4..)) {
            (Some(year), Some(month), Some(day)) => format!("{hex} (20{year}-{month}-{day})"),
            _ => hex,
        },
        0x9F21 => match (hex.get(..2), hex.get(2..4), hex.get(4..)) {
            (Some(hour), Some(minute), Some(second)) => format!("{hex} ({hour}:{minute}:{second})"),
            _ => hex,
        },
        0x5F2A => format!("{hex} ({})", currency(&hex)),
        0x9C => format!("{hex} ({})", kind(value)),
        0x9F27 => format!("{hex} ({})", cryptogram(value)),
        0x87 => format!(
            "{hex} (priority {})",
            value.first().map_or(0, |byte| byte & 0x0F)
        ),
        _ if value.len() > LONGEST_WHOLE => match (hex.get(..16), hex.get(hex.len() - 8..)) {
            (Some(head), Some(tail)) => format!("{head}...{tail} ({} bytes)", value.len()),
            _ => hex,
        },
        _ => text(value).map_or_else(|| mask::numbers_in(&hex), |text| with_text(&hex, &text)),
    }
}

/// An application or environment name: text if it is one, else hex.
pub(super) fn name(value: &[u8]) -> String {
    text(value).map_or_else(
        || mask::numbers_in(&hex::encode_upper(value)),
        |text| mask::numbers_in(&text),
    )
}

/// Hex with the text it spells. Where the text holds a number to be masked, the hex would give it away.
fn with_text(hex: &str, text: &str) -> String {
    let masked = mask::numbers_in(text);
    if masked == text {
        format!("{} \"{text}\"", mask::numbers_in(hex))
    } else {
        format!("\"{masked}\"")
    }
}

/// Printable ASCII with at least two characters, if the value is nothing else.
fn text(value: &[u8]) -> Option<String> {
    let letters = value
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    let printable = value.iter().all(|byte| (0x20..0x7F).contains(byte));
    let digits = value.len() >= 13 && value.iter().all(u8::is_ascii_digit);
    (printable && (letters >= 2 || digits)).then(|| {
        value
            .iter()
            .map(|byte| char::from(*byte))
            .collect::<String>()
    })
}

/// Further lines for values with a structure of their own.
pub(super) fn details(tag: u32, value: &[u8]) -> Vec<String> {
    match tag {
        0x94 => match ApplicationFileLocator::parse(value) {
            Ok(locator) => locator
                .0
                .iter()
                .map(|entry| {
                    format!(
                        "file {}, records {} to {}, the first {} signed",
                        entry.sfi, entry.first_record, entry.last_record, entry.oda_record_count
                    )
                })
                .collect(),
            Err(_) => vec!["malformed".into()],
        },
        0x9F38 | 0x8C | 0x8D | 0x9F49 | 0x97 => match Dol::parse(value) {
            Ok(list) => list
                .0
                .iter()
                .map(|entry| {
                    format!(
                        "wants {:02X}, length {}: {}",
                        entry.tag.0,
                        entry.length,
                        names::tag(entry.tag, None)
                    )
                })
                .collect(),
            Err(_) => vec!["malformed".into()],
        },
        0x8E => verification_methods(value),
        0x9F34 => value
            .first()
            .map(|method| format!("method: {}", verification_method(*method)))
            .into_iter()
            .collect(),
        0x9F10 => issuer_data(value),
        0x9F69 => related_data(value),
        _ => Vec::new(),
    }
}

fn currency(code: &str) -> &'static str {
    match code {
        "0156" => "CNY",
        "0344" => "HKD",
        "0446" => "MOP",
        "0840" => "USD",
        "0978" => "EUR",
        _ => "another currency",
    }
}

fn kind(value: &[u8]) -> &'static str {
    match value {
        [0x00] => "purchase",
        [0x01] => "cash",
        [0x09] => "purchase with cashback",
        [0x20] => "refund",
        _ => "another kind",
    }
}

fn cryptogram(value: &[u8]) -> &'static str {
    match value.first().map(|byte| byte >> 6) {
        Some(0) => "AAC, declined by the card",
        Some(1) => "TC, approved by the card",
        Some(2) => "ARQC, the issuer is to be asked",
        _ => "reserved",
    }
}

/// Tag 8E: two amounts, then rules of two bytes.
fn verification_methods(value: &[u8]) -> Vec<String> {
    let Some((amounts, rules)) = value.split_at_checked(8) else {
        return vec!["malformed".into()];
    };
    let mut lines = vec![format!("amounts X and Y: {}", hex::encode_upper(amounts))];
    for rule in rules.chunks_exact(2) {
        if let [method, condition] = rule {
            let otherwise = if method & 0x40 != 0 {
                "else the next"
            } else {
                "else fail"
            };
            lines.push(format!(
                "{}, condition {condition:02X}, {otherwise}",
                verification_method(*method)
            ));
        }
    }
    lines
}

fn verification_method(method: u8) -> &'static str {
    match method & 0x3F {
        0x00 => "fail",
        0x01 => "offline PIN in plain",
        0x02 => "online PIN",
        0x03 => "offline PIN in plain and signature",
        0x04 => "offline PIN enciphered",
        0x05 => "offline PIN enciphered and signature",
        0x1E => "signature",
        0x1F => "no verification",
        0x20 => "on the device",
        _ => "another method",
    }
}

/// Tag 9F10 in the form `length, key index, version, results(4), algorithm`, with what an issuer appends.
fn issuer_data(value: &[u8]) -> Vec<String> {
    let [length, derivation, version, results @ ..] = value else {
        return Vec::new();
    };
    if usize::from(*length) + 1 != value.len() {
        return vec!["not in the form that begins with its length".into()];
    }
    let mut lines = vec![format!(
        "{length} bytes follow; key derivation {derivation:02X}, cryptogram version {version:02X}"
    )];
    let Some((results, rest)) = results.split_first_chunk::<4>() else {
        return lines;
    };
    lines.push(format!(
        "card verification results {}",
        hex::encode_upper(results)
    ));
    if let [0x03, second, ..] = results {
        let kinds = ["AAC", "TC", "ARQC", "not requested"];
        let first = kinds.get(usize::from(second >> 4 & 3)).unwrap_or(&"");
        let last = match second >> 6 {
            2 => "not requested",
            other => kinds.get(usize::from(other)).unwrap_or(&""),
        };
        lines.push(format!(
            "  byte 2  {:04b} {:04b}",
            second >> 4,
            second & 0x0F
        ));
        lines.push(format!("  bits 8-7  second GENERATE AC: {last}"));
        lines.push(format!("  bits 6-5  first cryptogram: {first}"));
    }
    let Some((algorithm, rest)) = rest.split_first() else {
        return lines;
    };
    let cipher = match algorithm {
        0x01 => "3DES",
        0x04 => "SM4",
        _ => "another",
    };
    lines.push(format!("algorithm {algorithm:02X} ({cipher})"));
    if let Some((index, _)) = rest.split_first_chunk::<4>() {
        let index = hex::encode_upper(index);
        if let (Some(year), Some(hour), Some(counter)) =
            (index.get(1..2), index.get(2..6), index.get(6..))
        {
            lines.push(format!("limited-use key {year}{hour}{counter}: year ..{year}, hour {hour} of it, number {counter}"));
        }
    }
    lines
}

/// Tag 9F69: fDDA version, the card's unpredictable number, a copy of the qualifiers.
fn related_data(value: &[u8]) -> Vec<String> {
    match value {
        [version, number @ .., first, second, _] if number.len() == 4 => vec![
            format!(
                "fDDA version {version:02X}, card unpredictable number {}",
                hex::encode_upper(number)
            ),
            format!("copy of the card transaction qualifiers {first:02X}{second:02X}"),
        ],
        _ => vec!["malformed".into()],
    }
}
