//! BER-TLV for people: whatever does not parse is told with its place.
//!
//! The kernel parses with crate `emv`; here the offset of the mistake matters, and that hostile input ends early.

use std::fmt;

/// How deep objects may stand in each other; cards need five.
const DEEPEST: usize = 16;

/// Input that is not what it was taken for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The byte, from 0, at which it stops making sense.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at offset {}: {}", self.offset, self.what)
    }
}

impl std::error::Error for Malformed {}

/// One data object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object<'a> {
    pub(super) tag: u32,
    pub(super) value: &'a [u8],
    /// The objects inside, of a constructed one.
    pub(super) inside: Option<Vec<Object<'a>>>,
}

impl<'a> Object<'a> {
    /// Reads objects one after the other; zeros between them say nothing (EMV Book 3, Annex B1).
    pub(super) fn all(bytes: &'a [u8]) -> Result<Vec<Self>, Malformed> {
        read(bytes, 0, 0)
    }

    /// The value of the first primitive object with this tag, here or inside.
    pub(super) fn find(&self, tag: u32) -> Option<&'a [u8]> {
        match &self.inside {
            None => (self.tag == tag).then_some(self.value),
            Some(inside) => inside.iter().find_map(|object| object.find(tag)),
        }
    }
}

/// Reads objects; `before` bytes of the whole input stand before these.
fn read(bytes: &[u8], before: usize, depth: usize) -> Result<Vec<Object<'_>>, Malformed> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        if first == 0 {
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let offset = before + bytes.len() - rest.len();
        let wrong = |what| Malformed { offset, what };
        if depth == DEEPEST {
            return Err(wrong("objects stand in each other too deeply"));
        }
        let (tag, after) = tag(rest).ok_or(wrong("the input ends inside a tag"))?;
        let (length, after) = length(after).ok_or(wrong("the tag here has no sound length"))?;
        let (value, after) = after
            .split_at_checked(length)
            .ok_or(wrong("the value of the tag here is longer than the input"))?;
        let inside = match first & 0x20 {
            0 => None,
            _ => {
                let begin = before + bytes.len() - after.len() - length;
                Some(read(value, begin, depth + 1)?)
            }
        };
        found.push(Object { tag, value, inside });
        rest = after;
    }
    Ok(found)
}

/// Takes a tag of one to four bytes off the front.
pub(super) fn tag(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let mut tag = u32::from(first);
    if first & 0x1F != 0x1F {
        return Some((tag, rest));
    }
    for _ in 0..3 {
        let (&next, after) = rest.split_first()?;
        tag = tag << 8 | u32::from(next);
        rest = after;
        if next & 0x80 == 0 {
            return Some((tag, rest));
        }
    }
    None
}

/// Takes a length of one to four bytes off the front.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let count = usize::from(first & 0x7F);
    if first & 0x80 == 0 {
        return Some((count, rest));
    }
    // Neither the open end of BER nor lengths that no card has.
    if !(1..=3).contains(&count) {
        return None;
    }
    let (length, rest) = rest.split_at_checked(count)?;
    let length = length
        .iter()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    Some((length, rest))
}

/// Reads a data object list: tags with lengths and no values.
pub(super) fn list(bytes: &[u8]) -> Result<Vec<(u32, usize)>, Malformed> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let wrong = |what| Malformed {
            offset: bytes.len() - rest.len(),
            what,
        };
        let (tag, after) = tag(rest).ok_or(wrong("the list ends inside a tag"))?;
        let (&length, after) = after
            .split_first()
            .ok_or(wrong("the tag here has no length"))?;
        found.push((tag, usize::from(length)));
        rest = after;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let mistake = |text: &str| {
            let wrong = Object::all(&hex::decode(text).unwrap()).unwrap_err();
            (wrong.offset, wrong.what)
        };
        assert_eq!(
            mistake("6F058404A00000"),
            (2, "the value of the tag here is longer than the input")
        );
        assert_eq!(
            mistake("82020000950500"),
            (4, "the value of the tag here is longer than the input")
        );
        assert_eq!(mistake("9F"), (0, "the input ends inside a tag"));
        assert_eq!(mistake("82009F26").0, 2);
        assert_eq!(mistake("8280"), (0, "the tag here has no sound length"));
        let nested = (0..20_u8).fold(String::new(), |inner, _| {
            format!("61{:02X}{inner}", inner.len() / 2)
        });
        assert_eq!(mistake(&nested).1, "objects stand in each other too deeply");
    }

    #[test]
    fn long_forms_and_filling_are_read() {
        let bytes = hex::decode("00DF812902010200009F108103010203").unwrap();
        let objects = Object::all(&bytes).unwrap();
        let read: Vec<_> = objects.iter().map(|o| (o.tag, o.value)).collect();
        assert_eq!(read, [(0xDF8129, &[1, 2][..]), (0x9F10, &[1, 2, 3][..])]);
        assert_eq!(
            list(&[0x9F, 0x37, 4, 0x95, 5]).unwrap(),
            [(0x9F37, 4), (0x95, 5)]
        );
        assert_eq!(list(&[0x95]).unwrap_err().offset, 0);
    }
}
