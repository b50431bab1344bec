//! What of a long output a person needs who was not there when it failed.

/// How many lines of the end are shown.
const END: usize = 80;
/// How many lines from before the end are shown at most.
const BEFORE: usize = 120;
/// How many lines follow the one that tells of a failure: a panic's message, a difference of two values.
const BEHIND: usize = 6;

/// Words by which the programs that we run tell of a failure: rustc, Rust's tests, Swift, Maven, Python.
const TELLING: [&str; 10] = [
    "FAILED",
    "panicked at",
    "error:",
    "error[",
    "Fatal error",
    "Error",
    "ERROR",
    "failed (",
    "FAIL:",
    "(signal",
];

fn tells(line: &str) -> bool {
    // Maven's count of a run in which all is well.
    !line.contains("Errors: 0") && TELLING.iter().any(|word| line.contains(word))
}

/// The end of `text`, and from before it the lines that tell of a failure with what follows them.
pub(crate) fn excerpt(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let end = lines.len().saturating_sub(END);
    let mut out = String::new();
    let mut shown = 0;
    let mut next = 0;
    for (at, line) in lines[..end].iter().enumerate() {
        if at >= next && tells(line) {
            next = end.min(at + 1 + BEHIND);
            for line in lines[at..next].iter().take(BEFORE - shown) {
                out.push_str(line);
                out.push('\n');
                shown += 1;
            }
            out.push_str("…\n");
            if shown == BEFORE {
                break;
            }
        }
    }
    if end > shown {
        out.push_str(&format!("({} earlier lines are in the log)\n", end - shown));
    }
    for line in &lines[end..] {
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_early_is_shown_beside_the_end() {
        let mut text = "thread 'a_test' panicked at src/lib.rs:1:\nleft: 1\n".to_owned();
        for number in 0..500 {
            text.push_str(&format!("test number_{number} ... ok\n"));
        }
        let shown = excerpt(&text);
        assert!(shown.starts_with("thread 'a_test' panicked at src/lib.rs:1:\nleft: 1\n"));
        assert!(shown.ends_with("number_498 ... ok\ntest number_499 ... ok\n"));
        assert!(!shown.contains("number_200 "));
        assert!(shown.contains("(415 earlier lines are in the log)"));
    }

    #[test]
    fn a_storm_of_failures_is_cut_and_a_short_text_is_whole() {
        let storm = "x FAILED\n".repeat(10_000);
        let lines = excerpt(&storm).lines().count();
        assert!(lines <= 2 * BEFORE + END, "{lines} lines");
        assert_eq!(excerpt("one\ntwo\n"), "one\ntwo\n");
        assert_eq!(excerpt(""), "");
    }
}
