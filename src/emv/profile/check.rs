//! Whether a profile can be answered in full at every reader; asked once, when it arrives.

use super::{ANSWER_LIMIT, CardProfile, DataObject, IadPart, Path, ProfileError, tags};
use crate::emv::tlv::Tag;
use crate::emv::{afl, tlv};

impl CardProfile {
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

    /// Refuses a profile that could not be answered in full at a reader.
    pub(super) fn check(&mut self) -> Result<(), ProfileError> {
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

fn require(holds: bool, otherwise: &'static str) -> Result<(), ProfileError> {
    match holds {
        true => Ok(()),
        false => Err(ProfileError::Unusable(otherwise)),
    }
}
