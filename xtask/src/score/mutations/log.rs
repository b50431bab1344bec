//! What must not be read in a log.

use super::{Mutation, Target};

const REDACT: &str = "src/log/redact.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        line: 18,
        name: "lines go out as they were written",
        file: "src/log/line.rs",
        find: "return redact::redact(&self.text).into_owned();",
        replace: "return self.text.clone();",
        package: "tapcore",
        target: Target::Test("log"),
    },
    Mutation {
        line: 19,
        name: "the shortest card numbers are shown",
        file: REDACT,
        find: "const SHORTEST_NUMBER: usize = 13;",
        replace: "const SHORTEST_NUMBER: usize = 14;",
        package: "tapcore",
        target: Target::Lib,
    },
    Mutation {
        line: 19,
        name: "the shortest keys are shown",
        file: REDACT,
        find: "const SHORTEST_KEY: usize = 32;",
        replace: "const SHORTEST_KEY: usize = 33;",
        package: "tapcore",
        target: Target::Lib,
    },
];
