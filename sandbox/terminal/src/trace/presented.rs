//! Codes that are no conversation with a card: the consumer-presented one, which is TLV, and the objects of others.

use super::tlv::Object;
use super::{Decoder, Malformed, Node};

/// Templates that only consumer-presented codes have (EMV QRCPS CPM 1.1), or call otherwise.
const NAMES: [(&str, &str); 6] = [
    ("85", "Payload Format Indicator"),
    ("61", "Application Template"),
    ("62", "Common Data Template"),
    ("63", "Application Specific Transparent Template"),
    ("64", "Common Data Transparent Template"),
    ("9F37", "Unpredictable Number, here the step of time"),
];

impl Decoder {
    /// Explains the bytes of a consumer-presented code.
    ///
    /// # Errors
    /// [`Malformed`] when they are none, with the place.
    pub fn presented(&mut self, bytes: &[u8]) -> Result<Node, Malformed> {
        let objects = Object::all(bytes)?;
        let begin = objects.first().map(|object| (object.tag, object.value));
        if begin != Some((0x85, &b"CPV01"[..])) {
            return Err(Malformed {
                offset: 0,
                what: "a consumer-presented code begins with object 85, CPV01",
            });
        }
        self.remember(&objects);
        let name = format!("consumer-presented code, {} bytes", bytes.len());
        let mut node = Node::message(name, bytes.len());
        node.children = self.top(&objects);
        node.children.iter_mut().for_each(rename);
        Ok(node)
    }
}

fn rename(node: &mut Node) {
    let tag = node.tag.as_deref();
    let named = NAMES.iter().find(|(own, _)| Some(*own) == tag);
    if let Some((_, name)) = named {
        node.name = (*name).to_owned();
    }
    node.children.iter_mut().for_each(rename);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_s_templates_have_their_own_names() {
        let bytes = hex::decode("8505435056303161094F07A0000000555555620C640A9F360200019F37020005");
        let code = Decoder::default().presented(&bytes.unwrap()).unwrap();
        let names: Vec<_> = code.children.iter().map(|node| &node.name).collect();
        assert_eq!(
            names,
            [
                "Payload Format Indicator",
                "Application Template",
                "Common Data Template"
            ]
        );
        let payment = &code.children[2].children[0];
        assert_eq!(payment.name, "Common Data Transparent Template");
        assert_eq!(payment.children[0].tag.as_deref(), Some("9F36"));
        let other = Decoder::default().presented(&[0x9F, 0x36, 2, 0, 1]);
        assert_eq!(other.unwrap_err().offset, 0);
    }
}
