//! Entry point: which of the card's applications pays (EMV Contactless Book B, chapter 3).
//!
//! The PPSE lists the applications with their priorities; those the acquirer supports become the candidate list,
//! highest priority first. An application that does not want this payment (6985 and the like) gives way to the next.

use emv::core::dol::Dol;

use crate::apdu::{self, Decline, OK, PPSE, Stop};
use crate::card::Card;
use crate::data::TerminalData;
use crate::kernel::{self, Kernel, Outcome, Settings};

/// One application that card and terminal have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The card's full application name.
    pub aid: Vec<u8>,
    /// What a person would call it.
    pub label: String,
    /// 1 is the highest, 15 the lowest; 0 is none and comes last.
    pub priority: u8,
    /// By whose rules it is run.
    pub kernel: Kernel,
}

/// Runs a whole payment at the card: entry point, kernel, and the next application where one gives way.
///
/// # Errors
/// [`Stop`] when there is nothing to authorise: card gone, no application in common, or declined.
pub fn pay(
    card: &mut dyn Card,
    terminal: &TerminalData,
    settings: &Settings,
) -> Result<Outcome, Stop> {
    let candidates = candidates(card, &settings.aids)?;
    let mut last = Decline::new(
        "no_application",
        "card and terminal have no application in common",
    );
    for candidate in &candidates {
        let attempt = select(card, candidate)
            .and_then(|pdol| kernel::run(card, terminal, settings, candidate, &pdol));
        match attempt {
            Err(Stop::NextApplication(why)) => last = why,
            other => return other,
        }
    }
    Err(Stop::Declined(last))
}

/// Selects the PPSE and makes the candidate list out of it.
fn candidates(card: &mut dyn Card, supported: &[Vec<u8>]) -> Result<Vec<Candidate>, Stop> {
    let (data, status) = apdu::exchange(card, &apdu::select(PPSE)?)?;
    if status != OK {
        return Err(Stop::Declined(Decline::new(
            "no_application",
            format!("the card offers no contactless applications (status {status:04X})"),
        )));
    }
    let fci = apdu::template(&data, 0x6F, "PPSE")?;
    let mut list: Vec<Candidate> = fci
        .find_all(emv::Tag(0x61))
        .into_iter()
        .filter_map(|entry| {
            let aid = apdu::find(entry, 0x4F)?;
            let kernel = Kernel::of(aid)?;
            supported
                .iter()
                .any(|name| aid.starts_with(name))
                .then(|| Candidate {
                    aid: aid.to_vec(),
                    label: apdu::find(entry, 0x50).map(printable).unwrap_or_default(),
                    priority: apdu::find(entry, 0x87)
                        .and_then(<[u8]>::first)
                        .map_or(0, |byte| byte & 0x0F),
                    kernel,
                })
        })
        .collect();
    // A stable sort: equal priorities keep the card's order.
    list.sort_by_key(|candidate| {
        if candidate.priority == 0 {
            u8::MAX
        } else {
            candidate.priority
        }
    });
    Ok(list)
}

/// Selects one application; answers its PDOL, which may be missing where the cryptogram does not come with the GPO.
fn select(card: &mut dyn Card, candidate: &Candidate) -> Result<Dol, Stop> {
    let (data, status) = apdu::exchange(card, &apdu::select(&candidate.aid)?)?;
    if status != OK {
        return Err(Stop::NextApplication(Decline::new(
            "no_application",
            format!(
                "the card does not open its application {} (status {status:04X})",
                candidate.label
            ),
        )));
    }
    let fci = apdu::template(&data, 0x6F, "answer to SELECT")?;
    let pdol: &[u8] = match (apdu::find(&fci, 0x9F38), candidate.kernel) {
        (Some(pdol), _) => pdol,
        (None, Kernel::Two) => &[],
        (None, Kernel::Three | Kernel::Seven) => {
            return Err(apdu::missing("PDOL, which a contactless payment needs"));
        }
    };
    Dol::parse(pdol).map_err(|_| apdu::invalid("the card's PDOL is not a list of tags and lengths"))
}

/// Text from the card with everything but printable ASCII left out.
fn printable(bytes: &[u8]) -> String {
    bytes
        .iter()
        .filter(|byte| (0x20..0x7F).contains(*byte))
        .map(|byte| char::from(*byte))
        .collect()
}
