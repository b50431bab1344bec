//! What must not be read in a log: card numbers, keys, and values of fields that are named like secrets.
//!
//! Nothing is checked by its check digit: a number of a card's length is hidden whether it is one or not. So are times
//! in milliseconds, which is why the core writes times as RFC 3339 has them.

use std::borrow::Cow;
use std::ops::Range;

/// Stands for a value whose name says that it is secret.
pub(super) const HIDDEN: &str = "‹hidden›";

/// Digits of the shortest card number (ISO/IEC 7812-1). Longer runs than a card's are hidden as well: they may be one
/// between its neighbours, as in a TLV string, or one in ASCII.
const SHORTEST_NUMBER: usize = 13;
/// Hexadecimal digits of the shortest key.
const SHORTEST_KEY: usize = 32;
/// Bytes in a list, from which on they are hidden: a card number in BCD has as many.
const SHORTEST_LIST: usize = SHORTEST_NUMBER.div_ceil(2);

/// Parts of names whose values are hidden.
const SECRET_WORDS: [&str; 16] = [
    "code",
    "cvc",
    "cvn",
    "cvv",
    "key",
    "luk",
    "number",
    "otp",
    "pan",
    "passcode",
    "passphrase",
    "password",
    "pin",
    "pincode",
    "secret",
    "track",
];

/// The text with everything hidden that might be a card number (plain, spaced, dashed, in track 2, in BCD, in ASCII), a
/// key or other long run of hexadecimal digits, a list of bytes, or the value of a name such as `pin` or `code`.
///
/// Takes time in proportion to the text.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut found = Vec::new();
    find_runs(text, &mut found);
    find_groups(text, &mut found);
    find_values(text, &mut found);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(replace(text, found))
}

/// Whether a value of this name is hidden whatever it is: `pin`, `sms_code`, `card-number`, `cardNumber`, `track2`.
pub(super) fn is_secret_name(name: &str) -> bool {
    const SIGNS: [char; 3] = ['_', '-', '.'];
    let mut rest = name.trim_start_matches(SIGNS);
    while !rest.is_empty() {
        let end = word_end(rest.as_bytes());
        let word = rest[..end].trim_end_matches(|c: char| c.is_ascii_digit());
        if SECRET_WORDS
            .iter()
            .any(|secret| secret.eq_ignore_ascii_case(word))
        {
            return true;
        }
        rest = rest[end..].trim_start_matches(SIGNS);
    }
    false
}

/// Whether a number or key that was cut short could end so.
pub(super) fn may_be_of_a_number(c: char) -> bool {
    is_hex(c) || separator(c).is_some() || matches!(c, 'x' | 'X' | ',' | '=' | '"' | '\'')
}

/// What is hidden, and what is written instead.
struct Found {
    place: Range<usize>,
    what: What,
}

enum What {
    Number,
    Hex(usize),
    Bytes(usize),
    Value,
}

/// Digits without anything between them.
struct Run {
    place: Range<usize>,
    /// How many digits.
    len: usize,
    /// The most decimal digits in a row.
    decimals: usize,
}

/// Runs of digits that are hidden for their length alone.
fn find_runs(text: &str, found: &mut Vec<Found>) {
    let mut discretionary = None;
    for run in runs(text, is_hex) {
        if is_application(&text[run.place.clone()]) {
            continue;
        }
        let what = if run.decimals >= SHORTEST_NUMBER || discretionary == Some(run.place.start) {
            What::Number
        } else if run.len >= SHORTEST_KEY && !is_identifier(text, &run.place) {
            What::Hex(run.len)
        } else {
            continue;
        };
        // Track 2 with its separator as a character: what follows it belongs to the card as well.
        discretionary = match text.as_bytes().get(run.place.end) {
            Some(b'=') => Some(run.place.end + 1),
            _ => None,
        };
        let what = match run.len >= SHORTEST_KEY {
            true => What::Hex(run.len),
            false => what,
        };
        found.push(Found {
            place: run.place,
            what,
        });
    }
}

/// Groups of digits that are one number, key or list of bytes together.
fn find_groups(text: &str, found: &mut Vec<Found>) {
    let decimal = runs(text, is_decimal);
    stretches(
        text,
        &decimal,
        |_| true,
        |joint, groups| {
            let digits: usize = groups.iter().map(|run| run.len).sum();
            if joint != ',' && digits >= SHORTEST_NUMBER {
                found.push(whole(groups, What::Number));
            }
        },
    );
    let mut hex = runs(text, is_hex);
    hex.retain(|run| {
        let is_prefix = text[run.place.clone()] == *"0" && text[run.place.end..].starts_with('x');
        !is_prefix
    });
    stretches(
        text,
        &hex,
        |run| run.len % 2 == 0,
        |joint, groups| {
            let digits: usize = groups.iter().map(|run| run.len).sum();
            // Dashes would make it a UUID.
            if matches!(joint, ' ' | ':') && digits >= SHORTEST_KEY {
                found.push(whole(groups, What::Hex(digits)));
            }
        },
    );
    stretches(
        text,
        &hex,
        |run| run.len == 2,
        |_, groups| {
            if groups.len() >= SHORTEST_LIST {
                found.push(whole(groups, What::Bytes(groups.len())));
            }
        },
    );
    // As `Debug` writes bytes, in decimal or hexadecimal.
    stretches(
        text,
        &hex,
        |run| run.len <= 3,
        |joint, groups| {
            if joint == ',' && groups.len() >= SHORTEST_LIST {
                found.push(whole(groups, What::Bytes(groups.len())));
            }
        },
    );
}

fn whole(groups: &[Run], what: What) -> Found {
    let start = groups.first().map_or(0, |run| run.place.start);
    let end = groups.last().map_or(0, |run| run.place.end);
    Found {
        place: start..end,
        what,
    }
}

/// Tells of every longest row of at least two runs that `fit` and have the same joint between them.
fn stretches(
    text: &str,
    runs: &[Run],
    fits: impl Fn(&Run) -> bool,
    mut tell: impl FnMut(char, &[Run]),
) {
    let mut first = 0;
    let mut row = None;
    for (at, pair) in runs.windows(2).enumerate() {
        let next = match pair {
            [a, b] if fits(a) && fits(b) => joint(&text[a.place.end..b.place.start]),
            _ => None,
        };
        if next == row {
            continue;
        }
        if let Some(joint) = row {
            tell(joint, &runs[first..=at]);
        }
        (first, row) = (at, next);
    }
    if let Some(joint) = row {
        tell(joint, &runs[first..]);
    }
}

/// What joins two groups of digits: the same separator up to three times, or a comma and white space, where each group
/// may be quoted.
fn joint(between: &str) -> Option<char> {
    // Longer ones are not looked at, so that the time stays in proportion.
    if between.len() > 64 {
        return None;
    }
    let between = between.trim_matches(['"', '\'']).trim_end_matches("0x");
    if let Some(rest) = between.strip_prefix(',') {
        return rest
            .trim_matches(['"', '\''])
            .trim()
            .is_empty()
            .then_some(',');
    }
    let mut all = between.chars();
    let first = separator(all.next()?)?;
    let same = all.clone().all(|c| separator(c) == Some(first));
    (same && all.count() < 3).then_some(first)
}

/// The separators that people and programs put into numbers; spaces and dashes of all kinds count as one each.
fn separator(c: char) -> Option<char> {
    match c {
        ' ' | '\t' | '\u{a0}' | '\u{2000}'..='\u{200b}' | '\u{202f}' | '\u{3000}' => Some(' '),
        '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        '_' | '/' | ':' => Some(c),
        _ => None,
    }
}

/// Decimal digits, those of East Asian width included.
fn is_decimal(c: char) -> bool {
    c.is_ascii_digit() || ('０'..='９').contains(&c)
}

fn is_hex(c: char) -> bool {
    c.is_ascii_hexdigit() || is_decimal(c)
}

/// Every longest run of such characters.
fn runs(text: &str, fits: fn(char) -> bool) -> Vec<Run> {
    let mut all: Vec<Run> = Vec::new();
    let mut current: Option<Run> = None;
    let mut decimals = 0;
    for (at, c) in text.char_indices() {
        if !fits(c) {
            decimals = 0;
            all.extend(current.take());
            continue;
        }
        decimals = if is_decimal(c) { decimals + 1 } else { 0 };
        let run = current.get_or_insert(Run {
            place: at..at,
            len: 0,
            decimals: 0,
        });
        run.place.end = at + c.len_utf8();
        run.len += 1;
        run.decimals = run.decimals.max(decimals);
    }
    all.extend(current);
    all
}

/// Whether a run is an application identifier of a payment scheme (ISO/IEC 7816-5, registered internationally). It has
/// room for no card number but one that begins with zero, and none does.
fn is_application(run: &str) -> bool {
    run.len() <= 16 && (run.starts_with("A000000") || run.starts_with("a000000"))
}

/// Whether a run is the random part of an identifier (`tok_…`), which is no secret: three small letters that do not say
/// otherwise, and 32 digits.
fn is_identifier(text: &str, run: &Range<usize>) -> bool {
    let before = &text.as_bytes()[..run.start];
    let Some((rest, [a, b, c, b'_'])) = before.split_last_chunk() else {
        return false;
    };
    let kind = [*a, *b, *c];
    let stands_alone = rest.last().is_none_or(|byte| !byte.is_ascii_alphanumeric());
    stands_alone
        && run.len() == 32
        && kind.iter().all(u8::is_ascii_lowercase)
        && !str::from_utf8(&kind).is_ok_and(is_secret_name)
}

/// Values that follow a secret name: `name=value`, `name: value`, `"name":"value"`.
fn find_values(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let name = at;
        at += count(&bytes[at..], |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
        });
        if at == name {
            at += 1;
            continue;
        }
        if let Some(value) = value_start(bytes, at)
            && is_secret_name(&text[name..at])
        {
            at = value_end(bytes, value);
            found.push(Found {
                place: value..at,
                what: What::Value,
            });
        }
    }
}

/// Where the value begins of the name that ends here; nothing when it was no name.
fn value_start(bytes: &[u8], name_end: usize) -> Option<usize> {
    let mut at = name_end;
    at += count(&bytes[at..], |byte| matches!(byte, b'\\' | b'"' | b'\''));
    at += count(&bytes[at..], |byte| byte == b' ').min(2);
    let sign = count(&bytes[at..], |byte| matches!(byte, b'=' | b':' | b'>'));
    let is_path = bytes[at..].starts_with(b"::");
    at += sign;
    at += count(&bytes[at..], |byte| byte.is_ascii_whitespace());
    (sign > 0 && !is_path && at < bytes.len()).then_some(at)
}

/// Where a value ends: at its closing quote or bracket, else at white space or punctuation.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut depth = 0_usize;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = quote_end(bytes, at, at > start && bytes[at - 1] == b'\\'),
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth == 0 => break,
            b')' | b']' | b'}' => depth -= 1,
            b',' | b';' | b'&' | b'|' if depth == 0 => break,
            // Digits after white space are of a code that is written in groups.
            _ if byte.is_ascii_whitespace()
                && depth == 0
                && !bytes.get(at + 1).is_some_and(u8::is_ascii_digit) =>
            {
                break;
            }
            _ => {}
        }
        at += 1;
    }
    at.min(bytes.len())
}

/// Where the quote closes that opens here; the end of the text when it does not.
fn quote_end(bytes: &[u8], open: usize, is_escaped: bool) -> usize {
    let mut at = open + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            // A quote within a text that is quoted itself opens and closes with a backslash.
            b'\\' if !is_escaped => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn count(bytes: &[u8], fits: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| fits(**byte)).count()
}

/// Where the first word of a name ends: before a sign, or where small letters turn large.
fn word_end(name: &[u8]) -> usize {
    let turn = name.windows(2).position(|pair| match pair {
        [a, b] => {
            matches!(b, b'_' | b'-' | b'.') || (a.is_ascii_lowercase() && b.is_ascii_uppercase())
        }
        _ => false,
    });
    turn.map_or(name.len(), |at| at + 1)
}

/// Writes the text anew. Where finds overlap they become one, named after the longest.
fn replace(text: &str, mut found: Vec<Found>) -> String {
    // Nearly in order, which this sort makes use of.
    found.sort_by_key(|one| (one.place.start, usize::MAX - one.place.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut rest = found.into_iter().peekable();
    while let Some(first) = rest.next() {
        let (mut end, mut widest, mut what) = (first.place.end, first.place.len(), first.what);
        while let Some(next) = rest.next_if(|next| next.place.start < end) {
            end = end.max(next.place.end);
            if next.place.len() > widest {
                (widest, what) = (next.place.len(), next.what);
            }
        }
        out.push_str(&text[at..first.place.start]);
        match what {
            What::Number => out.push_str("‹number›"),
            What::Hex(digits) => out.push_str(&format!("‹hex {digits}›")),
            What::Bytes(bytes) => out.push_str(&format!("‹bytes {bytes}›")),
            What::Value => out.push_str(HIDDEN),
        }
        at = end;
    }
    out.push_str(&text[at..]);
    out
}
