//! The decoder behind `--trace`: every APDU tag by tag, and bit by bit where bits mean something.
//!
//! A [`Decoder`] follows one conversation (it needs the PDOL to read the data of GET PROCESSING OPTIONS, and the
//! selected application to read qualifiers); [`objects`] explains loose TLV. Numbers, track data, PIN data and names
//! are masked, and raw bytes of a command or answer are never printed whole.

mod bits;
mod mask;
mod names;
mod value;

pub use mask::mask_number;

use emv::Tag;
use emv::core::apdu::Command;
use emv::core::dol::Dol;
use emv::core::tlv::{Tlv, Value, parse_length};

/// The RID of UnionPay, whose qualifiers have a layout of their own.
const UNIONPAY: &[u8] = &[0xA0, 0x00, 0x00, 0x03, 0x33];

/// Follows a conversation between reader and card.
#[derive(Debug, Default)]
pub struct Decoder {
    application: Option<Vec<u8>>,
    pdol: Option<Dol>,
}

impl Decoder {
    /// Explains a command, several lines, each ended.
    pub fn command(&mut self, bytes: &[u8]) -> String {
        let Ok(command) = Command::from_bytes(bytes) else {
            return format!("-> {} bytes that are no command\n", bytes.len());
        };
        let mut out = format!(
            "-> {} ({:02X} {:02X} {:02X} {:02X})",
            names::instruction(command.cla.0, command.ins.0),
            command.cla.0,
            command.ins.0,
            command.p1,
            command.p2
        );
        match (command.cla.0, command.ins.0) {
            (0x00, 0xA4) => {
                out.push_str(&format!("  {}\n", value::name(&command.data)));
                self.application = Some(command.data);
                self.pdol = None;
            }
            (0x00, 0xB2) => {
                out.push_str(&format!(
                    "  file {}, record {}\n",
                    command.p2 >> 3,
                    command.p1
                ));
            }
            (0x80, 0xA8) => {
                out.push('\n');
                self.pdol_data(&command.data, &mut out);
            }
            _ => out.push_str(&format!("  {} bytes of data\n", command.data.len())),
        }
        out
    }

    /// Explains an answer, several lines, each ended.
    pub fn response(&mut self, bytes: &[u8]) -> String {
        let Some((data, &[sw1, sw2])) = bytes.split_last_chunk::<2>() else {
            return format!("<- {} bytes that are no answer\n", bytes.len());
        };
        let status = u16::from_be_bytes([sw1, sw2]);
        let mut out = format!(
            "<- {status:04X} {}, {} bytes of data\n",
            names::status(status),
            data.len()
        );
        if data.is_empty() {
            return out;
        }
        match Tlv::parse_all(data) {
            Ok(list) => {
                for tlv in &list {
                    if let Some(pdol) = tlv
                        .find(Tag(0x9F38))
                        .and_then(|object| object.value().as_primitive())
                    {
                        self.pdol = Dol::parse(pdol).ok();
                    }
                    self.object(tlv, None, 1, &mut out);
                }
            }
            Err(why) => out.push_str(&format!("   not TLV: {why}\n")),
        }
        out
    }

    /// The data of GET PROCESSING OPTIONS, cut up by the card's PDOL.
    fn pdol_data(&self, data: &[u8], out: &mut String) {
        let inner = data.strip_prefix(&[0x83]).and_then(|rest| {
            parse_length(rest)
                .ok()
                .and_then(|(length, size)| rest.get(size..size + length))
        });
        let Some(mut rest) = inner else {
            out.push_str(&format!(
                "   {} bytes that are no command template\n",
                data.len()
            ));
            return;
        };
        out.push_str(&format!("   83 {}\n", names::tag(Tag(0x83), None)));
        for entry in self.pdol.iter().flat_map(|pdol| &pdol.0) {
            let Some((value, after)) = rest.split_at_checked(usize::from(entry.length)) else {
                break;
            };
            self.primitive(entry.tag, None, value, 2, out);
            rest = after;
        }
        if !rest.is_empty() {
            out.push_str(&format!(
                "      {} bytes that the PDOL does not name\n",
                rest.len()
            ));
        }
    }

    fn object(&self, tlv: &Tlv, parent: Option<Tag>, depth: usize, out: &mut String) {
        match tlv.value() {
            Value::Primitive(value) => self.primitive(tlv.tag(), parent, value, depth, out),
            Value::Constructed(children) => {
                let indent = "   ".repeat(depth);
                out.push_str(&format!(
                    "{indent}{:02X} {}\n",
                    tlv.tag().0,
                    names::tag(tlv.tag(), parent)
                ));
                for child in children {
                    self.object(child, Some(tlv.tag()), depth + 1, out);
                }
            }
        }
    }

    fn primitive(
        &self,
        tag: Tag,
        parent: Option<Tag>,
        value: &[u8],
        depth: usize,
        out: &mut String,
    ) {
        let indent = "   ".repeat(depth);
        let name = names::tag(tag, parent);
        out.push_str(&format!(
            "{indent}{:02X} {name}: {}\n",
            tag.0,
            value::show(tag.0, value)
        ));
        let unionpay = self
            .application
            .as_ref()
            .is_none_or(|aid| aid.starts_with(UNIONPAY));
        for line in value::details(tag.0, value)
            .into_iter()
            .chain(bits::explain(tag.0, value, unionpay))
        {
            out.push_str(&format!("{indent}      {line}\n"));
        }
    }
}

/// Explains a list of TLV objects outside of any conversation, several lines, each ended.
///
/// # Errors
/// A clause that says why the bytes are no TLV.
pub fn objects(bytes: &[u8]) -> Result<String, String> {
    let list = Tlv::parse_all(bytes).map_err(|why| why.to_string())?;
    let mut out = String::new();
    for tlv in &list {
        Decoder::default().object(tlv, None, 0, &mut out);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_explained_and_masked() {
        let mut decoder = Decoder::default();
        let select = decoder.command(&hex::decode("00A4040008A00000033301010100").unwrap());
        assert_eq!(select, "-> SELECT (00 A4 04 00)  A000000333010101\n");
        let fci = "6F178408A000000333010101A50B5F2D027A689F38039F66049000";
        let answer = decoder.response(&hex::decode(fci).unwrap());
        assert!(
            answer.starts_with("<- 9000 OK, 25 bytes of data\n   6F "),
            "{answer}"
        );
        assert!(
            answer.contains("5F2D Language Preference: 7A68 \"zh\""),
            "{answer}"
        );
        assert!(answer.contains("wants 9F66, length 4"), "{answer}");
        let options = decoder.command(&hex::decode("80A800000683046680000000").unwrap());
        assert!(
            options.contains("9F66 Terminal Transaction Qualifiers (TTQ): 66800000"),
            "{options}"
        );
        assert!(options.contains("bit 6  qPBOC supported"), "{options}");
        let record = "701E5A08622848040256489057126228480402564890D291222000000000123F9000";
        let record = decoder.response(&hex::decode(record).unwrap());
        assert!(record.contains("622848******4890"), "{record}");
        assert!(
            !record.contains("0402564890") && !record.contains("123"),
            "{record}"
        );
    }

    #[test]
    fn any_bytes_are_survived() {
        let mut decoder = Decoder::default();
        let mut seed = 1u32;
        for length in 0..200usize {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    seed.to_be_bytes()[0]
                })
                .collect();
            decoder.command(&bytes);
            decoder.response(&bytes);
            let _ = objects(&bytes);
        }
    }
}
