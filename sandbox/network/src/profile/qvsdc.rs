//! What UnionPay and Visa style cards have in common (qUICS, qVSDC): the cryptogram comes with the answer to the GPO.
//!
//! Two paths answer the GPO: when the terminal asks for offline data authentication, the long one with certificates and
//! a dynamic signature (fDDA version 01); else the short one.

use super::card::{CardData, yymmdd};
use super::{
    Application, COUNTRY, Certificates, Flow, Object, Oda, Path, Profile, Record, Verification,
    When, card_record, issuer_records, record,
};
use crate::scheme::Scheme;

const PDOL: &str = "9F66049F02069F03069F1A0295055F2A029A039C019F37049F4E14";
/// Byte 2, bit 7 of the terminal transaction qualifiers: the reader wants cardholder verification.
const TTQ_CVM_REQUIRED: &str = "00400000";
/// Application interchange profile: dynamic data authentication.
pub(super) const AIP_FDDA: &str = "2000";
/// And without it, for a reader that does not ask.
pub(super) const AIP_ONLINE: &str = "0000";
/// File 1: records 1 and 2 are read on both paths, 3 to 6 belong to data authentication; record 1 is signed.
const AFL_FDDA: &str = "08010601";
const AFL_ONLINE: &str = "08010200";

/// In what such schemes differ.
pub(super) struct Style {
    pub(super) scheme: Scheme,
    pub(super) aid: &'static str,
    pub(super) label: &'static str,
    /// Tag 5F2D, ASCII.
    pub(super) languages: &'static str,
    /// Bits of the terminal transaction qualifiers that ask for fDDA.
    pub(super) ttq_fdda: &'static str,
    /// Card transaction qualifiers: where the reader wants no verification, where it does and nobody was verified, and
    /// with verification on the phone. A reader acts on them whether it asked or not.
    pub(super) ctq: [&'static str; 3],
}

/// The signed record's objects. 9F4A says that the AIP is signed as well.
pub(super) fn signed(card: &CardData<'_>) -> anyhow::Result<Vec<Object>> {
    Ok(vec![
        Object::of("5A", card.pan()?),
        Object::of("5F24", yymmdd(card.expiry)),
        Object::of("5F25", yymmdd(card.effective)),
        Object::of("5F34", card.psn),
        Object::of("9F4A", "82"),
    ])
}

/// The profile of a card.
pub(super) fn profile(
    style: &Style,
    card: &CardData<'_>,
    certificates: Certificates<'_>,
) -> anyhow::Result<Profile> {
    let when = |mask: &str| When {
        tag: "9F66".into(),
        mask: mask.into(),
        value: None,
    };
    let long = |asked| {
        let mut answer = answer(style, card, AIP_FDDA, AFL_FDDA, asked);
        answer.push(Object::computed("9F4B"));
        answer
    };
    let short = |asked| answer(style, card, AIP_ONLINE, AFL_ONLINE, asked);
    let both = both_bits(style.ttq_fdda, TTQ_CVM_REQUIRED)?;
    let path = |name: &str, when: Option<When>, answer| Path {
        name: name.into(),
        when,
        answer,
    };
    Ok(Profile {
        version: 1,
        scheme: style.scheme,
        flow: Flow::Gpo,
        applications: vec![Application {
            aid: style.aid.into(),
            label: style.label.into(),
            priority: 1,
        }],
        fci: vec![Object::of("5F2D", hex::encode_upper(style.languages))],
        pdol: PDOL.into(),
        paths: vec![
            path(
                "fdda, verification asked for",
                Some(when(&both)),
                long(true),
            ),
            path("fdda", Some(when(style.ttq_fdda)), long(false)),
            path(
                "online, verification asked for",
                Some(when(TTQ_CVM_REQUIRED)),
                short(true),
            ),
            path("online", None, short(false)),
        ],
        records: records(card, certificates)?,
        iad: style.scheme.iad(),
        cryptogram: style.scheme.cryptogram(),
        oda: Some(Oda {
            method: "fdda_01".into(),
            ctq_tag: Some("9F6C".into()),
        }),
        verification: Verification {
            ask: "6986".into(),
            reader_wants: Some(when(TTQ_CVM_REQUIRED)),
        },
        country: COUNTRY.into(),
    })
}

/// The bits of both masks.
fn both_bits(one: &str, other: &str) -> anyhow::Result<String> {
    let (one, other) = (hex::decode(one)?, hex::decode(other)?);
    let both: Vec<u8> = one
        .iter()
        .zip(&other)
        .map(|(one, other)| one | other)
        .collect();
    Ok(hex::encode_upper(both))
}

fn answer(style: &Style, card: &CardData<'_>, aip: &str, afl: &str, asked: bool) -> Vec<Object> {
    let [unasked, asked_for, verified] = style.ctq;
    let plain = if asked { asked_for } else { unasked };
    vec![
        Object::of("82", aip),
        Object::of("94", afl),
        Object::of("57", card.track2()),
        Object::of("5F34", card.psn),
        Object::computed("9F10"),
        Object::computed("9F26"),
        Object::of("9F27", "80"),
        Object::computed("9F36"),
        Object::either("9F6C", plain, verified),
    ]
}

fn records(card: &CardData<'_>, certificates: Certificates<'_>) -> anyhow::Result<Vec<Record>> {
    let mut records = vec![
        record(1, signed(card)?),
        // The expiry date must not stand in the last record that is read (QuickPass), so something else does.
        record(
            2,
            vec![Object::of("5F28", COUNTRY), Object::of("9F07", "FF00")],
        ),
    ];
    records.extend(issuer_records(3, certificates.issuer));
    records.push(card_record(5, certificates.card));
    records.push(record(6, vec![Object::computed("9F69")]));
    Ok(records)
}
