//! The objects of a merchant's code: two digits of id, two of length *in characters*, and the value; the checksum over all.

use super::MpmError;

/// One object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Object<'a> {
    pub(super) id: u8,
    pub(super) value: &'a str,
}

/// Splits a code, or the content of a template, into its objects. `base` is how many characters of the code stand before.
pub(super) fn split(text: &str, base: usize) -> Result<Vec<Object<'_>>, MpmError> {
    let mut objects = Vec::new();
    let mut rest = text;
    let mut at = base;
    while !rest.is_empty() {
        let (id, after) = two_digits(rest, at, MpmError::Id { at })?;
        at += 2;
        let (length, after) = two_digits(after, at, MpmError::Length { at })?;
        if length == 0 {
            return Err(MpmError::Length { at });
        }
        at += 2;
        let length = usize::from(length);
        let (value, after) = split_characters(after, length).ok_or(MpmError::Truncated { at })?;
        objects.push(Object { id, value });
        rest = after;
        at += length;
    }
    Ok(objects)
}

/// The number that the next two characters spell; `otherwise` when they are no digits.
fn two_digits(text: &str, at: usize, otherwise: MpmError) -> Result<(u8, &str), MpmError> {
    let (digits, rest) = split_characters(text, 2).ok_or(MpmError::Truncated { at })?;
    match digits.as_bytes() {
        &[tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Ok(((tens - b'0') * 10 + (ones - b'0'), rest)),
        _ => Err(otherwise),
    }
}

/// The first `count` characters and what follows; nothing when there are fewer.
fn split_characters(text: &str, count: usize) -> Option<(&str, &str)> {
    let mut ends = text.char_indices().map(|(start, c)| start + c.len_utf8());
    let end = match count.checked_sub(1) {
        None => 0,
        Some(last) => ends.nth(last)?,
    };
    text.split_at_checked(end)
}

/// Refuses an id that stands there twice.
pub(super) fn each_once(objects: &[Object<'_>]) -> Result<(), MpmError> {
    let mut seen = [false; 100];
    for object in objects {
        match seen.get_mut(usize::from(object.id)) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(MpmError::Duplicate(object.id)),
        }
    }
    Ok(())
}

/// CRC-16/CCITT-FALSE: polynomial 1021, initial value FFFF, nothing reflected (EMV QRCPS MPM 1.1, object 63).
pub(super) fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => crc << 1 ^ 0x1021,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The catalogue of parametrised CRC algorithms (reveng), CRC-16/IBM-3740, alias CCITT-FALSE: check 29B1.
    #[test]
    fn the_checksum_is_ccitt_false() {
        assert_eq!(crc(b"123456789"), 0x29B1);
        assert_eq!(crc(b""), 0xFFFF);
    }

    #[test]
    fn lengths_count_characters() {
        let objects = split("0002ZH0104最佳运输0202北京", 0).unwrap();
        let values: Vec<_> = objects.iter().map(|object| object.value).collect();
        assert_eq!(values, ["ZH", "最佳运输", "北京"]);
    }

    #[test]
    fn damage_is_told_with_its_place() {
        for (text, expected) in [
            ("0", MpmError::Truncated { at: 0 }),
            ("000", MpmError::Truncated { at: 2 }),
            ("0002", MpmError::Truncated { at: 4 }),
            ("00020", MpmError::Truncated { at: 4 }),
            ("0002北", MpmError::Truncated { at: 4 }),
            ("0x0201", MpmError::Id { at: 0 }),
            ("北京0201", MpmError::Id { at: 0 }),
            ("00020159-1", MpmError::Length { at: 8 }),
            ("000201590五", MpmError::Length { at: 8 }),
            ("000201590059", MpmError::Length { at: 8 }),
            ("00+201", MpmError::Length { at: 2 }),
        ] {
            assert_eq!(split(text, 0), Err(expected), "{text}");
        }
        assert_eq!(split("00", 10), Err(MpmError::Truncated { at: 12 }));
    }
}
