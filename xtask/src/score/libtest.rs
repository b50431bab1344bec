//! What Rust's test programs print: which tests ran, how each ended, and what a failed one said.

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    Ignored,
}

/// One test that was run, by its whole path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) path: String,
    pub(crate) outcome: Outcome,
}

impl Test {
    /// The function's own name. Of a documentation test, the item that it documents.
    pub(crate) fn name(&self) -> &str {
        let path = match self.path.split_once(" - ") {
            // `src/secret.rs - secret::Secret (line 3)`
            Some((_, item)) => item.split(" (line").next().unwrap_or(item),
            None => &self.path,
        };
        path.rsplit("::").next().unwrap_or(path)
    }
}

/// Every test in a log of `cargo test`, over all of its test programs.
pub(crate) fn tests(log: &str) -> Vec<Test> {
    let mut found = Vec::new();
    // With one thread the name comes first, and what the test's children print may part it from its outcome.
    let mut waiting: Option<String> = None;
    for line in log.lines() {
        if let Some((path, rest)) = line
            .strip_prefix("test ")
            .and_then(|line| line.rsplit_once(" ... "))
        {
            found.extend(waiting.take().map(unfinished));
            match outcome(rest) {
                Some(outcome) => found.push(Test {
                    path: plain(path),
                    outcome,
                }),
                None => waiting = Some(plain(path)),
            }
        } else if let Some(outcome) = outcome(line)
            && let Some(path) = waiting.take()
        {
            found.push(Test { path, outcome });
        }
    }
    found.extend(waiting.map(unfinished));
    found
}

/// A test that never said how it ended has taken its program down.
fn unfinished(path: String) -> Test {
    Test {
        path,
        outcome: Outcome::Failed,
    }
}

fn outcome(word: &str) -> Option<Outcome> {
    match word.trim_end() {
        "ok" => Some(Outcome::Passed),
        "FAILED" => Some(Outcome::Failed),
        "ignored" => Some(Outcome::Ignored),
        word if word.starts_with("ignored, ") => Some(Outcome::Ignored),
        _ => None,
    }
}

/// The path without the kind of test that is printed behind it.
fn plain(path: &str) -> String {
    let kinds = [" - should panic", " - compile fail", " - compile"];
    let path = kinds
        .iter()
        .find_map(|kind| path.strip_suffix(kind))
        .unwrap_or(path);
    path.to_owned()
}

/// Whether every test program that began came to its end.
pub(crate) fn is_whole(log: &str) -> bool {
    let count = |head: &str| log.lines().filter(|line| line.starts_with(head)).count();
    let begun = log.lines().filter(|line| {
        line.strip_prefix("running ")
            .and_then(|rest| rest.strip_suffix(" tests").or(rest.strip_suffix(" test")))
            .is_some_and(|number| number.parse::<u32>().is_ok())
    });
    begun.count() == count("test result: ")
}

/// Whether a failed test failed by an assertion or a panic in what it calls, and not because its program ended.
pub(crate) fn failed_by_assertion(log: &str, path: &str) -> bool {
    let said = [
        "panicked at ",
        "note: test did not panic as expected",
        "it's marked `compile_fail`",
    ];
    // With the space: one name may begin another.
    let head = format!("---- {path} ");
    let Some((_, section)) = log.split_once(&head) else {
        return false;
    };
    let section = section.split("\n---- ").next().unwrap_or_default();
    let section = section.split("\nfailures:\n").next().unwrap_or_default();
    said.iter().any(|word| section.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
     Running unittests src/lib.rs (target/debug/deps/tapcore-1)

running 4 tests
test vault::tests::s09_swapped ... ok
test vault::tests::s10_flipped - should panic ... FAILED
test s11_counted ... ignored, takes long
test s12_rolled_back ... noise of a child
ok

failures:

---- vault::tests::s10_flipped stdout ----

thread 'vault::tests::s10_flipped' (7) panicked at src/vault/sealing.rs:9:9:
assertion `left == right` failed

failures:
    vault::tests::s10_flipped

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s

running 1 test
test src/secret.rs - secret::s16_secrets (line 4) - compile fail ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s
";

    #[test]
    fn names_and_outcomes_are_read() {
        let found = tests(LOG);
        let short: Vec<_> = found
            .iter()
            .map(|test| (test.name(), test.outcome))
            .collect();
        assert_eq!(
            short,
            [
                ("s09_swapped", Outcome::Passed),
                ("s10_flipped", Outcome::Failed),
                ("s11_counted", Outcome::Ignored),
                ("s12_rolled_back", Outcome::Passed),
                ("s16_secrets", Outcome::Passed),
            ]
        );
        assert!(is_whole(LOG));
        assert!(failed_by_assertion(LOG, &found[1].path));
    }

    #[test]
    fn a_program_that_breaks_off_is_noticed() {
        let log = "running 2 tests\ntest a::s01_x ... ok\ntest a::s02_y ... \
                   error: test failed, to rerun pass `--lib` (signal: 6, SIGABRT)\n";
        assert!(!is_whole(log));
        assert_eq!(tests(log)[1].outcome, Outcome::Failed);
        assert!(!failed_by_assertion(log, "a::s02_y"));
    }
}
