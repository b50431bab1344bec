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
    token: TokenRef,
    key_index: KeyIndex,
    /// While the code can be scanned.
    armed: Option<ArmedToken>,
    /// Uses that were not needed, once it cannot.
    unused: u32,
    /// The code of a step, made once: every one costs a counter.
    made: Option<(u64, String)>,
    /// The counters that were shown.
    atcs: Vec<u16>,
}

/// How many counters of the showing before may still be paid by: those of its last step, and of the one before.
const LINGERING: usize = 2;

/// The code of a step.
pub(super) enum Refresh {
    /// As it was.
    Same(String),
    /// A new one, with what the journal must have of it.
    New(String, JournalEvent),
}

impl CardOnScreen {
    /// A card, with the counters of the showing before it in the same view.
    pub(super) fn new(armed: ArmedToken, before: &[u16]) -> Self {
        let lingering = before.len().saturating_sub(LINGERING);
        Self {
            token: armed.token.clone(),
            key_index: armed.key_index,
            armed: Some(armed),
            unused: 0,
            made: None,
            atcs: before.iter().skip(lingering).copied().collect(),
        }
    }

    /// The code of this step.
    ///
    /// # Errors
    /// [`Halt::Paused`] when its counters are used up, [`Halt::Refused`] when the card cannot be shown or its key has come to
    /// its end.
    pub(super) fn at(
        &mut self,
        step: &Step,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Refresh, Halt> {
        if let Some((_, code)) = self.made.as_ref().filter(|(made, _)| *made == step.number) {
            return Ok(Refresh::Same(code.clone()));
        }
        let armed = self.armed.as_mut().ok_or(Halt::Paused)?;
        if armed.not_after_ms <= step.at_ms {
            return Err(Halt::Refused(CodeRefusal::NoKeys));
        }
        if armed.atcs.left() == 0 {
            return Err(Halt::Paused);
        }
        let unpredictable = step.unpredictable();
        let presented = armed.present(unpredictable, rng);
        let written =
            presented.and_then(|presented| Some((presented.atc, write(armed, &presented)?)));
        let (atc, code) = written.ok_or(Halt::Refused(CodeRefusal::NotOffered))?;
        self.atcs.push(atc);
        self.made = Some((step.number, code.clone()));
        let event = JournalEvent::Presented {
            payment: Payment::by_card(self.token.clone(), atc),
            key_index: self.key_index,
            un: hex::encode_upper(unpredictable),
        };
        Ok(Refresh::New(code, event))
    }

    /// The counters that were shown: whoever pays, pays by one of them.
    pub(super) fn atcs(&self) -> &[u16] {
        &self.atcs
    }

    /// It cannot be scanned any more: the key leaves the memory.
    pub(super) fn end(&mut self) {
        self.unused = self.left();
        self.armed = None;
        self.made = None;
    }

    pub(super) fn unused(&self) -> (TokenRef, KeyIndex, u32) {
        (self.token.clone(), self.key_index, self.left())
    }

    fn left(&self) -> u32 {
        let armed = self.armed.as_ref();
        armed.map_or(self.unused, |armed| armed.atcs.left())
    }
}

fn write(armed: &ArmedToken, presented: &Presented) -> Option<String> {
    match cpm::of_card(armed.application()?, presented) {
        Ok(code) => Some(code),
        Err(error) => {
            tracing::warn!(%error, "the card cannot be shown as a payment code");
            None
        }
    }
}
