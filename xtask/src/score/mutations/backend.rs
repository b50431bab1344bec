//! The way to the provider: TLS, pins, request signatures.

use super::{Mutation, Target};

const PINS: &str = "src/backend/pins.rs";
const SIGNATURE: &str = "src/backend/signature.rs";

const CLIENT: &str = "src/backend/client.rs";

/// A mutation that the tests against a lying server must notice.
const fn wire(
    line: u8,
    name: &'static str,
    file: &'static str,
    find: &'static str,
    replace: &'static str,
) -> Mutation {
    Mutation {
        line,
        name,
        file,
        find,
        replace,
        package: "tapcore",
        target: Target::Test("backend"),
    }
}

/// The tests that run the phone against a whole sandbox.
const PHONE: (&str, Target) = ("tapcore-cli", Target::Test("cli"));

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        line: 35,
        name: "any certificate is taken",
        file: PINS,
        find: "let verified = self.usual.verify_server_cert(\n            end_entity,\n            \
               intermediates,\n            server_name,\n            ocsp_response,\n            now,\n        )?;",
        replace: "let _ = (intermediates, server_name, ocsp_response, now);\n        \
                  let verified = ServerCertVerified::assertion();",
        package: PHONE.0,
        target: PHONE.1,
    },
    Mutation {
        line: 36,
        name: "any pin will do",
        file: PINS,
        find: "match self.pins.iter().any(|pin| pin == hash.as_ref()) {",
        replace: "match self.pins.iter().any(|pin| pin.len() == hash.as_ref().len()) {",
        package: PHONE.0,
        target: PHONE.1,
    },
    wire(
        35,
        "certificates have no end",
        PINS,
        "            ocsp_response,\n            now,\n        )?;",
        "            ocsp_response,\n            UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_secs().min(1_577_000_000))),\n        )?;",
    ),
    wire(
        36,
        "the spare is no pin",
        PINS,
        "match self.pins.iter().any(|pin| pin == hash.as_ref()) {",
        "match self.pins.iter().take(1).any(|pin| pin == hash.as_ref()) {",
    ),
    wire(
        36,
        "one pin is enough",
        "src/wallet/enrol.rs",
        "if distinct < 2 {",
        "if distinct < 1 {",
    ),
    wire(
        37,
        "the authority is not signed",
        SIGNATURE,
        r#"("@authority", Some(covered.authority)),"#,
        r#"("@authority", None),"#,
    ),
    wire(
        37,
        "the path is not signed",
        SIGNATURE,
        r#"("@path", Some(covered.path)),"#,
        r#"("@path", None),"#,
    ),
    wire(
        37,
        "requests are dated by the phone's clock",
        CLIENT,
        "created: self.provider_ms().div_euclid(1000),",
        "created: (self.now_ms)().div_euclid(1000),",
    ),
    wire(
        37,
        "a nonce that was not taken ends the request",
        CLIENT,
        "Err(error) if error.wants_new_session() => {",
        "Err(error) if error.is_passing() && error.wants_new_session() => {",
    ),
    wire(
        37,
        "a nonce is used twice",
        CLIENT,
        "nonce: &fresh_key(),",
        "nonce: &\"00\".repeat(16),",
    ),
    Mutation {
        line: 37,
        name: "the method is not signed",
        file: SIGNATURE,
        find: r#"("@method", Some(covered.method)),"#,
        replace: r#"("@method", None),"#,
        package: "tapcore",
        target: Target::Lib,
    },
    Mutation {
        line: 37,
        name: "the query is not signed",
        file: SIGNATURE,
        find: r#"("@query", Some(covered.query)),"#,
        replace: r#"("@query", None),"#,
        package: "tapcore",
        target: Target::Lib,
    },
    Mutation {
        line: 37,
        name: "the nonce is not signed",
        file: SIGNATURE,
        find: r#"nonce=\"{nonce}\";keyid"#,
        replace: r#"nonce=\"{nonce:.0}\";keyid"#,
        package: "tapcore",
        target: Target::Lib,
    },
    Mutation {
        line: 38,
        name: "the digest is that of no body",
        file: SIGNATURE,
        find: "let hash = digest::digest(&digest::SHA256, body);",
        replace: "let hash = digest::digest(&digest::SHA256, &body[..0]);",
        package: "tapcore",
        target: Target::Lib,
    },
    Mutation {
        line: 38,
        name: "the digest is not signed",
        file: SIGNATURE,
        find: r#"("content-digest", Some(covered.content_digest)),"#,
        replace: r#"("content-digest", None),"#,
        package: "tapcore",
        target: Target::Lib,
    },
];
