//! What the provider's, the network's and the bank's side must refuse.

use super::{Mutation, Target};

const SIGNED: &str = "sandbox/kit/src/signed.rs";

/// The tests of signed requests at their receiver.
const RECEIVER: (&str, Target) = ("sandbox-kit", Target::Test("signed"));

/// The provider's tests.
const PROVIDER: (&str, Target) = ("sandbox-provider", Target::Test("provider"));

const ATTESTATION: &str = "sandbox/provider/src/attestation.rs";

/// A mutation of the provider's judgement of attested keys.
const fn attestation(name: &'static str, find: &'static str, replace: &'static str) -> Mutation {
    Mutation {
        line: 3,
        name,
        file: ATTESTATION,
        find,
        replace,
        package: "sandbox-provider",
        target: Target::Lib,
    }
}

pub(super) const MUTATIONS: &[Mutation] = &[
    attestation(
        "any challenge will do",
        "if description.challenge != claim.challenge {",
        "if description.challenge.is_empty() && !claim.challenge.is_empty() {",
    ),
    attestation(
        "any key will do",
        "        || *key.subject_public_key.data != *claim.device_key\n",
        "",
    ),
    attestation(
        "the level is the device's own word",
        "if description.attestation_level != level || description.key_level != level {",
        "if description.attestation_level > level.max(2) || description.key_level > 2 {",
    ),
    attestation(
        "signatures of the chain are not verified",
        "check_signature(certificate, issuer)?;",
        "let _ = check_signature(certificate, issuer);",
    ),
    attestation(
        "anybody signs certificates",
        "if constraints.ca && signs && !long && !attested {",
        "if constraints.ca || signs || !long || !attested {",
    ),
    attestation(
        "certificates have no end",
        "if !certificate.validity().is_valid_at(now) {",
        "if !certificate.validity().is_valid_at(now.min(certificate.validity().not_before)) {",
    ),
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
        line: 32,
        name: "a try of the payment password costs nothing",
        file: "sandbox/provider/src/password/record.rs",
        find: "SET tries_left = tries_left - 1 WHERE",
        replace: "SET tries_left = tries_left - 0 WHERE",
        package: PROVIDER.0,
        target: PROVIDER.1,
    },
    Mutation {
        line: 32,
        name: "a payment password never locks",
        file: "sandbox/provider/src/password/record.rs",
        find: "        if tries_left <= 0 {",
        replace: "        if tries_left <= -99 {",
        package: PROVIDER.0,
        target: PROVIDER.1,
    },
    Mutation {
        line: 39,
        name: "an answer is kept for nobody",
        file: "sandbox/provider/src/phones.rs",
        find: "let scope = format!(\"{} link-codes\", device.id);",
        replace: "let scope = format!(\"{} link-codes {}\", device.id, new_link_code());",
        package: PROVIDER.0,
        target: PROVIDER.1,
    },
    Mutation {
        line: 44,
        name: "an erasure forgets the answers that were kept",
        file: "sandbox/provider/src/store/leaving.rs",
        find: ".bind(format!(\"{device} %\"))",
        replace: ".bind(format!(\"{device}_\"))",
        package: "tapcore-cli",
        target: Target::Test("cli"),
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
    Mutation {
        line: 26,
        name: "the issuer does not count payments abroad",
        file: "sandbox/network/src/limits.rs",
        find: "foreign_used = foreign_used + $2 WHERE",
        replace: "foreign_used = foreign_used + 0 * $2 WHERE",
        package: "sandbox-network",
        target: Target::Test("network"),
    },
    Mutation {
        line: 26,
        name: "the issuer takes any total",
        file: "sandbox/network/src/limits.rs",
        find: "spent_minor = spent_minor + $1,",
        replace: "spent_minor = spent_minor + 0 * $1,",
        package: "sandbox-network",
        target: Target::Test("network"),
    },
];
