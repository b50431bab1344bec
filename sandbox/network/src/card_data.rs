//! The card's data as a request for authorisation carries it, with every length checked, and what its cryptogram covers.
//!
//! From a tap that is what terminal and card said to each other. A consumer-presented code was told nothing: what a
//! terminal would have said is zeros of its length, and the step of time stands for its unpredictable number.

use std::ops::RangeInclusive;

use anyhow::Context;
use sandbox_kit::bytes;
use sandbox_kit::problem::Problem;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::authorise::{AuthorisationQuery, MAX_AMOUNT};
use crate::derive::{Pad, bcd};
use crate::scheme::Scheme;

/// How long a step of time lasts, seconds.
const STEP_S: i64 = 30;

/// How the card's data came to the acquirer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryMode {
    /// By a tap.
    #[default]
    Tap,
    /// In a consumer-presented code (EMV QRCPS): a picture, and nobody told the card anything.
    Cpm,
}

impl EntryMode {
    pub(crate) fn is_tap(&self) -> bool {
        *self == Self::Tap
    }
}

/// The card's data that the network reads, taken out of the tags with their lengths checked.
pub(crate) struct CardSaid {
    pub(crate) scheme: Scheme,
    pub(crate) atc: u16,
    pub(crate) arqc: [u8; 8],
    pub(crate) iad: Vec<u8>,
    /// Where the card was told it is; a code is told nothing.
    pub(crate) country: Option<[u8; 2]>,
    /// The step of time that a code was made in.
    pub(crate) step: Option<u32>,
    /// The bytes under the cryptogram.
    pub(crate) inputs: Vec<u8>,
}

/// Reads the card's and the terminal's data. Every value must have its tag's own length: values are concatenated under
/// the cryptogram, and a byte must not be able to move from one to the next.
pub(crate) fn read(query: &AuthorisationQuery, scheme: Scheme) -> Result<CardSaid, Problem> {
    if !(1..=MAX_AMOUNT).contains(&query.amount_minor) {
        return Err(Problem::invalid(
            "amount_minor must be from 1 to 999999999999.",
        ));
    }
    let numeric = match query.currency.as_str() {
        "CNY" => [0x01, 0x56],
        _ => return Err(Problem::invalid("The network takes payments in CNY only.")),
    };
    let value = |tag: &str| -> Result<Vec<u8>, Problem> {
        let value = query.emv.get(tag).and_then(|text| bytes::from_hex(text));
        value
            .filter(|value| lengths(tag).is_some_and(|lengths| lengths.contains(&value.len())))
            .ok_or_else(|| {
                Problem::invalid(format!("emv needs tag {tag} with a value of its length."))
            })
    };
    let mut inputs = Vec::with_capacity(64);
    for tag in &scheme.cryptogram().inputs {
        match (query.entry, tag.as_str()) {
            (_, tag @ ("9F10" | "9F36" | "9F37")) => inputs.extend(value(tag)?),
            (EntryMode::Tap, "9F02") => inputs.extend(amount_bcd(query.amount_minor)?),
            (EntryMode::Tap, "5F2A") => inputs.extend(numeric),
            (EntryMode::Tap, tag) => inputs.extend(value(tag)?),
            // The card's own, and not in the code: no reader chose among its values.
            (EntryMode::Cpm, "82") => {
                let aip = bytes::from_hex(scheme.aip_unasked());
                inputs.extend(aip.ok_or_else(Problem::internal)?);
            }
            (EntryMode::Cpm, tag) => {
                let zeros = lengths(tag).map_or(0, |lengths| *lengths.start());
                inputs.resize(inputs.len() + zeros, 0);
            }
        }
    }
    let exact = || Problem::invalid("A tag of the card has the wrong length.");
    let (country, step) = match query.entry {
        EntryMode::Tap => {
            let country: [u8; 2] = value("9F1A")?.try_into().map_err(|_| exact())?;
            (Some(country), None)
        }
        EntryMode::Cpm => {
            let step: [u8; 4] = value("9F37")?.try_into().map_err(|_| exact())?;
            (None, Some(u32::from_be_bytes(step)))
        }
    };
    Ok(CardSaid {
        scheme,
        atc: u16::from_be_bytes(value("9F36")?.try_into().map_err(|_| exact())?),
        arqc: value("9F26")?.try_into().map_err(|_| exact())?,
        iad: value("9F10")?,
        country,
        step,
        inputs,
    })
}

/// Whether a code that was made in this step of time still pays: in its own step, in the next, and in the one before, for
/// a phone whose clock runs ahead.
pub(crate) fn step_counts(step: u32, now: OffsetDateTime) -> bool {
    // Its low four bytes, as tag 9F37 has them.
    let present = now.unix_timestamp().div_euclid(STEP_S) & i64::from(u32::MAX);
    let present = u32::try_from(present).unwrap_or_default();
    matches!(step.wrapping_sub(present), 0 | 1 | u32::MAX)
}

/// The lengths in bytes that a tag's value may have; nothing for a tag that no cryptogram covers.
fn lengths(tag: &str) -> Option<RangeInclusive<usize>> {
    Some(match tag {
        "9F26" => 8..=8,
        "9F02" | "9F03" => 6..=6,
        "95" => 5..=5,
        "9F37" => 4..=4,
        "9A" => 3..=3,
        "5F2A" | "9F1A" | "82" | "9F36" => 2..=2,
        "9C" => 1..=1,
        "9F10" => 1..=32,
        _ => return None,
    })
}

/// Tag 9F02: twelve digits.
fn amount_bcd(amount_minor: i64) -> anyhow::Result<Vec<u8>> {
    bcd(&format!("{amount_minor:012}"), Pad::Left)
        .filter(|bytes| bytes.len() == 6)
        .context("an amount has at most twelve digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_counts_beside_its_own_too() {
        let now = sandbox_kit::clock::parse("2026-11-22T10:00:00Z").unwrap();
        let step = u32::try_from(now.unix_timestamp() / STEP_S).unwrap();
        for (step, counts) in [
            (step - 2, false),
            (step - 1, true),
            (step, true),
            (step + 1, true),
            (step + 2, false),
            (0, false),
        ] {
            assert_eq!(step_counts(step, now), counts, "{step}");
        }
        // Where the four bytes come round.
        let end = OffsetDateTime::from_unix_timestamp((1_i64 << 32) * STEP_S).unwrap();
        assert!(step_counts(u32::MAX, end) && step_counts(1, end));
    }
}
