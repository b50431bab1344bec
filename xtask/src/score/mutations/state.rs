//! What may not go back or be given out twice: counters, keys, rows.

use super::{Mutation, Target};

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        line: 25,
        name: "blocks reach past the last counter",
        file: "src/emv/atc.rs",
        find: "let end = end.min(0x1_0000);",
        replace: "",
        package: "tapcore",
        target: Target::Lib,
    },
    Mutation {
        line: 26,
        name: "a key pays past its time",
        file: "src/token/key.rs",
        find: ".find(|key| key.uses_left > 0 && key.not_after_ms > now_ms)?;",
        replace: ".find(|key| key.uses_left > 0 && now_ms > i64::MIN)?;",
        package: "tapcore",
        target: Target::Lib,
    },
    Mutation {
        line: 26,
        name: "uses are not counted",
        file: "src/token/key.rs",
        find: "key.uses_left -= given;",
        replace: "",
        package: "tapcore",
        target: Target::Lib,
    },
];
