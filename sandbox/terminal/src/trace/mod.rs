//! The decoder behind `--trace` and `tapcore decode`: every APDU tag by tag, and bit by bit where bits mean something.
//!
//! A [`Decoder`] follows one conversation: it needs the card's data object lists to read what the reader answers them
//! with, and the selected application to read what schemes lay out differently. Numbers, track data, PIN data and
//! names are masked, and in a trace raw bytes of a command or answer are never printed whole.

mod bits;
mod guess;
mod mask;
mod message;
mod names;
mod node;
mod presented;
mod scheme;
mod tlv;
mod value;

pub use bits::Bit;
pub use node::Node;
pub use scheme::Scheme;
pub use tlv::Malformed;

use tlv::Object;
use value::Show;

/// Tags of the data object lists that a card may have.
const LISTS: [u32; 6] = [0x9F38, 0x8C, 0x8D, 0x9F49, 0x97, 0x9F4F];

/// Follows a conversation between reader and card.
#[derive(Debug, Default)]
pub struct Decoder {
    show: Show,
    /// The scheme that somebody named, or that was seen.
    scheme: Option<Scheme>,
    /// What the reader fills for GET PROCESSING OPTIONS.
    pdol: Option<List>,
    /// What it fills for the first and the second GENERATE AC.
    cdols: [Option<List>; 2],
    /// GENERATE AC commands since the last SELECT.
    generated: usize,
    /// The command that the next answer belongs to.
    instruction: u8,
}

/// A data object list: tags and lengths.
type List = Vec<(u32, usize)>;

impl Decoder {
    /// One for a person who has the bytes already: nothing is cut, and with `reveal` nothing is masked. `scheme` is for
    /// what lies outside of any selected application.
    #[must_use]
    pub fn for_person(reveal: bool, scheme: Option<Scheme>) -> Self {
        Self {
            show: if reveal { Show::Whole } else { Show::Masked },
            scheme,
            ..Self::default()
        }
    }

    /// Sets the list by which the data of GET PROCESSING OPTIONS and GENERATE AC are cut up, until a card's own is
    /// seen, or an application selected.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes are no data object list.
    pub fn set_list(&mut self, list: &[u8]) -> Result<(), Malformed> {
        let list = tlv::list(list)?;
        self.cdols = [Some(list.clone()), Some(list.clone())];
        self.pdol = Some(list);
        Ok(())
    }

    /// Explains a command, several lines, each ended.
    pub fn command(&mut self, bytes: &[u8]) -> String {
        match self.command_node(bytes) {
            Some(node) => format!("-> {}", node.to_text(0)),
            None => format!("-> {} bytes that are no command\n", bytes.len()),
        }
    }

    /// Explains an answer, several lines, each ended.
    pub fn response(&mut self, bytes: &[u8]) -> String {
        match self.response_node(bytes) {
            Some(node) => format!("<- {}", node.to_text(0)),
            None => format!("<- {} bytes that are no answer\n", bytes.len()),
        }
    }

    /// The scheme by which loose values are read. UnionPay's, when nobody named another: it is this sandbox's own.
    fn scheme(&self) -> Scheme {
        self.scheme.unwrap_or(Scheme::UnionPay)
    }

    /// Keeps what later messages need: the lists, and whose application it is.
    fn remember(&mut self, objects: &[Object<'_>]) {
        let find = |tag| objects.iter().find_map(|object| object.find(tag));
        let list = |tag| find(tag).and_then(|value| tlv::list(value).ok());
        self.pdol = list(0x9F38).or(self.pdol.take());
        let [first, second] = &mut self.cdols;
        *first = list(0x8C).or(first.take());
        *second = list(0x8D).or(second.take());
        self.scheme = find(0x84).and_then(Scheme::of).or(self.scheme);
    }

    /// Objects side by side, all of one application when one of them names it.
    fn nodes(&self, objects: &[Object<'_>], parent: Option<u32>, scheme: Scheme) -> Vec<Node> {
        let mut names = objects
            .iter()
            .filter(|object| [0x4F, 0x84, 0x9F06].contains(&object.tag));
        let named = names.find_map(|object| Scheme::of(object.value));
        let scheme = named.unwrap_or(scheme);
        objects
            .iter()
            .map(|object| self.node(object, parent, scheme))
            .collect()
    }

    fn node(&self, object: &Object<'_>, parent: Option<u32>, scheme: Scheme) -> Node {
        match &object.inside {
            None => self.primitive(object.tag, parent, object.value, scheme),
            Some(inside) => {
                let name = names::tag(object.tag, parent, scheme);
                let mut node = Node::object(object.tag, name, object.value.len());
                node.children = self.nodes(inside, Some(object.tag), scheme);
                node
            }
        }
    }

    fn primitive(&self, tag: u32, parent: Option<u32>, value: &[u8], scheme: Scheme) -> Node {
        let name = names::tag(tag, parent, scheme);
        let mut node = Node::object(tag, name, value.len());
        let list = LISTS.contains(&tag) || (tag, scheme) == (0x9F69, Scheme::Mastercard);
        node.set_value(
            value::show(tag, value, self.show),
            bits::explain(tag, value, scheme),
        );
        node.notes = value::details(tag, value, scheme);
        match tlv::list(value) {
            Ok(entries) if list => node.children = wanted(&entries, scheme),
            Err(why) if list => node.notes.push(format!("malformed {why}")),
            _ => {}
        }
        if [0x9F66, 0x9F6C, 0x9F6E].contains(&tag) && self.scheme.is_none() {
            let whose = scheme.name();
            node.notes.push(format!("as {whose} has it"));
        }
        node
    }

    /// Values without tags, cut up by the list that asked for them.
    fn listed(&self, list: &[(u32, usize)], values: &[u8]) -> Vec<Node> {
        let mut nodes = Vec::new();
        let mut rest = values;
        for (tag, length) in list {
            let Some((value, after)) = rest.split_at_checked(*length) else {
                break;
            };
            nodes.push(self.primitive(*tag, None, value, self.scheme()));
            rest = after;
        }
        if !rest.is_empty() {
            let name = format!("{} bytes that the list does not name", rest.len());
            nodes.push(Node::message(name, rest.len()));
        }
        nodes
    }
}

/// The entries of a data object list.
fn wanted(list: &[(u32, usize)], scheme: Scheme) -> Vec<Node> {
    list.iter()
        .map(|(tag, length)| Node::wanted(*tag, names::tag(*tag, None, scheme), *length))
        .collect()
}

#[cfg(test)]
mod tests;
