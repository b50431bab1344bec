//! What the card computes for one payment: cryptogram, issuer application data, signature, and the objects around them.

use rand_core::CryptoRngCore;
use ring::digest;

use super::apdu::StatusWord;
use super::card::ArmedToken;
use super::cryptogram::cryptogram_by;
use super::derivation::session_key;
use super::dol::Dol;
use super::presented::TELLING;
use super::profile::{
    ANSWER_LIMIT, DataObject, Decision, KeyMethod, OdaMethod, Path, Record, computes, tags,
    value_in,
};
use super::tlv::{self, Tag};
use crate::account::Money;
use crate::secret::Secret;
use crate::text::visible;
use crate::token::KeyIndex;

/// What the reader told of the payment.
pub(super) struct Told {
    pub(super) money: Money,
    pub(super) unpredictable: [u8; 4],
    pub(super) merchant: Option<String>,
    pub(super) country: Option<[u8; 2]>,
}

impl Told {
    /// Reads the values that answer `list`; nothing when they are malformed, or no more than a code on the screen is made of.
    pub(super) fn read(list: &Dol, data: &[u8]) -> Option<Self> {
        let value = |tag| list.value(tag, data);
        // Whoever tells neither amount nor place nor day would get the cryptogram of a consumer-presented code, for a step of
        // time of his own choice. That one only the phone's screen gives out.
        let told = TELLING.map(value);
        if told.into_iter().flatten().flatten().all(|byte| *byte == 0) {
            return None;
        }
        let merchant = value(tags::MERCHANT).map(|name| visible(&String::from_utf8_lossy(name)));
        Some(Self {
            money: Money::from_emv(value(tags::AMOUNT)?, value(tags::CURRENCY)?)?,
            unpredictable: value(tags::UNPREDICTABLE)?.try_into().ok()?,
            merchant: merchant.filter(|name| !name.is_empty()),
            country: value(tags::COUNTRY).and_then(|country| country.try_into().ok()),
        })
    }
}

/// One command that pays: what it brought, and what the card takes for it.
pub(super) struct Request<'a> {
    pub(super) token: &'a ArmedToken,
    pub(super) key: &'a Secret<16>,
    pub(super) key_index: &'a KeyIndex,
    pub(super) decision: Decision,
    pub(super) path: &'a Path,
    pub(super) answer: &'a [DataObject],
    pub(super) pdol_data: &'a [u8],
    /// The values of a GENERATE AC.
    pub(super) cdol_data: Option<&'a [u8]>,
    pub(super) atc: u16,
}

impl Request<'_> {
    /// A value that the reader told, with this command or with the GPO before it.
    fn told(&self, tag: Tag) -> Option<&[u8]> {
        let profile = &self.token.profile;
        let now = self
            .cdol_data
            .and_then(|data| profile.payment_list().value(tag, data));
        now.or_else(|| profile.pdol().value(tag, self.pdol_data))
    }

    fn provisioned(&self, tag: Tag) -> Option<&[u8]> {
        let verified = self.decision.is_verified();
        value_in(self.answer, tag, verified).or_else(|| self.path.value(tag, verified))
    }
}

/// The values that the card computes for one payment.
pub(super) struct Computed {
    verified: bool,
    atc: [u8; 2],
    iad: Vec<u8>,
    cryptogram: [u8; 8],
    pub(super) card_authentication: Vec<u8>,
    signature: Option<Vec<u8>>,
}

impl Computed {
    pub(super) fn new(
        request: &Request<'_>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Self, StatusWord> {
        let profile = &request.token.profile;
        let mut computed = Self {
            verified: request.decision.is_verified(),
            atc: request.atc.to_be_bytes(),
            iad: profile.iad(request.key_index.bcd(), request.decision),
            cryptogram: [0; 8],
            card_authentication: Vec::new(),
            signature: None,
        };
        let rule = profile.cryptogram();
        let mut input = Vec::with_capacity(ANSWER_LIMIT);
        for tag in &rule.inputs {
            let value = request
                .told(*tag)
                .or_else(|| request.provisioned(*tag))
                .or_else(|| computed.value(*tag))
                .ok_or(StatusWord::INTERNAL)?;
            input.extend_from_slice(value);
        }
        let session;
        let key = match rule.key_method {
            KeyMethod::LimitedUseKey => request.key,
            KeyMethod::SessionKey => {
                session = session_key(request.key, request.atc);
                &session
            }
        };
        computed.cryptogram = cryptogram_by(rule.cipher, key, &input, rule.padding);
        let signed = computes(request.answer, tags::SIGNATURE);
        if let Some(rule) = profile.oda().filter(|_| signed) {
            match rule.method {
                OdaMethod::Fdda01 => {
                    let mut number = [0; 4];
                    rng.fill_bytes(&mut number);
                    let ctq = rule.ctq_tag.and_then(|tag| request.provisioned(tag));
                    computed.card_authentication =
                        [&[0x01][..], &number, ctq.unwrap_or(&[0, 0]), &[0x00]].concat();
                    computed.signature = Some(computed.fdda(request, rng)?);
                }
                OdaMethod::Cda => computed.signature = Some(computed.cda(request, rng)?),
            }
        }
        Ok(computed)
    }

    /// The signature of fDDA version 01.
    fn fdda(
        &self,
        request: &Request<'_>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Vec<u8>, StatusWord> {
        let key = request.token.card_key.as_ref();
        let key = key.ok_or(StatusWord::INTERNAL)?;
        let [number, amount, currency] = [tags::UNPREDICTABLE, tags::AMOUNT, tags::CURRENCY]
            .map(|tag| request.told(tag).unwrap_or_default());
        let hashed = [number, amount, currency, &self.card_authentication];
        let [high, low] = self.atc;
        let signature = key.sign(rng, &[0x02, high, low], &hashed);
        signature.map_err(|_| StatusWord::INTERNAL)
    }

    /// The signature of CDA: over the cryptogram and everything that was said (EMV Book 2, 6.6.1).
    fn cda(
        &self,
        request: &Request<'_>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Vec<u8>, StatusWord> {
        let key = request.token.card_key.as_ref();
        let key = key.ok_or(StatusWord::INTERNAL)?;
        let mut said = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        said.update(request.pdol_data);
        said.update(request.cdol_data.unwrap_or_default());
        let beside_signature = |object: &&DataObject| object.tag != tags::SIGNATURE;
        said.update(&self.encode_each(request.answer.iter().filter(beside_signature))?);
        let information = request.provisioned(tags::CRYPTOGRAM_INFORMATION);
        let mut number = [0; 8];
        rng.fill_bytes(&mut number);
        let dynamic = [
            &[0x08][..],
            &number,
            information.ok_or(StatusWord::INTERNAL)?,
            &self.cryptogram,
            said.finish().as_ref(),
        ]
        .concat();
        let unpredictable = request.told(tags::UNPREDICTABLE).unwrap_or_default();
        let signature = key.sign(rng, &dynamic, &[unpredictable]);
        signature.map_err(|_| StatusWord::INTERNAL)
    }

    pub(super) fn value(&self, tag: Tag) -> Option<&[u8]> {
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
        self.encode_each(objects.iter())
    }

    fn encode_each<'o>(
        &self,
        objects: impl Iterator<Item = &'o DataObject>,
    ) -> Result<Vec<u8>, StatusWord> {
        let mut out = Vec::with_capacity(ANSWER_LIMIT);
        for object in objects {
            let provisioned = object.value(self.verified);
            let value = provisioned.or_else(|| self.value(object.tag));
            tlv::write(&mut out, object.tag, value.ok_or(StatusWord::INTERNAL)?);
        }
        Ok(out)
    }
}

/// A record in its template; one with a computed value exists only after a GPO that computed it.
pub(super) fn encode_record(
    record: &Record,
    card_authentication: Option<&[u8]>,
) -> Result<Vec<u8>, StatusWord> {
    let mut content = Vec::with_capacity(ANSWER_LIMIT);
    let card_authentication = card_authentication.filter(|data| !data.is_empty());
    for object in &record.objects {
        let value = object.value.as_deref().or(card_authentication);
        let value = value.ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        tlv::write(&mut content, object.tag, value);
    }
    Ok(tlv::wrap(tags::RECORD, &content))
}
