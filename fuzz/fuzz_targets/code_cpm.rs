//! Consumer-presented codes: whatever a card's profile says is refused, or is a code that readers take and a symbol holds.
//!
//! The input is values, each behind a byte with its length: AID, label, issuer application data, then data objects whose
//! first byte chooses the tag.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapcore::code::cpm::{CpmApplication, CpmCode, CpmPayment};
use tapcore::code::symbol::qr;
use tapcore::emv::tlv::Tag;

/// Known ones, and one of the payment's own.
const TAGS: [u32; 10] = [
    0x57, 0x5A, 0x5F20, 0x5F2D, 0x5F50, 0x9F08, 0x9F19, 0x9F24, 0x9F25, 0x9F26,
];

fuzz_target!(|data: &[u8]| {
    let mut values = Vec::new();
    let mut rest = data;
    while let Some((&length, after)) = rest.split_first() {
        let (value, after) = after.split_at(usize::from(length).min(after.len()));
        values.push(value);
        rest = after;
    }
    let [aid, label, iad, objects @ ..] = &values[..] else {
        return;
    };
    let objects: Vec<(Tag, &[u8])> = objects
        .iter()
        .filter_map(|object| object.split_first())
        .map(|(&choice, value)| (Tag::new(TAGS[usize::from(choice) % TAGS.len()]), value))
        .collect();
    let (own, common) = objects.split_at(objects.len() / 2);
    let code = CpmCode {
        applications: &[CpmApplication {
            aid,
            label: std::str::from_utf8(label).ok(),
            objects: own,
        }],
        common,
        payment: Some(CpmPayment {
            iad,
            cryptogram: [0xAC; 8],
            atc: 1,
            unpredictable: [1, 2, 3, 4],
        }),
    };
    let Ok(text) = code.encode() else {
        return;
    };
    // 85 05 "CPV01" in base64.
    assert!(text.starts_with("hQVDUFYwM") && text.len() <= 512 && text.len() % 4 == 0);
    assert!((5..=16).contains(&aid.len()) && (1..=32).contains(&iad.len()));
    assert!(qr::encode(&text, qr::Masking::Fixed(0)).is_ok());
});
