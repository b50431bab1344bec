//! Issuer application data read back by the template that it was made from.

use super::{IadPart, Results};

/// What the card says of its decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardResult {
    /// It asks the issuer; nobody was verified.
    Online,
    /// It asks the issuer; the person was verified on the phone.
    Verified,
    /// It declined, or says something that no card of this template says.
    Other,
}

/// The two things that issuer application data says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iad {
    /// The index of the limited-use key, `YHHHHCC`.
    pub key_index: String,
    /// The card verification results.
    pub result: CardResult,
}

/// Reads `iad`; nothing when it is not of the template's form.
pub fn read(template: &[IadPart], iad: &[u8]) -> Option<Iad> {
    let mut rest = iad;
    let (mut key_index, mut result) = (None, None);
    for part in template {
        match part {
            IadPart::Fixed(bytes) => {
                rest = rest.strip_prefix(hex::decode(bytes).ok()?.as_slice())?;
            }
            IadPart::KeyIndex => key_index = Some(index(take(&mut rest, 4)?)?),
            IadPart::Result(results) => {
                let said = take(&mut rest, results.online.len() / 2)?;
                result = Some(meaning(results, said));
            }
        }
    }
    Some(Iad {
        key_index: key_index.filter(|_| rest.is_empty())?,
        result: result?,
    })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// Seven digits behind a zero.
fn index(bytes: &[u8]) -> Option<String> {
    let digits = hex::encode(bytes);
    let index = digits.strip_prefix('0')?;
    index
        .bytes()
        .all(|digit| digit.is_ascii_digit())
        .then(|| index.to_owned())
}

fn meaning(results: &Results, said: &[u8]) -> CardResult {
    let said = hex::encode_upper(said);
    if said == results.online {
        CardResult::Online
    } else if said == results.verified {
        CardResult::Verified
    } else {
        CardResult::Other
    }
}
