//! Time that a person cannot turn: the phone's clocks against what they showed before.
//!
//! Wall clocks can be set; the time since boot cannot. An [`Anchor`] ties one to the other at a moment that is trusted
//! (the provider's clock, or what was known before), is sealed with the arming, and carries time forward from there.

use serde::{Deserialize, Serialize};

/// What the phone's clocks show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// Wall clock, milliseconds of Unix time. A person can set it.
    pub wall_ms: i64,
    /// Changes with each start of the phone.
    pub boot_id: String,
    /// Milliseconds since the start of the phone, sleep included. Nobody can set it.
    pub since_boot_ms: i64,
}

/// How far the wall clock may be off before it counts as set, in milliseconds.
const JUMP_MS: i64 = 300_000;

/// A moment at which the time was known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The time then, milliseconds of Unix time.
    pub at_ms: i64,
    /// Which start of the phone it was.
    pub boot_id: String,
    /// How long that start was ago.
    pub since_boot_ms: i64,
}

impl Anchor {
    /// The time is `at_ms` at this reading.
    pub fn new(at_ms: i64, reading: &ClockReading) -> Self {
        Self {
            at_ms,
            boot_id: reading.boot_id.clone(),
            since_boot_ms: reading.since_boot_ms,
        }
    }

    /// The time at a reading, in milliseconds of Unix time: it never goes back behind the anchor. Since the same start of
    /// the phone it goes on as the boot clock does, whatever the wall clock was set to.
    pub fn now_ms(&self, reading: &ClockReading) -> i64 {
        match self.boot_id == reading.boot_id {
            true => {
                let passed = reading.since_boot_ms.saturating_sub(self.since_boot_ms);
                self.at_ms.saturating_add(passed.max(0))
            }
            false => self.at_ms.max(reading.wall_ms),
        }
    }

    /// Whether somebody has set the wall clock.
    pub fn sees_jump(&self, reading: &ClockReading) -> bool {
        self.now_ms(reading)
            .saturating_sub(reading.wall_ms)
            .saturating_abs()
            > JUMP_MS
    }
}

/// A span of time that setting a clock or starting the phone again does not shorten or lengthen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    boot_id: String,
    begun_ms: i64,
    length_ms: i64,
}

impl Span {
    /// A span that begins now.
    pub fn new(reading: &ClockReading, length_ms: i64) -> Self {
        Self {
            boot_id: reading.boot_id.clone(),
            begun_ms: reading.since_boot_ms,
            length_ms,
        }
    }

    /// What is left to wait, in milliseconds. Nobody knows how long the phone was off, so a start of the phone begins the
    /// wait again.
    pub fn wait_ms(&self, reading: &ClockReading) -> i64 {
        let passed = match self.boot_id == reading.boot_id {
            true => reading.since_boot_ms.saturating_sub(self.begun_ms),
            false => reading.since_boot_ms,
        };
        self.length_ms.saturating_sub(passed).max(0)
    }

    /// Whether a permission given for this span still stands: it dies with the start of the phone it was given in.
    pub fn permits(&self, reading: &ClockReading) -> bool {
        self.boot_id == reading.boot_id
            && reading.since_boot_ms >= self.begun_ms
            && reading.since_boot_ms.saturating_sub(self.begun_ms) < self.length_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(wall_ms: i64, boot: &str, since_boot_ms: i64) -> ClockReading {
        ClockReading {
            wall_ms,
            boot_id: boot.into(),
            since_boot_ms,
        }
    }

    #[test]
    fn s29_a_clock_set_back_or_forward_changes_nothing_until_the_next_boot() {
        let anchor = Anchor::new(10_000, &reading(0, "a", 500));
        for wall_ms in [i64::MIN, 0, 10_000, i64::MAX] {
            assert_eq!(anchor.now_ms(&reading(wall_ms, "a", 700)), 10_200);
        }
    }

    #[test]
    fn s29_time_never_goes_back_over_a_boot() {
        let anchor = Anchor::new(10_000, &reading(10_000, "a", 500));
        assert_eq!(anchor.now_ms(&reading(3, "b", 5)), 10_000);
        assert_eq!(anchor.now_ms(&reading(20_000, "b", 5)), 20_000);
    }

    #[test]
    fn a_clock_that_was_set_is_noticed_either_way() {
        let anchor = Anchor::new(10_000_000, &reading(10_000_000, "a", 500));
        assert!(!anchor.sees_jump(&reading(10_000_200, "a", 700)));
        assert!(anchor.sees_jump(&reading(10_400_000, "a", 700)));
        assert!(anchor.sees_jump(&reading(9_600_000, "a", 700)));
        assert!(anchor.sees_jump(&reading(9_600_000, "b", 1)));
    }

    #[test]
    fn s29_a_verification_window_grows_by_no_clock_and_dies_with_the_boot() {
        let window = Span::new(&reading(1_000, "a", 500), 60_000);
        assert!(window.permits(&reading(-5, "a", 60_499)));
        assert!(!window.permits(&reading(-5, "a", 60_500)));
        assert!(!window.permits(&reading(1_000, "b", 501)));
        assert!(!window.permits(&reading(1_000, "a", 499)));
    }

    #[test]
    fn s32_a_back_off_shrinks_by_no_clock_and_begins_again_with_the_boot() {
        let wait = Span::new(&reading(1_000, "a", 500), 30_000);
        assert_eq!(wait.wait_ms(&reading(99_000_000, "a", 10_500)), 20_000);
        assert_eq!(wait.wait_ms(&reading(99_000_000, "b", 0)), 30_000);
        assert_eq!(wait.wait_ms(&reading(0, "b", 30_000)), 0);
    }
}
