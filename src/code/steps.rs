//! Which step of time it is: what a one-time password is made of, told from clocks that a person can set.
//!
//! The provider's time at the last contact counts, and since then the boot clock. After a start of the phone only the
//! wall clock is left: it is taken with the offset that it had at the last contact, and only when it shows a time between
//! the last one seen and a bounded jump ahead, all starts since the contact taken together. Else whoever holds the phone
//! for a minute could set it ahead, start it again and take away codes of days to come.

use serde::{Deserialize, Serialize};

use crate::clock::{Anchor, ClockReading};

/// The length of a step, in milliseconds (RFC 6238's default).
pub const STEP_MS: i64 = 30_000;

/// How far the wall clock may lie behind the last time seen, in milliseconds: it is set by a network now and then, and
/// a step behind is within what the provider takes.
const SLACK_MS: i64 = STEP_MS;

/// How far clocks are trusted: the age of a contact is the provider's to set, the time off is this core's own bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRules {
    /// How long after the last contact with the provider codes are still shown, in milliseconds.
    pub max_age_ms: i64,
    /// How long the phone may have been off since then, by what its wall clock shows after each start, in milliseconds.
    pub max_off_ms: i64,
}

impl Default for ClockRules {
    /// 72 hours after the last contact; of these a phone may have been off for a day.
    fn default() -> Self {
        Self {
            max_age_ms: 72 * 3_600_000,
            max_off_ms: 24 * 3_600_000,
        }
    }
}

/// Why nobody can say which step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockUnsure {
    /// The last contact is too long ago.
    #[error(
        "the phone has had no contact with the provider for too long: go online once to show payment codes"
    )]
    TooOld,
    /// After a start of the phone, its clock shows less than was seen before.
    #[error("the phone's clock was set back: go online once to show payment codes")]
    SetBack,
    /// After a start of the phone, its clock shows more than the phone can have been off.
    #[error("the phone's clock is far ahead: go online once to show payment codes")]
    SetAhead,
    /// Before Unix time.
    #[error("the phone's clock cannot be right: go online once to show payment codes")]
    Impossible,
}

/// A step of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number, from the beginning of Unix time.
    pub number: u64,
    /// Seconds until the next, 1 to 30.
    pub seconds_left: u32,
    /// The time, milliseconds of Unix time.
    pub at_ms: i64,
}

impl Step {
    /// As the unpredictable number of a consumer-presented code (tag 9F37): its low four bytes, which last until the year
    /// 6053.
    pub fn unpredictable(&self) -> [u8; 4] {
        let [_, _, _, _, a, b, c, d] = self.number.to_be_bytes();
        [a, b, c, d]
    }

    fn at(at_ms: i64) -> Result<Self, ClockUnsure> {
        let number = at_ms.div_euclid(STEP_MS);
        let left_ms = STEP_MS - at_ms.rem_euclid(STEP_MS);
        Ok(Self {
            number: u64::try_from(number).map_err(|_| ClockUnsure::Impossible)?,
            // Rounded up: a code that has not changed yet has at least one second.
            seconds_left: u32::try_from((left_ms + 999) / 1000).unwrap_or(1),
            at_ms,
        })
    }
}

/// What is known of the provider's time: the last contact, and the last time seen since. Sealed with the aliases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderClock {
    /// The provider's time at the last contact.
    contact_ms: i64,
    /// Which start of the phone it was; nothing in records of before it was kept.
    #[serde(default)]
    contact_boot: String,
    /// What the wall clock lacked then.
    offset_ms: i64,
    /// The last time seen.
    seen: Anchor,
    /// How much of the time between them the phone was off, if its wall clock was right.
    off_ms: i64,
}

impl ProviderClock {
    /// The provider has just said that it is `provider_ms`.
    pub fn new(provider_ms: i64, reading: &ClockReading) -> Self {
        Self {
            contact_ms: provider_ms,
            contact_boot: reading.boot_id.clone(),
            offset_ms: provider_ms.saturating_sub(reading.wall_ms),
            seen: Anchor::new(provider_ms, reading),
            off_ms: 0,
        }
    }

    /// The provider's time at the last contact, milliseconds of Unix time.
    pub fn contact_ms(&self) -> i64 {
        self.contact_ms
    }

    /// Whether the last contact was in this start of the phone, and less than `age_ms` milliseconds ago. After another start
    /// the wall clock counts, which a person may have set meanwhile.
    pub fn is_fresh(&self, reading: &ClockReading, age_ms: i64) -> bool {
        let now_ms = self.seen.now_ms(reading);
        self.contact_boot == reading.boot_id && now_ms.saturating_sub(self.contact_ms) < age_ms
    }

    /// The step at a reading.
    ///
    /// # Errors
    /// [`ClockUnsure`] says why the clocks do not tell.
    pub fn step(&self, reading: &ClockReading, rules: &ClockRules) -> Result<Step, ClockUnsure> {
        let now_ms = self.now_ms(reading, rules)?;
        if now_ms.saturating_sub(self.contact_ms) > rules.max_age_ms {
            return Err(ClockUnsure::TooOld);
        }
        Step::at(now_ms)
    }

    /// Notes that a code of this step is about to be shown. To be made durable with the showing, before the code is seen:
    /// later readings start from here, and none goes back behind it.
    pub fn note(&mut self, step: &Step, reading: &ClockReading) {
        if self.seen.boot_id != reading.boot_id {
            let off_ms = step.at_ms.saturating_sub(self.least_ms(reading));
            self.off_ms = self.off_ms.saturating_add(off_ms.max(0));
        }
        self.seen = Anchor::new(step.at_ms.max(self.seen.at_ms), reading);
    }

    fn now_ms(&self, reading: &ClockReading, rules: &ClockRules) -> Result<i64, ClockUnsure> {
        if self.seen.boot_id == reading.boot_id {
            return Ok(self.seen.now_ms(reading));
        }
        let least_ms = self.least_ms(reading);
        let told_ms = reading.wall_ms.saturating_add(self.offset_ms);
        let off_ms = told_ms.saturating_sub(least_ms);
        if off_ms < -SLACK_MS {
            return Err(ClockUnsure::SetBack);
        }
        if self.off_ms.saturating_add(off_ms) > rules.max_off_ms {
            return Err(ClockUnsure::SetAhead);
        }
        Ok(told_ms.max(least_ms))
    }

    /// The least time that it can be in another start of the phone: it came after the last time seen, and the phone has been
    /// on since for as long as its boot clock says.
    fn least_ms(&self, reading: &ClockReading) -> i64 {
        let on_ms = reading.since_boot_ms.max(0);
        self.seen.at_ms.saturating_add(on_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    /// 2026-11-23 12:00:00 UTC, the begin of a step.
    const NOON: i64 = 1_795_435_200_000;

    fn reading(wall_ms: i64, boot: &str, since_boot_ms: i64) -> ClockReading {
        ClockReading {
            wall_ms,
            boot_id: boot.into(),
            since_boot_ms,
        }
    }

    /// A phone whose wall clock runs an hour late, at noon by the provider's.
    fn clock() -> ProviderClock {
        ProviderClock::new(NOON, &reading(NOON - HOUR, "a", 1_000))
    }

    fn step(clock: &ProviderClock, reading: &ClockReading) -> Result<Step, ClockUnsure> {
        clock.step(reading, &ClockRules::default())
    }

    #[test]
    fn a_step_has_30_seconds_and_counts_down() {
        for (passed, number, seconds_left) in [
            (0, 59_847_840, 30),
            (1, 59_847_840, 30),
            (1_000, 59_847_840, 29),
            (29_999, 59_847_840, 1),
            (30_000, 59_847_841, 30),
        ] {
            let step = step(&clock(), &reading(0, "a", 1_000 + passed)).unwrap();
            assert_eq!((step.number, step.seconds_left), (number, seconds_left));
            assert_eq!(step.at_ms, NOON + passed);
        }
        let step = step(&clock(), &reading(0, "a", 1_000)).unwrap();
        assert_eq!(step.unpredictable(), [0x03, 0x91, 0x34, 0xA0]);
    }

    #[test]
    fn a_contact_is_fresh_for_a_while_and_in_its_own_start_of_the_phone() {
        let clock = clock();
        assert!(clock.is_fresh(&reading(0, "a", HOUR), HOUR));
        assert!(!clock.is_fresh(&reading(0, "a", HOUR + 1_000), HOUR));
        // The wall clock may have been set before this start.
        assert!(!clock.is_fresh(&reading(NOON - HOUR, "b", 1_000), HOUR));
    }

    #[test]
    fn s29_a_clock_that_is_set_changes_no_step_until_the_next_boot() {
        for wall_ms in [i64::MIN, 0, NOON, i64::MAX] {
            let step = step(&clock(), &reading(wall_ms, "a", 61_000)).unwrap();
            assert_eq!(step.number, 59_847_842);
        }
    }

    #[test]
    fn after_a_boot_the_wall_clock_counts_with_its_offset() {
        let step = step(&clock(), &reading(NOON - HOUR + 120_000, "b", 5)).unwrap();
        assert_eq!(step.number, 59_847_844);
    }

    #[test]
    fn codes_of_days_to_come_cannot_be_harvested() {
        let ahead = |hours| reading(NOON - HOUR + hours * HOUR, "b", 5);
        assert!(step(&clock(), &ahead(24)).is_ok());
        assert_eq!(step(&clock(), &ahead(25)), Err(ClockUnsure::SetAhead));
        assert_eq!(
            step(&clock(), &reading(i64::MAX, "b", 5)),
            Err(ClockUnsure::SetAhead)
        );
        // What was taken ahead shows when the clock is put right again.
        let mut clock = clock();
        let stolen = step(&clock, &ahead(24)).unwrap();
        clock.note(&stolen, &ahead(24));
        let right = reading(NOON - HOUR + 60_000, "c", 5);
        assert_eq!(step(&clock, &right), Err(ClockUnsure::SetBack));
        // A second start is no second jump.
        let further = reading(NOON - HOUR + 25 * HOUR, "d", 5);
        assert_eq!(step(&clock, &further), Err(ClockUnsure::SetAhead));
        // The time that the phone was on counts for nothing there.
        let on_since = reading(NOON - HOUR + 25 * HOUR, "d", HOUR);
        assert!(step(&clock, &on_since).is_ok());
    }

    #[test]
    fn time_noted_after_a_boot_goes_on_by_the_boot_clock() {
        let mut clock = clock();
        let booted = reading(NOON - HOUR + 120_000, "b", 5);
        let noted = step(&clock, &booted).unwrap();
        clock.note(&noted, &booted);
        let later = step(&clock, &reading(i64::MAX, "b", 30_005)).unwrap();
        assert_eq!(later.number, noted.number + 1);
    }

    #[test]
    fn a_clock_a_moment_behind_stands_still_and_one_further_behind_is_refused() {
        let at = |passed, on| step(&clock(), &reading(NOON - HOUR + passed, "b", on));
        assert_eq!(at(-30_000, 0).unwrap().at_ms, NOON);
        assert_eq!(at(-30_001, 0), Err(ClockUnsure::SetBack));
        // A phone that has been on for an hour knows that this hour has passed.
        assert_eq!(at(HOUR - 30_000, HOUR).unwrap().at_ms, NOON + HOUR);
        assert_eq!(at(HOUR - 30_001, HOUR), Err(ClockUnsure::SetBack));
    }

    #[test]
    fn only_the_time_that_the_phone_was_off_is_bounded() {
        let at = |passed, on| step(&clock(), &reading(NOON - HOUR + passed, "b", on));
        assert!(at(54 * HOUR, 30 * HOUR).is_ok());
        assert_eq!(at(54 * HOUR + 1, 30 * HOUR), Err(ClockUnsure::SetAhead));
    }

    #[test]
    fn a_contact_serves_72_hours() {
        let at = |passed| step(&clock(), &reading(0, "a", 1_000 + passed));
        assert!(at(72 * HOUR).is_ok());
        assert_eq!(at(72 * HOUR + 1), Err(ClockUnsure::TooOld));
        // A new contact puts everything right.
        let now = reading(5, "z", 5);
        let clock = ProviderClock::new(NOON + 99 * HOUR, &now);
        assert!(step(&clock, &now).is_ok());
    }

    #[test]
    fn no_reading_panics() {
        let extremes = [i64::MIN, -1, 0, 1, i64::MAX];
        for provider_ms in extremes {
            for (wall_ms, since_boot_ms) in extremes.into_iter().zip(extremes.into_iter().rev()) {
                let told = reading(wall_ms, "a", since_boot_ms);
                let mut clock = ProviderClock::new(provider_ms, &told);
                for boot in ["a", "b"] {
                    for wall_ms in extremes {
                        let now = reading(wall_ms, boot, wall_ms);
                        if let Ok(step) = step(&clock, &now) {
                            clock.note(&step, &now);
                        }
                    }
                }
            }
        }
        let before = ProviderClock::new(-1, &reading(0, "a", 0));
        assert_eq!(
            step(&before, &reading(0, "a", 0)),
            Err(ClockUnsure::Impossible)
        );
    }
}
