//! HTTP message signatures (RFC 9421), the one form that Tapcore sends.
//!
//! Covered are method, authority, path, query, content digest (RFC 9530) and, where there is one, the idempotency key;
//! parameters are time, nonce, key and algorithm (`ecdsa-p256-sha256`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

/// What of a request is signed.
pub(super) struct Covered<'a> {
    pub(super) method: &'a str,
    /// Host and port as the server receives them.
    pub(super) authority: &'a str,
    pub(super) path: &'a str,
    /// With its question mark; `?` when there is none.
    pub(super) query: &'a str,
    pub(super) content_digest: &'a str,
    pub(super) idempotency_key: Option<&'a str>,
}

/// Who signs, and when.
pub(super) struct Parameters<'a> {
    /// Unix seconds.
    pub(super) created: i64,
    pub(super) nonce: &'a str,
    pub(super) key_id: &'a str,
}

/// The value of `Content-Digest` for a body.
pub(super) fn content_digest(body: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, body);
    format!("sha-256=:{}:", STANDARD.encode(hash))
}

/// The signature base, and the value of `Signature-Input` that describes it.
pub(super) fn signature_base(
    covered: &Covered<'_>,
    parameters: &Parameters<'_>,
) -> (String, String) {
    let components = [
        ("@method", Some(covered.method)),
        ("@authority", Some(covered.authority)),
        ("@path", Some(covered.path)),
        ("@query", Some(covered.query)),
        ("content-digest", Some(covered.content_digest)),
        ("idempotency-key", covered.idempotency_key),
    ];
    let mut names = Vec::with_capacity(components.len());
    let mut base = String::new();
    for (name, value) in components {
        if let Some(value) = value {
            base.push_str(&format!("\"{name}\": {value}\n"));
            names.push(format!("\"{name}\""));
        }
    }
    let Parameters {
        created,
        nonce,
        key_id,
    } = parameters;
    let described = format!(
        "({});created={created};nonce=\"{nonce}\";keyid=\"{key_id}\";alg=\"ecdsa-p256-sha256\"",
        names.join(" "),
    );
    base.push_str(&format!("\"@signature-params\": {described}"));
    (base, format!("sig1={described}"))
}

/// The value of `Signature`.
pub(super) fn signature_header(signature: &[u8]) -> String {
    format!("sig1=:{}:", STANDARD.encode(signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest of `{"hello": "world"}` and a line feed, from RFC 9530, appendix D.
    #[test]
    fn s38_the_digest_is_that_of_the_body() {
        let body = b"{\"hello\": \"world\"}\n";
        let expected = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        assert_eq!(content_digest(body), expected);
    }

    #[test]
    fn s38_the_body_is_under_the_signature() {
        let signed = |content_digest| {
            let covered = Covered {
                method: "POST",
                authority: "127.0.0.1:8443",
                path: "/v1/confirmations",
                query: "?",
                content_digest,
                idempotency_key: Some("k"),
            };
            let parameters = Parameters {
                created: 0,
                nonce: "00",
                key_id: "ses_1",
            };
            signature_base(&covered, &parameters)
        };
        let (base, described) = signed("sha-256=:x:");
        assert!(base.contains("\"content-digest\": sha-256=:x:\n"), "{base}");
        assert!(described.contains("\"content-digest\""), "{described}");
        assert_ne!(base, signed("sha-256=:y:").0);
    }

    #[test]
    fn s37_the_base_has_a_line_for_each_component() {
        let covered = Covered {
            method: "GET",
            authority: "127.0.0.1:8443",
            path: "/v1/entries",
            query: "?after=3",
            content_digest: "sha-256=:x:",
            idempotency_key: None,
        };
        let parameters = Parameters {
            created: 1_700_000_000,
            nonce: "00FF",
            key_id: "ses_1",
        };
        let (base, input) = signature_base(&covered, &parameters);
        let described = "(\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\");created=1700000000;nonce=\"00FF\";keyid=\"ses_1\";alg=\"ecdsa-p256-sha256\"";
        assert_eq!(input, format!("sig1={described}"));
        assert_eq!(
            base,
            format!(
                "\"@method\": GET\n\"@authority\": 127.0.0.1:8443\n\"@path\": /v1/entries\n\"@query\": ?after=3\n\"content-digest\": sha-256=:x:\n\"@signature-params\": {described}"
            )
        );
    }
}
