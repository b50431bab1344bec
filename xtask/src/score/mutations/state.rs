//! What may not go back or be given out twice: counters, keys, rows.

use super::{Mutation, Target};

/// A mutation of what the manifest stands over, which must be noticed when rows are put back.
const fn manifest(name: &'static str, find: &'static str, replace: &'static str) -> Mutation {
    Mutation {
        line: 12,
        name,
        file: "src/store/manifest.rs",
        find,
        replace,
        package: "tapcore-cli",
        target: Target::Test("sweep"),
    }
}

pub(super) const MUTATIONS: &[Mutation] = &[
    manifest(
        "guarded facts are not in the manifest",
        "FROM record WHERE guarded ORDER BY name",
        "FROM record WHERE guarded < 0 ORDER BY name",
    ),
    manifest(
        "tokens are not in the manifest",
        "FROM token ORDER BY reference",
        "FROM token WHERE position < 0 ORDER BY reference",
    ),
    manifest(
        "secrets are not in the manifest",
        "FROM token_secret ORDER BY token, name",
        "FROM token_secret WHERE name = '' ORDER BY token, name",
    ),
    Mutation {
        line: 22,
        name: "keys of an old answer count anew",
        file: "src/wallet/replenish.rs",
        find: "if held.is_some_and(|held| held.keys.knows(&state.index)) {",
        replace: "if held.is_none() {",
        package: "tapcore-cli",
        target: Target::Test("sweep"),
    },
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
        find: "key.verified == verified && key.uses_left > 0 && key.not_after_ms > now_ms",
        replace: "key.verified == verified && key.uses_left > 0 && now_ms > i64::MIN",
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
    Mutation {
        line: 26,
        name: "the total is not limited",
        file: "src/token/limits.rs",
        find: "match compared && total > limits.total_minor {",
        replace: "match compared && total > i64::MAX {",
        package: "tapcore",
        target: Target::Lib,
    },
    Mutation {
        line: 30,
        name: "a consent outlives its time",
        file: "src/wallet/tap.rs",
        find: "let over = |good_for: &mut Span| !good_for.permits(&self.clock.now());",
        replace: "let over = |_: &mut Span| false;",
        package: "tapcore",
        target: Target::Lib,
    },
    Mutation {
        line: 31,
        name: "without a verified key the phone's own pays",
        file: "src/emv/card/pay.rs",
        find: "                return Verdict::Ask;",
        replace: "                return Verdict::Pay(None);",
        package: "tapcore",
        target: Target::Lib,
    },
    Mutation {
        line: 24,
        name: "a new block is not joined to what is left",
        file: "src/emv/card/stock.rs",
        find: "token.atcs = held.atcs.then(token.atcs);",
        replace: "token.atcs = AtcBlock::new(1, token.atcs.end());",
        package: "tapcore",
        target: Target::Test("card"),
    },
    Mutation {
        line: 26,
        name: "payments abroad are not counted",
        file: "src/token/limits.rs",
        find: "self.spent.foreign = self.spent.foreign.saturating_add(1);",
        replace: "self.spent.foreign = self.spent.foreign.saturating_add(0);",
        package: "tapcore",
        target: Target::Test("card"),
    },
    Mutation {
        line: 30,
        name: "a reader's wish counts for nothing",
        file: "src/emv/verification.rs",
        find: "Self::Never => return wanted && form.ask == Ask::DeclinedAc,",
        replace: "Self::Never => return false,",
        package: "tapcore",
        target: Target::Test("card"),
    },
];
