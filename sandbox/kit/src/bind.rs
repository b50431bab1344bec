//! One unambiguous byte string out of several parts, to sign or to authenticate.
//!
//! `LP(x)` is a 32-bit big-endian length followed by the bytes; `BIND(label, a, b)` is `LP(label) LP(a) LP(b)`.
//! Every part carries its length, so no two lists of parts give the same bytes, and the label keeps a proof made for
//! one purpose from being taken for another.

/// `BIND(label, parts…)`.
///
/// ```
/// assert_eq!(sandbox_kit::bind::bind("a", &[b"bc"]), b"\0\0\0\x01a\0\0\0\x02bc");
/// ```
#[must_use]
pub fn bind(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut bound = Vec::with_capacity(
        4 + label.len() + parts.iter().map(|part| 4 + part.len()).sum::<usize>(),
    );
    put(&mut bound, label.as_bytes());
    for part in parts {
        put(&mut bound, part);
    }
    bound
}

fn put(bound: &mut Vec<u8>, part: &[u8]) {
    // Nothing that is bound comes near 4 GiB; a longer part would simply not verify.
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    bound.extend_from_slice(&length.to_be_bytes());
    bound.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use super::bind;

    #[test]
    fn the_border_between_parts_counts() {
        assert_ne!(bind("l", &[b"ab", b"c"]), bind("l", &[b"a", b"bc"]));
        assert_ne!(bind("l", &[b""]), bind("l", &[]));
        assert_eq!(bind("l", &[]), b"\0\0\0\x01l");
    }
}
