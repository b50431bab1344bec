//! The payment password's protocol against the RFC itself: appendix C.1.5 of RFC 9807 (P-256, SHA-256, no key
//! stretching), run through the public interface that phone and provider use, with the RFC's random numbers.

use opaque_ke::ksf::Identity;
use opaque_ke::rand::{CryptoRng, Error, RngCore};
use opaque_ke::{
    CipherSuite, ClientLogin, ClientLoginFinishParameters, ClientRegistration,
    ClientRegistrationFinishParameters, Identifiers, ServerLogin, ServerLoginParameters,
    ServerRegistration, ServerSetup, TripleDh,
};
use p256::NistP256;
use sandbox_kit::bytes::{from_hex, to_hex};
use sha2::Sha256;

/// The provider's suite but for the stretching, which the RFC's vectors leave out.
struct Rfc;

impl CipherSuite for Rfc {
    type OprfCs = NistP256;
    type KeyExchange = TripleDh<NistP256, Sha256>;
    type Ksf = Identity;
}

/// Numbers that are drawn as they are written down.
struct Script(Vec<u8>);

impl Script {
    fn of(numbers: &[&str]) -> Self {
        Self(from_hex(&numbers.concat()).unwrap())
    }
}

impl RngCore for Script {
    fn next_u32(&mut self) -> u32 {
        unreachable!("only whole strings are drawn")
    }

    fn next_u64(&mut self) -> u64 {
        unreachable!("only whole strings are drawn")
    }

    fn fill_bytes(&mut self, into: &mut [u8]) {
        let rest = self.0.split_off(into.len());
        into.copy_from_slice(&self.0);
        self.0 = rest;
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(into);
        Ok(())
    }
}

impl CryptoRng for Script {}

const CONTEXT: &[u8] = b"OPAQUE-POC";
const PASSWORD: &[u8] = b"CorrectHorseBatteryStaple";
const CREDENTIAL: &[u8] = b"1234";
const OPRF_SEED: &str = "62f60b286d20ce4fd1d64809b0021dad6ed5d52a2c8cf27ae6582543a0a8dce2";
const SERVER_PRIVATE_KEY: &str = "c36139381df63bfc91c850db0b9cfbec7a62e86d80040a41aa7725bf0e79d5e5";
const SERVER_PUBLIC_KEY: &str =
    "035f40ff9cf88aa1f5cd4fe5fd3da9ea65a4923a5594f84fd9f2092d6067784874";
const BLIND_REGISTRATION: &str = "411bf1a62d119afe30df682b91a0a33d777972d4f2daa4b34ca527d597078153";
const ENVELOPE_NONCE: &str = "a921f2a014513bd8a90e477a629794e89fec12d12206dde662ebdcf65670e51f";
const BLIND_LOGIN: &str = "c497fddf6056d241e6cf9fb7ac37c384f49b357a221eb0a802c989b9942256c1";
const CLIENT_NONCE: &str = "ab3d33bde0e93eda72392346a7a73051110674bbf6b1b7ffab8be4f91fdaeeb1";
const CLIENT_KEYSHARE_SEED: &str =
    "633b875d74d1556d2a2789309972b06db21dfcc4f5ad51d7e74d783b7cfab8dc";
const MASKING_NONCE: &str = "38fe59af0df2c79f57b8780278f5ae47355fe1f817119041951c80f612fdfc6d";
const SERVER_NONCE: &str = "71cd9960ecef2fe0d0f7494986fa3d8b2bb01963537e60efb13981e138e3d4a1";
const SERVER_KEYSHARE_SEED: &str =
    "05a4f54206eef1ba2f615bc0aa285cb22f26d1153b5b40a1e85ff80da12f982f";
/// Drawn for a user who might not exist, and not used for one who does.
const UNUSED: &str = "0000000000000000000000000000000000000000000000000000000000000000";

const REGISTRATION_REQUEST: &str =
    "029e949a29cfa0bf7c1287333d2fb3dc586c41aa652f5070d26a5315a1b50229f8";
const REGISTRATION_UPLOAD: &str = concat!(
    "03b218507d978c3db570ca994aaf36695a731ddb2db272c817f79746fc37ae5214",
    "7f0ed53532d3ae8e505ecc70d42d2b814b6b0e48156def71ea029148b2803aaf",
    "a921f2a014513bd8a90e477a629794e89fec12d12206dde662ebdcf65670e51f",
    "ad30bbcfc1f8eda0211553ab9aaf26345ad59a128e80188f035fe4924fad67b8"
);
/// The same for "alice" and "bob" as identities (appendix C.1.6): another authentication tag.
const NAMED_TAG: &str = "4d7773a36a208a866301dbb2858e40dc5638017527cf91aef32d3848eebe0971";
const KE1: &str = concat!(
    "037342f0bcb3ecea754c1e67576c86aa90c1de3875f390ad599a26686cdfee6e07",
    "ab3d33bde0e93eda72392346a7a73051110674bbf6b1b7ffab8be4f91fdaeeb1",
    "022ed3f32f318f81bab80da321fecab3cd9b6eea11a95666dfa6beeaab321280b6"
);
/// Where the second message ends: the provider's key share and its MAC.
const KE2_END: &str = concat!(
    "03c1701353219b53acf337bf6456a83cefed8f563f1040b65afbf3b65d3bc9a19b",
    "50a73b145bc87a157e8c58c0342e2047ee22ae37b63db17e0a82a30fcc4ecf7b"
);
const KE3: &str = "e97cab4433aa39d598e76f13e768bba61c682947bdcf9936035e8a3a3ebfb66e";
const SESSION_KEY: &str = "484ad345715ccce138ca49e4ea362c6183f0949aaaa1125dc3bc3f80876e7cd1";
const EXPORT_KEY: &str = "c3c9a1b0e33ac84dd83d0b7e8af6794e17e7a3caadff289fbd9dc769a853c64b";

fn setup() -> ServerSetup<Rfc> {
    let stored = [OPRF_SEED, SERVER_PRIVATE_KEY, SERVER_PUBLIC_KEY].concat();
    ServerSetup::deserialize(&from_hex(&stored).unwrap()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    to_hex(bytes).to_lowercase()
}

fn register(identifiers: Identifiers<'_>) -> Vec<u8> {
    let mut random = Script::of(&[BLIND_REGISTRATION, ENVELOPE_NONCE]);
    let client = ClientRegistration::<Rfc>::start(&mut random, PASSWORD).unwrap();
    assert_eq!(hex(&client.message.serialize()), REGISTRATION_REQUEST);
    let server = ServerRegistration::start(&setup(), client.message, CREDENTIAL).unwrap();
    let parameters = ClientRegistrationFinishParameters::new(identifiers, None);
    let finished = client
        .state
        .finish(&mut random, PASSWORD, server.message, parameters)
        .unwrap();
    assert_eq!(hex(&finished.export_key), EXPORT_KEY);
    finished.message.serialize().to_vec()
}

#[test]
fn registration_of_rfc_9807() {
    assert_eq!(hex(&register(Identifiers::default())), REGISTRATION_UPLOAD);
    let named = register(Identifiers {
        client: Some(b"alice"),
        server: Some(b"bob"),
    });
    assert!(hex(&named).ends_with(NAMED_TAG));
}

#[test]
fn login_of_rfc_9807() {
    let record = ServerRegistration::deserialize(&from_hex(REGISTRATION_UPLOAD).unwrap()).unwrap();
    let mut random = Script::of(&[BLIND_LOGIN, CLIENT_KEYSHARE_SEED, CLIENT_NONCE]);
    let client = ClientLogin::<Rfc>::start(&mut random, PASSWORD).unwrap();
    assert_eq!(hex(&client.message.serialize()), KE1);
    let parameters = || ServerLoginParameters {
        context: Some(CONTEXT),
        identifiers: Identifiers::default(),
    };
    let server = ServerLogin::start(
        &mut Script::of(&[UNUSED, MASKING_NONCE, SERVER_KEYSHARE_SEED, SERVER_NONCE]),
        &setup(),
        Some(record),
        client.message,
        CREDENTIAL,
        parameters(),
    )
    .unwrap();
    assert!(hex(&server.message.serialize()).ends_with(KE2_END));
    let finished = client
        .state
        .finish(
            &mut random,
            PASSWORD,
            server.message,
            ClientLoginFinishParameters::new(Some(CONTEXT), Identifiers::default(), None),
        )
        .unwrap();
    assert_eq!(hex(&finished.message.serialize()), KE3);
    assert_eq!(hex(&finished.session_key), SESSION_KEY);
    assert_eq!(hex(&finished.export_key), EXPORT_KEY);
    let judged = server.state.finish(finished.message, parameters()).unwrap();
    assert_eq!(hex(&judged.session_key), SESSION_KEY);
}
