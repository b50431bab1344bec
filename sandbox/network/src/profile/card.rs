//! What of a profile differs between cards, and the encodings that it stands in.

use anyhow::Context;
use time::Date;

use super::Object;
use crate::derive::{Pad, bcd};

/// What of a profile differs between cards.
#[derive(Debug, Clone)]
pub struct CardData<'a> {
    /// Token number, digits.
    pub token: &'a str,
    /// Sequence number, two digits.
    pub psn: &'a str,
    /// Last day of validity.
    pub expiry: Date,
    /// First day of validity.
    pub effective: Date,
}

impl CardData<'_> {
    /// The number as tag 5A has it, hex.
    pub(super) fn pan(&self) -> anyhow::Result<String> {
        Ok(hex::encode_upper(
            bcd(self.token, Pad::Right).context("a number is made of digits")?,
        ))
    }

    /// Track 2 equivalent data: number, D, YYMM, service code 220 (international, normal, by the issuer online), filler.
    pub(super) fn track2(&self) -> String {
        let mut track = format!("{}D{}2200000000000", self.token, yymm(self.expiry));
        if track.len() % 2 == 1 {
            track.push('F');
        }
        track
    }
}

/// The objects as BER-TLV, then `aip` (hex).
pub(super) fn encoded(objects: &[Object], aip: &str) -> anyhow::Result<Vec<u8>> {
    let mut data = Vec::new();
    for object in objects {
        let value = hex::decode(
            object
                .value
                .as_deref()
                .context("a signed object needs a value")?,
        )?;
        data.extend(hex::decode(&object.tag)?);
        data.push(
            u8::try_from(value.len())
                .ok()
                .filter(|length| *length < 0x80)
                .context("a signed object is too long")?,
        );
        data.extend_from_slice(&value);
    }
    data.extend(hex::decode(aip)?);
    Ok(data)
}

/// A date as YYMMDD.
pub fn yymmdd(date: Date) -> String {
    format!("{}{:02}", yymm(date), date.day())
}

/// A date's month as YYMM.
pub fn yymm(date: Date) -> String {
    format!(
        "{:02}{:02}",
        date.year().rem_euclid(100),
        u8::from(date.month())
    )
}

/// A date's month as two BCD bytes MMYY, the form of certificates.
pub fn mmyy(date: Date) -> anyhow::Result<[u8; 2]> {
    let digits = format!(
        "{:02}{:02}",
        u8::from(date.month()),
        date.year().rem_euclid(100)
    );
    bcd(&digits, Pad::Left)
        .and_then(|bytes| bytes.try_into().ok())
        .context("a month has four digits")
}
