//! Key attestation: whether a device's key lies where the device says, on the word of the phone's maker.
//!
//! The evidence is Android's: a chain of X.509 certificates from the key's own up to a root of the maker, the key's
//! certificate saying in a `KeyDescription` where the key was made and for which challenge. Checked here: the chain
//! (signatures, names, validity, who may sign certificates), then what it says against what the device claims.
//!
//! Nothing here is shared with what makes such chains in the sandbox; both follow RFC 5280 and Android's schema.

mod description;
#[cfg(test)]
mod tests;

use sandbox_kit::problem::Problem;
use x509_parser::asn1_rs::{FromDer as _, Oid, Tag, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA,
    OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_KEY_USAGE,
};
use x509_parser::time::ASN1Time;

use crate::device::KeyStore;
use description::{Elements, KeyDescription};

/// More certificates than any maker's chain has.
pub(crate) const MOST_CERTIFICATES: usize = 8;
/// Longer than any of them is, bytes.
pub(crate) const LONGEST_CERTIFICATE: usize = 8 * 1024;

const KEY_DESCRIPTION: Oid<'static> = oid!(1.3.6.1.4.1.11129.2.1.17);

/// What a device says of its key.
pub(crate) struct Claim<'a> {
    pub(crate) device_key: &'a [u8; 65],
    pub(crate) challenge: &'a [u8],
    pub(crate) key_store: KeyStore,
}

/// Why a chain does not prove a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no chain and the claim needs one.
    Missing,
    /// Something in it cannot be read, or is marked critical and not known here.
    Unreadable,
    /// It does not end at a root that is trusted.
    Untrusted,
    /// A signature or a name does not fit.
    Broken,
    /// A certificate is not valid now.
    OutOfTime,
    /// A certificate was signed by one that may not sign certificates.
    NoAuthority,
    /// It is for another key.
    OtherKey,
    /// It was made for another challenge.
    OtherChallenge,
    /// It says that the key lies elsewhere.
    OtherLevel,
    /// The key was not made there for signing: imported, or for other purposes.
    OtherUse,
}

impl Fault {
    fn detail(self) -> &'static str {
        match self {
            Self::Missing => {
                "A key in this key store must be attested. Send the chain of its certificates."
            }
            Self::Unreadable => "A certificate of the chain cannot be read.",
            Self::Untrusted => "The chain does not end at a maker's root that is trusted here.",
            Self::Broken => "The certificates of the chain do not sign one another.",
            Self::OutOfTime => "A certificate of the chain is not valid now.",
            Self::NoAuthority => {
                "A certificate of the chain was signed by one that may not sign certificates."
            }
            Self::OtherKey => "The attestation is for another key than device_key.",
            Self::OtherChallenge => {
                "The attestation was made for another challenge. Ask for one and make a new key."
            }
            Self::OtherLevel => {
                "The attestation says that the key lies elsewhere than key_store says."
            }
            Self::OtherUse => "The attested key was not made in its key store for signing.",
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let (code, title) = match fault {
            Fault::Missing => ("attestation_missing", "Attestation missing"),
            _ => ("attestation_invalid", "Attestation not accepted"),
        };
        Problem::new(403, code, title, fault.detail())
    }
}

/// Certificates of makers that are trusted, DER.
pub(crate) struct Roots(Vec<Vec<u8>>);

impl Roots {
    /// Refuses what is no certificate: a root that cannot be read would silently trust nobody.
    pub(crate) fn new(roots: Vec<Vec<u8>>) -> anyhow::Result<Self> {
        for root in &roots {
            read(root).map_err(|_| anyhow::anyhow!("a root for attestations is no certificate"))?;
        }
        Ok(Self(roots))
    }

    /// Whether the claim is proven at `now` (seconds since 1970). A claim of special hardware must be; a chain that is
    /// there must hold whatever is claimed.
    pub(crate) fn judge(
        &self,
        chain: &[Vec<u8>],
        claim: &Claim<'_>,
        now: i64,
    ) -> Result<bool, Fault> {
        if chain.is_empty() {
            return match claim.key_store {
                KeyStore::Tee | KeyStore::Strongbox => Err(Fault::Missing),
                KeyStore::Software | KeyStore::SecureEnclave => Ok(false),
            };
        }
        let mut path = Vec::with_capacity(chain.len() + 1);
        for certificate in chain {
            path.push(read(certificate)?);
        }
        self.anchor(chain, &mut path)?;
        check_path(&path, now)?;
        // `anchor` left two at least.
        let leaf = path.first().ok_or(Fault::Unreadable)?;
        check_claim(leaf, claim)?;
        Ok(true)
    }

    /// Makes sure that the path ends with a trusted root, which is appended when the chain leaves it out.
    fn anchor<'a>(
        &'a self,
        chain: &[Vec<u8>],
        path: &mut Vec<X509Certificate<'a>>,
    ) -> Result<(), Fault> {
        let Some(last) = path.last() else {
            return Err(Fault::Unreadable);
        };
        if chain.len() > 1 && chain.last().is_some_and(|last| self.0.contains(last)) {
            return Ok(());
        }
        for root in &self.0 {
            let root = read(root)?;
            if root.subject().as_raw() == last.issuer().as_raw() {
                path.push(root);
                return Ok(());
            }
        }
        Err(Fault::Untrusted)
    }
}

fn read(der: &[u8]) -> Result<X509Certificate<'_>, Fault> {
    // The frame around what is signed, byte by byte: the parser is lenient about it, and nothing signs it.
    let frame = || {
        let mut certificate = Elements(der);
        let mut parts = Elements(certificate.next(Tag::Sequence)?);
        let mut signed = Elements(parts.next(Tag::Sequence)?);
        let algorithm = parts.next(Tag::Sequence)?;
        let signature = parts.next(Tag::BitString)?;
        let _version = signed.any()?;
        let _serial = signed.next(Tag::Integer)?;
        let whole = parts.0.is_empty() && certificate.0.is_empty();
        let bytes = signature.first() == Some(&0);
        (whole && bytes && signed.next(Tag::Sequence)? == algorithm).then_some(())
    };
    frame().ok_or(Fault::Unreadable)?;
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(Fault::Unreadable),
    }
}

/// RFC 5280 section 6, as far as chains of makers use it.
fn check_path(path: &[X509Certificate<'_>], now: i64) -> Result<(), Fault> {
    let now = ASN1Time::from_timestamp(now).map_err(|_| Fault::OutOfTime)?;
    for certificate in path {
        if !certificate.validity().is_valid_at(now) {
            return Err(Fault::OutOfTime);
        }
        check_critical(certificate)?;
    }
    for (below, (certificate, issuer)) in path.iter().zip(path.iter().skip(1)).enumerate() {
        check_authority(issuer, below)?;
        check_signature(certificate, issuer)?;
    }
    Ok(())
}

fn check_critical(certificate: &X509Certificate<'_>) -> Result<(), Fault> {
    let known = [
        OID_X509_EXT_BASIC_CONSTRAINTS,
        OID_X509_EXT_KEY_USAGE,
        KEY_DESCRIPTION,
    ];
    let unknown = certificate
        .extensions()
        .iter()
        .any(|extension| extension.critical && !known.contains(&extension.oid));
    if unknown {
        Err(Fault::Unreadable)
    } else {
        Ok(())
    }
}

/// Whether `issuer` may sign certificates with `below` others between it and the key's own.
fn check_authority(issuer: &X509Certificate<'_>, below: usize) -> Result<(), Fault> {
    let constraints = issuer
        .basic_constraints()
        .map_err(|_| Fault::Unreadable)?
        .ok_or(Fault::NoAuthority)?
        .value;
    let long = constraints
        .path_len_constraint
        .is_some_and(|most| usize::try_from(most).is_ok_and(|most| below > most));
    let usage = issuer.key_usage().map_err(|_| Fault::Unreadable)?;
    let signs = usage.is_none_or(|usage| usage.value.key_cert_sign());
    // A key that is attested itself is some app's; what it signs is that app's word and not the maker's.
    let attested = issuer
        .extensions()
        .iter()
        .any(|extension| extension.oid == KEY_DESCRIPTION);
    if constraints.ca && signs && !long && !attested {
        Ok(())
    } else {
        Err(Fault::NoAuthority)
    }
}

fn check_signature(
    certificate: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
) -> Result<(), Fault> {
    let algorithm = &certificate.signature_algorithm;
    let weak = [OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA].contains(&algorithm.algorithm);
    let named = certificate.issuer().as_raw() == issuer.subject().as_raw();
    if weak || !named {
        return Err(Fault::Broken);
    }
    certificate
        .verify_signature(Some(issuer.public_key()))
        .map_err(|_| Fault::Broken)
}

fn check_claim(leaf: &X509Certificate<'_>, claim: &Claim<'_>) -> Result<(), Fault> {
    let key = leaf.public_key();
    let curve = key
        .algorithm
        .parameters
        .as_ref()
        .and_then(|parameters| parameters.as_oid().ok());
    if key.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY
        || curve != Some(OID_EC_P256)
        || *key.subject_public_key.data != *claim.device_key
    {
        return Err(Fault::OtherKey);
    }
    let extension = leaf
        .get_extension_unique(&KEY_DESCRIPTION)
        .map_err(|_| Fault::Unreadable)?
        .ok_or(Fault::Unreadable)?;
    let description = KeyDescription::read(extension.value).ok_or(Fault::Unreadable)?;
    if description.challenge != claim.challenge {
        return Err(Fault::OtherChallenge);
    }
    let level = match claim.key_store {
        KeyStore::Software => 0,
        KeyStore::Tee => 1,
        KeyStore::Strongbox => 2,
        // Apple's keys are attested in another way; no such chain can speak of one.
        KeyStore::SecureEnclave => return Err(Fault::OtherLevel),
    };
    if description.attestation_level != level || description.key_level != level {
        return Err(Fault::OtherLevel);
    }
    if description.is_made_for_signing() {
        Ok(())
    } else {
        Err(Fault::OtherUse)
    }
}
