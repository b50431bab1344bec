//! `cargo xtask score --prove`: breaks guarded code on purpose and demands that the line's tests notice.
//!
//! For each mutation of a line that has tests: its text is found exactly once, the changed code compiles, and a
//! test of the line runs and fails in an assertion. A compiler's error, a hang or a crash proves nothing. Before
//! the first one, the same tests must pass on the unchanged copy.

use super::copy::{Copy, Ran};
use super::libtest::{self, Outcome, Test};
use super::lines;
use super::mutations::{self, Mutation};
use crate::step::Step;
use anyhow::{Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What became of a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Caught,
    /// Why the tests do not count as having noticed.
    Survived(&'static str),
    DoesNotApply,
    DoesNotCompile,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caught => f.write_str("caught"),
            Self::Survived("") => f.write_str("survived"),
            Self::Survived(why) => write!(f, "survived ({why})"),
            Self::DoesNotApply => f.write_str("does not apply"),
            Self::DoesNotCompile => f.write_str("does not compile"),
        }
    }
}

/// Proves every line that has tests, or one of them. Answers whether every mutation was caught.
pub(crate) fn run(only: Option<u8>) -> Result<bool> {
    let mut step = Step::begin("prove")?;
    let result = prove(&step, only);
    match result {
        Ok(all_caught) => Ok(all_caught),
        Err(error) => {
            step.counted.failed = 1;
            step.report(&Err(error));
            Ok(false)
        }
    }
}

fn prove(step: &Step, only: Option<u8>) -> Result<bool> {
    let copy = Copy::make()?;
    let chosen = |line: &u8| only.is_none_or(|only| only == *line);
    let proven: BTreeSet<u8> = copy
        .sources()?
        .iter()
        .flat_map(|text| tests_in(text))
        .filter(chosen)
        .collect();
    if only.is_some() && proven.is_empty() {
        bail!("no test's name begins with the number of this line");
    }
    let mutations: Vec<_> = mutations::all()
        .filter(|mutation| proven.contains(&mutation.line))
        .collect();
    let sound = baseline(step, &copy, &mutations)?;

    let mut total: BTreeMap<&str, usize> = BTreeMap::new();
    for mutation in &mutations {
        let verdict = match sound.get(&mutation.selection()) {
            Some(tests) => one(step, &copy, mutation, tests)?,
            None => bail!("the tests of {} were not run unchanged", mutation.package),
        };
        println!("{:02} {}: {verdict}", mutation.line, mutation.name);
        let kind = match verdict {
            Verdict::Caught => "caught",
            Verdict::Survived(_) => "survived",
            Verdict::DoesNotApply => "do not apply",
            Verdict::DoesNotCompile => "do not compile",
        };
        *total.entry(kind).or_default() += 1;
    }
    let bare: Vec<u8> = proven
        .into_iter()
        .filter(|line| mutations.iter().all(|mutation| mutation.line != *line))
        .collect();
    for line in &bare {
        println!("{line:02}: no mutation");
    }
    let counts: Vec<String> = total
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    println!("{} mutations: {}", mutations.len(), counts.join(", "));
    Ok(bare.is_empty() && total.keys().all(|kind| *kind == "caught"))
}

/// The tests of each package and target, run on the unchanged copy; what is built for them is built on later.
type Baseline = BTreeMap<Vec<&'static str>, Vec<Test>>;

fn baseline(step: &Step, copy: &Copy, mutations: &[&Mutation]) -> Result<Baseline> {
    let mut filters: BTreeMap<Vec<&'static str>, BTreeSet<String>> = BTreeMap::new();
    for mutation in mutations {
        let wanted = filters.entry(mutation.selection()).or_default();
        wanted.insert(lines::prefix(mutation.line));
    }
    let mut sound = Baseline::new();
    for (selection, filters) in filters {
        if !copy.compiles(step, &selection)? {
            bail!(
                "`cargo test {}` does not compile unchanged",
                selection.join(" ")
            );
        }
        let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
        let Ran::Ended(log) = copy.test(step, &selection, &filters)? else {
            bail!(
                "`cargo test {}` does not end unchanged",
                selection.join(" ")
            );
        };
        sound.insert(selection, libtest::tests(&log));
    }
    Ok(sound)
}

fn one(step: &Step, copy: &Copy, mutation: &Mutation, unchanged: &[Test]) -> Result<Verdict> {
    let of_line = |test: &&Test| lines::of_test(test.name()) == Some(mutation.line);
    let mut own = unchanged.iter().filter(of_line).peekable();
    if own.peek().is_none() {
        return Ok(Verdict::Survived("the line has no test there"));
    }
    if own.any(|test| test.outcome == Outcome::Failed) {
        return Ok(Verdict::Survived("the tests fail without it"));
    }
    step.note(&format!("\n== {:02} {}", mutation.line, mutation.name))?;
    let Ok(text) = copy.read(mutation.file) else {
        return Ok(Verdict::DoesNotApply);
    };
    let Some(changed) = mutation.apply(&text) else {
        return Ok(Verdict::DoesNotApply);
    };
    let _restored_when_dropped = copy.change(mutation.file, &changed)?;
    let selection = mutation.selection();
    if !copy.compiles(step, &selection)? {
        return Ok(Verdict::DoesNotCompile);
    }
    let prefix = lines::prefix(mutation.line);
    Ok(match copy.test(step, &selection, &[&prefix])? {
        Ran::TooLong => Verdict::Survived("the tests did not end"),
        Ran::Ended(log) => judge(&log, mutation.line),
    })
}

fn judge(log: &str, line: u8) -> Verdict {
    let tests = libtest::tests(log);
    let failed: Vec<_> = tests
        .iter()
        .filter(|test| test.outcome == Outcome::Failed && lines::of_test(test.name()) == Some(line))
        .collect();
    let asserted = |test: &&Test| libtest::failed_by_assertion(log, &test.path);
    if failed.iter().copied().any(|test| asserted(&test)) {
        Verdict::Caught
    } else if !failed.is_empty() || !libtest::is_whole(log) {
        Verdict::Survived("the tests broke off without an assertion")
    } else {
        Verdict::Survived("")
    }
}

/// The lines for which a source text holds tests, by the functions' names.
fn tests_in(text: &str) -> impl Iterator<Item = u8> + '_ {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let name = ["fn ", "async fn ", "mod ", "pub fn ", "pub struct "]
            .iter()
            .find_map(|head| line.strip_prefix(head))?;
        lines::of_test(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_assertion_counts() {
        let run = |result: &str, section: &str, end: &str| {
            format!(
                "running 1 test\ntest a::s09_x ... {result}\n\nfailures:\n\n---- a::s09_x stdout ----\n\
                 {section}\n\nfailures:\n    a::s09_x\n\n{end}"
            )
        };
        let end = "test result: FAILED. 0 passed; 1 failed; 0 ignored";
        let panic = "thread 'a::s09_x' (1) panicked at src/a.rs:1:1:\nassertion failed";
        assert_eq!(judge(&run("FAILED", panic, end), 9), Verdict::Caught);
        assert_eq!(judge(&run("FAILED", panic, end), 10), Verdict::Survived(""));
        let broke_off = Verdict::Survived("the tests broke off without an assertion");
        assert_eq!(
            judge(&run("FAILED", "Error: Unavailable", end), 9),
            broke_off
        );
        assert_eq!(judge("running 1 test\ntest a::s09_x ... ", 9), broke_off);
        let passed = "running 1 test\ntest a::s09_x ... ok\n\ntest result: ok. 1 passed";
        assert_eq!(judge(passed, 9), Verdict::Survived(""));
    }

    #[test]
    fn tests_are_found_by_their_functions() {
        let text = "#[test]\nfn s09_x() {}\n    async fn s10_y() {\n// fn s11_z\nlet s12_w = 1;";
        assert_eq!(tests_in(text).collect::<Vec<_>>(), [9, 10]);
    }
}
