//! Bytes that come without saying what they are: a command, an answer, TLV, or a data object list.

use emv::core::apdu::Command;

use super::tlv::Object;
use super::{Decoder, Malformed, Node, names, tlv, wanted};

impl Decoder {
    /// Explains bytes as what they look like: a command with a known instruction; an answer, TLV before a known status
    /// word; TLV; a data object list. Commands and answers are remembered for what follows them.
    ///
    /// # Errors
    /// [`Malformed`] when they are none of it, with the place where reading them as TLV failed.
    pub fn explain(&mut self, bytes: &[u8]) -> Result<Node, Malformed> {
        if bytes.is_empty() {
            return Err(Malformed {
                offset: 0,
                what: "there is nothing to decode",
            });
        }
        if looks_like_command(bytes)
            && let Some(node) = self.command_node(bytes)
        {
            return Ok(node);
        }
        if looks_like_answer(bytes)
            && let Some(node) = self.response_node(bytes)
        {
            return Ok(node);
        }
        let objects = Object::all(bytes);
        // A list may happen to parse as TLV, but then with names that nobody knows.
        let sound = |objects: &Vec<Object<'_>>| objects.iter().all(|o| self.knows(o.tag));
        if !objects.as_ref().is_ok_and(sound)
            && let Ok(list) = tlv::list(bytes)
            && list.len() > 1
            && list.iter().all(|(tag, _)| self.knows(*tag))
        {
            let name = format!("data object list of {} bytes", bytes.len());
            let mut node = Node::message(name, bytes.len());
            node.children = wanted(&list, self.scheme());
            return Ok(node);
        }
        let objects = objects?;
        self.remember(&objects);
        let mut nodes = self.top(&objects);
        if nodes.len() == 1
            && let Some(node) = nodes.pop()
        {
            return Ok(node);
        }
        let name = format!("{} data objects, {} bytes", nodes.len(), bytes.len());
        let mut node = Node::message(name, bytes.len());
        node.children = nodes;
        Ok(node)
    }

    fn knows(&self, tag: u32) -> bool {
        names::known(tag, None, self.scheme()).is_some()
    }
}

/// Whether a card would take the bytes for a command. What begins with 80 may be a template of that tag, whose second
/// byte is then a length and no instruction.
fn looks_like_command(bytes: &[u8]) -> bool {
    let Ok(command) = Command::from_bytes(bytes) else {
        return false;
    };
    let (class, instruction) = (command.cla.0, command.ins.0);
    let plain = [0x00, 0x80].contains(&class);
    plain
        && names::known_instruction(class, instruction).is_some()
        && (class == 0x00 || Object::all(bytes).is_err())
}

/// Whether the bytes end in a status word behind TLV, or are one.
fn looks_like_answer(bytes: &[u8]) -> bool {
    let Some((data, status)) = bytes.split_last_chunk::<2>() else {
        return false;
    };
    names::known_status(u16::from_be_bytes(*status)).is_some() && Object::all(data).is_ok()
}
