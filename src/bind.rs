//! One unambiguous way to put several values into one string of bytes, for signatures, MACs and associated data.

/// `LP(label) ‖ LP(part) ‖ …`, each length as four big-endian bytes, so that no two lists of parts give the same bytes.
pub(crate) fn bind(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    extend(&mut out, &[label.as_bytes()]);
    extend(&mut out, parts);
    out
}

/// Appends `LP(part) ‖ …`.
pub(crate) fn extend(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        // Parts are far below 4 GiB; a longer one would be cut in its length and thus never verify.
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_one_part_ends_and_the_next_begins_matters() {
        assert_eq!(bind("a", &[b"bc"]), b"\0\0\0\x01a\0\0\0\x02bc");
        assert_ne!(bind("a", &[b"b", b"c"]), bind("a", &[b"bc"]));
        assert_ne!(bind("a", &[b"b", b""]), bind("a", &[b"b"]));
    }
}
