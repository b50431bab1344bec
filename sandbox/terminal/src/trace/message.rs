//! Commands and answers.

use emv::core::apdu::Command;

use super::tlv::Object;
use super::{Decoder, Node, Scheme, names, value};

impl Decoder {
    /// A command; nothing when the bytes are none.
    pub(super) fn command_node(&mut self, bytes: &[u8]) -> Option<Node> {
        let command = Command::from_bytes(bytes).ok()?;
        let (class, instruction) = (command.cla.0, command.ins.0);
        let mut name = format!(
            "{} ({class:02X} {instruction:02X} {:02X} {:02X})",
            names::instruction(class, instruction),
            command.p1,
            command.p2
        );
        let mut children = Vec::new();
        match (class, instruction) {
            (0x00, 0xA4) => {
                name.push_str(&format!("  {}", value::name(&command.data)));
                // Lists and scheme are the application's that was selected before.
                let scheme = Scheme::of(&command.data).or(self.scheme);
                *self = Self {
                    scheme,
                    ..Self::for_same(self)
                };
            }
            (0x00, 0xB2) => {
                let file = command.p2 >> 3;
                name.push_str(&format!("  file {file}, record {}", command.p1));
            }
            (0x80, 0xA8) => children.push(self.pdol_data(&command.data)),
            (0x80, 0xAE) => {
                name.push_str(wanted_cryptogram(command.p1));
                let list = self.cdols.get(self.generated.min(1)).cloned().flatten();
                children = self.listed(&list.unwrap_or_default(), &command.data);
                self.generated += 1;
            }
            _ => name.push_str(&format!("  {} bytes of data", command.data.len())),
        }
        self.instruction = instruction;
        let mut node = Node::message(name, bytes.len());
        node.children = children;
        Some(node)
    }

    /// A decoder that shows as much as this one and has seen nothing.
    fn for_same(other: &Self) -> Self {
        Self {
            show: other.show,
            ..Self::default()
        }
    }

    /// The data of GET PROCESSING OPTIONS, cut up by the card's PDOL.
    fn pdol_data(&self, data: &[u8]) -> Node {
        match Object::all(data).as_deref() {
            Ok([object]) if object.tag == 0x83 => {
                let name = names::tag(0x83, None, self.scheme());
                let mut node = Node::object(0x83, name, object.value.len());
                node.children = self.listed(self.pdol.as_deref().unwrap_or_default(), object.value);
                node
            }
            _ => {
                let name = format!("{} bytes that are no command template", data.len());
                Node::message(name, data.len())
            }
        }
    }

    /// An answer; nothing when the bytes have no status word.
    pub(super) fn response_node(&mut self, bytes: &[u8]) -> Option<Node> {
        let (data, status) = bytes.split_last_chunk::<2>()?;
        let status = u16::from_be_bytes(*status);
        let name = format!(
            "{status:04X} {}, {} bytes of data",
            names::status(status),
            data.len()
        );
        let mut node = Node::message(name, bytes.len());
        match Object::all(data) {
            Ok(objects) => {
                self.remember(&objects);
                node.children = self.top(&objects);
            }
            Err(why) => node.notes.push(format!("not TLV: {why}")),
        }
        Some(node)
    }

    /// The objects of an answer. A template 80 has no tags inside; what it holds depends on the command.
    pub(super) fn top(&self, objects: &[Object<'_>]) -> Vec<Node> {
        let mut nodes = self.nodes(objects, None, self.scheme());
        if let ([object], [node]) = (objects, nodes.as_mut_slice())
            && object.tag == 0x80
        {
            let length = object.value.len();
            let list = match self.instruction {
                0xA8 => vec![(0x82, 2), (0x94, length.saturating_sub(2))],
                0xAE => vec![
                    (0x9F27, 1),
                    (0x9F36, 2),
                    (0x9F26, 8),
                    (0x9F10, length.saturating_sub(11)),
                ],
                _ => Vec::new(),
            };
            if !list.is_empty() {
                node.value = None;
                node.text = None;
                node.children = self.listed(&list, object.value);
            }
        }
        nodes
    }
}

/// What a GENERATE AC asks for in P1 (EMV Book 3, 6.5.5.2).
fn wanted_cryptogram(p1: u8) -> &'static str {
    match (p1 >> 6, p1 & 0x10 != 0) {
        (0, false) => "  asks for an AAC",
        (0, true) => "  asks for an AAC with CDA",
        (1, false) => "  asks for a TC",
        (1, true) => "  asks for a TC with CDA",
        (2, false) => "  asks for an ARQC",
        (2, true) => "  asks for an ARQC with CDA",
        _ => "  asks for something reserved",
    }
}
