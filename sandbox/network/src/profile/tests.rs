//! The profiles as terminals and phones see them.

use super::card::mmyy;
use super::iad::{CardResult, Iad};
use super::*;
use crate::certificate::{
    CA_BITS, CA_INDEX, CARD_BITS, ISSUER_BITS, RsaKey, certify_card, certify_issuer,
};
use emv::core::oda::{CaPublicKey, recover_icc_public_key, recover_issuer_public_key};
use serde_json::json;
use time::macros::date;

fn card(scheme: Scheme) -> CardData<'static> {
    CardData {
        token: match scheme {
            Scheme::UnionPay => "6258070000000007",
            Scheme::Visa => "4895070000000008",
            Scheme::Mastercard => "5204070000000006",
        },
        psn: "01",
        expiry: date!(2029 - 12 - 31),
        effective: date!(2026 - 11 - 22),
    }
}

/// A profile whose certificates are of the right sizes and certify nothing.
fn blank(scheme: Scheme) -> Profile {
    let certificate = |signature: usize, remainder: usize| Certificate {
        signature: vec![0; signature],
        remainder: vec![0; remainder],
        exponent: vec![3],
    };
    let certificates = Certificates {
        issuer: &certificate(176, 4),
        card: &certificate(144, 26),
    };
    scheme.profile(&card(scheme), certificates).unwrap()
}

fn computed_size(profile: &Profile, tag: &str) -> usize {
    let parts = profile.iad.iter().map(|part| match part {
        IadPart::Fixed(bytes) => bytes.len() / 2,
        IadPart::KeyIndex => 4,
        IadPart::Result(results) => results.online.len() / 2,
    });
    match tag {
        "9F10" => parts.sum(),
        "9F26" | "9F69" => 8,
        "9F36" => 2,
        "9F4B" => 128,
        other => panic!("nobody computes {other}"),
    }
}

/// Size of the objects in a template.
fn size(profile: &Profile, objects: &[Object]) -> usize {
    let content: usize = objects
        .iter()
        .map(|object| {
            let value = object
                .value
                .as_ref()
                .map_or_else(|| computed_size(profile, &object.tag), |hex| hex.len() / 2);
            object.tag.len() / 2 + 1 + usize::from(value > 127) + value
        })
        .sum();
    content + 2 + usize::from(content > 127)
}

/// Template 70 as a terminal reads it, without tag and length.
fn content(record: &Record) -> Vec<u8> {
    card::encoded(&record.objects, "").unwrap()
}

#[test]
fn the_whole_chain_of_every_scheme_holds() {
    let (ca, issuer, own) = (
        RsaKey::generate(CA_BITS).unwrap(),
        RsaKey::generate(ISSUER_BITS).unwrap(),
        RsaKey::generate(CARD_BITS).unwrap(),
    );
    for scheme in Scheme::ALL {
        let data = card(scheme);
        let issued =
            certify_issuer(&ca, &issuer, scheme.token_bin(), [0x12, 0x36], [0; 3]).unwrap();
        let carded = certify_card(
            &issuer,
            &own,
            data.token,
            mmyy(data.expiry).unwrap(),
            [0; 3],
            &scheme.static_data(&data).unwrap(),
        )
        .unwrap();
        let certificates = Certificates {
            issuer: &issued,
            card: &carded,
        };
        let profile = scheme.profile(&data, certificates).unwrap();

        // As a terminal reads it: certificates from the records, static data from the flagged record and the AIP.
        let value = |tag: &str| {
            let mut objects = profile.records.iter().flat_map(|record| &record.objects);
            let object = objects.find(|object| object.tag == tag);
            hex::decode(object.unwrap().value.as_ref().unwrap()).unwrap()
        };
        assert_eq!(value("8F"), [CA_INDEX]);
        assert_eq!(value("9F4A"), [0x82]);
        let root = CaPublicKey {
            rid: scheme.rid(),
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
        let mut signed = content(&profile.records[0]);
        let aip = profile.paths[0].answer[0].value.as_ref().unwrap();
        signed.extend(hex::decode(aip).unwrap());
        let recovered = recover_icc_public_key(
            &issuer_key,
            &value("9F46"),
            Some(&value("9F48")),
            &value("9F47"),
            &signed,
            &pan,
            today,
        )
        .unwrap();
        assert_eq!(recovered.modulus, own.modulus());
    }
}

#[test]
fn every_answer_fits_one_apdu() {
    for scheme in Scheme::ALL {
        let profile = blank(scheme);
        let mut answers: Vec<&[Object]> = profile
            .paths
            .iter()
            .map(|path| path.answer.as_slice())
            .collect();
        if let Flow::GenerateAc(flow) = &profile.flow {
            answers.extend([&flow.answer[..], &flow.cda_answer[..], &flow.declined[..]]);
        }
        let records = profile.records.iter();
        answers.extend(records.map(|record| record.objects.as_slice()));
        for objects in answers {
            let size = size(&profile, objects);
            assert!(size <= 252, "{}: {size}", scheme.name());
        }
        let aid = &profile.applications[0].aid;
        assert!(aid.starts_with(&hex::encode_upper(scheme.rid())), "{aid}");
        // The AFL names the records that are there.
        assert!(
            profile
                .records
                .iter()
                .zip(1..)
                .all(|(record, number)| { (record.sfi, record.number) == (1, number) })
        );
    }
}

#[test]
fn the_expiry_is_never_in_the_last_record_of_quickpass() {
    for scheme in [Scheme::UnionPay, Scheme::Visa] {
        let profile = blank(scheme);
        // The short path ends with record 2, the long one with record 6.
        for last in [&profile.records[1], &profile.records[5]] {
            assert!(last.objects.iter().all(|object| object.tag != "5F24"));
        }
        assert_eq!(profile.records.len(), 6);
    }
}

#[test]
fn json_has_the_form_that_phones_expect() {
    let json = serde_json::to_value(blank(Scheme::UnionPay)).unwrap();
    assert_eq!(json["scheme"], "unionpay");
    assert_eq!(json["flow"], "gpo");
    assert_eq!(
        json["iad"],
        json!([
            {"fixed": "0B0101"},
            {"result": {"online": "03A00000", "verified": "03A40000", "declined": "03800000"}},
            {"fixed": "01"},
            "key_index",
        ])
    );
    let answer = &json["paths"][3]["answer"];
    assert_eq!(answer[4], json!({"tag": "9F10"}));
    assert_eq!(answer[2]["value"], "6258070000000007D29122200000000000");
    assert_eq!(
        answer[8],
        json!({"tag": "9F6C", "value": "0000", "verified": "0080"})
    );
    // Where the reader wants verification, a PIN is asked for.
    assert_eq!(json["paths"][2]["when"]["mask"], "00400000");
    assert_eq!(json["paths"][2]["answer"][8]["value"], "8000");
    assert_eq!(json["paths"][0]["when"]["mask"], "00400080");
    assert_eq!(json["oda"], json!({"method": "fdda_01", "ctq_tag": "9F6C"}));
    let wants = json!({"tag": "9F66", "mask": "00400000"});
    assert_eq!(
        json["verification"],
        json!({"ask": "6986", "reader_wants": wants})
    );
    assert_eq!(json["country"], "0156");

    let visa = serde_json::to_value(blank(Scheme::Visa)).unwrap();
    assert_eq!(visa["applications"][0]["aid"], "A0000000031010");
    assert_eq!(visa["paths"][0]["when"]["mask"], "01400000");
    assert_eq!(visa["paths"][1]["when"]["mask"], "01000000");
    assert_eq!(visa["cryptogram"]["key_method"], "limited_use_key");
}

#[test]
fn a_mastercard_style_profile_answers_generate_ac() {
    let profile = blank(Scheme::Mastercard);
    let json = serde_json::to_value(&profile).unwrap();
    assert_eq!(json["pdol"], "");
    assert_eq!(
        json["paths"],
        json!([{"name": "emv", "answer": [{"tag": "82", "value": "1B80"}, {"tag": "94", "value": "08010401"}]}])
    );
    let flow = &json["flow"]["generate_ac"];
    assert_eq!(
        flow["cda_answer"],
        json!([
            {"tag": "9F27", "value": "80"},
            {"tag": "9F36"},
            {"tag": "9F4B"},
            {"tag": "9F10"},
            {"tag": "DF4B", "value": "000000", "verified": "001000"},
        ])
    );
    assert_eq!(
        flow["declined"][4],
        json!({"tag": "DF4B", "value": "000000"})
    );
    assert_eq!(
        flow["see_phone"][4],
        json!({"tag": "DF4B", "value": "000100"})
    );
    assert_eq!(json["cryptogram"]["key_method"], "session_key");
    assert_eq!(json["oda"], json!({"method": "cda"}));
    let wants = json!({"tag": "9F34", "mask": "FF00FF", "value": "010002"});
    assert_eq!(
        json["verification"],
        json!({"ask": "declined_ac", "reader_wants": wants})
    );
    let objects = &profile.records[0].objects;
    let cdol = objects.iter().find(|object| object.tag == "8C").unwrap();
    assert_eq!(cdol.value.as_ref().unwrap(), &flow["cdol"]);
}

#[test]
fn issuer_data_is_read_back_by_its_template() {
    let said = |scheme: Scheme, text: &str| {
        let iad = hex::decode(text).unwrap();
        iad::read(&scheme.iad(), &iad).map(|Iad { key_index, result }| (key_index, result))
    };
    let index = || "6570201".to_owned();
    let zeros = "00".repeat(20);
    for (scheme, text, result) in [
        (
            Scheme::UnionPay,
            "0B010103A000000106570201".to_owned(),
            CardResult::Online,
        ),
        (
            Scheme::UnionPay,
            "0B010103A400000106570201".to_owned(),
            CardResult::Verified,
        ),
        (
            Scheme::UnionPay,
            "0B0101038000000106570201".to_owned(),
            CardResult::Other,
        ),
        (
            Scheme::Visa,
            format!("1F43010003A0000006570201{zeros}"),
            CardResult::Online,
        ),
        (
            Scheme::Mastercard,
            "0110A4000000000006570201".to_owned(),
            CardResult::Verified,
        ),
        (
            Scheme::Mastercard,
            "0110FFFFFFFFFFFF06570201".to_owned(),
            CardResult::Other,
        ),
    ] {
        assert_eq!(said(scheme, &text), Some((index(), result)), "{text}");
        // One byte less or more is another form.
        assert_eq!(said(scheme, &text[2..]), None);
        assert_eq!(said(scheme, &text[..text.len() - 2]), None);
        assert_eq!(said(scheme, &format!("{text}00")), None);
    }
    for other in [
        "",
        "0B010103A000000116570201",
        "0B010103A00000010657020A",
        "0B010103A000000006570201",
    ] {
        assert_eq!(said(Scheme::UnionPay, other), None, "{other}");
    }
}

#[test]
fn a_code_has_the_interchange_profile_of_the_path_for_zeros() {
    for scheme in Scheme::ALL {
        let profile = blank(scheme);
        // No bit that a condition looks for is set in zeros; a path without a condition is always there.
        let path = profile.paths.iter().find(|path| path.when.is_none());
        let answer = &path.unwrap().answer;
        let aip = answer.iter().find(|object| object.tag == "82").unwrap();
        assert_eq!(aip.value.as_deref(), Some(scheme.aip_unasked()));
    }
}
