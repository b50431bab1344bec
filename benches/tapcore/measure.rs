//! How times are taken: ours and the floor in turn, medians of both.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Medians, in microseconds.
pub(crate) struct Reading {
    ours: f64,
    floor: Option<f64>,
}

impl Reading {
    /// As `cargo xtask bench` reads it.
    pub(crate) fn to_json(&self, name: &str) -> serde_json::Value {
        serde_json::json!({
            "name": name,
            "unit": "us",
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

/// Takes turns, a tenth of the rounds for warming up.
fn in_turn(
    rounds: usize,
    mut ours: impl FnMut() -> Duration,
    mut floor: impl FnMut() -> Duration,
) -> Reading {
    let (mut of_ours, mut of_floor) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    for round in 0..rounds + rounds / 10 {
        let (one, other) = (ours(), floor());
        if round >= rounds / 10 {
            of_ours.push(one);
            of_floor.push(other);
        }
    }
    Reading {
        ours: median(of_ours),
        floor: Some(median(of_floor)),
    }
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

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    middle.as_secs_f64() * 1e6
}
