//! Mastercard style (kernel 2, M/Chip): the GPO tells AIP and AFL alone, the records follow, and GENERATE AC answers
//! with the cryptogram, inside a signature (CDA) when the reader asks for one.

use super::card::{CardData, yymmdd};
use super::{
    Application, COUNTRY, Certificates, Flow, GenerateAc, IadPart, Object, Oda, Path, Profile,
    Results, Verification, When, card_record, issuer_records, record,
};
use crate::scheme::Scheme;

/// Cardholder verification, terminal risk management, verification on the device, CDA; EMV mode.
pub(super) const AIP: &str = "1B80";
/// File 1, records 1 to 4; record 1 is signed.
const AFL: &str = "08010401";
const CDOL: &str = "9F02069F03069F1A0295055F2A029A039C019F37049F35019F34039F4E14";
/// Online PIN, signature, none: each where the terminal can, no amounts.
const CVM_LIST: &str = "000000000000000042031E031F03";

/// The signed record's objects. 9F4A says that the AIP is signed as well.
pub(super) fn signed(card: &CardData<'_>) -> anyhow::Result<Vec<Object>> {
    Ok(vec![
        Object::of("57", card.track2()),
        Object::of("5A", card.pan()?),
        Object::of("5F24", yymmdd(card.expiry)),
        Object::of("5F25", yymmdd(card.effective)),
        Object::of("5F28", COUNTRY),
        Object::of("5F34", card.psn),
        Object::of("8C", CDOL),
        Object::of("8E", CVM_LIST),
        Object::of("9F07", "FFC0"),
        Object::of("9F08", "0002"),
        // Whatever the terminal finds, the issuer is asked: nothing denies offline.
        Object::of("9F0D", "0000000000"),
        Object::of("9F0E", "0000000000"),
        Object::of("9F0F", "F450848C00"),
        Object::of("9F42", "0156"),
        Object::of("9F4A", "82"),
    ])
}

pub(super) fn profile(
    card: &CardData<'_>,
    certificates: Certificates<'_>,
) -> anyhow::Result<Profile> {
    let mut records = vec![record(1, signed(card)?)];
    records.extend(issuer_records(2, certificates.issuer));
    records.push(card_record(4, certificates.card));
    Ok(Profile {
        version: 1,
        scheme: Scheme::Mastercard,
        flow: Flow::GenerateAc(generate_ac()),
        applications: vec![Application {
            aid: "A0000000041010".into(),
            label: "Mastercard".into(),
            priority: 1,
        }],
        fci: vec![Object::of("5F2D", hex::encode_upper("en"))],
        pdol: String::new(),
        paths: vec![Path {
            name: "emv".into(),
            when: None,
            answer: vec![Object::of("82", AIP), Object::of("94", AFL)],
        }],
        records,
        iad: Scheme::Mastercard.iad(),
        cryptogram: Scheme::Mastercard.cryptogram(),
        oda: Some(Oda {
            method: "cda".into(),
            ctq_tag: None,
        }),
        verification: Verification {
            ask: "declined_ac".into(),
            // Verification results: the reader has left it to the device and takes any ARQC for a verified one.
            reader_wants: Some(When {
                tag: "9F34".into(),
                mask: "FF00FF".into(),
                value: Some("010002".into()),
            }),
        },
        country: COUNTRY.into(),
    })
}

fn generate_ac() -> GenerateAc {
    // POS cardholder interaction information, byte 2: bit 5 verified on the device, bit 1 the person must look at it.
    let interaction = Object::either("DF4B", "000000", "001000");
    GenerateAc {
        cdol: CDOL.into(),
        answer: vec![
            Object::of("9F27", "80"),
            Object::computed("9F36"),
            Object::computed("9F26"),
            Object::computed("9F10"),
            interaction.clone(),
        ],
        cda_answer: vec![
            Object::of("9F27", "80"),
            Object::computed("9F36"),
            Object::computed("9F4B"),
            Object::computed("9F10"),
            interaction,
        ],
        declined: declined("000000"),
        see_phone: declined("000100"),
    }
}

fn declined(interaction: &str) -> Vec<Object> {
    vec![
        Object::of("9F27", "00"),
        Object::computed("9F36"),
        Object::computed("9F26"),
        Object::computed("9F10"),
        Object::of("DF4B", interaction),
    ]
}

/// Derivation key index and cryptogram version, card verification results, key index.
pub(super) fn iad() -> Vec<IadPart> {
    vec![
        IadPart::Fixed("0110".into()),
        IadPart::Result(Results {
            online: "A00000000000".into(),
            verified: "A40000000000".into(),
            declined: "800000000000".into(),
        }),
        IadPart::KeyIndex,
    ]
}
