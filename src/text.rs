//! Text from elsewhere that a person is shown.

/// What of a text can be seen: control characters are left out, and those that turn its direction (Unicode's Bidi_Control),
/// so that it neither turns nor hides the amount beside it.
pub(crate) fn visible(text: &str) -> String {
    match text.contains(is_invisible) {
        false => text.trim().to_owned(),
        true => {
            let shown: String = text.chars().filter(|c| !is_invisible(*c)).collect();
            shown.trim().to_owned()
        }
    }
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
