//! Kernels 3 and 7, qVSDC and qUICS: GET PROCESSING OPTIONS, the records of the AFL, and the checks that decide whether
//! the cryptogram goes online. There is no GENERATE AC here; the GPO's answer already holds it.
//!
//! Both ask by the terminal transaction qualifiers (9F66) and are answered by the card's (9F6C), but with bits of their
//! own: what is asked of a card stands in [`qualifiers`]. Of the card's bits on verification none counts unless the
//! terminal asked for it.

use emv::core::dol::Dol;

use super::{
    Authentication, Cryptogram, Kernel, Objects, Outcome, Settings, cryptogram, expired, kind,
    no_pin_pad, not_genuine, not_verified, processing_options, read_records,
};
use crate::apdu::{Decline, Stop};
use crate::card::Card;
use crate::data::TerminalData;
use crate::entry::Candidate;
use crate::oda::{self, Chain};

/// Terminal transaction qualifiers: what this terminal can do, always with an online cryptogram (byte 2, bit 8).
fn qualifiers(kernel: Kernel, terminal: &TerminalData) -> [u8; 4] {
    let when = |asked: bool, bit: u8| if asked { bit } else { 0 };
    let (oda, cvm) = (terminal.wants_oda(), terminal.wants_cvm());
    match kernel {
        // EMV mode; bit 1 is data authentication for online payments, byte 3 verification on the device.
        Kernel::Three => [0x20 | when(oda, 0x01), 0x80 | when(cvm, 0x40), 0x40, 0x00],
        // Contactless debit and credit, qPBOC, online PIN and signature; byte 4 is fDDA version 01.
        Kernel::Two | Kernel::Seven => [0x66, 0x80 | when(cvm, 0x40), 0x00, when(oda, 0x80)],
    }
}

pub(super) fn run(
    card: &mut dyn Card,
    terminal: &TerminalData,
    settings: &Settings,
    application: &Candidate,
    pdol: &Dol,
) -> Result<Outcome, Stop> {
    let kernel = application.kernel;
    let asked = terminal
        .with(0x9F66, &qualifiers(kernel, terminal))
        .fill(pdol);
    let mut objects = processing_options(card, &asked)?;
    let signed_records = read_records(card, &mut objects)?;

    let mut cryptogram = cryptogram(&application.aid, &objects, &asked)?;
    let limits = Limits::of(&objects)?;
    if terminal.wants_oda() {
        let chain = Chain {
            aid: &application.aid,
            objects: &objects,
            signed_records: &signed_records,
            ca_keys: &settings.ca_keys,
            today: terminal.date(),
        };
        cryptogram.authentication = match oda::check_fdda(&chain, &asked) {
            Ok(()) => Authentication::Verified,
            Err(why) => {
                cryptogram.authentication = Authentication::Failed;
                if !limits.online_if_oda_fails {
                    return Ok(Outcome::Declined(not_genuine(why), cryptogram));
                }
                Authentication::Failed
            }
        };
    }
    // A signature is nothing that kernel 3 was told this terminal takes.
    cryptogram.signature_wanted = limits.signature && kernel == Kernel::Seven;
    cryptogram.verified_on_device = limits.verified_on_device;
    Ok(match judge(&objects, &cryptogram, &limits, terminal)? {
        Some(decline) => Outcome::Declined(decline, cryptogram),
        None => Outcome::Online(cryptogram),
    })
}

/// The card transaction qualifiers that this POS acts on, tag 9F6C.
#[derive(Debug, Default)]
struct Limits {
    pin: bool,
    signature: bool,
    online_if_oda_fails: bool,
    online_if_expired: bool,
    verified_on_device: bool,
}

impl Limits {
    fn of(objects: &Objects) -> Result<Self, Stop> {
        let [first, second] = match objects.get(0x9F6C) {
            None => return Ok(Self::default()),
            Some(_) => objects.fixed::<2>(0x9F6C, "card transaction qualifiers (9F6C)")?,
        };
        Ok(Self {
            pin: first & 0x80 != 0,
            signature: first & 0x40 != 0,
            online_if_oda_fails: first & 0x20 != 0,
            online_if_expired: first & 0x08 != 0,
            verified_on_device: second & 0x80 != 0,
        })
    }
}

/// The checks after the last record: what kind of cryptogram this is, expiry, and verification.
fn judge(
    objects: &Objects,
    cryptogram: &Cryptogram,
    limits: &Limits,
    terminal: &TerminalData,
) -> Result<Option<Decline>, Stop> {
    if let Some(decline) = kind(objects)? {
        return Ok(Some(decline));
    }
    if let Some(decline) = expired(cryptogram, terminal).filter(|_| !limits.online_if_expired) {
        return Ok(Some(decline));
    }
    let done = limits.verified_on_device || cryptogram.signature_wanted;
    Ok(match (terminal.wants_cvm() && !done, limits.pin) {
        (false, _) => None,
        (true, true) => Some(no_pin_pad()),
        (true, false) => Some(not_verified()),
    })
}
