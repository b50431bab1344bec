//! The five commands that contactless payments need, and what the entry point and the kernel do with bad answers.

use emv::core::apdu::{Cla, Command, Ins, Response};
use emv::core::tlv::{Tlv, encode_length};

use crate::card::{Card, CardLost};

/// The name of the proximity payment system environment, `2PAY.SYS.DDF01`.
pub(crate) const PPSE: &[u8] = b"2PAY.SYS.DDF01";

pub(crate) const OK: u16 = 0x9000;
pub(crate) const CONDITIONS: u16 = 0x6985;
pub(crate) const SEE_PHONE: u16 = 0x6986;

/// Why a payment at the card came to its end without anything to authorise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The card is no longer there.
    Lost(CardLost),
    /// This application will not do; the entry point may try the next one.
    NextApplication(Decline),
    /// The payment is over.
    Declined(Decline),
}

/// A payment that the card or the terminal refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decline {
    /// A stable word, such as `card_declined`.
    pub reason: &'static str,
    /// The sentence that goes with it.
    pub detail: String,
}

impl Decline {
    pub(crate) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

impl From<CardLost> for Stop {
    fn from(lost: CardLost) -> Self {
        Self::Lost(lost)
    }
}

/// The card's data cannot be used.
pub(crate) fn invalid(detail: impl Into<String>) -> Stop {
    Stop::Declined(Decline::new("card_data_invalid", detail))
}

/// The card leaves out what a payment needs.
pub(crate) fn missing(what: &str) -> Stop {
    Stop::Declined(Decline::new(
        "card_data_missing",
        format!("the card gave no {what}"),
    ))
}

pub(crate) fn select(name: &[u8]) -> Result<Vec<u8>, Stop> {
    command(0x00, 0xA4, 0x04, 0x00, name.to_vec())
}

pub(crate) fn get_processing_options(pdol_data: &[u8]) -> Result<Vec<u8>, Stop> {
    let mut data = vec![0x83];
    data.extend(encode_length(pdol_data.len()));
    data.extend_from_slice(pdol_data);
    command(0x80, 0xA8, 0x00, 0x00, data)
}

pub(crate) fn read_record(sfi: u8, number: u8) -> Result<Vec<u8>, Stop> {
    command(0x00, 0xB2, number, (sfi << 3) | 0x04, Vec::new())
}

/// GENERATE AC for an ARQC, inside a CDA signature when `cda` says so.
pub(crate) fn generate_ac(cda: bool, cdol_data: Vec<u8>) -> Result<Vec<u8>, Stop> {
    let signature = if cda { 0x10 } else { 0x00 };
    command(0x80, 0xAE, 0x80 | signature, 0x00, cdol_data)
}

fn command(cla: u8, ins: u8, p1: u8, p2: u8, data: Vec<u8>) -> Result<Vec<u8>, Stop> {
    Command {
        cla: Cla(cla),
        ins: Ins(ins),
        p1,
        p2,
        data,
        le: Some(0),
    }
    .to_bytes()
    .map_err(|_| invalid("the card asks for more data than one command can carry"))
}

/// Sends a command and splits the answer into data and status word.
pub(crate) fn exchange(card: &mut dyn Card, command: &[u8]) -> Result<(Vec<u8>, u16), Stop> {
    let answer = card.transmit(command)?;
    let response =
        Response::parse(&answer).map_err(|_| invalid("the card's answer has no status word"))?;
    Ok((response.data().to_vec(), response.status_word()))
}

/// Reads exactly one constructed object with the wanted tag out of an answer.
pub(crate) fn template(data: &[u8], tag: u32, what: &str) -> Result<Tlv, Stop> {
    Tlv::from_bytes(data)
        .ok()
        .filter(|tlv| tlv.tag().0 == tag)
        .ok_or_else(|| {
            invalid(format!(
                "the card's {what} is not a well-formed template {tag:02X}"
            ))
        })
}

/// The value of the first primitive object with this tag, at any depth.
pub(crate) fn find(tlv: &Tlv, tag: u32) -> Option<&[u8]> {
    tlv.find(emv::Tag(tag))?.value().as_primitive()
}
