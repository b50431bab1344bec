//! The card profile: everything about a scheme's card that is data, not code. The network writes it, the phone's core
//! executes it, and the network checks what comes back by the same templates.
//!
//! This module holds the model. [`card`] is what differs between cards, [`iad`] reads issuer application data back, and
//! each scheme has a file: `unionpay` and `visa` answer the GPO with the cryptogram and share `qvsdc`, `mastercard`
//! answers GENERATE AC.

pub mod card;
pub mod iad;

mod mastercard;
mod qvsdc;
mod unionpay;
mod visa;

use serde::{Deserialize, Serialize};

use crate::certificate::Certificate;
use crate::scheme::Scheme;
use card::CardData;

pub use unionpay::AID_DEBIT;

/// The issuer's country, ISO 3166 numeric as tag 9F1A has it: payments elsewhere are foreign.
pub const COUNTRY: &str = "0156";

/// A data object of an answer or a record; without a value the card computes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Tag, hex.
    pub tag: String,
    /// Value, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The value instead of it when the person was verified on the phone for this payment (CDCVM), hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
}

impl Object {
    fn of(tag: &str, value: impl Into<String>) -> Self {
        Self {
            tag: tag.into(),
            value: Some(value.into()),
            verified: None,
        }
    }

    /// Two values: without and with verification on the phone.
    fn either(tag: &str, value: &str, verified: &str) -> Self {
        Self {
            tag: tag.into(),
            value: Some(value.into()),
            verified: Some(verified.into()),
        }
    }

    fn computed(tag: &str) -> Self {
        Self {
            tag: tag.into(),
            value: None,
            verified: None,
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

/// How the card pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// The cryptogram comes with the answer to the GPO.
    Gpo,
    /// The GPO answers AIP and AFL alone; the cryptogram comes with the answer to GENERATE AC, after the records.
    GenerateAc(GenerateAc),
}

/// How GENERATE AC is answered; objects of template 77, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateAc {
    /// What the reader must tell (CDOL1, the value of tag 8C), hex.
    pub cdol: String,
    /// An ARQC.
    pub answer: Vec<Object>,
    /// An ARQC inside a CDA signature, when the reader asks for one.
    pub cda_answer: Vec<Object>,
    /// An AAC.
    pub declined: Vec<Object>,
    /// An AAC because the person must be verified on the phone first.
    pub see_phone: Vec<Object>,
}

/// A condition on the data that the reader tells: what lies under the mask is `value`, or all set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Tag looked at, hex.
    pub tag: String,
    /// Bits that are looked at, hex.
    pub mask: String,
    /// What they must be, hex; all set when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
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
    /// Card verification results: one of three values of the same length.
    Result(Results),
}

/// What the card says of a payment inside the issuer application data, hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// It asks the issuer; nobody was verified.
    pub online: String,
    /// It asks the issuer; the person was verified on the phone.
    pub verified: String,
    /// It declines.
    pub declined: String,
}

/// Which key makes the application cryptogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyMethod {
    /// The limited-use key itself.
    LimitedUseKey,
    /// The EMV common session key of the limited-use key and the transaction counter.
    SessionKey,
}

/// How the application cryptogram is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cryptogram {
    /// `tdes`.
    pub cipher: String,
    /// Which key makes it.
    pub key_method: KeyMethod,
    /// `iso9797_m2`.
    pub padding: String,
    /// Tags whose values are concatenated.
    pub inputs: Vec<String>,
}

impl Cryptogram {
    /// All three schemes cover the same data and differ in the key.
    fn by(key_method: KeyMethod) -> Self {
        Self {
            cipher: "tdes".into(),
            key_method,
            padding: "iso9797_m2".into(),
            inputs: AC_INPUTS.iter().map(ToString::to_string).collect(),
        }
    }
}

const AC_INPUTS: [&str; 11] = [
    "9F02", "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37", "82", "9F36", "9F10",
];

/// How the card authenticates offline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oda {
    /// `fdda_01` or `cda`.
    pub method: String,
    /// Tag of the card transaction qualifiers copied into 9F69, with fDDA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctq_tag: Option<String>,
}

/// How verification on the phone is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// How the card sends the person to the phone: `6986`, a status word to the GPO, or `declined_ac`, an AAC.
    pub ask: String,
    /// By which bits a reader asks for cardholder verification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader_wants: Option<When>,
}

/// A whole card profile, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// 1.
    pub version: u32,
    /// Whose card this is.
    pub scheme: Scheme,
    /// How the card pays.
    pub flow: Flow,
    /// Applications, best first.
    pub applications: Vec<Application>,
    /// Further objects of the FCI's proprietary template, after 50, 87 and 9F38.
    pub fci: Vec<Object>,
    /// Tag 9F38, hex; empty where the card asks for nothing in the GPO.
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
    /// Verification on the phone.
    pub verification: Verification,
    /// The issuer's country, ISO 3166 numeric, hex of two bytes.
    pub country: String,
}

/// The certificates on a card.
#[derive(Debug, Clone, Copy)]
pub struct Certificates<'a> {
    /// The issuer's key, certified by the scheme's CA.
    pub issuer: &'a Certificate,
    /// The card's key, certified by the issuer.
    pub card: &'a Certificate,
}

impl Scheme {
    /// The profile of one card.
    pub fn profile(
        self,
        card: &CardData<'_>,
        certificates: Certificates<'_>,
    ) -> anyhow::Result<Profile> {
        match self {
            Self::UnionPay => unionpay::profile(card, certificates),
            Self::Visa => visa::profile(card, certificates),
            Self::Mastercard => mastercard::profile(card, certificates),
        }
    }

    /// The data that the card's certificate covers: the content of the records that the AFL flags, then the AIP.
    pub fn static_data(self, card: &CardData<'_>) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::UnionPay | Self::Visa => card::encoded(&qvsdc::signed(card)?, qvsdc::AIP_FDDA),
            Self::Mastercard => card::encoded(&mastercard::signed(card)?, mastercard::AIP),
        }
    }

    /// The template of the issuer application data.
    pub fn iad(self) -> Vec<IadPart> {
        match self {
            Self::UnionPay => unionpay::iad(),
            Self::Visa => visa::iad(),
            Self::Mastercard => mastercard::iad(),
        }
    }

    /// The application interchange profile (tag 82) under the cryptogram of a consumer-presented code, hex: that of the path
    /// which the card takes for a reader that tells nothing but zeros.
    pub fn aip_unasked(self) -> &'static str {
        match self {
            Self::UnionPay | Self::Visa => qvsdc::AIP_ONLINE,
            Self::Mastercard => mastercard::AIP,
        }
    }

    /// How the application cryptogram is made.
    pub fn cryptogram(self) -> Cryptogram {
        Cryptogram::by(match self {
            Self::UnionPay | Self::Visa => KeyMethod::LimitedUseKey,
            Self::Mastercard => KeyMethod::SessionKey,
        })
    }
}

/// The CA's key index, the issuer's certificate and key, in two records numbered from `first`: one of them could not
/// hold the certificate as well.
fn issuer_records(first: u8, issuer: &Certificate) -> [Record; 2] {
    [
        record(
            first,
            vec![
                Object::of("8F", hex::encode_upper([crate::certificate::CA_INDEX])),
                Object::of("9F32", hex::encode_upper(&issuer.exponent)),
                Object::of("92", hex::encode_upper(&issuer.remainder)),
            ],
        ),
        record(
            first + 1,
            vec![Object::of("90", hex::encode_upper(&issuer.signature))],
        ),
    ]
}

/// The card's certificate and key in one record.
fn card_record(number: u8, card: &Certificate) -> Record {
    record(
        number,
        vec![
            Object::of("9F46", hex::encode_upper(&card.signature)),
            Object::of("9F47", hex::encode_upper(&card.exponent)),
            Object::of("9F48", hex::encode_upper(&card.remainder)),
        ],
    )
}

/// A record of file 1, where all of them are.
fn record(number: u8, objects: Vec<Object>) -> Record {
    Record {
        sfi: 1,
        number,
        objects,
    }
}

#[cfg(test)]
mod tests;
