//! Signs of an unsafe phone, and what the issuer makes of them.
//!
//! The shell reports what it sees, the core adds what it sees of the clock, the issuer's rules score it. The score is
//! taken just before a tap.

use serde::{Deserialize, Serialize};

/// What the shell sees of the phone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RiskSignals {
    /// Somebody has root or a jailbreak.
    pub rooted: bool,
    /// The phone is an emulator.
    pub emulator: bool,
    /// Code of the app is hooked or patched.
    pub hooked: bool,
    /// A debugger is attached.
    pub debugger: bool,
}

/// How the issuer scores signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RiskRules {
    /// What each sign counts.
    pub weights: Weights,
    /// From this score on nothing pays.
    pub block_at: u32,
}

/// What each sign counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Weights {
    /// Root or jailbreak.
    pub rooted: u32,
    /// Emulator.
    pub emulator: u32,
    /// Hooks.
    pub hooked: u32,
    /// Debugger.
    pub debugger: u32,
    /// The clock was set.
    pub clock_jump: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            rooted: 100,
            emulator: 40,
            hooked: 100,
            debugger: 20,
            clock_jump: 20,
        }
    }
}

impl Default for RiskRules {
    fn default() -> Self {
        Self {
            weights: Weights::default(),
            block_at: 100,
        }
    }
}

impl RiskRules {
    /// Whether what is seen stops payments.
    pub fn block(&self, signals: RiskSignals, clock_jump: bool) -> bool {
        let weights = &self.weights;
        let seen = [
            (signals.rooted, weights.rooted),
            (signals.emulator, weights.emulator),
            (signals.hooked, weights.hooked),
            (signals.debugger, weights.debugger),
            (clock_jump, weights.clock_jump),
        ];
        let score = seen
            .iter()
            .filter(|(seen, _)| *seen)
            .fold(0_u32, |score, (_, weight)| score.saturating_add(*weight));
        score >= self.block_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s41_each_signal_counts_by_the_issuers_weight() {
        let rules = RiskRules::default();
        let emulator = RiskSignals {
            emulator: true,
            ..RiskSignals::default()
        };
        assert!(!rules.block(RiskSignals::default(), true));
        assert!(!rules.block(emulator, true));
        let debugged = RiskSignals {
            debugger: true,
            ..emulator
        };
        assert!(!rules.block(debugged, false));
        let stricter = RiskRules {
            block_at: 80,
            ..rules
        };
        assert!(stricter.block(debugged, true), "40 + 20 + 20");
        for signals in [
            RiskSignals {
                rooted: true,
                ..RiskSignals::default()
            },
            RiskSignals {
                hooked: true,
                ..RiskSignals::default()
            },
        ] {
            assert!(rules.block(signals, false));
        }
        assert!(
            !RiskRules {
                block_at: u32::MAX,
                ..rules
            }
            .block(debugged, true)
        );
    }
}
