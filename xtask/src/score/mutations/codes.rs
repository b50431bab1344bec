//! Payment codes: what is on the screen, once and never again, and by which clock.

use super::person::core;
use super::{Mutation, Target};

const CARD: &str = "src/wallet/code/cpm.rs";
const SHOW: &str = "src/wallet/code/show.rs";
const STEPS: &str = "src/code/steps.rs";

/// Where the alias of a showing is made durable.
const TAKEN: &str = "opened.commit(arming, |tx| Ok(tx.set_guarded(RECORD, Some(&book))?))?;";

/// A mutation of showing that the sweep must notice.
const fn swept(
    line: u8,
    name: &'static str,
    find: &'static str,
    replace: &'static str,
) -> Mutation {
    Mutation {
        line,
        name,
        file: SHOW,
        find,
        replace,
        package: "tapcore-cli",
        target: Target::Test("sweep"),
    }
}

pub(super) const MUTATIONS: &[Mutation] = &[
    swept(
        7,
        "a code is seen while the older arming opens",
        "let retired = retire_older(opened, &record);",
        "let retired: Result<(), WalletError> = Ok(drop(record));",
    ),
    core(
        12,
        "the record of codes may go back",
        SHOW,
        TAKEN,
        "opened.commit(arming, |tx| Ok(tx.set_record(RECORD, Some(&book))?))?;",
    ),
    core(
        15,
        "a locked wallet keeps its code on the screen",
        "src/wallet/person.rs",
        "wallet.take_code_away();",
        "",
    ),
    swept(
        22,
        "an alias is shown and not written down",
        TAKEN,
        "opened.commit(arming, |_| Ok(()))?;",
    ),
    core(
        22,
        "each look at a card costs a counter",
        CARD,
        ".filter(|(made, _)| *made == step.number)",
        ".filter(|(made, _)| *made > step.number)",
    ),
    swept(
        23,
        "counters of a card on the screen are not written down",
        "card(opened, &mut arming, account, codes.cpm_refreshes, before)?",
        "card(opened, &mut opened.arming()?, account, codes.cpm_refreshes, before)?",
    ),
    core(
        29,
        "a phone may have been off for any time",
        STEPS,
        "> rules.max_off_ms {",
        "> rules.max_off_ms.saturating_mul(99) {",
    ),
    core(
        29,
        "after a start the clock may be behind",
        STEPS,
        "if off_ms < -SLACK_MS {",
        "if off_ms < i64::MIN / 2 {",
    ),
    core(
        29,
        "a contact serves for ever",
        STEPS,
        "> rules.max_age_ms {",
        "> rules.max_age_ms.saturating_mul(99) {",
    ),
    Mutation {
        line: 29,
        name: "a reader that tells nothing gets a code's cryptogram",
        file: "src/emv/computed.rs",
        find: ".all(|byte| *byte == 0) {",
        replace: ".all(|byte| *byte > 0) {",
        package: "tapcore",
        target: Target::Test("card"),
    },
    core(
        34,
        "a suspended card's code stays on the screen",
        "src/wallet/lifecycle.rs",
        "            wallet.take_code_of(token);\n",
        "",
    ),
    core(
        26,
        "what came back with a showing comes back again when the key store fails",
        SHOW,
        "            if gone || retired.is_err() {\n",
        "            if gone || retired.is_err() {\n                \
         if let Err(error) = &retired {\n                    \
         wallet.not_written(returned, error);\n                }\n",
    ),
    core(
        26,
        "a card is shown under a key that has come to its end",
        "src/wallet/code/cpm.rs",
        "if armed.not_after_ms <= step.at_ms {",
        "if armed.not_after_ms < i64::MIN + step.at_ms.min(0) {",
    ),
    core(
        41,
        "the provider is not told of a code that an unsafe phone has stopped",
        "src/wallet/code/view.rs",
        "wallet.tell_void(over.into_iter().map(closed).collect());",
        "drop(over);",
    ),
    core(
        41,
        "codes do not go by the issuer's rules of risk",
        SHOW,
        "        self.tap\n            .look(policy.clone(), standing, opened.sees_clock_jump());\n",
        "        drop(standing);\n",
    ),
    core(
        39,
        "a payment without an answer is sent anew",
        "src/wallet/code/unanswered.rs",
        "before.code == wish.code && before.money == wish.money",
        "before.code == wish.code && before.money != wish.money",
    ),
    Mutation {
        line: 29,
        name: "a profile whose cryptogram covers too little makes a code",
        file: "src/emv/presented.rs",
        find: "let mut under = [tags::UNPREDICTABLE].into_iter().chain(TELLING);",
        replace: "let mut under = [tags::UNPREDICTABLE].into_iter();",
        package: "tapcore",
        target: Target::Test("card"),
    },
    core(
        41,
        "an unsafe phone goes on showing its code",
        "src/wallet/code/view.rs",
        "stopped(refusal).filter(|_| showing.is_open())",
        "stopped(refusal).filter(|_| !showing.is_open())",
    ),
];
