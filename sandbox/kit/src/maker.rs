//! The maker of the sandbox's phones, played by a test CA: it vouches for keys as Android's Keystore does.
//!
//! **The root's key is public** (`maker/TEST-ROOT-KEY.pem`): its word is worth nothing outside a sandbox. What it makes
//! has the real form: X.509 certificates, leaf first, the leaf with the extension 1.3.6.1.4.1.11129.2.1.17 that holds a
//! `KeyDescription` (Android key attestation, schema version 300).
//!
//! ```
//! use sandbox_kit::maker::{self, Level};
//! let key = sandbox_kit::keys::PartyKey::generate();
//! let chain = maker::attest(&key.public(), b"the server's challenge", Level::Tee);
//! assert_eq!(chain.last(), Some(&maker::root()));
//! ```

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::{Duration, OffsetDateTime};
use yasna::{DERWriter, DERWriterSeq, Tag};

const ROOT: &str = include_str!("../maker/TEST-ROOT.pem");
const ROOT_KEY: &str = include_str!("../maker/TEST-ROOT-KEY.pem");
/// The subject of the certificate in the file.
const ROOT_NAME: &str = "Tapcore TEST maker root, trust it nowhere";

/// Android's key attestation extension.
const KEY_DESCRIPTION: &[u64] = &[1, 3, 6, 1, 4, 1, 11129, 2, 1, 17];
/// `attestationVersion` and `keyMintVersion` of KeyMint 3.
const SCHEMA: i64 = 300;

/// Where a key lies, as the attestation says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// In the operating system's keeping.
    Software,
    /// In a trusted execution environment.
    Tee,
    /// In a secure element.
    StrongBox,
}

impl Level {
    fn number(self) -> i64 {
        match self {
            Self::Software => 0,
            Self::Tee => 1,
            Self::StrongBox => 2,
        }
    }
}

/// The maker's root certificate, DER.
#[must_use]
pub fn root() -> Vec<u8> {
    CertificateDer::from_pem_slice(ROOT.as_bytes())
        .map(|certificate| certificate.to_vec())
        .unwrap_or_default()
}

/// The maker's word that the key `device_public_key` (SEC1 uncompressed) was made at `level` for `challenge`: leaf,
/// intermediate and root, DER.
///
/// # Panics
/// Only when the operating system has no random numbers to give.
#[must_use]
pub fn attest(device_public_key: &[u8], challenge: &[u8], level: Level) -> Vec<Vec<u8>> {
    chain(device_public_key, &key_description(challenge, level))
        .expect("the test keys are in this crate and sound")
}

fn chain(device_public_key: &[u8], description: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
    let root = Issuer::new(
        authority(ROOT_NAME),
        KeyPair::from_pem(ROOT_KEY).context("the maker's root key")?,
    );
    // Makers certify a batch of phones by one key; here every phone is a batch of its own.
    let batch_key = KeyPair::generate()?;
    let batch_parameters = authority("Tapcore TEST maker batch");
    let batch_certificate = batch_parameters.signed_by(&batch_key, &root)?;
    let batch = Issuer::new(batch_parameters, batch_key);
    let mut leaf = named("Android Keystore Key");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.custom_extensions = vec![CustomExtension::from_oid_content(
        KEY_DESCRIPTION,
        description.to_vec(),
    )];
    let leaf = leaf.signed_by(&DeviceKey(device_public_key), &batch)?;
    Ok(vec![
        leaf.der().to_vec(),
        batch_certificate.der().to_vec(),
        self::root(),
    ])
}

/// The `KeyDescription` of a P-256 signing key that was made on the phone at `level`, DER.
#[must_use]
pub fn key_description(challenge: &[u8], level: Level) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|description| {
            description.next().write_i64(SCHEMA);
            description.next().write_enum(level.number());
            description.next().write_i64(SCHEMA);
            description.next().write_enum(level.number());
            description.next().write_bytes(challenge);
            description.next().write_bytes(&[]); // uniqueId
            let (software, hardware) = (description.next(), level != Level::Software);
            software.write_sequence(|list| {
                explicit(list, 701, |value| {
                    // creationDateTime, milliseconds
                    value.write_i64(crate::clock::unix_now().saturating_mul(1000));
                });
                if !hardware {
                    signing_key(list);
                }
            });
            description.next().write_sequence(|list| {
                if hardware {
                    signing_key(list);
                    explicit(list, 704, root_of_trust);
                    explicit(list, 705, |value| value.write_i64(160_000)); // osVersion 16
                    explicit(list, 706, |value| value.write_i64(202_611)); // osPatchLevel
                }
            });
        });
    })
}

/// The members of an `AuthorizationList` that say what the key is; tags rise, as in a real one.
fn signing_key(list: &mut DERWriterSeq<'_>) {
    explicit(list, 1, |value| {
        value.write_set_of(|purposes| purposes.next().write_i64(2)); // SIGN
    });
    explicit(list, 2, |value| value.write_i64(3)); // EC
    explicit(list, 3, |value| value.write_i64(256));
    explicit(list, 5, |value| {
        value.write_set_of(|digests| digests.next().write_i64(4)); // SHA-256
    });
    explicit(list, 10, |value| value.write_i64(1)); // P-256
    explicit(list, 503, |value| value.write_null()); // noAuthRequired
    explicit(list, 702, |value| value.write_i64(0)); // origin: generated
}

fn root_of_trust(value: DERWriter<'_>) {
    value.write_sequence(|trust| {
        trust.next().write_bytes(&[0; 32]); // verifiedBootKey
        trust.next().write_bool(true); // deviceLocked
        trust.next().write_enum(0); // Verified
        trust.next().write_bytes(&[0; 32]); // verifiedBootHash
    });
}

fn explicit(list: &mut DERWriterSeq<'_>, tag: u64, write: impl FnOnce(DERWriter<'_>)) {
    list.next().write_tagged(Tag::context(tag), write);
}

fn authority(name: &str) -> CertificateParams {
    let mut parameters = named(name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters
}

fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    // Phones and servers do not quite agree on the time.
    parameters.not_before = OffsetDateTime::now_utc() - Duration::days(1);
    parameters.not_after = OffsetDateTime::now_utc() + Duration::days(3650);
    parameters
}

/// The key of somebody else, of whom only the public half is known.
struct DeviceKey<'a>(&'a [u8]);

impl PublicKeyData for DeviceKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::PartyKey;

    /// What the provider makes of it is tested there; here: the files are whole and fit each other.
    #[test]
    fn a_chain_ends_at_the_root_in_the_file() {
        assert!(root().len() > 300);
        let chain = attest(&PartyKey::generate().public(), b"c", Level::StrongBox);
        assert_eq!(chain.len(), 3);
        assert_eq!(chain[2], root());
        let key = KeyPair::from_pem(ROOT_KEY).unwrap();
        assert!(contains(&root(), key.der_bytes()));
        assert!(contains(&root(), ROOT_NAME.as_bytes()));
        assert!(ROOT_KEY.starts_with("*** TEST KEY"));
    }

    /// `KeyDescription` of a software key for challenge "c": the fixed parts, tag by tag.
    #[test]
    fn the_description_has_androids_layout() {
        let der = key_description(b"c", Level::Tee);
        let head = [
            0x30, 0x81, der[2], 0x02, 0x02, 0x01, 0x2C, 0x0A, 0x01, 0x01, 0x02, 0x02, 0x01, 0x2C,
            0x0A, 0x01, 0x01, 0x04, 0x01, b'c', 0x04, 0x00,
        ];
        assert_eq!(der[..head.len()], head);
        // [702] EXPLICIT INTEGER 0: origin generated, in long-form tag.
        assert!(contains(&der, &[0xBF, 0x85, 0x3E, 0x03, 0x02, 0x01, 0x00]));
    }

    fn contains(all: &[u8], part: &[u8]) -> bool {
        all.windows(part.len()).any(|window| window == part)
    }
}
