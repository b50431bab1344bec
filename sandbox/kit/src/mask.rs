//! Numbers as people may see them.

/// A card or token number with all but the first six and the last four digits hidden; a short one hides more.
#[must_use]
pub fn mask_number(digits: &str) -> String {
    let length = digits.chars().count();
    let (head, tail) = if length >= 13 {
        (6, 4)
    } else {
        (0, length.min(4).saturating_sub(1))
    };
    digits
        .chars()
        .enumerate()
        .map(|(at, digit)| {
            if at < head || at + tail >= length {
                digit
            } else {
                '*'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_hidden_and_of_a_short_number_nearly_all() {
        assert_eq!(mask_number("6228480402564890018"), "622848*********0018");
        assert_eq!(mask_number("123456"), "***456");
        assert_eq!(mask_number(""), "");
    }
}
