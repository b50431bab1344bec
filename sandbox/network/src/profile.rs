//! The card profile: everything about a scheme's card that is data, not code. The network writes it, the phone's core
//! executes it. This module holds the model and the one profile of the sandbox, UnionPay QuickPass style.
//!
//! Two paths answer the GPO: when the terminal asks for offline data authentication (terminal transaction qualifiers,
//! byte 4, bit 8: fDDA version 01), the long one with certificates and a dynamic signature; else the short one.

use crate::certificate::{CA_INDEX, Certificate};
use crate::derive::{Pad, bcd};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use time::Date;

/// The application identifier of UnionPay debit.
pub const AID_DEBIT: &str = "A000000333010101";

const PDOL: &str = "9F66049F02069F03069F1A0295055F2A029A039C019F37049F4E14";
const AC_INPUTS: [&str; 11] = [
    "9F02", "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37", "82", "9F36", "9F10",
];
const AIP_FDDA: &str = "2000";
const AIP_ONLINE: &str = "0000";
/// File 1: records 1 and 2 are read on both paths, 3 to 6 belong to data authentication; record 1 is signed.
const AFL_FDDA: &str = "08010601";
const AFL_ONLINE: &str = "08010200";
const CTQ: &str = "0000";
/// Issuer application data up to the key index; its first byte counts what follows.
const IAD_FIXED: &str = "0B010103A0000001";

/// A data object of an answer or a record; without a value the card computes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Tag, hex.
    pub tag: String,
    /// Value, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Object {
    fn of(tag: &str, value: impl Into<String>) -> Self {
        Self {
            tag: tag.into(),
            value: Some(value.into()),
        }
    }

    fn computed(tag: &str) -> Self {
        Self {
            tag: tag.into(),
            value: None,
        }
    }
}

/// An application of the card, as the PPSE lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Application identifier, hex.
    pub aid: String,
    /// Tag 50, ASCII.
    pub label: String,
    /// Tag 87.
    pub priority: u8,
}

/// A condition on the PDOL data: `value & mask == mask`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Tag looked at, hex.
    pub tag: String,
    /// Bits that must be set, hex.
    pub mask: String,
}

/// One way to answer the GPO.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Path {
    /// A name for people.
    pub name: String,
    /// When this path is taken; always, if there is no condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// Objects of template 77, in order.
    pub answer: Vec<Object>,
}

/// One record of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Short file identifier.
    pub sfi: u8,
    /// Record number.
    pub number: u8,
    /// Objects of template 70, in order.
    pub objects: Vec<Object>,
}

/// A piece of the issuer application data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IadPart {
    /// These bytes, hex.
    Fixed(String),
    /// The index of the limited-use key: `0YHHHHCC` as four bytes of BCD.
    KeyIndex,
}

/// How the application cryptogram is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cryptogram {
    /// `tdes`.
    pub cipher: String,
    /// `limited_use_key`.
    pub key_method: String,
    /// `iso9797_m2`.
    pub padding: String,
    /// Tags whose values are concatenated.
    pub inputs: Vec<String>,
}

/// How the card authenticates offline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oda {
    /// `fdda_01`.
    pub method: String,
    /// Tag of the card transaction qualifiers copied into 9F69.
    pub ctq_tag: String,
}

/// A whole card profile, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// 1.
    pub version: u32,
    /// `unionpay`.
    pub scheme: String,
    /// `gpo`: the cryptogram comes with the GPO.
    pub flow: String,
    /// Applications, best first.
    pub applications: Vec<Application>,
    /// Further objects of the FCI's proprietary template, after 50, 87 and 9F38.
    pub fci: Vec<Object>,
    /// Tag 9F38, hex.
    pub pdol: String,
    /// Ways to answer the GPO; the first that applies is taken.
    pub paths: Vec<Path>,
    /// Records.
    pub records: Vec<Record>,
    /// Template of tag 9F10.
    pub iad: Vec<IadPart>,
    /// Cryptogram settings.
    pub cryptogram: Cryptogram,
    /// Offline data authentication, if the card can do it.
    pub oda: Option<Oda>,
}

/// What of a profile differs between cards.
#[derive(Debug, Clone)]
pub struct CardData<'a> {
    /// Token number, digits.
    pub token: &'a str,
    /// Sequence number, two digits.
    pub psn: &'a str,
    /// Last day of validity.
    pub expiry: Date,
    /// First day of validity.
    pub effective: Date,
}

impl CardData<'_> {
    /// The signed record's objects. 9F4A says that the AIP is signed as well.
    fn static_objects(&self) -> anyhow::Result<Vec<Object>> {
        Ok(vec![
            Object::of("5A", hex_digits(self.token)?),
            Object::of("5F24", yymmdd(self.expiry)),
            Object::of("5F25", yymmdd(self.effective)),
            Object::of("5F34", self.psn),
            Object::of("9F4A", "82"),
        ])
    }

    /// The data that the card's certificate covers: the content of the records that the AFL flags, then the AIP.
    pub fn static_data(&self) -> anyhow::Result<Vec<u8>> {
        let mut data = Vec::new();
        for object in self.static_objects()? {
            data.extend_from_slice(&encode(&object)?);
        }
        data.extend_from_slice(&hex::decode(AIP_FDDA)?);
        Ok(data)
    }

    /// Track 2 equivalent data: number, D, YYMM, service code 220 (international, normal, by the issuer online), filler.
    fn track2(&self) -> String {
        let mut track = format!("{}D{}2200000000000", self.token, yymm(self.expiry));
        if track.len() % 2 == 1 {
            track.push('F');
        }
        track
    }
}

/// The QuickPass profile of a token. Without certificates the card knows the online path only.
pub fn quickpass(
    card: &CardData<'_>,
    certificates: Option<(&Certificate, &Certificate)>,
) -> anyhow::Result<Profile> {
    let answer = |aip: &str, afl: &str| {
        vec![
            Object::of("82", aip),
            Object::of("94", afl),
            Object::of("57", card.track2()),
            Object::of("5F34", card.psn),
            Object::computed("9F10"),
            Object::computed("9F26"),
            Object::of("9F27", "80"),
            Object::computed("9F36"),
            Object::of("9F6C", CTQ),
        ]
    };
    let record = |number: u8, objects: Vec<Object>| Record {
        sfi: 1,
        number,
        objects,
    };
    let mut paths = Vec::new();
    let mut records = vec![
        record(1, card.static_objects()?),
        // The expiry date must not stand in the last record that is read (QuickPass), so something else does.
        record(
            2,
            vec![Object::of("5F28", "0156"), Object::of("9F07", "FF00")],
        ),
    ];
    if let Some((issuer, icc)) = certificates {
        let mut long = answer(AIP_FDDA, AFL_FDDA);
        long.push(Object::computed("9F4B"));
        paths.push(Path {
            name: "fdda".into(),
            when: Some(When {
                tag: "9F66".into(),
                mask: "00000080".into(),
            }),
            answer: long,
        });
        records.extend([
            record(
                3,
                vec![
                    Object::of("8F", hex::encode_upper([CA_INDEX])),
                    Object::of("9F32", hex::encode_upper(&issuer.exponent)),
                    Object::of("92", hex::encode_upper(&issuer.remainder)),
                ],
            ),
            record(
                4,
                vec![Object::of("90", hex::encode_upper(&issuer.signature))],
            ),
            record(
                5,
                vec![
                    Object::of("9F46", hex::encode_upper(&icc.signature)),
                    Object::of("9F47", hex::encode_upper(&icc.exponent)),
                    Object::of("9F48", hex::encode_upper(&icc.remainder)),
                ],
            ),
            record(6, vec![Object::computed("9F69")]),
        ]);
    }
    paths.push(Path {
        name: "online".into(),
        when: None,
        answer: answer(AIP_ONLINE, AFL_ONLINE),
    });
    Ok(Profile {
        version: 1,
        scheme: "unionpay".into(),
        flow: "gpo".into(),
        applications: vec![Application {
            aid: AID_DEBIT.into(),
            label: "UnionPay".into(),
            priority: 1,
        }],
        fci: vec![Object::of("5F2D", hex::encode_upper(b"zhen"))],
        pdol: PDOL.into(),
        paths,
        records,
        iad: vec![IadPart::Fixed(IAD_FIXED.into()), IadPart::KeyIndex],
        cryptogram: Cryptogram {
            cipher: "tdes".into(),
            key_method: "limited_use_key".into(),
            padding: "iso9797_m2".into(),
            inputs: AC_INPUTS.iter().map(ToString::to_string).collect(),
        },
        oda: certificates.is_some().then(|| Oda {
            method: "fdda_01".into(),
            ctq_tag: "9F6C".into(),
        }),
    })
}

/// The key index (`YHHHHCC`) that issuer application data of this profile carries; nothing when it is not of its form.
pub fn key_index_of(iad: &[u8]) -> Option<String> {
    let fixed = hex::decode(IAD_FIXED).ok()?;
    let digits = hex::encode(iad.strip_prefix(fixed.as_slice())?);
    let index = digits.strip_prefix('0')?;
    (index.len() == 7 && index.bytes().all(|digit| digit.is_ascii_digit()))
        .then(|| index.to_owned())
}

/// The tags whose values the cryptogram covers, in order.
pub fn cryptogram_inputs() -> &'static [&'static str] {
    &AC_INPUTS
}

/// One object as BER-TLV.
fn encode(object: &Object) -> anyhow::Result<Vec<u8>> {
    let value = hex::decode(
        object
            .value
            .as_deref()
            .context("a signed object needs a value")?,
    )?;
    let mut out = hex::decode(&object.tag)?;
    out.push(
        u8::try_from(value.len())
            .ok()
            .filter(|length| *length < 0x80)
            .context("too long")?,
    );
    out.extend_from_slice(&value);
    Ok(out)
}

fn hex_digits(digits: &str) -> anyhow::Result<String> {
    Ok(hex::encode_upper(
        bcd(digits, Pad::Right).context("a number is made of digits")?,
    ))
}

/// A date as YYMMDD.
pub fn yymmdd(date: Date) -> String {
    format!("{}{:02}", yymm(date), date.day())
}

/// A date's month as YYMM.
pub fn yymm(date: Date) -> String {
    format!(
        "{:02}{:02}",
        date.year().rem_euclid(100),
        u8::from(date.month())
    )
}

/// A date's month as two BCD bytes MMYY, the form of certificates.
pub fn mmyy(date: Date) -> anyhow::Result<[u8; 2]> {
    let digits = format!(
        "{:02}{:02}",
        u8::from(date.month()),
        date.year().rem_euclid(100)
    );
    bcd(&digits, Pad::Left)
        .and_then(|bytes| bytes.try_into().ok())
        .context("a month has four digits")
}

#[cfg(test)]
mod tests;
