//! What lies in the files, and when: keys at rest, card numbers, durability, exports; and bytes from readers.

use super::{Mutation, Target};

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        line: 5,
        name: "the storage key lies beside its wrapped form",
        file: "src/vault/hierarchy.rs",
        find: "            storage: wrapped,",
        replace: "            storage: [wrapped.as_slice(), storage.expose()].concat(),",
        package: "tapcore",
        target: Target::Lib,
    },
    Mutation {
        line: 20,
        name: "the card number is left in the folder",
        file: "src/wallet/add_card.rs",
        find: "        let sealed_card = seal_card(&enrolment, number, expiry)?;",
        replace: "        let sealed_card = seal_card(&enrolment, number, expiry)?;\n        drop(std::fs::write(self.config.folder.join(\"card\"), number));",
        package: "tapcore-cli",
        target: Target::Test("cli"),
    },
    Mutation {
        line: 23,
        name: "the vault's commits are not synced",
        file: "src/store/vault_db.rs",
        find: "    synchronous: \"FULL\",",
        replace: "    synchronous: \"OFF\",",
        package: "tapcore-cli",
        target: Target::Test("sweep"),
    },
    Mutation {
        line: 42,
        name: "a command may end inside its data field",
        file: "src/emv/apdu.rs",
        find: "                .get(..usize::from(*length))\n                .ok_or(StatusWord::WRONG_LENGTH)?,",
        replace: "                .get(..usize::from(*length))\n                .unwrap_or_default(),",
        package: "tapcore-cli",
        target: Target::Test("cli"),
    },
    Mutation {
        line: 44,
        name: "the export leaves the payments out",
        file: "src/wallet/phones.rs",
        find: "\"payments\": payments.iter().map(",
        replace: "\"payments\": payments.iter().take(0).map(",
        package: "tapcore-cli",
        target: Target::Test("cli"),
    },
];
