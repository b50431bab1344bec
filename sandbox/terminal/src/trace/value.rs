//! One value, written the way its tag wants to be read.

use emv::de::application_file_locator::ApplicationFileLocator;

use super::mask;
use super::scheme::Scheme;
use crate::amount;
use sandbox_kit::mask::mask_number;

/// Longer values are public keys, certificates and signatures: in a trace their ends tell them apart.
const LONGEST_WHOLE: usize = 40;

/// Ciphertexts, signatures and random numbers: digits in them are a number by chance. A person wants them whole; a trace
/// masks them like everything else.
const NEVER_NUMBERS: [u32; 11] = [
    0x90, 0x91, 0x92, 0x93, 0x9F10, 0x9F26, 0x9F37, 0x9F46, 0x9F48, 0x9F4B, 0x9F4C,
];

/// How much of a value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Show {
    /// What a log may hold: numbers and names masked, long values cut.
    #[default]
    Trace,
    /// Everything but numbers and names.
    Masked,
    /// Everything.
    Whole,
}

/// A value in words.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Its hex, or what may be shown of it.
    pub(super) value: String,
    /// What that says.
    pub(super) meaning: Option<String>,
    /// The text it spells.
    pub(super) text: Option<String>,
}

/// Writes a value, masked where it must be.
pub(super) fn show(tag: u32, value: &[u8], how: Show) -> Shown {
    let hex = hex::encode_upper(value);
    let text = text(value);
    if how != Show::Whole {
        match tag {
            0x5A => return only(mask_number(hex.trim_end_matches('F'))),
            0x57 | 0x9F6B => return only(mask::track2(&hex)),
            // PIN data, names of people, tracks in letters, the issuer's own track digits.
            0x99 | 0x56 | 0x5F20 | 0x9F0B | 0x9F1F | 0x9F20 => {
                return only(format!("({} bytes, hidden)", value.len()));
            }
            _ => {}
        }
    }
    if let Some(meaning) = meaning(tag, value, &hex) {
        return Shown {
            value: hex,
            meaning: Some(meaning),
            text: None,
        };
    }
    if how == Show::Masked && NEVER_NUMBERS.contains(&tag) {
        return only(hex);
    }
    if how == Show::Whole {
        return Shown {
            value: hex,
            meaning: None,
            text,
        };
    }
    if how == Show::Trace
        && value.len() > LONGEST_WHOLE
        && let (Some(head), Some(tail)) = (hex.get(..16), hex.get(hex.len() - 8..))
    {
        return only(format!("{head}...{tail} ({} bytes)", value.len()));
    }
    let Some(text) = text else {
        return only(mask::numbers_in(&hex));
    };
    let masked = mask::numbers_in(&text);
    Shown {
        // Where the text holds a number to be masked, the hex would give it away.
        value: match masked == text {
            true => mask::numbers_in(&hex),
            false => String::new(),
        },
        meaning: None,
        text: Some(masked),
    }
}

fn only(value: String) -> Shown {
    Shown {
        value,
        ..Shown::default()
    }
}

/// What a value of one number, date or code says.
fn meaning(tag: u32, value: &[u8], hex: &str) -> Option<String> {
    let parts = (hex.get(..2), hex.get(2..4), hex.get(4..6), hex.len());
    Some(match (tag, parts) {
        (0x9F02 | 0x9F03, _) => hex
            .parse()
            .map_or_else(|_| "no amount".into(), amount::show),
        (0x9F36 | 0x9F13 | 0x9F41, _) => value
            .iter()
            .fold(0_u64, |sum, byte| sum.wrapping_shl(8) | u64::from(*byte))
            .to_string(),
        (0x9A | 0x5F24 | 0x5F25, (Some(year), Some(month), Some(day), 6)) => {
            format!("20{year}-{month}-{day}")
        }
        (0x9F21, (Some(hour), Some(minute), Some(second), 6)) => {
            format!("{hour}:{minute}:{second}")
        }
        (0x5F2A | 0x9F42 | 0x9F51, _) if value.len() == 2 => currency(hex).into(),
        (0x9C, _) => kind(value).into(),
        (0x9F27, _) => cryptogram(value).into(),
        (0x87, _) => {
            let priority = value.first().map_or(0, |byte| byte & 0x0F);
            format!("priority {priority}")
        }
        _ => return None,
    })
}

/// An application or environment name: text if it is one, else hex.
pub(super) fn name(value: &[u8]) -> String {
    text(value).map_or_else(
        || mask::numbers_in(&hex::encode_upper(value)),
        |text| mask::numbers_in(&text),
    )
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
pub(super) fn details(tag: u32, value: &[u8], scheme: Scheme) -> Vec<String> {
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
        0x8E => verification_methods(value),
        0x9F34 => verification_results(value),
        0x9F0A => registered_data(value),
        0x9F10 => issuer_data(value, scheme),
        0x9F69 if scheme != Scheme::Mastercard => related_data(value),
        0x9F6E if scheme == Scheme::Mastercard => third_party(value),
        _ => Vec::new(),
    }
}

fn currency(code: &str) -> &'static str {
    match code {
        "0156" => "CNY",
        "0344" => "HKD",
        "0446" => "MOP",
        "0392" => "JPY",
        "0410" => "KRW",
        "0702" => "SGD",
        "0764" => "THB",
        "0826" => "GBP",
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
    for rule in rules.chunks(2) {
        lines.push(match rule {
            [method, condition] => {
                let otherwise = match method & 0x40 {
                    0 => "else fail",
                    _ => "else the next",
                };
                let method = verification_method(*method);
                format!(
                    "{method}, {}, {otherwise}",
                    verification_condition(*condition)
                )
            }
            _ => "malformed: half a rule".into(),
        });
    }
    lines
}

/// Tag 9F34: the method, its condition, what came of it.
fn verification_results(value: &[u8]) -> Vec<String> {
    let [method, condition, result] = value else {
        return vec!["malformed".into()];
    };
    let result = match result {
        0x00 => "unknown, the terminal cannot tell",
        0x01 => "failed",
        0x02 => "successful",
        _ => "reserved",
    };
    vec![
        format!("method: {}", verification_method(*method)),
        format!("condition: {}", verification_condition(*condition)),
        format!("result: {result}"),
    ]
}

fn verification_method(method: u8) -> &'static str {
    match method & 0x3F {
        0x00 => "fail",
        0x01 => "offline PIN in plain",
        0x02 => "online PIN",
        0x03 => "offline PIN in plain and signature",
        0x04 => "offline PIN enciphered",
        0x05 => "offline PIN enciphered and signature",
        0x06..=0x0F => "biometric",
        0x1E => "signature",
        0x1F => "no verification",
        0x20 => "on the device",
        0x3F => "none performed",
        _ => "another method",
    }
}

fn verification_condition(condition: u8) -> &'static str {
    match condition {
        0x00 => "always",
        0x01 => "if unattended cash",
        0x02 => "if neither cash nor cashback",
        0x03 => "if the terminal supports it",
        0x04 => "if manual cash",
        0x05 => "if cashback",
        0x06 => "if in the card's currency and under X",
        0x07 => "if in the card's currency and over X",
        0x08 => "if in the card's currency and under Y",
        0x09 => "if in the card's currency and over Y",
        _ => "under a condition of the scheme's own",
    }
}

/// Tag 9F0A: identifiers of two bytes, each with a length and its data.
fn registered_data(value: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = value;
    while let [high, low, length, after @ ..] = rest {
        let Some((data, after)) = after.split_at_checked(usize::from(*length)) else {
            break;
        };
        let data = hex::encode_upper(data);
        lines.push(format!("registered as {high:02X}{low:02X}: {data}"));
        rest = after;
    }
    if !rest.is_empty() {
        lines.push("malformed".into());
    }
    lines
}

/// Tag 9F10. Known are the form of the common core definitions, Mastercard's, Visa's long one, and the one of Visa and
/// UnionPay that begins with its length: key index, version, results with their length, then the issuer's own.
fn issuer_data(value: &[u8], scheme: Scheme) -> Vec<String> {
    let (first, second, third) = match value {
        [first, second, third, ..] => (first, second, third),
        _ => return vec!["too short for any known form".into()],
    };
    if value.len() == 32 && *first == 0x0F && value.get(16) == Some(&0x0F) {
        return vec![format!(
            "common core {second:02X}; key derivation {third:02X}; results from byte 4"
        )];
    }
    if scheme == Scheme::Mastercard && matches!(value.len(), 18 | 20 | 26 | 28) {
        return vec![format!(
            "key derivation {first:02X}, cryptogram version {second:02X}; results from byte 3"
        )];
    }
    if usize::from(*first) + 1 != value.len() {
        return vec!["not in the form that begins with its length".into()];
    }
    if *first == 0x1F && scheme == Scheme::Visa {
        return vec![format!(
            "31 bytes follow; cryptogram version {second:02X}, key derivation {third:02X}"
        )];
    }
    let mut lines = vec![format!(
        "{first} bytes follow; key derivation {second:02X}, cryptogram version {third:02X}"
    )];
    let Some((results, rest)) = value
        .get(3..)
        .and_then(|rest| rest.split_first_chunk::<4>())
    else {
        return lines;
    };
    let results = hex::encode_upper(results);
    lines.push(format!("card verification results {results}"));
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

/// Kernel 2's tag 9F6E: country, identifier, and the kind of device where the identifier says that it follows.
fn third_party(value: &[u8]) -> Vec<String> {
    let Some((&[c1, c2, i1, i2], rest)) = value.split_first_chunk::<4>() else {
        return vec!["malformed".into()];
    };
    let mut lines = vec![format!(
        "country {c1:02X}{c2:02X}, identifier {i1:02X}{i2:02X}"
    )];
    if i1 & 0x80 == 0
        && let Some(kind) = rest.first_chunk::<2>()
    {
        let device = match kind {
            b"00" => "a card",
            b"01" => "a phone, by its SIM",
            b"02" => "a key fob",
            b"03" => "a watch",
            b"04" => "a tag",
            b"05" => "a wristband",
            b"06" => "a phone case or sleeve",
            b"07" => "a phone, by a secure element of the operator",
            b"08" => "a phone, by a memory card",
            b"09" => "a phone, by a secure element of its own",
            b"10" => "a tablet, by its SIM",
            _ => "another device",
        };
        let code = String::from_utf8_lossy(kind);
        lines.push(format!("device type {code}: {device}"));
    }
    lines
}
