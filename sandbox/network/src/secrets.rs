//! The keys of the network: what a hardware security module would hold in life, a file readable by its owner here.
//! Made once, kept for good: tokens, certificates and cards in phones depend on them.

use std::path::Path;

use anyhow::Context;
use rand_core::{OsRng, RngCore};
use sandbox_kit::keys::PartyKey;
use sandbox_kit::server::write_secret;
use serde::{Deserialize, Serialize};

use crate::certificate::{CA_BITS, Certificate, ISSUER_BITS, RsaKey, certify_issuer};
use crate::derive::TdesKey;
use crate::profile::card::mmyy;
use crate::scheme::Scheme;

/// How long the issuer's certificate is good for, in years.
const ISSUER_YEARS: i32 = 10;

/// All keys of the network.
pub struct Secrets {
    /// Issuer master key, from which every token's keys are derived.
    pub(crate) imk: TdesKey,
    /// The CA of all three schemes.
    pub(crate) ca: RsaKey,
    /// The issuer of token certificates.
    pub(crate) issuer: RsaKey,
    /// The issuer's key, certified by the CA for each scheme's token range, in the order of [`Scheme::ALL`].
    issuer_certificates: [Certificate; 3],
    /// Signs what phones are given and what other parties are asked.
    pub(crate) signing: PartyKey,
    /// Opens what phones seal.
    pub(crate) hpke: PartyKey,
}

/// The file's form.
#[derive(Serialize, Deserialize)]
struct Stored {
    imk: String,
    ca_primes: [String; 2],
    issuer_primes: [String; 2],
    issuer_expiry: String,
    issuer_serial: String,
    signing: String,
    hpke: String,
}

impl Secrets {
    /// The keys in `path`; made and written there when there are none. Blocks for up to some seconds.
    pub fn open_or_create(path: &Path) -> anyhow::Result<Self> {
        if !path.exists() {
            let mut imk = [0; 16];
            OsRng.fill_bytes(&mut imk);
            let mut serial = [0; 3];
            OsRng.fill_bytes(&mut serial);
            let today = sandbox_kit::clock::now().date();
            let expiry = today
                .replace_year(today.year() + ISSUER_YEARS)
                .unwrap_or(today);
            let primes = |bits| -> anyhow::Result<[String; 2]> {
                let (p, q) = RsaKey::generate(bits)?.primes()?;
                Ok([hex::encode_upper(p), hex::encode_upper(q)])
            };
            let stored = Stored {
                imk: hex::encode_upper(imk),
                ca_primes: primes(CA_BITS)?,
                issuer_primes: primes(ISSUER_BITS)?,
                issuer_expiry: hex::encode_upper(mmyy(expiry)?),
                issuer_serial: hex::encode_upper(serial),
                signing: PartyKey::generate().to_scalar_hex(),
                hpke: PartyKey::generate().to_scalar_hex(),
            };
            write_secret(path, &serde_json::to_vec_pretty(&stored)?)?;
        }
        Self::open(path)
    }

    /// The keys in `path`.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text)
            .with_context(|| format!("{} does not hold the network's keys", path.display()))
    }

    /// The public half of the network's signing key.
    pub fn signing_key(&self) -> [u8; 65] {
        self.signing.public()
    }

    /// The issuer's certificate for the tokens of a scheme.
    pub(crate) fn issuer_certificate(&self, scheme: Scheme) -> &Certificate {
        let [unionpay, visa, mastercard] = &self.issuer_certificates;
        match scheme {
            Scheme::UnionPay => unionpay,
            Scheme::Visa => visa,
            Scheme::Mastercard => mastercard,
        }
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let stored: Stored = serde_json::from_str(text)?;
        let rsa = |[p, q]: &[String; 2]| RsaKey::from_primes(&hex::decode(p)?, &hex::decode(q)?);
        let (ca, issuer) = (rsa(&stored.ca_primes)?, rsa(&stored.issuer_primes)?);
        let expiry = exactly(&stored.issuer_expiry)?;
        let serial: [u8; 3] = exactly(&stored.issuer_serial)?;
        // A certificate names the range it is for, and each has a serial number of its own.
        let certified = |scheme: Scheme, number: u8| {
            let [first, second, third] = serial;
            let serial = [first, second, third ^ number];
            certify_issuer(&ca, &issuer, scheme.token_bin(), expiry, serial)
        };
        let issuer_certificates = [
            certified(Scheme::UnionPay, 0)?,
            certified(Scheme::Visa, 1)?,
            certified(Scheme::Mastercard, 2)?,
        ];
        Ok(Self {
            imk: exactly(&stored.imk)?,
            ca,
            issuer,
            issuer_certificates,
            signing: PartyKey::from_scalar_hex(&stored.signing).context("the signing key")?,
            hpke: PartyKey::from_scalar_hex(&stored.hpke).context("the HPKE key")?,
        })
    }
}

fn exactly<const N: usize>(text: &str) -> anyhow::Result<[u8; N]> {
    sandbox_kit::bytes::from_hex_exact(text).context("a key has the wrong length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        assert!(Secrets::open(&path).is_err());
        let first = Secrets::open_or_create(&path).unwrap();
        let second = Secrets::open_or_create(&path).unwrap();
        assert_eq!(first.imk, second.imk);
        assert_eq!(first.ca.modulus(), second.ca.modulus());
        assert_eq!(first.issuer_certificates, second.issuer_certificates);
        assert_eq!(first.signing.public(), second.signing.public());
        std::fs::write(&path, "{}").unwrap();
        assert!(Secrets::open_or_create(&path).is_err());
    }
}
