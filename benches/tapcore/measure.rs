//! How times are taken: ours and the floor in turn, medians of both unless a name says otherwise.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// What was measured, of ours and of the floor under it.
pub(crate) struct Reading {
    unit: &'static str,
    ours: f64,
    floor: Option<f64>,
}

impl Reading {
    /// Something counted.
    pub(crate) fn count(unit: &'static str, ours: f64, floor: Option<f64>) -> Self {
        Self { unit, ours, floor }
    }

    /// Times, in microseconds.
    fn times(ours: f64, floor: Option<f64>) -> Self {
        Self::count("us", ours, floor)
    }

    /// As `cargo xtask bench` reads it.
    pub(crate) fn to_json(&self, name: &str) -> serde_json::Value {
        serde_json::json!({
            "name": name,
            "unit": self.unit,
            "ours": self.ours,
            "floor": self.floor,
            "ratio": self.floor.map(|floor| self.ours / floor),
        })
    }
}

/// For calls that take less than a clock's reading does: medians over `rounds` batches of `batch` calls, divided.
pub(crate) fn batches<A, B>(
    batch: u32,
    rounds: usize,
    mut ours: impl FnMut() -> A,
    mut floor: impl FnMut() -> B,
) -> Reading {
    in_turn(
        rounds,
        || timed(|| repeat(batch, &mut ours)).0 / batch,
        || timed(|| repeat(batch, &mut floor)).0 / batch,
    )
}

/// For calls that take long enough to be timed alone. What they answer is dropped off the clock, and before the other
/// side's turn.
pub(crate) fn calls<A, B>(
    rounds: usize,
    mut ours: impl FnMut() -> A,
    mut floor: impl FnMut() -> B,
) -> Reading {
    in_turn(rounds, || timed(&mut ours).0, || timed(&mut floor).0)
}

/// The same, each call after something that is not timed, the floor's included.
pub(crate) fn prepared<A, B>(
    rounds: usize,
    mut prepare: impl FnMut(),
    mut ours: impl FnMut() -> A,
    mut floor: impl FnMut() -> B,
) -> Reading {
    in_turn(
        rounds,
        || {
            prepare();
            timed(&mut ours).0
        },
        || timed(&mut floor).0,
    )
}

/// For what no library does: the median over `rounds` batches of `batch` calls, divided.
pub(crate) fn alone<A>(batch: u32, rounds: usize, mut ours: impl FnMut() -> A) -> Reading {
    let (times, _) = turns(
        rounds,
        || timed(|| repeat(batch, &mut ours)).0 / batch,
        || Duration::ZERO,
    );
    Reading::times(percentile(times, 50), None)
}

/// How slow ours gets: the 99th of a hundred calls, over the floor's median.
pub(crate) fn slowest<A, B>(
    rounds: usize,
    mut ours: impl FnMut() -> A,
    mut floor: impl FnMut() -> B,
) -> Reading {
    let (ours, floor) = turns(rounds, || timed(&mut ours).0, || timed(&mut floor).0);
    Reading::times(percentile(ours, 99), Some(percentile(floor, 50)))
}

/// Medians of both, taken in turn.
fn in_turn(
    rounds: usize,
    ours: impl FnMut() -> Duration,
    floor: impl FnMut() -> Duration,
) -> Reading {
    let (ours, floor) = turns(rounds, ours, floor);
    Reading::times(percentile(ours, 50), Some(percentile(floor, 50)))
}

/// Takes turns, a tenth of the rounds for warming up.
fn turns(
    rounds: usize,
    mut ours: impl FnMut() -> Duration,
    mut floor: impl FnMut() -> Duration,
) -> (Vec<Duration>, Vec<Duration>) {
    let (mut of_ours, mut of_floor) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    for round in 0..rounds + rounds / 10 {
        let (one, other) = (ours(), floor());
        if round >= rounds / 10 {
            of_ours.push(one);
            of_floor.push(other);
        }
    }
    (of_ours, of_floor)
}

fn repeat<T>(times: u32, work: &mut impl FnMut() -> T) {
    for _ in 0..times {
        black_box(work());
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let answer = black_box(work());
    (begun.elapsed(), answer)
}

/// So many of a hundred take no longer, in microseconds.
fn percentile(mut times: Vec<Duration>, percent: usize) -> f64 {
    times.sort_unstable();
    let at = times.len() * percent / 100;
    times.get(at).copied().unwrap_or_default().as_secs_f64() * 1e6
}
