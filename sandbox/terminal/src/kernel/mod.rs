//! The contactless kernels: what happens at the card once its application is selected, up to the cryptogram that goes
//! online. [`Kernel`] says by which of EMVCo's books (C-2, C-3, C-7) an application is run: `qvsdc` is for the cards that
//! answer GET PROCESSING OPTIONS with a cryptogram, `mchip` for those that answer GENERATE AC with it.
//!
//! This POS always wants an online cryptogram, so a card that approves by itself is refused: nobody behind it would have
//! checked the amount. It has no keys to type a PIN on; verification, where it asks for any, is the phone's.

mod mchip;
mod qvsdc;

use std::collections::BTreeMap;

use emv::core::dol::Dol;
use emv::core::oda::CaPublicKey;
use emv::core::tlv::{Tlv, Value, parse_length};
use emv::de::application_file_locator::ApplicationFileLocator;

use crate::apdu::{self, CONDITIONS, Decline, OK, SEE_PHONE, Stop, invalid, missing};
use crate::card::Card;
use crate::data::{TerminalData, bcd_date};
use crate::entry::Candidate;

/// More records than any card has; a file locator that asks for more is nonsense.
const MOST_RECORDS: usize = 64;

/// What the acquirer has set for this terminal.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Application names; a card's application matches when its name begins with one of them.
    pub aids: Vec<Vec<u8>>,
    /// Scheme keys for offline data authentication.
    pub ca_keys: Vec<CaPublicKey>,
}

/// How offline data authentication went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// The terminal did not ask for it.
    NotAsked,
    /// The card's signature over this very payment was verified.
    Verified,
    /// It failed, and the card wishes to go online nevertheless.
    Failed,
}

impl Authentication {
    /// The word used in results and receipts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotAsked => "not_asked",
            Self::Verified => "verified",
            Self::Failed => "failed",
        }
    }
}

/// A cryptogram with everything its authorisation needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cryptogram {
    /// The application that paid.
    pub aid: Vec<u8>,
    /// Token number, digits.
    pub token: String,
    /// Expiry of the token, `YYMM`.
    pub expiry: String,
    /// Sequence number, two digits.
    pub psn: String,
    /// Application transaction counter.
    pub atc: u16,
    /// The application cryptogram.
    pub arqc: Vec<u8>,
    /// Data objects for the network, by tag. Tag 9F02 is never among them: the network derives it from the amount.
    pub emv: BTreeMap<String, String>,
    /// The receipt needs a line for a signature.
    pub signature_wanted: bool,
    /// The person was verified on the device.
    pub verified_on_device: bool,
    /// Offline data authentication.
    pub authentication: Authentication,
}

/// What the kernel answers when the card produced a cryptogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Ask the issuer.
    Online(Cryptogram),
    /// Card or terminal declined, though there is a cryptogram to report.
    Declined(Decline, Cryptogram),
}

/// By which book an application is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Mastercard style.
    Two,
    /// Visa style.
    Three,
    /// UnionPay style.
    Seven,
}

impl Kernel {
    /// The kernel for an application, by its registered provider; nothing when there is none here.
    #[must_use]
    pub fn of(aid: &[u8]) -> Option<Self> {
        match aid.get(..5)? {
            [0xA0, 0x00, 0x00, 0x00, 0x04] => Some(Self::Two),
            [0xA0, 0x00, 0x00, 0x00, 0x03] => Some(Self::Three),
            [0xA0, 0x00, 0x00, 0x03, 0x33] => Some(Self::Seven),
            _ => None,
        }
    }
}

/// Runs the kernel on the application that was just selected.
///
/// # Errors
/// [`Stop`] when there is no cryptogram to speak of.
pub fn run(
    card: &mut dyn Card,
    terminal: &TerminalData,
    settings: &Settings,
    application: &Candidate,
    pdol: &Dol,
) -> Result<Outcome, Stop> {
    match application.kernel {
        Kernel::Two => mchip::run(card, terminal, settings, &application.aid, pdol),
        Kernel::Three | Kernel::Seven => qvsdc::run(card, terminal, settings, application, pdol),
    }
}

/// Objects and values that the terminal told, as bytes.
fn values(told: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let values = told.iter().flat_map(|(_, value)| value);
    values.copied().collect()
}

/// GET PROCESSING OPTIONS with what the card asked for; answers its objects.
fn processing_options(card: &mut dyn Card, asked: &[(u32, Vec<u8>)]) -> Result<Objects, Stop> {
    let (data, status) = apdu::exchange(card, &apdu::get_processing_options(&values(asked))?)?;
    match status {
        OK => {}
        CONDITIONS => {
            return Err(Stop::NextApplication(Decline::new(
                "card_refused",
                "the card does not want to pay now",
            )));
        }
        SEE_PHONE => return Err(Stop::Declined(see_phone())),
        other => return Err(Stop::Declined(refused(other))),
    }
    let mut objects = Objects::default();
    objects.add(&apdu::template(
        &data,
        0x77,
        "answer to GET PROCESSING OPTIONS",
    )?)?;
    Ok(objects)
}

fn see_phone() -> Decline {
    Decline::new(
        "see_phone",
        "the phone asks its owner for something: look at it, then tap again",
    )
}

fn refused(status: u16) -> Decline {
    Decline::new(
        "card_refused",
        format!("the card refused the payment (status {status:04X})"),
    )
}

fn not_genuine(why: &str) -> Decline {
    Decline::new(
        "oda_failed",
        format!("the card could not prove that it is genuine: {why}"),
    )
}

/// The terminal asked for verification, and the card offers none that this terminal could do.
fn no_pin_pad() -> Decline {
    Decline::new(
        "cvm_not_possible",
        "the card wants a PIN, and no PIN is ever typed at this terminal",
    )
}

fn not_verified() -> Decline {
    Decline::new(
        "cvm_not_done",
        "the terminal asks for the cardholder's verification, and the phone did none",
    )
}

/// Reads what the file locator names; answers the bytes that the card's certificate covers.
fn read_records(card: &mut dyn Card, objects: &mut Objects) -> Result<Vec<u8>, Stop> {
    let mut signed = Vec::new();
    let Some(locator) = objects.get(0x94) else {
        return Ok(signed);
    };
    let locator = ApplicationFileLocator::parse(locator)
        .map_err(|_| invalid("the card's file locator is malformed"))?;
    let steps: Vec<_> = locator.iter_reads().take(MOST_RECORDS + 1).collect();
    if steps.len() > MOST_RECORDS {
        return Err(invalid("the card's file locator names too many records"));
    }
    for step in steps {
        let (data, status) =
            apdu::exchange(card, &apdu::read_record(step.sfi, step.record_number)?)?;
        if status != OK {
            return Err(invalid(format!(
                "the card does not give record {} of file {} (status {status:04X})",
                step.record_number, step.sfi
            )));
        }
        objects.add(&apdu::template(&data, 0x70, "record")?)?;
        if step.in_oda {
            // Files 1 to 10 are signed without the template's tag and length (EMV Book 3, 10.3).
            let inner = if step.sfi <= 10 {
                inside(&data)
            } else {
                Some(data.as_slice())
            };
            signed.extend_from_slice(inner.unwrap_or_default());
        }
    }
    Ok(signed)
}

/// The value of a template with a one-byte tag, as the very bytes the card sent.
fn inside(data: &[u8]) -> Option<&[u8]> {
    let (length, size) = parse_length(data.get(1..)?).ok()?;
    data.get(1 + size..)?.get(..length)
}

/// The card's data objects by tag, each known once.
#[derive(Debug, Default)]
pub(crate) struct Objects(BTreeMap<u32, Vec<u8>>);

impl Objects {
    pub(crate) fn get(&self, tag: u32) -> Option<&[u8]> {
        self.0.get(&tag).map(Vec::as_slice)
    }

    /// Takes in every primitive object below `tlv`.
    fn add(&mut self, tlv: &Tlv) -> Result<(), Stop> {
        match tlv.value() {
            Value::Constructed(children) => children.iter().try_for_each(|child| self.add(child)),
            Value::Primitive(value) => self.learn(tlv.tag().0, value),
        }
    }

    /// Takes in one value; a second one for the same tag must be the same.
    fn learn(&mut self, tag: u32, value: &[u8]) -> Result<(), Stop> {
        match self.0.insert(tag, value.to_vec()) {
            Some(earlier) if earlier != value => Err(invalid(format!(
                "the card gave two values for tag {tag:02X}"
            ))),
            _ => Ok(()),
        }
    }

    fn need(&self, tag: u32, what: &str) -> Result<&[u8], Stop> {
        self.get(tag)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| missing(what))
    }

    fn fixed<const N: usize>(&self, tag: u32, what: &str) -> Result<[u8; N], Stop> {
        self.need(tag, what)?
            .try_into()
            .map_err(|_| invalid(format!("the card's {what} is not {N} bytes long")))
    }
}

/// Picks out of the card's objects what identifies token and cryptogram; the network is told that and what the card
/// `asked` of the terminal.
fn cryptogram(aid: &[u8], objects: &Objects, asked: &[(u32, Vec<u8>)]) -> Result<Cryptogram, Stop> {
    objects.fixed::<2>(0x82, "application interchange profile (82)")?;
    objects.need(0x9F10, "issuer application data (9F10)")?;
    objects.fixed::<1>(0x9F27, "cryptogram information (9F27)")?;
    let arqc = objects.fixed::<8>(0x9F26, "cryptogram (9F26)")?.to_vec();
    let atc = u16::from_be_bytes(objects.fixed(0x9F36, "transaction counter (9F36)")?);
    let (token, expiry) = track2(objects.need(0x57, "track 2 data (57)")?)?;
    if let Some(number) = objects.get(0x5A)
        && hex::encode(number).trim_end_matches('f') != token
    {
        return Err(invalid("the card's number and its track 2 data differ"));
    }
    if let Some(date) = objects.get(0x5F24)
        && hex::encode(date).get(..4) != Some(expiry.as_str())
    {
        return Err(invalid(
            "the card's expiry date and its track 2 data differ",
        ));
    }
    let psn = match objects.get(0x5F34) {
        Some([number]) => format!("{number:02X}"),
        Some(_) => return Err(invalid("the card's sequence number is not one byte long")),
        None => "00".into(),
    };

    let from_card = [0x82, 0x9F10, 0x9F26, 0x9F27, 0x9F36, 0x9F6C, 0x5F34];
    let emv = asked
        .iter()
        .filter(|(tag, _)| *tag != 0x9F02)
        .map(|(tag, value)| (*tag, value.as_slice()))
        .chain(
            from_card
                .into_iter()
                .filter_map(|tag| Some((tag, objects.get(tag)?))),
        )
        .map(|(tag, value)| (format!("{tag:02X}"), hex::encode_upper(value)))
        .collect();
    Ok(Cryptogram {
        aid: aid.to_vec(),
        token,
        expiry,
        psn,
        atc,
        arqc,
        emv,
        signature_wanted: false,
        verified_on_device: false,
        authentication: Authentication::NotAsked,
    })
}

/// Takes number and expiry out of track 2 equivalent data (ISO 7813: number, separator D, `YYMM`, service code…).
fn track2(value: &[u8]) -> Result<(String, String), Stop> {
    let text = hex::encode(value);
    text.split_once('d')
        .filter(|(number, rest)| {
            (12..=19).contains(&number.len())
                && number.bytes().all(|byte| byte.is_ascii_digit())
                && rest
                    .get(..7)
                    .is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .and_then(|(number, rest)| Some((number.to_owned(), rest.get(..4)?.to_owned())))
        .ok_or_else(|| invalid("the card's track 2 data (57) is malformed"))
}

/// What kind of cryptogram this is; only one that asks the issuer goes on.
fn kind(objects: &Objects) -> Result<Option<Decline>, Stop> {
    let [information] = objects.fixed::<1>(0x9F27, "cryptogram information (9F27)")?;
    match information & 0xC0 {
        0x80 => Ok(None),
        0x40 => Ok(Some(Decline::new(
            "online_required",
            "the card approved by itself, but this terminal asks the issuer",
        ))),
        0x00 => Ok(Some(Decline::new(
            "card_declined",
            "the card declined the payment",
        ))),
        _ => Err(invalid(
            "the card's cryptogram information (9F27) names no kind of cryptogram",
        )),
    }
}

/// Whether the card's month of expiry is over.
fn expired(cryptogram: &Cryptogram, terminal: &TerminalData) -> Option<Decline> {
    let today = hex::encode(bcd_date(terminal.date()));
    // A token is good through the last day of its month; both texts are YYMM, and a payment token never lives 50 years.
    let month = today.get(..4).unwrap_or_default();
    (cryptogram.expiry.as_str() < month)
        .then(|| Decline::new("application_expired", "the card has expired"))
}
