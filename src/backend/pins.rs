//! Pins: the provider's leaf keys, checked in the handshake, before a byte of a request leaves.

use std::sync::Arc;

use ring::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring as provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::BackendError;

/// TLS that trusts the CAs in `ca_pem` and, where `pins` are given, only those leaf keys (SHA-256 over the subject
/// public key info).
pub(super) fn client_config(ca_pem: &str, pins: &[[u8; 32]]) -> Result<ClientConfig, BackendError> {
    let unusable = BackendError::Configuration("the CA file holds no usable certificate");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let added = certificate.ok().and_then(|der| roots.add(der).ok());
        if added.is_none() {
            return Err(unusable);
        }
    }
    let provider = Arc::new(provider::default_provider());
    let Ok(usual) =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()
    else {
        return Err(unusable);
    };
    let verifier = Arc::new(PinningVerifier {
        usual,
        pins: pins.to_vec(),
    });
    with_verifier(provider, verifier)
}

fn with_verifier(
    provider: Arc<CryptoProvider>,
    verifier: Arc<PinningVerifier>,
) -> Result<ClientConfig, BackendError> {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| BackendError::Configuration("this build has no usable TLS version"))?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// The usual checks first, the pins after them.
#[derive(Debug)]
struct PinningVerifier {
    usual: Arc<WebPkiServerVerifier>,
    pins: Vec<[u8; 32]>,
}

impl ServerCertVerifier for PinningVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.usual.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        if self.pins.is_empty() {
            return Ok(verified);
        }
        let leaf = webpki::EndEntityCert::try_from(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let hash = digest::digest(&digest::SHA256, &leaf.subject_public_key_info());
        match self.pins.iter().any(|pin| pin == hash.as_ref()) {
            true => Ok(verified),
            false => Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
