//! Data object lists: which values a reader is asked for, and how to find them in its answer (EMV Book 3, 5.4).

use serde::{Deserialize, Deserializer, de};

use super::tlv::Tag;

/// A data object list: tags with the length, in bytes, that each is wanted in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dol {
    encoded: Vec<u8>,
    entries: Vec<Entry>,
    length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    tag: Tag,
    offset: usize,
    length: usize,
}

impl Dol {
    /// Parses an encoded list; nothing when it is malformed, names a tag twice, or asks for more than a short
    /// command can carry (252 bytes, the rest being the template around them).
    pub fn parse(encoded: &[u8]) -> Option<Self> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut offset = 0_usize;
        let mut rest = encoded;
        while !rest.is_empty() {
            let (tag, after) = Tag::read(rest)?;
            let (&length, after) = after.split_first()?;
            let length = usize::from(length);
            if length > 0x7F || entries.iter().any(|entry| entry.tag == tag) {
                return None;
            }
            entries.push(Entry {
                tag,
                offset,
                length,
            });
            offset += length;
            rest = after;
        }
        (offset <= 252).then(|| Self {
            encoded: encoded.to_vec(),
            entries,
            length: offset,
        })
    }

    /// The list as it stands in the FCI.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// How many bytes the values take together.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Whether `tag` is asked for, and in how many bytes.
    pub fn length_of(&self, tag: Tag) -> Option<usize> {
        self.entries
            .iter()
            .find(|entry| entry.tag == tag)
            .map(|entry| entry.length)
    }

    /// Where the value of `tag` stands among the values that answer this list.
    pub fn place_of(&self, tag: Tag) -> Option<std::ops::Range<usize>> {
        let entry = self.entries.iter().find(|entry| entry.tag == tag)?;
        Some(entry.offset..entry.offset + entry.length)
    }

    /// The value of `tag` in `data`, the concatenated values that answer this list.
    pub fn value<'d>(&self, tag: Tag, data: &'d [u8]) -> Option<&'d [u8]> {
        data.get(self.place_of(tag)?)
    }
}

impl<'de> Deserialize<'de> for Dol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text)
            .ok()
            .and_then(|bytes| Self::parse(&bytes))
            .ok_or_else(|| de::Error::custom(format_args!("{text} is not a data object list")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_tag() {
        let dol = Dol::parse(&hex::decode("9F66049F02069F3704").unwrap()).unwrap();
        let data = hex::decode("6680000000000000125011223344").unwrap();
        assert_eq!(dol.length(), data.len());
        assert_eq!(
            dol.value(Tag::new(0x9F37), &data).unwrap(),
            [0x11, 0x22, 0x33, 0x44]
        );
        assert_eq!(dol.value(Tag::new(0x9F1A), &data), None);
        assert_eq!(dol.value(Tag::new(0x9F37), &data[..12]), None);
    }

    #[test]
    fn malformed_lists_are_refused() {
        for text in ["9F", "9F66", "9F66049F6604", "9F0280", "9F027F5F2A7F"] {
            assert!(Dol::parse(&hex::decode(text).unwrap()).is_none(), "{text}");
        }
    }
}
