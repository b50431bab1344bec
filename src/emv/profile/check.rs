//! Whether a profile can be answered in full at every reader; asked once, when it arrives.

use super::{
    ANSWER_LIMIT, Ask, CardProfile, Condition, DataObject, Decision, Flow, IadPart, KeyMethod,
    OdaMethod, Path, ProfileError, computes, tags, value_in,
};
use crate::emv::cryptogram::Cipher;
use crate::emv::dol::Dol;
use crate::emv::tlv::Tag;
use crate::emv::{afl, tlv};

/// Cryptogram information data (tag 9F27): the issuer is asked. A card that approved by itself would escape the limits
/// of its keys.
const ARQC: u8 = 0x80;
/// Declined.
const AAC: u8 = 0x00;

impl CardProfile {
    /// Checks that answers with a signature of this many bytes fit into one short answer.
    ///
    /// # Errors
    /// [`ProfileError::Unusable`] when one does not.
    pub fn check_signature(&self, length: usize) -> Result<(), ProfileError> {
        let fits = |answer| self.size(answer, length) <= ANSWER_LIMIT - 4;
        require(
            self.answers().all(fits),
            "an answer with its signature is too long",
        )
    }

    fn size(&self, answer: &[DataObject], signature: usize) -> usize {
        let iad = self.iad([0; 4], Decision::Declined).len();
        size_of(answer, |tag| match tag {
            tags::IAD => iad,
            tags::ATC => 2,
            tags::SIGNATURE => signature,
            _ => 8,
        })
    }

    /// Refuses a profile that could not be answered in full at a reader.
    pub(super) fn check(&mut self) -> Result<(), ProfileError> {
        self.check_applications()?;
        self.check_records()?;
        self.check_iad()?;
        self.check_flow()?;
        let mut paths = std::mem::take(&mut self.paths);
        for path in &mut paths {
            path.last_record = self.check_path(path)?;
        }
        require(
            paths.last().is_some_and(|path| path.when.is_none()),
            "its last path must have no condition, so that every reader is answered",
        )?;
        self.paths = paths;
        self.check_oda()?;
        self.check_verification()
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
                let fdda = self.oda.as_ref();
                let fdda = fdda.is_some_and(|rule| rule.method == OdaMethod::Fdda01);
                let computed = object.tag == tags::CARD_AUTHENTICATION && fdda;
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

    /// What the command that pays must bring, and what the cryptogram is made of.
    fn check_flow(&self) -> Result<(), ProfileError> {
        let list = self.payment_list();
        let must = |tag, length| list.length_of(tag) == Some(length);
        require(
            must(tags::AMOUNT, 6) && must(tags::CURRENCY, 2) && must(tags::UNPREDICTABLE, 4),
            "it must ask for amount, currency and unpredictable number with the command that pays",
        )?;
        require(
            list.length_of(tags::COUNTRY)
                .is_none_or(|length| length == 2),
            "a terminal's country has two bytes",
        )?;
        // What the card computes or is provisioned with must not come from a reader.
        let own = [
            tags::AIP,
            tags::IAD,
            tags::CRYPTOGRAM,
            tags::CRYPTOGRAM_INFORMATION,
            tags::ATC,
            tags::SIGNATURE,
        ];
        let asks =
            |tag: &Tag| self.pdol.length_of(*tag).is_some() || list.length_of(*tag).is_some();
        require(
            !own.iter().any(asks),
            "it asks readers for what is the card's own",
        )?;
        let rule = &self.cryptogram;
        require(!rule.inputs.is_empty(), "its cryptogram covers nothing")?;
        for tag in &rule.inputs {
            let known = self.pdol.length_of(*tag).is_some()
                || list.length_of(*tag).is_some()
                || [tags::AIP, tags::ATC, tags::IAD].contains(tag);
            require(known, "its cryptogram covers a value that nobody supplies")?;
        }
        require(
            rule.key_method == KeyMethod::LimitedUseKey || rule.cipher == Cipher::Tdes,
            "session keys are known for 3DES only",
        )?;
        for answer in self.answers() {
            self.check_answer(answer)?;
        }
        let information = |answer: &[DataObject], says: u8| {
            require(
                [false, true].iter().all(|verified| {
                    let value = value_in(answer, tags::CRYPTOGRAM_INFORMATION, *verified);
                    value.is_none_or(|value| *value == [says])
                }),
                "the cryptogram information of an answer is not that of its kind",
            )
        };
        match &self.flow {
            Flow::Gpo => {
                let mut paths = self.paths.iter();
                paths.try_for_each(|path| information(&path.answer, ARQC))
            }
            Flow::GenerateAc(rule) => {
                information(&rule.answer, ARQC)?;
                information(rule.cda_answer.as_deref().unwrap_or_default(), ARQC)?;
                information(&rule.declined, AAC)?;
                information(rule.see_phone.as_deref().unwrap_or_default(), AAC)
            }
        }
    }

    fn check_iad(&self) -> Result<(), ProfileError> {
        let length = self.iad([0; 4], Decision::Declined).len();
        require(
            (1..=32).contains(&length),
            "its issuer application data must have 1 to 32 bytes",
        )?;
        let mut carries_index = false;
        for part in &self.iad {
            match part {
                IadPart::Fixed(_) => {}
                IadPart::KeyIndex => carries_index = true,
                IadPart::Result(results) => require(
                    results.online.len() == results.declined.len()
                        && results.verified.len() == results.declined.len()
                        && results.online != results.declined
                        && results.verified != results.declined
                        && results.online != results.verified,
                    "its card verification results must be equally long and tell the decisions apart",
                )?,
            }
        }
        require(
            carries_index,
            "its issuer application data must carry the key index",
        )?;
        // An AAC under the same input as an ARQC would be one.
        let tells = self.iad([0; 4], Decision::Online { verified: false })
            != self.iad([0; 4], Decision::Declined);
        require(
            matches!(self.flow, Flow::Gpo) || tells && self.cryptogram.inputs.contains(&tags::IAD),
            "a cryptogram that declines must differ from one that pays",
        )
    }

    /// An answer with a cryptogram.
    fn check_answer(&self, answer: &[DataObject]) -> Result<(), ProfileError> {
        let computed = [
            tags::IAD,
            tags::CRYPTOGRAM,
            tags::ATC,
            tags::SIGNATURE,
            tags::CARD_AUTHENTICATION,
        ];
        for object in answer {
            let same_length = match (&object.value, &object.verified) {
                (Some(value), Some(verified)) => value.len() == verified.len(),
                (None, Some(_)) => false,
                (_, None) => true,
            };
            require(
                same_length,
                "a value for verified payments has another length",
            )?;
            require(
                object.value.is_some() || computed.contains(&object.tag),
                "an answer wants a value that the card does not compute",
            )?;
        }
        // With CDA the cryptogram stands inside the signature.
        let cda = matches!(self.flow, Flow::GenerateAc(_)) && computes(answer, tags::SIGNATURE);
        require(
            computes(answer, tags::ATC)
                && computes(answer, tags::IAD)
                && computes(answer, tags::CRYPTOGRAM) != cda,
            "an answer lacks cryptogram, ATC or issuer application data",
        )?;
        let information = value_in(answer, tags::CRYPTOGRAM_INFORMATION, false);
        require(
            information.is_none_or(|information| information.len() == 1)
                && (information.is_some() || matches!(self.flow, Flow::Gpo)),
            "an answer lacks the cryptogram information",
        )?;
        // A signature's length is known with its key; `check_signature` looks at the whole answer then.
        require(
            self.size(answer, 0) <= ANSWER_LIMIT - 4,
            "an answer is too long",
        )
    }

    fn check_oda(&self) -> Result<(), ProfileError> {
        let Some(rule) = &self.oda else {
            return require(
                !self.signs(),
                "it signs but has no rule for offline data authentication",
            );
        };
        let fits = match rule.method {
            OdaMethod::Fdda01 => matches!(self.flow, Flow::Gpo) && rule.ctq_tag.is_some(),
            OdaMethod::Cda => matches!(self.flow, Flow::GenerateAc(_)) && rule.ctq_tag.is_none(),
        };
        require(
            fits,
            "its offline data authentication does not fit its flow",
        )
    }

    fn check_verification(&self) -> Result<(), ProfileError> {
        let form = &self.verification;
        require(
            form.ask == Ask::SeePhone || matches!(self.flow, Flow::GenerateAc(_)),
            "only an answer to GENERATE AC can decline and send the person to the phone",
        )?;
        require(
            self.country
                .as_ref()
                .is_none_or(|country| country.len() == 2),
            "a country has two bytes",
        )?;
        match &form.reader_wants {
            Some(condition) => check_condition(condition, self.payment_list()),
            None => Ok(()),
        }
    }

    fn check_path(&self, path: &Path) -> Result<Option<(u8, u8)>, ProfileError> {
        if let Some(condition) = &path.when {
            check_condition(condition, &self.pdol)?;
        }
        require(
            path.value(tags::AIP, false)
                .is_some_and(|aip| aip.len() == 2),
            "an answer lacks the AIP",
        )?;
        require(
            matches!(self.flow, Flow::Gpo)
                || path.answer.iter().all(|object| object.value.is_some()),
            "a GPO answer without a cryptogram computes nothing",
        )?;
        require(
            self.size(&path.answer, 0) <= ANSWER_LIMIT - 4,
            "a GPO answer is too long",
        )?;
        if computes(&path.answer, tags::SIGNATURE) {
            let ctq_tag = self.oda.as_ref().and_then(|oda| oda.ctq_tag);
            let ctq = ctq_tag.and_then(|tag| path.value(tag, false));
            require(
                ctq.is_some_and(|ctq| ctq.len() == 2),
                "a signing path lacks the CTQ",
            )?;
        }
        let Some(afl) = path.value(tags::AFL, false) else {
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
fn size_of(objects: &[DataObject], computed: impl Fn(Tag) -> usize) -> usize {
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
        tlv::write(&mut out, object.tag, value);
    }
    out.len()
}

/// Whether a condition looks at a value that the reader is asked for.
fn check_condition(condition: &Condition, list: &Dol) -> Result<(), ProfileError> {
    let length = list.length_of(condition.tag);
    require(
        !condition.mask.is_empty()
            && length.is_some_and(|l| l >= condition.mask.len())
            && condition
                .value
                .as_ref()
                .is_none_or(|value| value.len() == condition.mask.len()),
        "a condition looks at a value that is not asked for",
    )
}

fn require(holds: bool, otherwise: &'static str) -> Result<(), ProfileError> {
    match holds {
        true => Ok(()),
        false => Err(ProfileError::Unusable(otherwise)),
    }
}
