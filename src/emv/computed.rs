//! What the card computes for one payment: cryptogram, issuer application data, signature, and the objects around them.

use rand_core::CryptoRngCore;

use super::apdu::StatusWord;
use super::card::ArmedToken;
use super::cryptogram::application_cryptogram;
use super::profile::{ANSWER_LIMIT, CardProfile, DataObject, Path, Record, tags};
use super::tlv::{self, Tag};
use crate::account::Money;

/// What the reader told of the payment.
pub(super) struct Told {
    pub(super) money: Money,
    pub(super) unpredictable: [u8; 4],
    pub(super) merchant: Option<String>,
}

impl Told {
    pub(super) fn read(profile: &CardProfile, pdol_data: &[u8]) -> Option<Self> {
        let value = |tag| profile.pdol().value(tag, pdol_data);
        // A reader's text is shown to a person: no control characters, whatever the reader sends.
        let merchant = value(tags::MERCHANT).map(|name| {
            let shown: String = String::from_utf8_lossy(name)
                .chars()
                .filter(|c| !c.is_control())
                .collect();
            shown.trim().to_owned()
        });
        Some(Self {
            money: Money::from_emv(value(tags::AMOUNT)?, value(tags::CURRENCY)?)?,
            unpredictable: value(tags::UNPREDICTABLE)?.try_into().ok()?,
            merchant: merchant.filter(|name| !name.is_empty()),
        })
    }
}

/// The values that the card computes for one GPO.
pub(super) struct Computed {
    atc: [u8; 2],
    iad: Vec<u8>,
    cryptogram: [u8; 8],
    pub(super) card_authentication: Vec<u8>,
    signature: Option<Vec<u8>>,
}

impl Computed {
    pub(super) fn new(
        token: &ArmedToken,
        path: &Path,
        pdol_data: &[u8],
        atc: u16,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Self, StatusWord> {
        let profile = &token.profile;
        let mut computed = Self {
            atc: atc.to_be_bytes(),
            iad: profile.iad(token.key_index.bcd()),
            cryptogram: [0; 8],
            card_authentication: Vec::new(),
            signature: None,
        };
        let pdol_value = |tag| profile.pdol().value(tag, pdol_data);
        let mut input = Vec::with_capacity(pdol_data.len() + 40);
        for tag in &profile.cryptogram().inputs {
            let value = pdol_value(*tag)
                .or_else(|| path.value(*tag))
                .or_else(|| computed.value(*tag))
                .ok_or(StatusWord::INTERNAL)?;
            input.extend_from_slice(value);
        }
        computed.cryptogram =
            application_cryptogram(&token.key, &input, profile.cryptogram().padding);
        if let Some(rule) = profile.oda() {
            let mut number = [0; 4];
            rng.fill_bytes(&mut number);
            let ctq = path.value(rule.ctq_tag).unwrap_or(&[0, 0]);
            computed.card_authentication = [&[0x01][..], &number, ctq, &[0x00]].concat();
        }
        let signs = path
            .answer
            .iter()
            .any(|object| object.tag == tags::SIGNATURE && object.value.is_none());
        if signs {
            let key = token.card_key.as_ref().ok_or(StatusWord::INTERNAL)?;
            let [number, amount, currency] = [tags::UNPREDICTABLE, tags::AMOUNT, tags::CURRENCY]
                .map(|tag| pdol_value(tag).unwrap_or_default());
            let told = [number, amount, currency, &computed.card_authentication];
            let signature = key
                .fdda_01(rng, atc, &told)
                .map_err(|_| StatusWord::INTERNAL)?;
            computed.signature = Some(signature);
        }
        Ok(computed)
    }

    fn value(&self, tag: Tag) -> Option<&[u8]> {
        match tag {
            tags::ATC => Some(&self.atc),
            tags::IAD => Some(&self.iad),
            tags::CRYPTOGRAM => Some(&self.cryptogram),
            tags::CARD_AUTHENTICATION => Some(&self.card_authentication),
            tags::SIGNATURE => self.signature.as_deref(),
            _ => None,
        }
    }

    pub(super) fn encode(&self, objects: &[DataObject]) -> Result<Vec<u8>, StatusWord> {
        let mut out = Vec::with_capacity(ANSWER_LIMIT);
        for object in objects {
            let provisioned = object.value.as_deref();
            let value = provisioned.or_else(|| self.value(object.tag));
            tlv::write(&mut out, object.tag, value.ok_or(StatusWord::INTERNAL)?);
        }
        Ok(out)
    }
}

/// A record in its template; one with a computed value exists only after a GPO.
pub(super) fn encode_record(
    record: &Record,
    card_authentication: Option<&[u8]>,
) -> Result<Vec<u8>, StatusWord> {
    let mut content = Vec::new();
    for object in &record.objects {
        let value = object.value.as_deref().or(card_authentication);
        let value = value.ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        tlv::write(&mut content, object.tag, value);
    }
    Ok(tlv::wrap(tags::RECORD, &content))
}
