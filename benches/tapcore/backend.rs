//! Signing requests as the client does.

use rand_core::{OsRng, RngCore};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use tapcore::vault::SessionKey;

use crate::Bench;
use crate::measure::{Reading, batches};

/// The client's own source: its signature base is nobody else's business, so the crate does not export it.
#[path = "../../src/backend/signature.rs"]
#[allow(unused_imports, reason = "its tests, which run in the crate")]
mod signature;

use signature::{Covered, Parameters, content_digest, signature_base, signature_header};

pub(crate) const BENCHES: &[Bench] = &[Bench {
    name: "backend.sign_request",
    run: sign_request,
}];

/// Digest of a body of 256 bytes, a fresh nonce, the signature base, the signature and its headers. Floor: ECDSA P-256
/// with SHA-256 by ring over a signature base that is there already.
fn sign_request() -> Reading {
    let body = [0x5A; 256];
    let session = SessionKey::generate().unwrap();
    let ours = || {
        let digest = content_digest(&body);
        let mut nonce = [0; 16];
        OsRng.fill_bytes(&mut nonce);
        let covered = Covered {
            method: "POST",
            authority: "provider.example:8443",
            path: "/v1/tokens/tok_0123456789ABCDEF/replenish",
            query: "?",
            content_digest: &digest,
            idempotency_key: Some("000102030405060708090A0B0C0D0E0F"),
        };
        let parameters = Parameters {
            created: 1_700_000_000,
            nonce: &hex::encode_upper(nonce),
            key_id: "ses_0123456789ABCDEF",
        };
        let (base, input) = signature_base(&covered, &parameters);
        let signature = session.sign(base.as_bytes()).unwrap();
        (base, digest, input, signature_header(&signature))
    };
    let (message, ..) = ours();
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
    let floor = || pair.sign(&random, message.as_bytes()).unwrap();
    batches(20, 1_000, ours, floor)
}
