//! A cryptogram that no reader asked for: what a consumer-presented code is written around.
//!
//! It is made as at a reader that tells zeros, in the lengths that the profile's lists ask for, but for the unpredictable
//! number (9F37): there the one who shows the code puts the step of time, by which the issuer bounds the code's life.

use rand_core::CryptoRngCore;

use super::card::ArmedToken;
use super::computed::{Computed, Request};
use super::dol::Dol;
use super::profile::{Application, Decision, Flow, tags};
use super::tlv::Tag;

/// What tells a payment at a reader from a code: one of them is not zero there.
pub(super) const TELLING: [Tag; 4] = [tags::AMOUNT, tags::CURRENCY, tags::COUNTRY, tags::DATE];

/// The data objects of one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Track 2 equivalent data (57): the token's number, never the card's.
    pub track_2: Vec<u8>,
    /// Issuer application data (9F10).
    pub iad: Vec<u8>,
    /// The application cryptogram (9F26).
    pub cryptogram: [u8; 8],
    /// The counter it was made under (9F36).
    pub atc: u16,
    /// The unpredictable number (9F37).
    pub unpredictable: [u8; 4],
}

impl ArmedToken {
    /// Takes a counter and makes the cryptogram under it; nothing when no counter is left, or when the profile has not what
    /// a code needs (then no counter is taken).
    pub fn present(
        &mut self,
        unpredictable: [u8; 4],
        rng: &mut impl CryptoRngCore,
    ) -> Option<Presented> {
        let profile = std::sync::Arc::clone(&self.profile);
        let pdol_data = answered(profile.pdol(), unpredictable)?;
        let path = profile.path_for(&pdol_data)?;
        let (answer, cdol_data) = match profile.flow() {
            Flow::Gpo => (path.1.answer.as_slice(), None),
            Flow::GenerateAc(rule) => (
                rule.answer.as_slice(),
                Some(answered(&rule.cdol, unpredictable)?),
            ),
        };
        // Without the step under the cryptogram, the code would live as long as the key; without the others, a reader could
        // have it made for a step of its own choice, and tell something else where the cryptogram does not see it.
        let (list, inputs) = (profile.payment_list(), &profile.cryptogram().inputs);
        list.length_of(tags::UNPREDICTABLE)?;
        let mut under = [tags::UNPREDICTABLE].into_iter().chain(TELLING);
        let covers = under.all(|tag| list.length_of(tag).is_none() || inputs.contains(&tag));
        let track_2 = profile.told(path.1, tags::TRACK_2).filter(|_| covers)?;
        let decision = Decision::Online { verified: false };
        let atc = self.atcs.take()?;
        let request = Request {
            token: self,
            key: &self.key,
            key_index: &self.key_index,
            decision,
            path: path.1,
            answer,
            pdol_data: &pdol_data,
            cdol_data: cdol_data.as_deref(),
            atc,
        };
        let computed = Computed::new(&request, rng).ok()?;
        Some(Presented {
            track_2: track_2.to_vec(),
            iad: computed.value(tags::IAD)?.to_vec(),
            cryptogram: computed.value(tags::CRYPTOGRAM)?.try_into().ok()?,
            atc,
            unpredictable,
        })
    }

    /// The application that a code offers: the one that readers see first.
    pub fn application(&self) -> Option<&Application> {
        let applications = self.profile.applications().iter();
        applications.min_by_key(|application| application.priority())
    }
}

/// Zeros for every value of the list but the unpredictable number.
fn answered(list: &Dol, unpredictable: [u8; 4]) -> Option<Vec<u8>> {
    let mut data = vec![0; list.length()];
    if let Some(place) = list.place_of(tags::UNPREDICTABLE) {
        let number: &mut [u8; 4] = data.get_mut(place)?.try_into().ok()?;
        *number = unpredictable;
    }
    Some(data)
}
