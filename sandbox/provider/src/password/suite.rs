//! OPAQUE (RFC 9807) in the one form that phones and this provider speak, and the provider's secret half of it.
//!
//! The setup (the seed of the oblivious function and the provider's static key pair) is a file of its own, readable by
//! its owner only. Who steals the database alone cannot try passwords against the records in it.

use std::path::Path;

use anyhow::{Context, bail};
use opaque_ke::{
    CipherSuite, CredentialFinalization, CredentialRequest, Identifiers, RegistrationRequest,
    RegistrationUpload, ServerLogin, ServerLoginParameters, ServerRegistration, ServerSetup,
    TripleDh,
};
use p256::NistP256;
use rand_core::OsRng;
use ring::hmac;
use sandbox_kit::bytes;
use sandbox_kit::server::write_secret;
use sha2::Sha256;
use zeroize::Zeroizing;

/// P-256 throughout. The key stretching runs on the phone only: Argon2id with 19 MiB, two passes, one lane.
pub(super) struct Suite;

impl CipherSuite for Suite {
    type OprfCs = NistP256;
    type KeyExchange = TripleDh<NistP256, Sha256>;
    type Ksf = opaque_ke::argon2::Argon2<'static>;
}

/// Bound into every key exchange.
const CONTEXT: &[u8] = b"tapcore payment password v1";
/// The provider's name in envelopes and key exchanges; the phone's is the user's id.
const SERVER: &[u8] = b"tapcore provider";

/// Lengths of the messages in bytes (RFC 9807, sections 5 and 6, with P-256 and SHA-256).
pub(super) const REQUEST: usize = 33;
pub(super) const UPLOAD: usize = 129;
pub(super) const KE1: usize = 98;
pub(super) const KE3: usize = 32;

/// A message that is no point of the curve where one must be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The provider's secrets.
pub(super) struct Setup(ServerSetup<Suite>);

/// What the provider keeps between the second and the third message. It holds the session key, so it stays in memory.
pub(super) struct Exchange(ServerLogin<Suite>);

/// What a phone that knew the password shares with the provider for one act.
pub(crate) struct SessionKey(hmac::Key);

impl Setup {
    /// The setup in the file `path`; made and written there when there is none.
    pub(super) fn open_or_create(path: &Path) -> anyhow::Result<Self> {
        if !path.exists() {
            let setup = ServerSetup::<Suite>::new(&mut OsRng);
            let text = Zeroizing::new(bytes::to_hex(&setup.serialize()));
            write_secret(path, text.as_bytes())?;
        }
        let text = Zeroizing::new(
            std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?,
        );
        let wrong = || format!("{} holds no setup for payment passwords", path.display());
        let raw = Zeroizing::new(bytes::from_hex(text.trim()).with_context(wrong)?);
        match ServerSetup::deserialize(&raw) {
            Ok(setup) if setup.serialize().as_slice() == raw.as_slice() => Ok(Self(setup)),
            _ => bail!(wrong()),
        }
    }

    /// The public half, by which a database knows its setup again.
    pub(super) fn public(&self) -> String {
        bytes::to_hex(&self.0.keypair().public().serialize())
    }

    /// The answer to a registration request.
    pub(super) fn register(
        &self,
        request: &[u8; REQUEST],
        credential: &str,
    ) -> Result<Vec<u8>, Malformed> {
        let request = RegistrationRequest::deserialize(request).map_err(|_| Malformed)?;
        let started = ServerRegistration::start(&self.0, request, credential.as_bytes())
            .map_err(|_| Malformed)?;
        Ok(started.message.serialize().to_vec())
    }

    /// The second message of a login, and what is needed to judge the third.
    pub(super) fn answer(
        &self,
        ke1: &First,
        record: &[u8],
        credential: &str,
        user: &str,
    ) -> Result<(Vec<u8>, Exchange), Malformed> {
        let record = ServerRegistration::deserialize(record).map_err(|_| Malformed)?;
        let started = ServerLogin::start(
            &mut OsRng,
            &self.0,
            Some(record),
            ke1.0.clone(),
            credential.as_bytes(),
            parameters(user),
        )
        .map_err(|_| Malformed)?;
        Ok((
            started.message.serialize().to_vec(),
            Exchange(started.state),
        ))
    }
}

/// A well-formed first message of a login: read before a try is spent on it.
pub(super) struct First(CredentialRequest<Suite>);

impl First {
    pub(super) fn read(ke1: &[u8; KE1]) -> Result<Self, Malformed> {
        CredentialRequest::deserialize(ke1)
            .map(Self)
            .map_err(|_| Malformed)
    }
}

impl Exchange {
    /// The session key when the third message proves that the phone knew the password.
    pub(super) fn finish(self, ke3: &[u8; KE3], user: &str) -> Option<SessionKey> {
        let last = CredentialFinalization::deserialize(ke3).ok()?;
        let finished = self.0.finish(last, parameters(user)).ok()?;
        let key = Zeroizing::new(finished.session_key.to_vec());
        Some(SessionKey(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }
}

impl SessionKey {
    /// Whether `mac` is this key's over `message`, compared in constant time.
    pub(crate) fn vouches(&self, message: &[u8], mac: &[u8]) -> bool {
        hmac::verify(&self.0, message, mac).is_ok()
    }
}

/// The record to keep for an upload: the same bytes, once they are known to be one.
pub(super) fn record(upload: &[u8; UPLOAD]) -> Result<Vec<u8>, Malformed> {
    let upload = RegistrationUpload::<Suite>::deserialize(upload).map_err(|_| Malformed)?;
    Ok(ServerRegistration::finish(upload).serialize().to_vec())
}

fn parameters(user: &str) -> ServerLoginParameters<'_, '_> {
    ServerLoginParameters {
        context: Some(CONTEXT),
        identifiers: Identifiers {
            client: Some(user.as_bytes()),
            server: Some(SERVER),
        },
    }
}
