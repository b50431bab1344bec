//! A card on the screen: a fresh cryptogram for each step of time, as long as the counters of this showing last.

use rand_core::CryptoRngCore;

use super::CodeRefusal;
use super::showing::Halt;
use crate::code::cpm;
use crate::code::steps::Step;
use crate::emv::card::ArmedToken;
use crate::emv::presented::Presented;
use crate::statement::{JournalEvent, Payment};
use crate::token::{KeyIndex, TokenRef};

/// A card that is armed for one showing.
pub(super) struct CardOnScreen {
    armed: ArmedToken,
    /// The code of a step, made once: every one costs a counter.
    made: Option<(u64, String)>,
    /// The counters that were shown.
    atcs: Vec<u16>,
}

/// The code of a step.
pub(super) enum Refresh {
    /// As it was.
    Same(String),
    /// A new one, with what the journal must have of it.
    New(String, JournalEvent),
}

impl CardOnScreen {
    pub(super) fn new(armed: ArmedToken) -> Self {
        Self {
            armed,
            made: None,
            atcs: Vec::new(),
        }
    }

    /// The code of this step.
    ///
    /// # Errors
    /// [`Halt::Paused`] when its counters are used up, [`Halt::Refused`] when the card cannot be shown.
    pub(super) fn at(
        &mut self,
        step: &Step,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Refresh, Halt> {
        if let Some((_, code)) = self.made.as_ref().filter(|(made, _)| *made == step.number) {
            return Ok(Refresh::Same(code.clone()));
        }
        if self.armed.atcs.left() == 0 {
            return Err(Halt::Paused);
        }
        let unpredictable = step.unpredictable();
        let presented = self.armed.present(unpredictable, rng);
        let code = presented
            .as_ref()
            .and_then(|presented| self.write(presented));
        let (Some(presented), Some(code)) = (presented, code) else {
            return Err(Halt::Refused(CodeRefusal::NotOffered));
        };
        self.atcs.push(presented.atc);
        self.made = Some((step.number, code.clone()));
        let event = JournalEvent::Presented {
            payment: Payment::by_card(self.armed.token.clone(), presented.atc),
            key_index: self.armed.key_index,
            un: hex::encode_upper(unpredictable),
        };
        Ok(Refresh::New(code, event))
    }

    fn write(&self, presented: &Presented) -> Option<String> {
        match cpm::of_card(self.armed.application()?, presented) {
            Ok(code) => Some(code),
            Err(error) => {
                tracing::warn!(%error, "the card cannot be shown as a payment code");
                None
            }
        }
    }

    /// The counters that were shown: whoever pays, pays by one of them.
    pub(super) fn atcs(&self) -> &[u16] {
        &self.atcs
    }

    pub(super) fn unused(&self) -> (TokenRef, KeyIndex, u32) {
        let armed = &self.armed;
        (armed.token.clone(), armed.key_index, armed.atcs.left())
    }
}
