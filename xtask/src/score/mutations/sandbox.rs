//! What the provider's, the network's and the bank's side must refuse.

use super::{Mutation, Target};

const SIGNED: &str = "sandbox/kit/src/signed.rs";

/// The tests of signed requests at their receiver.
const RECEIVER: (&str, Target) = ("sandbox-kit", Target::Test("signed"));

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        line: 27,
        name: "the log's MAC is not looked at",
        file: "sandbox/network/src/replenish.rs",
        find: "if !log_mac_is_right(&log_key, token_ref, &query.log, &mac) {",
        replace: "if !log_mac_is_right(&log_key, token_ref, &query.log, &mac) && mac.is_empty() {",
        package: "sandbox-network",
        target: Target::Test("network"),
    },
    Mutation {
        line: 37,
        name: "the receiver's window never closes",
        file: SIGNED,
        find: "if created.saturating_sub(now).abs() > WINDOW_SECONDS {",
        replace: "if created.saturating_sub(now).abs() > i64::MAX - WINDOW_SECONDS {",
        package: RECEIVER.0,
        target: RECEIVER.1,
    },
    Mutation {
        line: 38,
        name: "the receiver does not compare the digest",
        file: SIGNED,
        find: "if digest.trim() != content_digest(body) {",
        replace: "if digest.trim().is_empty() {",
        package: RECEIVER.0,
        target: RECEIVER.1,
    },
    Mutation {
        line: 39,
        name: "the receiver forgets nonces",
        file: SIGNED,
        find: "if added.rows_affected() == 0 {",
        replace: "if added.rows_affected() > 1 {",
        package: RECEIVER.0,
        target: RECEIVER.1,
    },
];
