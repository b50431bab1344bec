//! BER-TLV as EMV uses it (EMV Book 3, Annex B): tags of one to three bytes, lengths of up to two bytes.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A data object's tag, one to three bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u32);

impl Tag {
    /// A tag from the number its bytes spell, as in `Tag::new(0x9F26)`.
    ///
    /// Meant for constants; [`Tag::read`] checks the form of tags from outside.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Reads one tag from the front of `bytes`; answers it with the rest, or nothing when the bytes end
    /// inside the tag or it is longer than three bytes.
    pub fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&first, mut rest) = bytes.split_first()?;
        let mut number = u32::from(first);
        if first & 0x1F != 0x1F {
            return Some((Self(number), rest));
        }
        for _ in 0..2 {
            let (&next, after) = rest.split_first()?;
            number = number << 8 | u32::from(next);
            rest = after;
            if next & 0x80 == 0 {
                return Some((Self(number), rest));
            }
        }
        None
    }

    /// Appends the tag's bytes.
    pub fn write(self, out: &mut Vec<u8>) {
        let bytes = self.0.to_be_bytes();
        let unused = bytes.iter().take(3).take_while(|byte| **byte == 0).count();
        out.extend(bytes.iter().skip(unused));
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(3);
        self.write(&mut bytes);
        f.write_str(&hex::encode_upper(bytes))
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = hex::decode(&text).map_err(de::Error::custom)?;
        match Self::read(&bytes) {
            Some((tag, [])) => Ok(tag),
            _ => Err(de::Error::custom(format_args!("{text} is not one tag"))),
        }
    }
}

/// Appends one data object. Values of 64 KiB and more do not occur: profiles bound them far below.
pub fn write(out: &mut Vec<u8>, tag: Tag, value: &[u8]) {
    tag.write(out);
    write_length(out, value.len());
    out.extend_from_slice(value);
}

/// One constructed object around `content`.
pub fn wrap(tag: Tag, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    write(&mut out, tag, content);
    out
}

fn write_length(out: &mut Vec<u8>, length: usize) {
    let [.., high, low] = length.to_be_bytes();
    match length {
        0..=0x7F => out.push(low),
        0x80..=0xFF => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_one_two_and_three_bytes_are_read_and_written() {
        for text in ["82", "9F26", "DF8129", "BF0C", "57"] {
            let bytes = hex::decode(text).unwrap();
            let (tag, rest) = Tag::read(&bytes).unwrap();
            assert!(rest.is_empty());
            assert_eq!(tag.to_string(), text);
        }
    }

    #[test]
    fn broken_tags_are_refused() {
        for text in ["", "9F", "DF81", "DF818101"] {
            assert!(Tag::read(&hex::decode(text).unwrap()).is_none(), "{text}");
        }
    }

    #[test]
    fn lengths_take_one_two_or_three_bytes() {
        let head = |length: usize| wrap(Tag::new(0x70), &vec![0; length])[..4].to_vec();
        assert_eq!(head(0x7F)[..2], [0x70, 0x7F]);
        assert_eq!(head(0x80)[..3], [0x70, 0x81, 0x80]);
        assert_eq!(head(0x100), [0x70, 0x82, 0x01, 0x00]);
    }
}
