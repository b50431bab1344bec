//! Offline data authentication: the card proves that it holds the private key its issuer certified by signing this very
//! payment. Crate `emv` recovers issuer and card key from the certificates and checks the signatures.
//!
//! With **fDDA version 01** the signature comes with the GPO's answer. It covers, besides the dynamic data (`02 ‖ ATC`),
//! the terminal's unpredictable number, amount and currency, and the card authentication related data 9F69 with its copy
//! of the qualifiers. With **CDA** it comes with GENERATE AC's: it holds the cryptogram and a hash over all that was
//! told and answered.

use emv::core::oda::{
    CaPublicKey, IccPublicKey, recover_icc_public_key, recover_issuer_public_key, verify_cda,
    verify_dda,
};
use time::Date;

use crate::data::bcd_byte;
use crate::kernel::Objects;

/// Application interchange profile, byte 1: dynamic data authentication supported.
const AIP_DDA: u8 = 0x20;
/// Application interchange profile, byte 1: CDA supported.
const AIP_CDA: u8 = 0x01;

/// What a card's key is recovered from.
pub(crate) struct Chain<'a> {
    /// The application that pays.
    pub(crate) aid: &'a [u8],
    /// What the card said.
    pub(crate) objects: &'a Objects,
    /// The records that the file locator marks.
    pub(crate) signed_records: &'a [u8],
    /// The schemes' keys.
    pub(crate) ca_keys: &'a [CaPublicKey],
    /// The date at the terminal.
    pub(crate) today: Date,
}

/// Whether the card offers CDA.
pub(crate) fn offers_cda(objects: &Objects) -> bool {
    offers(objects, AIP_CDA)
}

fn offers(objects: &Objects, bit: u8) -> bool {
    let profile = objects.get(0x82).and_then(<[u8]>::first);
    profile.is_some_and(|byte| byte & bit != 0)
}

/// Checks the signature in a CDA answer and takes the cryptogram out of it. `transaction` is what the signed hash covers;
/// the error is a clause that says what is wrong.
pub(crate) fn check_cda(
    chain: &Chain<'_>,
    unpredictable: [u8; 4],
    transaction: &[u8],
) -> Result<[u8; 8], &'static str> {
    let card = card_key(chain)?;
    let information = chain
        .objects
        .get(0x9F27)
        .and_then(<[u8]>::first)
        .ok_or("it names no kind of cryptogram (9F27)")?;
    let signature = chain
        .objects
        .get(0x9F4B)
        .ok_or("it gave no signature (9F4B)")?;
    verify_cda(&card, signature, unpredictable, transaction, *information)
        .map(|verified| verified.application_cryptogram)
        .map_err(|_| "its signature is not valid")
}

/// The card's public key, certified by a scheme that the terminal knows.
fn card_key(chain: &Chain<'_>) -> Result<IccPublicKey, &'static str> {
    let Chain {
        aid,
        objects,
        signed_records,
        ca_keys,
        today,
    } = *chain;
    let index = *objects
        .get(0x8F)
        .and_then(<[u8]>::first)
        .ok_or("it names no scheme key (8F)")?;
    let ca_key = ca_keys
        .iter()
        .find(|key| key.index == index && aid.starts_with(&key.rid))
        .ok_or("its scheme key is not known to this terminal")?;
    let pan = pan(objects).ok_or("it has no number")?;
    let month = [
        bcd_byte(u8::from(today.month())),
        bcd_byte(u8::try_from(today.year().rem_euclid(100)).unwrap_or(0)),
    ];

    let issuer = recover_issuer_public_key(
        ca_key,
        objects
            .get(0x90)
            .ok_or("it has no issuer certificate (90)")?,
        objects.get(0x92).filter(|remainder| !remainder.is_empty()),
        objects
            .get(0x9F32)
            .ok_or("it has no issuer exponent (9F32)")?,
        &pan,
        month,
    )
    .map_err(|_| "its issuer certificate is not valid")?;
    let card = recover_icc_public_key(
        &issuer,
        objects
            .get(0x9F46)
            .ok_or("it has no certificate of its own (9F46)")?,
        objects
            .get(0x9F48)
            .filter(|remainder| !remainder.is_empty()),
        objects
            .get(0x9F47)
            .ok_or("it has no exponent of its own (9F47)")?,
        &static_data(objects, signed_records)?,
        &pan,
        month,
    )
    .map_err(|_| "its own certificate is not valid")?;
    let rsa_sha1 = [
        (issuer.hash_algorithm_indicator, issuer.algorithm_indicator),
        (card.hash_algorithm_indicator, card.algorithm_indicator),
    ];
    if rsa_sha1 != [(1, 1), (1, 1)] {
        return Err("its certificates name an algorithm this terminal does not have");
    }
    Ok(card)
}

/// Checks a signature of fDDA version 01 over what the card `asked` of the terminal; the error is a clause that says what
/// is wrong.
pub(crate) fn check_fdda(chain: &Chain<'_>, asked: &[(u32, Vec<u8>)]) -> Result<(), &'static str> {
    let objects = chain.objects;
    if !offers(objects, AIP_DDA) {
        return Err("it does not offer dynamic data authentication");
    }
    let card = card_key(chain)?;
    let related = objects
        .get(0x9F69)
        .ok_or("it has no card authentication related data (9F69)")?;
    let mut input = Vec::new();
    for tag in [0x9F37, 0x9F02, 0x5F2A] {
        let (_, value) = asked
            .iter()
            .find(|(asked, _)| *asked == tag)
            .ok_or("its PDOL leaves out what the signature covers")?;
        input.extend_from_slice(value);
    }
    input.extend_from_slice(related);
    let dynamic = verify_dda(
        &card,
        objects.get(0x9F4B).ok_or("it gave no signature (9F4B)")?,
        &input,
    )
    .map_err(|_| "its signature is not valid")?;

    if objects.get(0x9F36) != Some(dynamic.as_slice()) {
        return Err("its signature is over another transaction counter");
    }
    if related.first() != Some(&0x01) {
        return Err("it signs in an fDDA version this terminal does not have");
    }
    if let Some(qualifiers) = objects.get(0x9F6C)
        && related.get(5..7) != Some(qualifiers)
    {
        return Err("its qualifiers are not those it signed");
    }
    Ok(())
}

/// The records the file locator marks, then the objects that tag 9F4A names; only the profile may be named there.
fn static_data(objects: &Objects, signed_records: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut data = signed_records.to_vec();
    match objects.get(0x9F4A) {
        None => {}
        Some([0x82]) => data.extend_from_slice(objects.get(0x82).unwrap_or_default()),
        Some(_) => return Err("its list of signed objects (9F4A) is malformed"),
    }
    Ok(data)
}

/// The card number as tag 5A has it, from there or from track 2.
fn pan(objects: &Objects) -> Option<Vec<u8>> {
    if let Some(number) = objects.get(0x5A) {
        return Some(number.to_vec());
    }
    let text = hex::encode(objects.get(0x57)?);
    let (number, _) = text.split_once('d')?;
    let padding = if number.len() % 2 == 1 { "f" } else { "" };
    hex::decode(format!("{number}{padding}")).ok()
}
