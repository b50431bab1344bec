//! The payment password: OPAQUE (RFC 9807). The provider checks it and never receives it.
//!
//! P-256 and SHA-256 throughout; the password is stretched on the phone by Argon2id (19 MiB, two passes, one lane). A
//! wrong password is noticed here, by a KE2 that does not fit, so the provider counts a try before it answers one. The
//! session key that both sides reach authenticates what the person confirmed.

use opaque_ke::{
    ClientLogin, ClientLoginFinishParameters, ClientRegistration,
    ClientRegistrationFinishParameters, CredentialResponse, Identifiers, RegistrationResponse,
};
use rand_core::OsRng;
use ring::hmac;
use zeroize::Zeroize;

use super::VaultError;

/// The context both sides bind into the key exchange.
const CONTEXT: &[u8] = b"tapcore payment password v1";
/// The provider's name in it; the phone's is the user's identifier.
const PROVIDER: &[u8] = b"tapcore provider";

struct Suite;

impl opaque_ke::CipherSuite for Suite {
    type OprfCs = p256::NistP256;
    type KeyExchange = opaque_ke::TripleDh<p256::NistP256, sha2::Sha256>;
    // Its default is Argon2id, version 1.3, with the parameters named above.
    type Ksf = argon2::Argon2<'static>;
}

fn identifiers(user_id: &str) -> Identifiers<'_> {
    Identifiers {
        client: Some(user_id.as_bytes()),
        server: Some(PROVIDER),
    }
}

/// Setting a password, between request and upload.
pub struct PasswordRegistration(ClientRegistration<Suite>);

impl PasswordRegistration {
    /// Begins; answers the request for the provider.
    ///
    /// # Errors
    /// [`VaultError::Foreign`] for a password that no point of the curve comes of, which does not happen.
    pub fn start(password: &str) -> Result<(Self, Vec<u8>), VaultError> {
        let begun = ClientRegistration::<Suite>::start(&mut OsRng, password.as_bytes())
            .map_err(|_| VaultError::Foreign)?;
        Ok((Self(begun.state), begun.message.serialize().to_vec()))
    }

    /// Answers the record to upload. Takes a moment on purpose.
    ///
    /// # Errors
    /// [`VaultError::Foreign`] when the response is malformed.
    pub fn finish(
        self,
        password: &str,
        response: &[u8],
        user_id: &str,
    ) -> Result<Vec<u8>, VaultError> {
        let response =
            RegistrationResponse::deserialize(response).map_err(|_| VaultError::Foreign)?;
        let parameters = ClientRegistrationFinishParameters::new(identifiers(user_id), None);
        let mut done = self
            .0
            .finish(&mut OsRng, password.as_bytes(), response, parameters)
            .map_err(|_| VaultError::Foreign)?;
        done.export_key.as_mut_slice().zeroize();
        Ok(done.message.serialize().to_vec())
    }
}

/// Proving a password, between KE1 and KE3.
pub struct PasswordLogin(ClientLogin<Suite>);

/// A password that was proven: what the provider must see, and the key that both sides have now.
pub struct ProvenPassword {
    /// The last message, KE3.
    pub ke3: Vec<u8>,
    session: hmac::Key,
}

impl PasswordLogin {
    /// Begins; answers KE1.
    ///
    /// # Errors
    /// As [`PasswordRegistration::start`].
    pub fn start(password: &str) -> Result<(Self, Vec<u8>), VaultError> {
        let begun = ClientLogin::<Suite>::start(&mut OsRng, password.as_bytes())
            .map_err(|_| VaultError::Foreign)?;
        Ok((Self(begun.state), begun.message.serialize().to_vec()))
    }

    /// Looks at KE2 and answers KE3. Takes a moment on purpose.
    ///
    /// # Errors
    /// [`VaultError::WrongPassword`]; [`VaultError::Foreign`] when KE2 is malformed.
    pub fn finish(
        self,
        password: &str,
        ke2: &[u8],
        user_id: &str,
    ) -> Result<ProvenPassword, VaultError> {
        let ke2 = CredentialResponse::deserialize(ke2).map_err(|_| VaultError::Foreign)?;
        let parameters =
            ClientLoginFinishParameters::new(Some(CONTEXT), identifiers(user_id), None);
        let mut done = self
            .0
            .finish(&mut OsRng, password.as_bytes(), ke2, parameters)
            .map_err(|_| VaultError::WrongPassword)?;
        let session = hmac::Key::new(hmac::HMAC_SHA256, &done.session_key);
        done.session_key.as_mut_slice().zeroize();
        done.export_key.as_mut_slice().zeroize();
        Ok(ProvenPassword {
            ke3: done.message.serialize().to_vec(),
            session,
        })
    }
}

impl ProvenPassword {
    /// Authenticates what the person confirmed, HMAC-SHA-256.
    pub fn mac(&self, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.session, message).as_ref().to_vec()
    }
}
