//! The way to the provider: TLS, pins, request signatures.

use super::{Mutation, Target};

const PINS: &str = "src/backend/pins.rs";
const SIGNATURE: &str = "src/backend/signature.rs";

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
