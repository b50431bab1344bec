//! One code on the screen, in memory: what it is at a moment, by the step of time.

use rand_core::OsRng;

use super::cpm::{CardOnScreen, Refresh};
use super::{CodeEnd, CodeKind, CodeRefusal, CodeShown, CodeState};
use crate::clock::ClockReading;
use crate::code::numeric::{self, NumericCode};
use crate::code::steps::{ClockRules, ProviderClock};
use crate::code::{Alias, CodeFormat};
use crate::secret::Secret;
use crate::statement::JournalEvent;
use crate::token::{KeyIndex, TokenRef};

/// What is on the screen.
pub(super) struct Showing {
    /// Its own number: what was begun for an earlier showing is not meant for this one.
    pub(super) id: u64,
    /// The view's number, so that an older view does not end it.
    pub(super) view: u64,
    pub(super) account: TokenRef,
    pub(super) clock: ProviderClock,
    pub(super) rules: ClockRules,
    pub(super) means: Means,
    pub(super) revealed: bool,
    pub(super) state: CodeState,
    pub(super) offline_left: u32,
    /// Fewer than this is few.
    pub(super) few: u32,
}

/// What the code is made with.
pub(super) enum Means {
    Numeric(AliasOnScreen),
    Card(CardOnScreen),
}

/// An alias with the key of its showing.
pub(super) struct AliasOnScreen {
    pub(super) alias: Alias,
    pub(super) not_after_ms: i64,
    pub(super) format: CodeFormat,
    /// While the code can be scanned.
    pub(super) key: Option<Secret<32>>,
    /// The code of a step, made once.
    pub(super) made: Option<(u64, NumericCode)>,
}

/// What there is to show, and what must be written down of it.
pub(super) struct Look {
    pub(super) shown: CodeShown,
    /// A cryptogram that is about to be seen.
    pub(super) event: Option<JournalEvent>,
    /// Milliseconds until it is worth looking again; nothing when only news from elsewhere can change it.
    pub(super) wait_ms: Option<u64>,
}

/// Why there is nothing to scan at this moment.
pub(super) enum Halt {
    Paused,
    Expired,
    Refused(CodeRefusal),
}

impl From<Halt> for CodeState {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Paused => Self::Paused,
            Halt::Expired => Self::Ended(CodeEnd::Expired),
            Halt::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

/// A code that can be scanned at this moment.
struct Live {
    code: String,
    digits: String,
    seconds_left: u32,
}

impl Showing {
    /// Whether fewer showings are left than the provider wants a phone to hold.
    pub(super) fn runs_low(&self) -> bool {
        self.offline_left < self.few
    }

    fn kind(&self) -> CodeKind {
        match self.means {
            Means::Numeric(_) => CodeKind::Numeric,
            Means::Card(_) => CodeKind::ConsumerPresented,
        }
    }

    /// What is on the screen at this reading. A step that has passed changes the code; what nobody can say the time of, or
    /// what has come to its end, is shown no more.
    pub(super) fn look(&mut self, reading: &ClockReading) -> Look {
        let mut event = None;
        let mut wait_ms = None;
        let mut live = None;
        if self.state == CodeState::Showing {
            match self.clock.step(reading, &self.rules) {
                Err(unsure) => self.end(CodeState::Refused(CodeRefusal::Clock(unsure))),
                Ok(step) => {
                    wait_ms = Some(until_next_second(step.at_ms));
                    let made = match &mut self.means {
                        Means::Numeric(alias) => alias.at(step.number, step.at_ms, self.revealed),
                        Means::Card(card) => {
                            card.at(&step, &mut OsRng).map(|refresh| match refresh {
                                Refresh::Same(code) => (code, String::new()),
                                Refresh::New(code, cryptogram) => {
                                    event = Some(cryptogram);
                                    self.offline_left = self.offline_left.saturating_sub(1);
                                    (code, String::new())
                                }
                            })
                        }
                    };
                    match made {
                        Ok((code, digits)) => {
                            let seconds_left = step.seconds_left;
                            live = Some(Live {
                                code,
                                digits,
                                seconds_left,
                            });
                        }
                        Err(halt) => self.end(halt.into()),
                    }
                }
            }
        }
        let (code, digits, seconds_left) = match live {
            Some(live) => (live.code, live.digits, live.seconds_left),
            None => Default::default(),
        };
        let shown = CodeShown {
            kind: self.kind(),
            account: self.account.clone(),
            code,
            digits,
            revealed: self.revealed,
            seconds_left,
            offline_left: self.offline_left,
            runs_low: self.runs_low(),
            state: self.state.clone(),
        };
        Look {
            shown,
            event,
            wait_ms,
        }
    }

    /// It cannot be scanned any more: what it was made with leaves the memory.
    pub(super) fn end(&mut self, state: CodeState) {
        self.state = state;
        match &mut self.means {
            Means::Numeric(alias) => {
                alias.key = None;
                alias.made = None;
            }
            Means::Card(card) => card.end(),
        }
    }

    /// Whether it can still be scanned, or go on.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, CodeState::Showing | CodeState::Paused)
    }

    /// The alias on the screen.
    pub(super) fn alias(&self) -> Option<&Alias> {
        match &self.means {
            Means::Numeric(alias) => Some(&alias.alias),
            Means::Card(_) => None,
        }
    }

    /// Uses of a key that were reserved and not needed.
    pub(super) fn unused(&self) -> Option<(TokenRef, KeyIndex, u32)> {
        match &self.means {
            Means::Numeric(_) => None,
            Means::Card(card) => Some(card.unused()).filter(|(_, _, left)| *left > 0),
        }
    }

    /// The counters that were shown.
    pub(super) fn atcs(&self) -> &[u16] {
        match &self.means {
            Means::Numeric(_) => &[],
            Means::Card(card) => card.atcs(),
        }
    }
}

impl AliasOnScreen {
    fn at(&mut self, step: u64, now_ms: i64, revealed: bool) -> Result<(String, String), Halt> {
        if now_ms >= self.not_after_ms {
            return Err(Halt::Expired);
        }
        let code = match self.made.take().filter(|(made, _)| *made == step) {
            Some((_, code)) => code,
            // The provider's alias and format were checked against each other when the showing began.
            None => self
                .key
                .as_ref()
                .and_then(|key| numeric::encode(&self.format, key, &self.alias, step).ok())
                .ok_or(Halt::Refused(CodeRefusal::NotOffered))?,
        };
        let digits = match revealed {
            true => code.digits().to_owned(),
            false => code.masked(),
        };
        let text = code.digits().to_owned();
        self.made = Some((step, code));
        Ok((text, digits))
    }
}

fn until_next_second(at_ms: i64) -> u64 {
    u64::try_from(1_000 - at_ms.rem_euclid(1_000)).unwrap_or(1_000)
}
