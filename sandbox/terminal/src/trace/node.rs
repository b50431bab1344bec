//! What was decoded, as a tree, and the tree as text.

use serde::Serialize;

use super::bits::{Bit, Explained};
use super::value::Shown;

/// A data object in words; also a command, an answer or an entry of a data object list, with what is inside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Node {
    /// The tag, in hexadecimal; none for a command or an answer.
    pub tag: Option<String>,
    /// What it is called.
    pub name: String,
    /// How many bytes its value has, or is wanted in.
    pub length: usize,
    /// The value in hexadecimal, or what may be shown of it; none where children stand for it.
    pub value: Option<String>,
    /// What a value of one number, date or code says.
    pub meaning: Option<String>,
    /// The text that the value spells.
    pub text: Option<String>,
    /// What the value says bit by bit.
    pub bits: Vec<Bit>,
    /// What else there is to say, a line each.
    pub notes: Vec<String>,
    /// What is inside.
    pub children: Vec<Node>,
    /// The bytes that `bits` explains, with their numbers.
    #[serde(skip)]
    bytes: Vec<(usize, u8)>,
    #[serde(skip)]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    /// A data object.
    #[default]
    Object,
    /// An entry of a data object list.
    Wanted,
    /// A command or an answer.
    Message,
}

impl Node {
    /// A code of so many characters, before its objects are put inside.
    #[must_use]
    pub fn code(name: String, length: usize) -> Self {
        Self::message(name, length)
    }

    /// An object of a code whose ids and values are text. Without a value there are others inside.
    #[must_use]
    pub fn text_object(id: &str, name: &str, length: usize, value: Option<&str>) -> Self {
        Self {
            tag: Some(id.to_owned()),
            name: name.to_owned(),
            length,
            value: value.map(str::to_owned),
            ..Self::default()
        }
    }

    /// A data object without its value.
    pub(super) fn object(tag: u32, name: &str, length: usize) -> Self {
        Self {
            tag: Some(format!("{tag:02X}")),
            name: name.to_owned(),
            length,
            ..Self::default()
        }
    }

    /// An entry of a data object list.
    pub(super) fn wanted(tag: u32, name: &str, length: usize) -> Self {
        Self {
            kind: Kind::Wanted,
            ..Self::object(tag, name, length)
        }
    }

    /// A command or an answer of so many bytes.
    pub(super) fn message(name: String, length: usize) -> Self {
        Self {
            name,
            length,
            kind: Kind::Message,
            ..Self::default()
        }
    }

    pub(super) fn set_value(&mut self, shown: Shown, explained: Explained) {
        self.value = Some(shown.value);
        self.meaning = shown.meaning;
        self.text = shown.text;
        self.bits = explained.bits;
        self.bytes = explained.bytes;
    }

    /// Several lines, each ended, below `depth` others.
    #[must_use]
    pub fn to_text(&self, depth: usize) -> String {
        let mut out = String::new();
        self.write(depth, &mut out);
        out
    }

    fn write(&self, depth: usize, out: &mut String) {
        let indent = "   ".repeat(depth);
        // What is under a message or in a template stands one step to the right; lines about a value, two.
        let below = match self.kind {
            Kind::Message => "   ",
            Kind::Object | Kind::Wanted => "      ",
        };
        out.push_str(&format!("{indent}{}\n", spelled(&self.line())));
        for note in &self.notes {
            out.push_str(&format!("{indent}{below}{note}\n"));
        }
        for (number, byte) in &self.bytes {
            out.push_str(&format!(
                "{indent}{below}byte {number}  {:04b} {:04b}\n",
                byte >> 4,
                byte & 0x0F
            ));
            for bit in self.bits.iter().filter(|bit| bit.byte == *number) {
                let several = if bit.bits.len() > 1 { "s" } else { "" };
                out.push_str(&format!(
                    "{indent}{below}  bit{several} {}  {}\n",
                    bit.bits, bit.meaning
                ));
            }
        }
        for child in &self.children {
            match child.kind {
                Kind::Wanted => {
                    out.push_str(&format!("{indent}{below}{}\n", spelled(&child.line())));
                }
                Kind::Object | Kind::Message => child.write(depth + 1, out),
            }
        }
    }

    fn line(&self) -> String {
        let tag = self.tag.as_deref().unwrap_or_default();
        match self.kind {
            Kind::Message => self.name.clone(),
            Kind::Wanted => format!("wants {tag}, length {}: {}", self.length, self.name),
            Kind::Object => {
                let mut line = format!("{tag} {}", self.name);
                let text = self.text.as_ref().map(|text| format!("\"{text}\""));
                let meaning = self.meaning.as_ref().map(|words| format!("({words})"));
                let value = self.value.clone().filter(|value| !value.is_empty());
                let words: Vec<_> = [value, meaning, text].into_iter().flatten().collect();
                if self.value.is_some() {
                    line.push_str(": ");
                    line.push_str(&words.join(" "));
                }
                line
            }
        }
    }
}

/// A line as it may be printed: what a terminal would obey, or what would turn the line around, is spelled out.
fn spelled(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for letter in line.chars() {
        match is_invisible(letter) {
            true => out.extend(letter.escape_unicode()),
            false => out.push(letter),
        }
    }
    out
}

/// Control characters and Unicode's Bidi_Control.
fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        let name = "Tea\u{1b}[2J\u{202e}esuoh";
        let node = Node::text_object("59", "Merchant Name", 12, Some(name));
        assert_eq!(
            node.to_text(0),
            "59 Merchant Name: Tea\\u{1b}[2J\\u{202e}esuoh\n"
        );
        // Programs get it as it is.
        assert_eq!(node.value.as_deref(), Some(name));
    }
}
