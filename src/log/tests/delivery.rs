//! From an event to the sink.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::subscriber::with_default;
use tracing::{Level, debug, error, info, info_span, trace, warn};

use crate::log::Sink;
use crate::log::subscriber::Logger;

/// Long enough for the slowest machine; a test that passes never waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

type Heard = (Level, String, String);

/// A sink that passes on what it hears.
struct Ear(Sender<Heard>);

impl Sink for Ear {
    fn log(&self, level: Level, target: &str, message: &str) {
        let _ = self.0.send((level, target.into(), message.into()));
    }
}

fn logger() -> &'static Logger {
    Box::leak(Box::new(Logger::new()))
}

/// What a sink of `level` hears of `events`, up to the mark behind them.
fn heard(level: Level, events: impl FnOnce()) -> Vec<Heard> {
    let (ear, heard) = channel();
    let logger = logger();
    logger.set_sink(level, Arc::new(Ear(ear)));
    with_default(logger, || {
        events();
        error!(target: "tapcore", "that was all");
    });
    until_mark(&heard)
}

fn until_mark(heard: &Receiver<Heard>) -> Vec<Heard> {
    let mut all = Vec::new();
    loop {
        let one = heard.recv_timeout(PATIENCE).unwrap();
        if one.2 == "that was all" {
            return all;
        }
        all.push(one);
    }
}

fn messages(heard: Vec<Heard>) -> Vec<String> {
    heard.into_iter().map(|(_, _, message)| message).collect()
}

#[test]
fn an_event_is_a_line() {
    let all = heard(Level::INFO, || {
        info!(target: "tapcore::wallet", atc = 7, outcome = %"complete", "tapped in {} ms", 12);
    });
    let line = "tapped in 12 ms atc=7 outcome=complete";
    assert_eq!(
        all,
        [(Level::INFO, "tapcore::wallet".to_owned(), line.to_owned())]
    );
}

#[test]
fn the_level_chooses() {
    let all = heard(Level::WARN, || {
        error!("1");
        warn!("2");
        info!("3");
        debug!("4");
        trace!("5");
    });
    assert_eq!(messages(all), ["1", "2"]);
}

#[test]
fn libraries_are_heard_at_trace_only() {
    let events = || {
        info!(target: "hyper::client", "from outside");
        info!(target: "tapcore_like", "from a neighbour");
        info!(target: "tapcore::backend", "from inside");
        info_span!("tapcore", ignored = 1).in_scope(|| trace!(target: "tapcore", "inside"));
    };
    assert_eq!(messages(heard(Level::DEBUG, events)), ["from inside"]);
    let everything = messages(heard(Level::TRACE, events));
    assert_eq!(
        everything,
        ["from outside", "from a neighbour", "from inside", "inside"]
    );
}

#[test]
fn s19_every_event_is_redacted() {
    let all = heard(Level::TRACE, || {
        info!(pin = 1234, sms_code = "493817", "card 6228 4800 1234 5678");
        info!(target: "dependency", pan = 6_228_480_012_345_678_u64, "sent");
        info!(track = ?"6228480012345678D2912", error = %"at 6228480012345678=2912", "read");
        info!(
            bytes = &[0x62_u8, 0x28, 0x48, 0x00, 0x12, 0x34, 0x56, 0x78][..],
            "raw"
        );
    });
    let shown = [
        "card ‹number› pin=‹hidden› sms_code=‹hidden›",
        "sent pan=‹hidden›",
        "read track=‹hidden› error=at ‹number›=‹number›",
        "raw bytes=[‹number›]",
    ];
    assert_eq!(messages(all), shown);
}

#[test]
fn s19_a_long_line_is_cut_without_leaving_half_a_number() {
    // The cut falls at every place of the number.
    for spare in 0..24 {
        let text = "x".repeat(crate::log::line::LIMIT - spare);
        let all = messages(heard(Level::TRACE, || {
            info!("{text}6228 4800 1234 5678 and so on");
        }));
        let line = all.first().unwrap();
        assert!(line.len() <= crate::log::line::LIMIT + 16);
        assert!(!line.contains("622"), "{spare}: {}", &line[4000..]);
    }
}

/// A sink that panics at every other line.
struct Broken(Mutex<u32>, Ear);

impl Sink for Broken {
    fn log(&self, level: Level, target: &str, message: &str) {
        let mut calls = self.0.lock().unwrap_or_else(|broken| broken.into_inner());
        *calls += 1;
        let is_odd = *calls % 2 == 1;
        drop(calls);
        assert!(!is_odd, "this sink breaks on purpose");
        self.1.log(level, target, message);
    }
}

#[test]
fn a_panicking_sink_loses_its_line_only() {
    let (ear, heard) = channel();
    let logger = logger();
    logger.set_sink(Level::INFO, Arc::new(Broken(Mutex::new(0), Ear(ear))));
    with_default(logger, || {
        info!("lost");
        info!("heard");
        info!("lost as well");
        info!("that was all");
    });
    assert_eq!(messages(until_mark(&heard)), ["heard"]);
}

/// A sink that does not come back before it may.
struct Slow(Mutex<Receiver<()>>, Ear);

impl Sink for Slow {
    fn log(&self, level: Level, target: &str, message: &str) {
        let gate = self.0.lock().unwrap_or_else(|broken| broken.into_inner());
        // An error is the gate thrown open for good.
        let _ = gate.recv();
        self.1.log(level, target, message);
    }
}

#[test]
fn a_slow_sink_costs_events_that_are_counted_and_holds_nobody_up() {
    let (ear, heard) = channel();
    let (gate, closed) = channel();
    let logger = logger();
    logger.set_sink(Level::INFO, Arc::new(Slow(Mutex::new(closed), Ear(ear))));
    // All of these return although the sink takes none of them.
    with_default(logger, || {
        for number in 0..1_000 {
            info!(number_of_event = number, "event {number}");
        }
    });
    drop(gate);
    // The second line at the latest is behind the first of those lost.
    let mut all = Vec::new();
    let lost: usize = loop {
        let line = heard.recv_timeout(PATIENCE).unwrap().2;
        if let Some(note) = line.strip_prefix("the log sink is too slow: lost ") {
            break note.strip_suffix(" events").unwrap().parse().unwrap();
        }
        all.push(line);
    };
    with_default(logger, || info!("that was all"));
    all.extend(messages(until_mark(&heard)));
    assert!(all.len() >= 256);
    assert_eq!(all.len() + lost, 1_000);
}

#[test]
fn another_sink_takes_over_even_from_one_that_hangs() {
    let (ear, _old) = channel();
    let (_never_opened, closed) = channel();
    let logger = logger();
    logger.set_sink(Level::TRACE, Arc::new(Slow(Mutex::new(closed), Ear(ear))));
    with_default(logger, || info!("to the first"));
    let (ear, heard) = channel();
    logger.set_sink(Level::WARN, Arc::new(Ear(ear)));
    with_default(logger, || {
        info!("too small");
        warn!("to the second");
        warn!("that was all");
    });
    assert_eq!(messages(until_mark(&heard)), ["to the second"]);
}

/// A sink whose every line causes another event.
struct Echo(&'static Logger, Ear);

impl Sink for Echo {
    fn log(&self, level: Level, target: &str, message: &str) {
        with_default(self.0, || error!("echo of {message}"));
        self.1.log(level, target, message);
    }
}

#[test]
fn a_sink_does_not_hear_itself() {
    let (ear, heard) = channel();
    let logger = logger();
    logger.set_sink(Level::TRACE, Arc::new(Echo(logger, Ear(ear))));
    with_default(logger, || {
        info!("once");
        info!("that was all");
    });
    assert_eq!(messages(until_mark(&heard)), ["once"]);
}
