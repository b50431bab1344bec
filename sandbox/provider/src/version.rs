//! Versions of apps: numbers between dots, with what Semantic Versioning 2.0.0 allows after them.

use std::cmp::Ordering;

/// A version to compare. Numbers that are missing count as 0, so does what is no number; a pre-release (`-…`) comes
/// before its release, whatever it is called; build names (`+…`) count nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Version {
    numbers: Vec<u64>,
    release: bool,
}

impl Version {
    pub(crate) fn of(text: &str) -> Self {
        let text = text.split('+').next().unwrap_or_default();
        let (core, release) = match text.split_once('-') {
            Some((core, _)) => (core, false),
            None => (text, true),
        };
        let mut numbers: Vec<u64> = core
            .split('.')
            .map(|number| number.parse().unwrap_or(0))
            .collect();
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        Self { numbers, release }
    }

    /// Whether `text` is one to four numbers between dots and nothing else.
    pub(crate) fn is_well_formed(text: &str) -> bool {
        let numbers: Vec<&str> = text.split('.').collect();
        (1..=4).contains(&numbers.len())
            && numbers.iter().all(|number| {
                (1..=9).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
            })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        // Without zeros at their ends, lists of numbers compare as the versions do.
        (&self.numbers, self.release).cmp(&(&other.numbers, other.release))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_their_order() {
        let rising = [
            "odd",
            "0.0.1",
            "0.1.0-beta.2",
            "0.1.0",
            "0.9.9",
            "0.10",
            "1.0.0-rc.1+7",
            "1.0.0+8",
            "1.0.0.1",
            "2",
        ];
        for pair in rising.windows(2) {
            assert!(Version::of(pair[0]) < Version::of(pair[1]), "{pair:?}");
        }
        assert_eq!(Version::of("1"), Version::of("1.0.0"));
        assert_eq!(Version::of("odd"), Version::of("0.0.0"));
    }

    #[test]
    fn a_minimum_is_plain_numbers() {
        for good in ["0.0.0", "1", "12.34.56.78"] {
            assert!(Version::is_well_formed(good), "{good}");
        }
        for bad in ["", "1.", "1.x", "1.0.0-rc.1", "1.2.3.4.5", "1234567890"] {
            assert!(!Version::is_well_formed(bad), "{bad}");
        }
    }
}
