//! `cargo xtask score`: which lines of the score card the tests prove, and whether the tests would notice.
//!
//! A line passes when there is at least one test whose name begins with its number (`s22_…`) and all of them
//! pass; a line without tests is open. [`mod@prove`] breaks the code on purpose, one small mutation at a time, and
//! demands that the line's tests fail: a test that cannot fail proves nothing.

mod copy;
mod libtest;
mod lines;
mod mutations;
mod prove;

use crate::count::{self, Count};
use crate::step::{Step, cargo};
use anyhow::{Result, bail};
use libtest::{Outcome, Test};
use serde_json::json;

pub(crate) use prove::run as prove;

/// One line of the score card and the tests that stand for it.
struct Line {
    number: u8,
    text: &'static str,
    tests: Vec<Test>,
}

impl Line {
    fn passes(&self) -> bool {
        let ran: Vec<_> = self
            .tests
            .iter()
            .filter(|test| test.outcome != Outcome::Ignored)
            .collect();
        !ran.is_empty() && ran.iter().all(|test| test.outcome == Outcome::Passed)
    }

    fn state(&self) -> &'static str {
        if self.passes() { "pass" } else { "open" }
    }
}

/// Runs the tests of all lines, prints the card, and answers whether no test of it failed.
pub(crate) fn run(as_json: bool) -> Result<bool> {
    let mut step = match as_json {
        true => Step::quiet("score")?,
        false => Step::begin("score")?,
    };
    let (log, succeeded) = match run_tests(&step) {
        Ok(ran) => ran,
        Err(error) => {
            step.report(&Err(error));
            return Ok(false);
        }
    };
    let card = card(&libtest::tests(&log));
    match as_json {
        true => println!("{}", to_json(&card)),
        false => print(&card),
    }
    if succeeded {
        return Ok(true);
    }
    let failed = card.iter().flat_map(|line| &line.tests);
    let failed = failed.filter(|test| test.outcome == Outcome::Failed);
    for test in failed {
        eprintln!("failed: {}", test.path);
    }
    if !libtest::is_whole(&log) || count::cargo(&log).failed == 0 {
        // Tests that could not be built or lost their program would else pass for open lines.
        step.counted = Count::NONE;
        step.report(&Err(anyhow::anyhow!("not every test could be run")));
    }
    Ok(false)
}

fn run_tests(step: &Step) -> Result<(String, bool)> {
    let filters = lines::all().map(|(line, _)| lines::prefix(line));
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast", "--"]);
    let (log, succeeded) = step.watch(command.args(filters))?;
    if succeeded && !libtest::is_whole(&log) {
        bail!("the output of the tests cannot be understood");
    }
    Ok((log, succeeded))
}

fn card(tests: &[Test]) -> Vec<Line> {
    let of_line = |number| {
        let own = tests
            .iter()
            .filter(move |test| lines::of_test(test.name()) == Some(number));
        own.cloned().collect()
    };
    lines::all()
        .map(|(number, text)| Line {
            number,
            text,
            tests: of_line(number),
        })
        .collect()
}

fn print(card: &[Line]) {
    for line in card {
        println!("{:02} {}  {}", line.number, line.state(), line.text);
    }
    println!("{} of {} pass", passing(card), card.len());
}

fn to_json(card: &[Line]) -> serde_json::Value {
    let lines = card.iter().map(|line| {
        let tests = line.tests.iter().map(|test| test.path.as_str());
        let failed = line.tests.iter();
        let failed = failed.filter(|test| test.outcome == Outcome::Failed);
        json!({
            "line": line.number,
            "state": line.state(),
            "text": line.text,
            "tests": tests.collect::<Vec<_>>(),
            "failed": failed.map(|test| test.path.as_str()).collect::<Vec<_>>(),
        })
    });
    json!({
        "lines": lines.collect::<Vec<_>>(),
        "pass": passing(card),
        "of": card.len(),
    })
}

fn passing(card: &[Line]) -> usize {
    card.iter().filter(|line| line.passes()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(path: &str, outcome: Outcome) -> Test {
        Test {
            path: path.to_owned(),
            outcome,
        }
    }

    #[test]
    fn a_line_passes_when_all_of_its_tests_do_and_there_is_one() {
        let card = card(&[
            test("a::s01_x", Outcome::Passed),
            test("b::s01_y", Outcome::Passed),
            test("a::s02_x", Outcome::Passed),
            test("b::s02_y", Outcome::Failed),
            test("s03_z", Outcome::Ignored),
            test("s04_x::not_the_last_part", Outcome::Passed),
        ]);
        let passing: Vec<u8> = card
            .iter()
            .filter(|line| line.passes())
            .map(|line| line.number)
            .collect();
        assert_eq!(passing, [1]);
        assert_eq!(card.len(), lines::COUNT);
        let json = to_json(&card);
        assert_eq!((&json["pass"], &json["of"]), (&json!(1), &json!(44)));
        assert_eq!(json["lines"][1]["failed"], json!(["b::s02_y"]));
    }
}
