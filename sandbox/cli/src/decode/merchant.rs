//! A merchant-presented code, object by object: read by the core, named by EMV QRCPS Merchant-Presented Mode 1.1.

use sandbox_terminal::trace::Node;
use tapcore::code::mpm::{self, Initiation, MerchantCode, Tip};

/// A template, by its id, and what is in it.
const TEMPLATES: [std::ops::RangeInclusive<u8>; 4] = [26..=51, 62..=62, 64..=64, 80..=99];

/// Names every object of a code that the core takes.
///
/// # Errors
/// The core's sentence about what is damaged, or what the shop has to mend.
pub(super) fn explain(text: &str) -> anyhow::Result<Node> {
    let code = mpm::parse(text)?;
    let length = text.chars().count();
    let kind = match code.initiation {
        Initiation::Static => "static",
        Initiation::Dynamic => "dynamic, for one payment",
    };
    let name = format!("merchant-presented code, {kind}, {length} characters, checksum right");
    let mut node = Node::code(name, length);
    node.children = objects(text)
        .map(|(id, value)| object(&code, id, value))
        .collect();
    Ok(node)
}

fn object(code: &MerchantCode, id: u8, value: &str) -> Node {
    let length = value.chars().count();
    let template = TEMPLATES.iter().any(|ids| ids.contains(&id));
    let shown = (!template).then_some(value);
    let mut node = Node::text_object(&format!("{id:02}"), name(id), length, shown);
    node.meaning = meaning(code, id);
    if template {
        let children = objects(value).map(|(inner, value)| {
            let (number, length) = (format!("{inner:02}"), value.chars().count());
            Node::text_object(&number, inside(id, inner), length, Some(value))
        });
        node.children = children.collect();
    }
    node
}

/// Ids and values, one after the other. The core has found the whole sound; where a text is not, this ends.
fn objects(text: &str) -> impl Iterator<Item = (u8, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (id, after) = rest.split_at_checked(2)?;
        let (length, after) = after.split_at_checked(2)?;
        let length: usize = length.parse().ok()?;
        let end = after
            .char_indices()
            .nth(length)
            .map_or(after.len(), |(end, _)| end);
        let (value, after) = after.split_at_checked(end)?;
        rest = after;
        Some((id.parse::<u8>().ok()?, value))
    })
}

fn name(id: u8) -> &'static str {
    match id {
        0 => "Payload Format Indicator",
        1 => "Point of Initiation Method",
        2..=51 => "Merchant Account Information",
        52 => "Merchant Category Code",
        53 => "Transaction Currency",
        54 => "Transaction Amount",
        55 => "Tip or Convenience Indicator",
        56 => "Value of Convenience Fee Fixed",
        57 => "Value of Convenience Fee Percentage",
        58 => "Country Code",
        59 => "Merchant Name",
        60 => "Merchant City",
        61 => "Postal Code",
        62 => "Additional Data Field Template",
        63 => "Cyclic Redundancy Check (CRC)",
        64 => "Merchant Information - Language Template",
        80..=99 => "Unreserved Template",
        _ => "reserved for later use",
    }
}

/// The name of an object inside a template.
fn inside(template: u8, id: u8) -> &'static str {
    match (template, id) {
        (26..=51 | 80..=99, 0) => "Globally Unique Identifier",
        (26..=51 | 80..=99, _) => "network specific data",
        (62, 1) => "Bill Number",
        (62, 2) => "Mobile Number",
        (62, 3) => "Store Label",
        (62, 4) => "Loyalty Number",
        (62, 5) => "Reference Label",
        (62, 6) => "Customer Label",
        (62, 7) => "Terminal Label",
        (62, 8) => "Purpose of Transaction",
        (62, 9) => "Additional Consumer Data Request",
        (62, 10) => "Merchant Tax ID",
        (62, 11) => "Merchant Channel",
        (62, 50..=99) => "Payment System Specific Template",
        (64, 0) => "Language Preference",
        (64, 1) => "Merchant Name - Alternate Language",
        (64, 2) => "Merchant City - Alternate Language",
        _ => "reserved for later use",
    }
}

/// What the core took a value for, where that is more than the value itself says.
fn meaning(code: &MerchantCode, id: u8) -> Option<String> {
    match id {
        1 => Some(match code.initiation {
            Initiation::Static => "static: shown to many".to_owned(),
            Initiation::Dynamic => "dynamic: made for one payment".to_owned(),
        }),
        53 => Some(code.currency.code().to_owned()),
        54 => code
            .amount
            .map(|money| format!("{} minor units", money.minor)),
        55 => code.tip.map(|tip| {
            match tip {
                Tip::Asked => "the person is asked for a tip",
                Tip::Fixed(_) => "a fixed fee",
                Tip::HundredthsOfPercent(_) => "a fee in percent",
            }
            .to_owned()
        }),
        63 => Some("right".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_characters() {
        let read: Vec<_> = objects("0002ZH0104最佳运输0202北京").collect();
        assert_eq!(read, [(0, "ZH"), (1, "最佳运输"), (2, "北京")]);
        assert_eq!(objects("00").count(), 0);
    }
}
