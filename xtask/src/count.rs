//! How many tests a runner ran, read from what it printed or wrote.

use anyhow::{Context, Result};
use std::fs;
use std::ops::AddAssign;
use std::path::Path;

/// Tests that passed and tests that did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Tests that ran and passed.
    pub(crate) passed: u64,
    /// Tests that ran and failed.
    pub(crate) failed: u64,
}

impl Count {
    /// A step that runs no tests of its own.
    pub(crate) const NONE: Self = Self {
        passed: 0,
        failed: 0,
    };
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// `cargo test`: the sum over its `test result:` lines.
pub(crate) fn cargo(log: &str) -> Count {
    let mut sum = Count::NONE;
    for line in log
        .lines()
        .filter(|line| line.trim_start().starts_with("test result:"))
    {
        sum += Count {
            passed: before(line, " passed").unwrap_or(0),
            failed: before(line, " failed").unwrap_or(0),
        };
    }
    sum
}

/// `swift test`: XCTest prints `Executed N tests, with M failures` for each suite and last for all of them.
pub(crate) fn swift(log: &str) -> Count {
    let Some(line) = log
        .lines()
        .rev()
        .find(|line| line.trim_start().starts_with("Executed "))
    else {
        return Count::NONE;
    };
    let ran = before(line, " test").unwrap_or(0);
    let failed = before(line, " failure").unwrap_or(0);
    Count {
        passed: ran.saturating_sub(failed),
        failed,
    }
}

/// Surefire: one JUnit report for each class.
pub(crate) fn surefire(reports: &Path) -> Result<Count> {
    let mut sum = Count::NONE;
    let files = fs::read_dir(reports)
        .with_context(|| format!("no test reports in {}", reports.display()))?;
    for file in files {
        let path = file?.path();
        let is_report = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("TEST-"));
        if is_report {
            sum += junit(&fs::read_to_string(&path)?);
        }
    }
    Ok(sum)
}

/// A JUnit report: the sum over the attributes of its `<testsuite>` elements.
pub(crate) fn junit(xml: &str) -> Count {
    let mut sum = Count::NONE;
    for suite in xml.split("<testsuite ").skip(1) {
        let head = suite.split('>').next().unwrap_or_default();
        let number = |name: &str| -> u64 {
            head.split_once(&format!("{name}=\""))
                .and_then(|(_, rest)| rest.split('"').next())
                .and_then(|digits| digits.parse().ok())
                .unwrap_or(0)
        };
        let failed = number("failures") + number("errors");
        let ran = number("tests").saturating_sub(number("skipped"));
        sum += Count {
            passed: ran.saturating_sub(failed),
            failed,
        };
    }
    sum
}

/// The number that stands directly before `word`.
fn before(line: &str, word: &str) -> Option<u64> {
    let head = line.get(..line.find(word)?)?;
    let digits: String = head
        .chars()
        .rev()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.chars().rev().collect::<String>().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_adds_up_every_binary() {
        let log = "running 3 tests\ntest result: ok. 3 passed; 0 failed; 0 ignored; 0 measured\n\
                   noise\ntest result: FAILED. 10 passed; 2 failed; 1 ignored; 0 measured\n";
        assert_eq!(
            cargo(log),
            Count {
                passed: 13,
                failed: 2
            }
        );
    }

    #[test]
    fn swift_takes_the_last_line_which_covers_all_suites() {
        let log = "\t Executed 2 tests, with 0 failures (0 unexpected) in 0.1 (0.1) seconds\n\
                   \t Executed 5 tests, with 1 failure (0 unexpected) in 0.3 (0.3) seconds\n";
        assert_eq!(
            swift(log),
            Count {
                passed: 4,
                failed: 1
            }
        );
    }

    #[test]
    fn a_report_counts_errors_as_failures_and_leaves_out_the_skipped() {
        let xml = "<?xml version=\"1.0\"?>\n<testsuites tests=\"99\"><testsuite name=\"WalletTest\" time=\"1\" \
                   tests=\"7\" errors=\"1\" skipped=\"2\" failures=\"1\">\n</testsuite>\
                   <testsuite tests=\"1\"></testsuite></testsuites>";
        assert_eq!(
            junit(xml),
            Count {
                passed: 4,
                failed: 2
            }
        );
    }
}
