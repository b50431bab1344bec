//! The profile as terminals and phones see it.

use super::*;
use crate::certificate::{
    CA_BITS, CARD_BITS, ISSUER_BITS, RID, RsaKey, certify_card, certify_issuer,
};
use emv::core::oda::{CaPublicKey, recover_icc_public_key, recover_issuer_public_key};
use time::macros::date;

const CARD: CardData<'static> = CardData {
    token: "6258070000000007",
    psn: "01",
    expiry: date!(2029 - 12 - 31),
    effective: date!(2026 - 11 - 22),
};

fn computed_size(tag: &str) -> usize {
    match tag {
        "9F10" => 12,
        "9F26" => 8,
        "9F36" => 2,
        "9F4B" => 128,
        "9F69" => 8,
        other => panic!("nobody computes {other}"),
    }
}

/// Size of the objects in a template.
fn size(objects: &[Object]) -> usize {
    let content: usize = objects
        .iter()
        .map(|object| {
            let value = object
                .value
                .as_ref()
                .map_or_else(|| computed_size(&object.tag), |hex| hex.len() / 2);
            object.tag.len() / 2 + 1 + usize::from(value > 127) + value
        })
        .sum();
    content + 2 + usize::from(content > 127)
}

#[test]
fn the_whole_chain_holds_and_every_answer_fits() {
    let (ca, issuer, card) = (
        RsaKey::generate(CA_BITS).unwrap(),
        RsaKey::generate(ISSUER_BITS).unwrap(),
        RsaKey::generate(CARD_BITS).unwrap(),
    );
    let issued = certify_issuer(&ca, &issuer, "625807", [0x12, 0x36], [0; 3]).unwrap();
    let signed = CARD.static_data().unwrap();
    let carded = certify_card(
        &issuer,
        &card,
        CARD.token,
        mmyy(CARD.expiry).unwrap(),
        [0; 3],
        &signed,
    )
    .unwrap();
    let profile = quickpass(&CARD, Some((&issued, &carded))).unwrap();

    for path in &profile.paths {
        assert!(
            size(&path.answer) < 256,
            "{}: {}",
            path.name,
            size(&path.answer)
        );
    }
    for record in &profile.records {
        assert!(size(&record.objects) <= 250);
    }
    let last = profile.records.last().unwrap();
    assert_eq!(last.objects, [Object::computed("9F69")]);

    // As a terminal reads it: certificates from the records, static data from the flagged record and the AIP.
    let value = |tag: &str| {
        let object = profile
            .records
            .iter()
            .flat_map(|record| &record.objects)
            .find(|o| o.tag == tag);
        hex::decode(object.unwrap().value.as_ref().unwrap()).unwrap()
    };
    assert_eq!(value("8F"), [CA_INDEX]);
    let root = CaPublicKey {
        rid: RID,
        index: CA_INDEX,
        modulus: ca.modulus(),
        exponent: ca.exponent(),
    };
    let today = [0x11, 0x26];
    let pan = value("5A");
    let issuer_key = recover_issuer_public_key(
        &root,
        &value("90"),
        Some(&value("92")),
        &value("9F32"),
        &pan,
        today,
    )
    .unwrap();
    let mut data = hex::decode(concat!(
        "5A086258070000000007",
        "5F2403291231",
        "5F2503261122",
        "5F340101",
        "9F4A0182"
    ))
    .unwrap();
    data.extend([0x20, 0x00]);
    let recovered = recover_icc_public_key(
        &issuer_key,
        &value("9F46"),
        Some(&value("9F48")),
        &value("9F47"),
        &data,
        &pan,
        today,
    )
    .unwrap();
    assert_eq!(recovered.modulus, card.modulus());
}

#[test]
fn the_expiry_is_never_in_the_last_record() {
    let profile = quickpass(&CARD, None).unwrap();
    assert_eq!(profile.paths.len(), 1);
    assert!(profile.oda.is_none());
    let last = profile.records.last().unwrap();
    assert!(last.objects.iter().all(|object| object.tag != "5F24"));
}

#[test]
fn json_has_the_form_that_phones_expect() {
    let json = serde_json::to_value(quickpass(&CARD, None).unwrap()).unwrap();
    assert_eq!(
        json["iad"],
        serde_json::json!([{"fixed": "0B010103A0000001"}, "key_index"])
    );
    assert_eq!(
        json["paths"][0]["answer"][4],
        serde_json::json!({"tag": "9F10"})
    );
    assert_eq!(
        json["paths"][0]["answer"][2]["value"],
        "6258070000000007D29122200000000000"
    );
    assert_eq!(json["oda"], serde_json::Value::Null);
}

#[test]
fn the_key_index_is_read_from_issuer_data() {
    let iad = hex::decode("0B010103A000000106570201").unwrap();
    assert_eq!(key_index_of(&iad).as_deref(), Some("6570201"));
    assert_eq!(key_index_of(&iad[..11]), None);
    assert_eq!(key_index_of(&[]), None);
    assert_eq!(
        key_index_of(&hex::decode("0B010103A000000116570201").unwrap()),
        None
    );
    assert_eq!(
        key_index_of(&hex::decode("0B010103A00000010657020A").unwrap()),
        None
    );
}
