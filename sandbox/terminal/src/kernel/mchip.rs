//! Kernel 2, M/Chip: GET PROCESSING OPTIONS tells AIP and AFL alone, the records follow, then GENERATE AC asks for an
//! ARQC, inside a CDA signature where data authentication is asked for.
//!
//! **Verification results** (9F34) are settled before GENERATE AC, since the card must be told: a card that verifies on
//! the device (AIP byte 1, bit 2) is told `010002`, a PIN verified by the card, when verification is asked for, and
//! `3F0002`, none performed, when not; any other card `1F0302`, none required. Whether the device really verified
//! somebody says its answer (DF4B byte 2, bit 5), which also says that the person must look at the phone first (bit 1).

use emv::core::dol::Dol;
use emv::core::tlv::Tlv;

use super::{
    Authentication, Objects, Outcome, Settings, cryptogram, expired, inside, kind, no_pin_pad,
    not_genuine, not_verified, processing_options, read_records, refused, see_phone, values,
};
use crate::apdu::{self, OK, SEE_PHONE, Stop, invalid};
use crate::card::Card;
use crate::data::TerminalData;
use crate::oda::{self, Chain};

/// Application interchange profile, byte 1: verification on the device.
const AIP_ON_DEVICE: u8 = 0x02;
/// Application interchange profile, byte 2: EMV mode, not magnetic stripe.
const AIP_EMV_MODE: u8 = 0x80;
/// Terminal verification results, byte 1: data authentication was not performed.
const TVR_NO_ODA: [u8; 5] = [0x80, 0, 0, 0, 0];
/// POS cardholder interaction information, byte 2: the person was verified on the device.
const VERIFIED: u8 = 0x10;
/// The same byte: the person must look at the phone.
const LOOK_AT_PHONE: u8 = 0x01;

pub(super) fn run(
    card: &mut dyn Card,
    terminal: &TerminalData,
    settings: &Settings,
    aid: &[u8],
    pdol: &Dol,
) -> Result<Outcome, Stop> {
    let mut told = terminal.fill(pdol);
    let mut objects = processing_options(card, &told)?;
    let [first, second] = objects.fixed::<2>(0x82, "application interchange profile (82)")?;
    if second & AIP_EMV_MODE == 0 {
        return Err(invalid("the card offers a magnetic stripe, and no EMV"));
    }
    let signed_records = read_records(card, &mut objects)?;
    let results = verification_results(terminal.wants_cvm(), first & AIP_ON_DEVICE != 0)?;
    let cda = terminal.wants_oda();
    if cda && !oda::offers_cda(&objects) {
        return Err(Stop::Declined(not_genuine("it does not offer CDA")));
    }

    let cdol = Dol::parse(objects.need(0x8C, "list of what it wants to be told (8C)")?)
        .map_err(|_| invalid("the card's CDOL is not a list of tags and lengths"))?;
    let mut terminal = terminal.with(0x9F34, &results);
    if !cda {
        terminal = terminal.with(0x95, &TVR_NO_ODA);
    }
    told.extend(terminal.fill(&cdol));
    let data = generate_ac(card, cda, values(&terminal.fill(&cdol)))?;
    objects.add(&apdu::template(&data, 0x77, "answer to GENERATE AC")?)?;

    let interaction = interaction(&objects)?;
    if let Some(decline) = kind(&objects)? {
        let decline = match interaction & LOOK_AT_PHONE {
            0 => decline,
            _ => see_phone(),
        };
        // Inside a signature it is not looked for: nothing comes of it.
        if objects.get(0x9F26).is_none() {
            return Err(Stop::Declined(decline));
        }
        let cryptogram = cryptogram(aid, &objects, &told)?;
        return Ok(Outcome::Declined(decline, cryptogram));
    }
    if cda {
        let chain = Chain {
            aid,
            objects: &objects,
            signed_records: &signed_records,
            ca_keys: &settings.ca_keys,
            today: terminal.date(),
        };
        let cryptogram = signed_cryptogram(&chain, &told, &data)?;
        objects.learn(0x9F26, &cryptogram)?;
    }
    let mut cryptogram = cryptogram(aid, &objects, &told)?;
    if cda {
        cryptogram.authentication = Authentication::Verified;
    }
    cryptogram.verified_on_device = interaction & VERIFIED != 0;
    let unverified = terminal.wants_cvm() && !cryptogram.verified_on_device;
    let decline = expired(&cryptogram, &terminal).or_else(|| unverified.then(not_verified));
    Ok(match decline {
        Some(decline) => Outcome::Declined(decline, cryptogram),
        None => Outcome::Online(cryptogram),
    })
}

fn generate_ac(card: &mut dyn Card, cda: bool, cdol_data: Vec<u8>) -> Result<Vec<u8>, Stop> {
    let (data, status) = apdu::exchange(card, &apdu::generate_ac(cda, cdol_data)?)?;
    match status {
        OK => Ok(data),
        SEE_PHONE => Err(Stop::Declined(see_phone())),
        other => Err(Stop::Declined(refused(other))),
    }
}

/// The cryptogram inside the signature of a CDA answer. Without it there is none that could be believed, so nothing goes
/// online when the signature does not hold, whatever the card wishes.
fn signed_cryptogram(
    chain: &Chain<'_>,
    told: &[(u32, Vec<u8>)],
    answer: &[u8],
) -> Result<[u8; 8], Stop> {
    // PDOL data, CDOL data, and the answer.
    let transaction = [values(told), signed_objects(answer)?].concat();
    unpredictable(told)
        .and_then(|number| oda::check_cda(chain, number, &transaction))
        .map_err(|why| Stop::Declined(not_genuine(why)))
}

/// What the card is told of verification. A card that does none itself would need a PIN typed here.
fn verification_results(wanted: bool, on_device: bool) -> Result<[u8; 3], Stop> {
    match (wanted, on_device) {
        (true, true) => Ok([0x01, 0x00, 0x02]),
        (false, true) => Ok([0x3F, 0x00, 0x02]),
        (false, false) => Ok([0x1F, 0x03, 0x02]),
        (true, false) => Err(Stop::Declined(no_pin_pad())),
    }
}

/// Byte 2 of the POS cardholder interaction information, tag DF4B; zero when the card has nothing to say.
fn interaction(objects: &Objects) -> Result<u8, Stop> {
    if objects.get(0xDF4B).is_none() {
        return Ok(0);
    }
    let [_, second, _] =
        objects.fixed::<3>(0xDF4B, "POS cardholder interaction information (DF4B)")?;
    Ok(second)
}

fn unpredictable(told: &[(u32, Vec<u8>)]) -> Result<[u8; 4], &'static str> {
    told.iter()
        .find(|(tag, _)| *tag == 0x9F37)
        .and_then(|(_, value)| value.as_slice().try_into().ok())
        .ok_or("it does not ask for the unpredictable number")
}

/// The objects of the answer that the signature covers: all but itself, as the very bytes the card sent.
fn signed_objects(answer: &[u8]) -> Result<Vec<u8>, Stop> {
    let malformed = || invalid("the card's answer to GENERATE AC is malformed");
    let mut rest = inside(answer).ok_or_else(malformed)?;
    let mut signed = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        // Zeros between objects are padding (EMV Book 3, annex B).
        if let [0, left @ ..] = rest {
            rest = left;
            continue;
        }
        let (object, size) = Tlv::parse(rest).map_err(|_| malformed())?;
        let (bytes, left) = rest.split_at_checked(size).ok_or_else(malformed)?;
        if object.tag().0 != 0x9F4B {
            signed.extend_from_slice(bytes);
        }
        rest = left;
    }
    Ok(signed)
}
