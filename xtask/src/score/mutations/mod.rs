//! The mutations: for each line of the score card, ways to break the code that its tests guard.
//!
//! To add one, append a [`Mutation`] to the table of its subject. `find` is a text that stands in `file` once and
//! is all that is replaced; choose the smallest change that takes the protection away and still compiles. The
//! line's tests (`sNN_…`) in the named package and target must then fail.

mod backend;
mod codes;
mod files;
mod log;
mod person;
mod sandbox;
mod state;
mod vault;

/// One way to break one line's code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mutation {
    /// The line of the score card.
    pub(super) line: u8,
    /// What is broken, in a few words.
    pub(super) name: &'static str,
    /// The file, from the root of the checkout.
    pub(super) file: &'static str,
    /// The text that is replaced; it stands there exactly once.
    pub(super) find: &'static str,
    /// What stands there instead.
    pub(super) replace: &'static str,
    /// The package whose tests must notice.
    pub(super) package: &'static str,
    /// Where in the package they are.
    pub(super) target: Target,
}

/// Which tests of a package.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// Those beside the code.
    Lib,
    /// Those of one integration test.
    Test(&'static str),
    /// All of them, those in the documentation too, which takes longest to build.
    All,
}

impl Mutation {
    /// The changed text, or nothing where there is not exactly one place to change.
    pub(super) fn apply(&self, text: &str) -> Option<String> {
        let mut places = text.match_indices(self.find);
        let (Some(_), None) = (places.next(), places.next()) else {
            return None;
        };
        Some(text.replacen(self.find, self.replace, 1))
    }

    /// How cargo is told which tests.
    pub(super) fn selection(&self) -> Vec<&'static str> {
        let mut words = vec!["--package", self.package];
        match self.target {
            Target::Lib => words.push("--lib"),
            Target::Test(name) => words.extend(["--test", name]),
            Target::All => {}
        }
        words
    }
}

/// All of them, by line.
pub(super) fn all() -> impl Iterator<Item = &'static Mutation> {
    let mut all: Vec<_> = [
        vault::MUTATIONS,
        state::MUTATIONS,
        backend::MUTATIONS,
        codes::MUTATIONS,
        files::MUTATIONS,
        log::MUTATIONS,
        person::MUTATIONS,
        sandbox::MUTATIONS,
    ]
    .into_iter()
    .flatten()
    .collect();
    all.sort_by_key(|mutation| mutation.line);
    all.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths;
    use crate::score::lines;
    use std::collections::BTreeSet;
    use std::fs;

    /// Code moves; a mutation that lost its place must be noticed with that change, not at the next proof.
    #[test]
    fn every_mutation_applies() {
        let lost: Vec<_> = all()
            .filter(|mutation| {
                let text = fs::read_to_string(paths::root().join(mutation.file));
                text.ok().and_then(|text| mutation.apply(&text)).is_none()
            })
            .map(|mutation| format!("{:02} {} ({})", mutation.line, mutation.name, mutation.file))
            .collect();
        assert!(
            lost.is_empty(),
            "their text must stand in their file exactly once: {lost:#?}"
        );
    }

    #[test]
    fn every_mutation_has_a_line_and_a_name_of_its_own_and_changes_something() {
        let names: BTreeSet<_> = all()
            .map(|mutation| (mutation.line, mutation.name))
            .collect();
        assert_eq!(names.len(), all().count());
        for mutation in all() {
            assert!(lines::of_test(&(lines::prefix(mutation.line) + "x")).is_some());
            assert_ne!(mutation.find, mutation.replace, "{}", mutation.name);
        }
    }

    #[test]
    fn a_text_that_stands_twice_is_no_place() {
        let mutation = Mutation {
            line: 9,
            name: "",
            file: "",
            find: "a",
            replace: "b",
            package: "",
            target: Target::All,
        };
        assert_eq!(mutation.apply("cac").as_deref(), Some("cbc"));
        assert_eq!(mutation.apply("caca"), None);
        assert_eq!(mutation.apply("cc"), None);
    }
}
