//! The card profile: what a card is, as data that the payment network provisions.
//!
//! Nothing of a scheme is code. AIDs, the PDOL, the objects of each answer, records, the issuer application data and the
//! inputs of the cryptogram all come from here; [`CardProfile::parse`] refuses a version, field or value that this
//! core does not know, and every profile that could not be answered in full at the reader.

use serde::{Deserialize, Deserializer, de};

use super::afl;
use super::cryptogram::Padding;
use super::dol::Dol;
use super::tlv::Tag;

/// Tags that the card computes, and those it reads out of the reader's data.
pub(crate) mod tags {
    use crate::emv::tlv::Tag;

    pub(crate) const AID: Tag = Tag::new(0x4F);
    pub(crate) const LABEL: Tag = Tag::new(0x50);
    pub(crate) const ENTRY: Tag = Tag::new(0x61);
    pub(crate) const FCI: Tag = Tag::new(0x6F);
    pub(crate) const RECORD: Tag = Tag::new(0x70);
    pub(crate) const RESPONSE: Tag = Tag::new(0x77);
    pub(crate) const AIP: Tag = Tag::new(0x82);
    pub(crate) const DF_NAME: Tag = Tag::new(0x84);
    pub(crate) const PRIORITY: Tag = Tag::new(0x87);
    pub(crate) const AFL: Tag = Tag::new(0x94);
    pub(crate) const FCI_PROPRIETARY: Tag = Tag::new(0xA5);
    pub(crate) const FCI_DISCRETIONARY: Tag = Tag::new(0xBF0C);
    pub(crate) const CURRENCY: Tag = Tag::new(0x5F2A);
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
    /// It is not JSON of the known form, or has a field or value that this version does not know.
    #[error("the card profile has a form that this version does not know")]
    Form(#[from] serde_json::Error),
    /// It was made for another version of the format.
    #[error("the card profile is of version {0}, this version of the app knows 1: update the app")]
    Version(u32),
    /// It is well-formed but could not be answered at a reader.
    #[error("the card profile cannot be used: {0}")]
    Unusable(&'static str),
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
}

/// How the card pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// The GPO answer carries the cryptogram (qUICS, qVSDC).
    Gpo,
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
    pub(crate) fn value(&self, tag: Tag) -> Option<&[u8]> {
        self.answer
            .iter()
            .find(|object| object.tag == tag)?
            .value
            .as_deref()
    }

    fn computes(&self, tag: Tag) -> bool {
        self.answer
            .iter()
            .any(|object| object.tag == tag && object.value.is_none())
    }
}

/// Bits that a value of the reader must have set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    tag: Tag,
    #[serde(deserialize_with = "from_hex")]
    mask: Vec<u8>,
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
}

/// How the cryptogram is made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CryptogramRule {
    #[serde(rename = "cipher")]
    _cipher: Cipher,
    #[serde(rename = "key_method")]
    _key_method: KeyMethod,
    pub(crate) padding: Padding,
    pub(crate) inputs: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cipher {
    Tdes,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeyMethod {
    LimitedUseKey,
}

/// How the card signs for offline data authentication.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OdaRule {
    #[serde(rename = "method")]
    _method: OdaMethod,
    pub(crate) ctq_tag: Tag,
}

#[derive(Debug, Deserialize)]
enum OdaMethod {
    #[serde(rename = "fdda_01")]
    Fdda01,
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
    pub fn flow(&self) -> Flow {
        self.flow
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
        self.paths.iter().any(|path| path.computes(tags::SIGNATURE))
    }

    /// Checks that answers with a signature of this many bytes fit into one short answer.
    ///
    /// # Errors
    /// [`ProfileError::Unusable`] when one does not.
    pub fn check_signature(&self, length: usize) -> Result<(), ProfileError> {
        let fits = |path| self.size(path, length) <= ANSWER_LIMIT - 4;
        require(
            self.paths.iter().all(fits),
            "a GPO answer with its signature is too long",
        )
    }

    fn size(&self, path: &Path, signature: usize) -> usize {
        let iad = self.iad([0; 4]).len();
        size_of(&path.answer, |tag| match tag {
            tags::IAD => iad,
            tags::ATC => 2,
            tags::SIGNATURE => signature,
            _ => 8,
        })
    }

    /// The index and the path that answer these PDOL values.
    pub(crate) fn path_for(&self, pdol_data: &[u8]) -> Option<(usize, &Path)> {
        self.paths.iter().enumerate().find(|(_, path)| {
            path.when.as_ref().is_none_or(|condition| {
                self.pdol
                    .value(condition.tag, pdol_data)
                    .is_some_and(|value| {
                        let bits = value.iter().zip(&condition.mask);
                        bits.clone().count() == condition.mask.len()
                            && bits.into_iter().all(|(byte, mask)| byte & mask == *mask)
                    })
            })
        })
    }

    pub(crate) fn path(&self, index: usize) -> Option<&Path> {
        self.paths.get(index)
    }

    pub(crate) fn record(&self, sfi: u8, number: u8) -> Option<&Record> {
        self.records
            .iter()
            .find(|record| (record.sfi, record.number) == (sfi, number))
    }

    /// The issuer application data under a key index of seven digits.
    pub(crate) fn iad(&self, key_index: [u8; 4]) -> Vec<u8> {
        self.iad
            .iter()
            .flat_map(|part| match part {
                IadPart::Fixed(bytes) => bytes.as_slice(),
                IadPart::KeyIndex => &key_index,
            })
            .copied()
            .collect()
    }

    fn check(&mut self) -> Result<(), ProfileError> {
        self.check_applications()?;
        self.check_records()?;
        self.check_cryptogram()?;
        let mut paths = std::mem::take(&mut self.paths);
        for path in &mut paths {
            path.last_record = self.check_path(path)?;
        }
        require(
            paths.last().is_some_and(|path| path.when.is_none()),
            "its last path must have no condition, so that every reader is answered",
        )?;
        self.paths = paths;
        require(
            !self.signs() || self.oda.is_some(),
            "it signs but has no rule for offline data authentication",
        )
    }

    fn check_applications(&self) -> Result<(), ProfileError> {
        require(!self.applications.is_empty(), "it has no application")?;
        for application in &self.applications {
            require(
                (5..=16).contains(&application.aid.len()),
                "an AID must have 5 to 16 bytes",
            )?;
            let label = &application.label;
            require(
                (1..=16).contains(&label.len()) && label.bytes().all(|b| (0x20..0x7F).contains(&b)),
                "a label must have 1 to 16 printable ASCII characters",
            )?;
            require(
                (1..=15).contains(&application.priority),
                "a priority must be 1 to 15",
            )?;
        }
        require(
            self.fci.iter().all(|object| object.value.is_some()),
            "an object of the FCI has no value",
        )?;
        // Name, label, priority and templates take 50 bytes at most.
        let fci = size_of(&self.fci, |_| 0) + self.pdol.encoded().len();
        require(
            fci <= ANSWER_LIMIT - 56,
            "its FCI is too long for one answer",
        )
    }

    fn check_records(&self) -> Result<(), ProfileError> {
        for record in &self.records {
            require((1..=30).contains(&record.sfi), "an SFI must be 1 to 30")?;
            require(record.number >= 1, "records are numbered from 1")?;
            for object in &record.objects {
                let computed = object.tag == tags::CARD_AUTHENTICATION && self.oda.is_some();
                require(
                    object.value.is_some() || computed,
                    "a record wants a value that the card does not compute",
                )?;
            }
            let content = size_of(&record.objects, |_| 8);
            require(
                content <= ANSWER_LIMIT - 4,
                "a record is too long for one answer",
            )?;
        }
        Ok(())
    }

    fn check_cryptogram(&self) -> Result<(), ProfileError> {
        require(
            !self.cryptogram.inputs.is_empty(),
            "its cryptogram covers nothing",
        )?;
        for tag in &self.cryptogram.inputs {
            let known = self.pdol.length_of(*tag).is_some()
                || [tags::AIP, tags::ATC, tags::IAD].contains(tag);
            require(known, "its cryptogram covers a value that nobody supplies")?;
        }
        let must = |tag, length| self.pdol.length_of(tag) == Some(length);
        require(
            must(tags::AMOUNT, 6) && must(tags::CURRENCY, 2) && must(tags::UNPREDICTABLE, 4),
            "its PDOL must ask for amount, currency and unpredictable number",
        )?;
        let iad = self.iad([0; 4]).len();
        require(
            (1..=32).contains(&iad),
            "its issuer application data must have 1 to 32 bytes",
        )?;
        require(
            self.iad
                .iter()
                .any(|part| matches!(part, IadPart::KeyIndex)),
            "its issuer application data must carry the key index",
        )
    }

    fn check_path(&self, path: &Path) -> Result<Option<(u8, u8)>, ProfileError> {
        if let Some(condition) = &path.when {
            let length = self.pdol.length_of(condition.tag);
            require(
                !condition.mask.is_empty() && length.is_some_and(|l| l >= condition.mask.len()),
                "a path's condition looks at a value that the PDOL does not ask for",
            )?;
        }
        for object in &path.answer {
            let computed = [
                tags::IAD,
                tags::CRYPTOGRAM,
                tags::ATC,
                tags::SIGNATURE,
                tags::CARD_AUTHENTICATION,
            ];
            require(
                object.value.is_some() || computed.contains(&object.tag),
                "an answer wants a value that the card does not compute",
            )?;
        }
        for tag in [tags::CRYPTOGRAM, tags::ATC, tags::IAD] {
            require(
                path.computes(tag),
                "an answer lacks cryptogram, ATC or issuer application data",
            )?;
        }
        require(
            path.value(tags::AIP).is_some_and(|aip| aip.len() == 2),
            "an answer lacks the AIP",
        )?;
        if path.computes(tags::SIGNATURE) {
            let ctq = self.oda.as_ref().and_then(|oda| path.value(oda.ctq_tag));
            require(
                ctq.is_some_and(|ctq| ctq.len() == 2),
                "a signing path lacks the CTQ",
            )?;
        }
        // A signature's length is known with its key; `check_signature` looks at the whole answer then.
        require(
            self.size(path, 0) <= ANSWER_LIMIT - 4,
            "a GPO answer is too long",
        )?;
        let Some(afl) = path.value(tags::AFL) else {
            return Ok(None);
        };
        let ranges = afl::parse(afl).ok_or(ProfileError::Unusable("an AFL is malformed"))?;
        require(
            afl::records(&ranges).all(|(sfi, number)| self.record(sfi, number).is_some()),
            "an AFL names a record that is not there",
        )?;
        Ok(afl::last_record(&ranges))
    }
}

/// The encoded size of objects, computed ones taken as long as `computed` says.
pub(crate) fn size_of(objects: &[DataObject], computed: impl Fn(Tag) -> usize) -> usize {
    let mut out = Vec::new();
    for object in objects {
        let placeholder;
        let value = match &object.value {
            Some(value) => value,
            None => {
                placeholder = vec![0; computed(object.tag)];
                &placeholder
            }
        };
        super::tlv::write(&mut out, object.tag, value);
    }
    out.len()
}

fn require(holds: bool, otherwise: &'static str) -> Result<(), ProfileError> {
    match holds {
        true => Ok(()),
        false => Err(ProfileError::Unusable(otherwise)),
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
