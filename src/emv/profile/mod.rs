//! The card profile: what a card is, as data that the payment network provisions.
//!
//! Nothing of a scheme is code. AIDs, the PDOL, the objects of each answer, records, the issuer application data and the
//! inputs of the cryptogram all come from here; [`CardProfile::parse`] refuses a version, field or value that this
//! core does not know, and every profile that could not be answered in full at the reader.

mod check;

use serde::{Deserialize, Deserializer, de};

use super::cryptogram::{Cipher, Padding};
use super::dol::Dol;
use super::tlv::Tag;

/// Tags that the card computes, and those it reads out of the reader's data.
pub(crate) mod tags {
    use crate::emv::tlv::Tag;

    pub(crate) const AID: Tag = Tag::new(0x4F);
    pub(crate) const LABEL: Tag = Tag::new(0x50);
    pub(crate) const TRACK_2: Tag = Tag::new(0x57);
    pub(crate) const ENTRY: Tag = Tag::new(0x61);
    pub(crate) const FCI: Tag = Tag::new(0x6F);
    pub(crate) const RECORD: Tag = Tag::new(0x70);
    pub(crate) const RESPONSE: Tag = Tag::new(0x77);
    pub(crate) const AIP: Tag = Tag::new(0x82);
    pub(crate) const DF_NAME: Tag = Tag::new(0x84);
    pub(crate) const DATE: Tag = Tag::new(0x9A);
    pub(crate) const PRIORITY: Tag = Tag::new(0x87);
    pub(crate) const AFL: Tag = Tag::new(0x94);
    pub(crate) const FCI_PROPRIETARY: Tag = Tag::new(0xA5);
    pub(crate) const FCI_DISCRETIONARY: Tag = Tag::new(0xBF0C);
    pub(crate) const COUNTRY: Tag = Tag::new(0x9F1A);
    pub(crate) const CURRENCY: Tag = Tag::new(0x5F2A);
    pub(crate) const CRYPTOGRAM_INFORMATION: Tag = Tag::new(0x9F27);
    pub(crate) const AMOUNT: Tag = Tag::new(0x9F02);
    pub(crate) const IAD: Tag = Tag::new(0x9F10);
    pub(crate) const CRYPTOGRAM: Tag = Tag::new(0x9F26);
    pub(crate) const ATC: Tag = Tag::new(0x9F36);
    pub(crate) const UNPREDICTABLE: Tag = Tag::new(0x9F37);
    pub(crate) const PDOL: Tag = Tag::new(0x9F38);
    pub(crate) const SIGNATURE: Tag = Tag::new(0x9F4B);
    pub(crate) const MERCHANT: Tag = Tag::new(0x9F4E);
    pub(crate) const CARD_AUTHENTICATION: Tag = Tag::new(0x9F69);
}

/// The longest data field that every reader takes in one short answer.
pub(crate) const ANSWER_LIMIT: usize = 256;

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It is not JSON of the known form, or has a field or value that this version does not know. Where is told, and
    /// not what: the parser's own error quotes values, and a card's are not for logs.
    #[error(
        "the card profile has a form that this version does not know (line {line}, column {column})"
    )]
    Form {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// It was made for another version of the format.
    #[error("the card profile is of version {0}, this version of the app knows 1: update the app")]
    Version(u32),
    /// It is well-formed but could not be answered at a reader.
    #[error("the card profile cannot be used: {0}")]
    Unusable(&'static str),
}

impl From<serde_json::Error> for ProfileError {
    fn from(error: serde_json::Error) -> Self {
        Self::Form {
            line: error.line(),
            column: error.column(),
        }
    }
}

/// A provisioned card profile, checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardProfile {
    version: u32,
    scheme: String,
    flow: Flow,
    applications: Vec<Application>,
    fci: Vec<DataObject>,
    pdol: Dol,
    paths: Vec<Path>,
    records: Vec<Record>,
    iad: Vec<IadPart>,
    cryptogram: CryptogramRule,
    oda: Option<OdaRule>,
    #[serde(default)]
    verification: VerificationForm,
    /// The issuer's country, as tag 9F1A has it.
    #[serde(default, deserialize_with = "from_optional_hex")]
    country: Option<Vec<u8>>,
}

/// How the card pays.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// The GPO answer carries the cryptogram (qUICS, qVSDC).
    Gpo,
    /// The reader asks for the cryptogram by GENERATE AC once it has read the records (EMV mode of Kernel 2).
    GenerateAc(GenerateAc),
}

/// What the card asks for before a GENERATE AC, and how it answers one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateAc {
    /// The list of the first GENERATE AC (tag 8C).
    pub(crate) cdol: Dol,
    /// An online request.
    pub(crate) answer: Vec<DataObject>,
    /// The same with a signature over it (CDA), for a reader that asks for one.
    pub(crate) cda_answer: Option<Vec<DataObject>>,
    /// A refusal.
    pub(crate) declined: Vec<DataObject>,
    /// A refusal that sends the person to the phone.
    pub(crate) see_phone: Option<Vec<DataObject>>,
}

/// How the scheme has a person verified on the phone.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerificationForm {
    pub(crate) ask: Ask,
    /// Bits by which a reader asks for the cardholder's verification.
    pub(crate) reader_wants: Option<Condition>,
}

/// The answer that sends a person to the phone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Ask {
    /// Status word 6986 to the command that pays.
    #[default]
    #[serde(rename = "6986")]
    SeePhone,
    /// The answer to GENERATE AC that declines.
    #[serde(rename = "declined_ac")]
    DeclinedAc,
}

/// One application that readers can select.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    #[serde(deserialize_with = "from_hex")]
    aid: Vec<u8>,
    label: String,
    priority: u8,
}

impl Application {
    /// The application identifier, 5 to 16 bytes.
    pub fn aid(&self) -> &[u8] {
        &self.aid
    }

    /// What a terminal shows, at most 16 ASCII characters.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Priority 1 (first) to 15.
    pub fn priority(&self) -> u8 {
        self.priority
    }
}

/// A data object whose value is provisioned, or computed by the card when there is none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataObject {
    pub(crate) tag: Tag,
    #[serde(default, deserialize_with = "from_optional_hex")]
    pub(crate) value: Option<Vec<u8>>,
    /// What takes its place in a payment for which the person was verified on the phone.
    #[serde(default, deserialize_with = "from_optional_hex")]
    verified: Option<Vec<u8>>,
}

impl DataObject {
    /// The provisioned value in a payment that went so.
    pub(crate) fn value(&self, verified: bool) -> Option<&[u8]> {
        let value = self.verified.as_ref().filter(|_| verified);
        value.or(self.value.as_ref()).map(Vec::as_slice)
    }
}

/// One way to answer a GPO.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Path {
    /// For people who read profiles; nothing depends on it.
    #[serde(rename = "name")]
    _name: String,
    when: Option<Condition>,
    pub(crate) answer: Vec<DataObject>,
    #[serde(skip)]
    last_record: Option<(u8, u8)>,
}

impl Path {
    /// The record after which the reader has everything; nothing when the GPO answer is all.
    pub(crate) fn last_record(&self) -> Option<(u8, u8)> {
        self.last_record
    }

    /// A provisioned value of the answer.
    pub(crate) fn value(&self, tag: Tag, verified: bool) -> Option<&[u8]> {
        value_in(&self.answer, tag, verified)
    }
}

/// The provisioned value of `tag` in an answer.
pub(crate) fn value_in(answer: &[DataObject], tag: Tag, verified: bool) -> Option<&[u8]> {
    let mut found = answer.iter().filter(|object| object.tag == tag);
    found.next()?.value(verified)
}

/// Whether an answer has this object and the card computes it.
pub(crate) fn computes(answer: &[DataObject], tag: Tag) -> bool {
    let mut objects = answer.iter();
    objects.any(|object| object.tag == tag && object.value.is_none())
}

/// Bits that a value of the reader must have set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    tag: Tag,
    #[serde(deserialize_with = "from_hex")]
    mask: Vec<u8>,
    /// What the bits under the mask must be; all set where it does not say.
    #[serde(default, deserialize_with = "from_optional_hex")]
    value: Option<Vec<u8>>,
}

impl Condition {
    /// Whether the values that answer `list` have the bits so.
    pub(crate) fn holds(&self, list: &Dol, data: &[u8]) -> bool {
        list.value(self.tag, data).is_some_and(|value| {
            let wanted = self.value.as_ref().unwrap_or(&self.mask);
            let mut bits = value.iter().zip(&self.mask).zip(wanted);
            value.len() >= self.mask.len()
                && bits.all(|((byte, mask), wanted)| byte & mask == *wanted)
        })
    }
}

/// One record of the card.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub(crate) sfi: u8,
    pub(crate) number: u8,
    pub(crate) objects: Vec<DataObject>,
}

/// A piece of the issuer application data.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum IadPart {
    /// These bytes.
    #[serde(deserialize_with = "from_hex")]
    Fixed(Vec<u8>),
    /// The index of the limited-use key: `0YHHHHCC` in BCD, four bytes, so that the issuer can derive the key.
    KeyIndex,
    /// Card verification results, by what the card decided.
    Result(CardResults),
}

/// Card verification results: what the issuer reads of the card's decision. All three are equally long.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardResults {
    #[serde(deserialize_with = "from_hex")]
    online: Vec<u8>,
    #[serde(deserialize_with = "from_hex")]
    verified: Vec<u8>,
    #[serde(deserialize_with = "from_hex")]
    declined: Vec<u8>,
}

/// What the card decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The issuer is asked.
    Online {
        /// Whether the person was verified on the phone for it.
        verified: bool,
    },
    /// No.
    Declined,
}

impl Decision {
    /// Whether the person was verified on the phone for it.
    pub fn is_verified(self) -> bool {
        self == Self::Online { verified: true }
    }
}

/// How the cryptogram is made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CryptogramRule {
    pub(crate) cipher: Cipher,
    pub(crate) key_method: KeyMethod,
    pub(crate) padding: Padding,
    pub(crate) inputs: Vec<Tag>,
}

/// Which key makes the cryptogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyMethod {
    /// The limited-use key itself, in the cloud style.
    LimitedUseKey,
    /// A session key of the limited-use key and the ATC (EMV Book 2, A1.3; 3DES only).
    SessionKey,
}

/// How the card signs for offline data authentication.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OdaRule {
    pub(crate) method: OdaMethod,
    /// The qualifiers that an fDDA signs a copy of.
    pub(crate) ctq_tag: Option<Tag>,
}

/// A way to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum OdaMethod {
    /// Fast dynamic data authentication, version 01: in the GPO answer.
    #[serde(rename = "fdda_01")]
    Fdda01,
    /// Combined dynamic data authentication: in the answer to GENERATE AC.
    #[serde(rename = "cda")]
    Cda,
}

impl CardProfile {
    /// Reads and checks a profile.
    ///
    /// # Errors
    /// [`ProfileError`] says what of it cannot be used.
    pub fn parse(json: &str) -> Result<Self, ProfileError> {
        let mut profile: Self = serde_json::from_str(json)?;
        if profile.version != 1 {
            return Err(ProfileError::Version(profile.version));
        }
        profile.check()?;
        Ok(profile)
    }

    /// The scheme's name, for people and logs; nothing depends on it.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// How the card pays.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// How the scheme has a person verified on the phone.
    pub(crate) fn verification(&self) -> &VerificationForm {
        &self.verification
    }

    /// Whether a payment in this country (tag 9F1A) is abroad. One that tells no country is.
    pub(crate) fn is_foreign(&self, country: Option<&[u8]>) -> bool {
        self.country.is_some() && country != self.country.as_deref()
    }

    /// How many bytes the command that pays brings: those that the PDOL asks for, or the CDOL of a GENERATE AC.
    pub fn payment_length(&self) -> usize {
        self.payment_list().length()
    }

    /// The list whose values come with the command that pays: the PDOL, or the CDOL of a GENERATE AC.
    pub(crate) fn payment_list(&self) -> &Dol {
        match &self.flow {
            Flow::Gpo => &self.pdol,
            Flow::GenerateAc(rule) => &rule.cdol,
        }
    }

    /// The applications, at least one.
    pub fn applications(&self) -> &[Application] {
        &self.applications
    }

    pub(crate) fn fci(&self) -> &[DataObject] {
        &self.fci
    }

    pub(crate) fn pdol(&self) -> &Dol {
        &self.pdol
    }

    pub(crate) fn cryptogram(&self) -> &CryptogramRule {
        &self.cryptogram
    }

    pub(crate) fn oda(&self) -> Option<&OdaRule> {
        self.oda.as_ref()
    }

    /// Whether any answer carries a signature, so that a card key must be provisioned with the profile.
    pub fn signs(&self) -> bool {
        self.answers()
            .any(|answer| computes(answer, tags::SIGNATURE))
    }

    /// Every answer that carries a cryptogram.
    fn answers(&self) -> impl Iterator<Item = &[DataObject]> {
        let (gpo, generate_ac) = match &self.flow {
            Flow::Gpo => (self.paths.as_slice(), None),
            Flow::GenerateAc(rule) => (&[][..], Some(rule)),
        };
        let by_gpo = gpo.iter().map(|path| path.answer.as_slice());
        let by_generate_ac = generate_ac.into_iter().flat_map(|rule| {
            let plain = [rule.answer.as_slice(), rule.declined.as_slice()];
            let more = [rule.cda_answer.as_deref(), rule.see_phone.as_deref()];
            plain.into_iter().chain(more.into_iter().flatten())
        });
        by_gpo.chain(by_generate_ac)
    }

    /// The index and the path that answer these PDOL values.
    pub(crate) fn path_for(&self, pdol_data: &[u8]) -> Option<(usize, &Path)> {
        self.paths.iter().enumerate().find(|(_, path)| {
            let condition = path.when.as_ref();
            condition.is_none_or(|condition| condition.holds(&self.pdol, pdol_data))
        })
    }

    pub(crate) fn path(&self, index: usize) -> Option<&Path> {
        self.paths.get(index)
    }

    /// A value that every reader is told, in the answer to a GPO or in a record.
    pub(crate) fn told<'p>(&'p self, path: &'p Path, tag: Tag) -> Option<&'p [u8]> {
        let records = self.records.iter();
        let mut in_records = records.filter_map(|record| value_in(&record.objects, tag, false));
        path.value(tag, false).or_else(|| in_records.next())
    }

    pub(crate) fn record(&self, sfi: u8, number: u8) -> Option<&Record> {
        self.records
            .iter()
            .find(|record| (record.sfi, record.number) == (sfi, number))
    }

    /// The issuer application data under a key index of seven digits, for what the card decided.
    pub(crate) fn iad(&self, key_index: [u8; 4], decision: Decision) -> Vec<u8> {
        self.iad
            .iter()
            .flat_map(|part| match part {
                IadPart::Fixed(bytes) => bytes.as_slice(),
                IadPart::KeyIndex => &key_index,
                IadPart::Result(results) => match decision {
                    Decision::Online { verified: false } => &results.online,
                    Decision::Online { verified: true } => &results.verified,
                    Decision::Declined => &results.declined,
                },
            })
            .copied()
            .collect()
    }
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.len() <= 2 * ANSWER_LIMIT {
        true => hex::decode(text).map_err(de::Error::custom),
        false => Err(de::Error::custom("a value longer than an answer")),
    }
}

fn from_optional_hex<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<u8>>, D::Error> {
    from_hex(deserializer).map(Some)
}
