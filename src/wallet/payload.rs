//! What the network provisions: sealed to a one-time key, signed inside, checked against what was asked for.

use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::WalletError;
use super::enrol::Enrolment;
use crate::account::AccountType;
use crate::backend::{BackendError, parse_rfc3339_ms};
use crate::bind::bind;
use crate::token::{KeyIndex, KeyLimits, KeyState, Spent, TokenRef};
use crate::vault::{RecipientKey, SealedBox, verify_signature};

const INFO: &[u8] = b"tapcore provisioning v1";

/// A container that the network signed.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct Signed {
    payload: String,
    signature: String,
}

/// A new token with its first keys.
#[derive(Deserialize)]
pub(super) struct Provisioning {
    version: u32,
    kind: Kind,
    device_id: String,
    pub(super) token_ref: TokenRef,
    pub(super) token: String,
    pub(super) expiry: String,
    pub(super) masked_card: String,
    pub(super) bank: String,
    pub(super) account_type: AccountType,
    pub(super) profile: Box<serde_json::value::RawValue>,
    pub(super) oda_key: Option<OdaKey>,
    pub(super) keys: Vec<ProvisionedKey>,
    pub(super) log_key: SecretHex,
    pub(super) first_atc: u16,
}

/// New keys for a token.
#[derive(Deserialize)]
pub(super) struct Replenishment {
    version: u32,
    kind: Kind,
    device_id: String,
    token_ref: TokenRef,
    pub(super) keys: Vec<ProvisionedKey>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Provisioning,
    Replenishment,
}

/// The card's RSA key, big-endian numbers in hexadecimal.
#[derive(serde::Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct OdaKey {
    pub(super) modulus: String,
    pub(super) exponent: String,
    pub(super) prime1: String,
    pub(super) prime2: String,
}

/// A limited-use key.
#[derive(Deserialize)]
pub(super) struct ProvisionedKey {
    key_index: KeyIndex,
    key: SecretHex,
    not_after: String,
    uses: u32,
    #[serde(default)]
    pub(super) verified: bool,
    #[serde(default)]
    limits: Option<KeyLimits>,
}

impl ProvisionedKey {
    /// Its sixteen bytes.
    pub(super) fn bytes(&self) -> Result<zeroize::Zeroizing<Vec<u8>>, WalletError> {
        let bytes = self.key.bytes()?;
        match bytes.len() {
            16 => Ok(bytes),
            _ => Err(WalletError::Provisioning(
                "a limited-use key must have 16 bytes",
            )),
        }
    }

    /// What is left of it: everything.
    pub(super) fn state(&self) -> Result<KeyState, WalletError> {
        Ok(KeyState {
            index: self.key_index,
            uses_left: self.uses,
            not_after_ms: parse_rfc3339_ms(&self.not_after)
                .ok_or(WalletError::Provisioning("a key has no end"))?,
            verified: self.verified,
            limits: self.limits,
            spent: Spent::default(),
            wiped: false,
        })
    }
}

/// Secret bytes in hexadecimal, wiped when dropped.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub(super) struct SecretHex(String);

impl SecretHex {
    pub(super) fn bytes(&self) -> Result<zeroize::Zeroizing<Vec<u8>>, WalletError> {
        let bytes =
            hex::decode(&self.0).map_err(|_| WalletError::Provisioning("a key is malformed"))?;
        Ok(bytes.into())
    }
}

/// Opens a new token that was sealed for this device, this challenge and this reference.
pub(super) fn open_provisioning(
    enrolment: &Enrolment,
    key: &RecipientKey,
    sealed: &SealedBox,
    challenge_id: &str,
    token_ref: &TokenRef,
) -> Result<Provisioning, WalletError> {
    let device = &enrolment.answer.device_id;
    let parts = [
        device.as_bytes(),
        challenge_id.as_bytes(),
        token_ref.as_str().as_bytes(),
    ];
    let provisioning: Provisioning = open(enrolment, key, sealed, &bind("provisioning", &parts))?;
    let ours = provisioning.kind == Kind::Provisioning
        && provisioning.version == 1
        && provisioning.device_id == *device
        && provisioning.token_ref == *token_ref;
    ours.then_some(provisioning)
        .ok_or(WalletError::Provisioning(
            "it was made for another device or request",
        ))
}

/// Opens new keys that were sealed for this device, this token and this log.
pub(super) fn open_replenishment(
    enrolment: &Enrolment,
    key: &RecipientKey,
    sealed: &SealedBox,
    token_ref: &TokenRef,
    log_mac: &[u8],
) -> Result<Replenishment, WalletError> {
    let device = &enrolment.answer.device_id;
    let parts = [device.as_bytes(), token_ref.as_str().as_bytes(), log_mac];
    let replenishment: Replenishment =
        open(enrolment, key, sealed, &bind("replenishment", &parts))?;
    let ours = replenishment.kind == Kind::Replenishment
        && replenishment.version == 1
        && replenishment.device_id == *device
        && replenishment.token_ref == *token_ref;
    ours.then_some(replenishment)
        .ok_or(WalletError::Provisioning(
            "it was made for another device or request",
        ))
}

fn open<T: for<'de> Deserialize<'de>>(
    enrolment: &Enrolment,
    key: &RecipientKey,
    sealed: &SealedBox,
    aad: &[u8],
) -> Result<T, WalletError> {
    let plain = key.open(sealed, INFO, aad)?;
    let signed: Signed = plain.parse().map_err(|_| BackendError::Malformed)?;
    let decode = |text: &str| hex::decode(text).map_err(|_| BackendError::Malformed);
    let network = decode(&enrolment.answer.network.signing_key)?;
    let message = bind("tapcore-payload-v1", &[signed.payload.as_bytes()]);
    verify_signature(&network, &message, &decode(&signed.signature)?)?;
    Ok(serde_json::from_str(&signed.payload).map_err(|_| BackendError::Malformed)?)
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::json;

    use super::*;
    use crate::backend::protocol::{EnrolmentAnswer, NetworkKeys, Policy};
    use crate::vault::VaultError;

    struct Network(EcdsaKeyPair);

    impl Network {
        fn new() -> Self {
            let random = SystemRandom::new();
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            Self(EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap())
        }

        /// New keys for `token` of `device`, signed, and sealed to `key` for the request whose log's MAC is `mac`.
        fn send(&self, key: &RecipientKey, device: &str, token: &str, mac: &[u8]) -> SealedBox {
            let payload = json!({
                "version": 1, "kind": "replenishment", "device_id": device, "token_ref": token,
                "keys": [],
            });
            let payload = payload.to_string();
            let message = bind("tapcore-payload-v1", &[payload.as_bytes()]);
            let signature = self.0.sign(&SystemRandom::new(), &message).unwrap();
            let signed = json!({ "payload": payload, "signature": hex::encode(signature) });
            let aad = bind("replenishment", &[b"dev_1", b"tok_1", mac]);
            let public = key.public().unwrap();
            SealedBox::seal(&public, INFO, &aad, signed.to_string().as_bytes()).unwrap()
        }

        fn enrolment(&self) -> Enrolment {
            Enrolment {
                provider_url: String::new(),
                ca_pem: String::new(),
                answer: EnrolmentAnswer {
                    device_id: "dev_1".into(),
                    user_id: "usr_1".into(),
                    pins: Vec::new(),
                    network: NetworkKeys {
                        signing_key: hex::encode(self.0.public_key()),
                        hpke_key: String::new(),
                    },
                    policy: Policy::default(),
                },
            }
        }
    }

    #[test]
    fn s40_what_is_provisioned_counts_for_its_request_and_by_the_networks_signature_alone() {
        let (network, stranger) = (Network::new(), Network::new());
        let enrolment = network.enrolment();
        let (key, other) = (
            RecipientKey::generate().unwrap(),
            RecipientKey::generate().unwrap(),
        );
        let token = TokenRef::new("tok_1");
        let take_in = |key: &RecipientKey, sealed: &SealedBox, mac: &[u8]| {
            open_replenishment(&enrolment, key, sealed, &token, mac)
        };
        let sealed = network.send(&key, "dev_1", "tok_1", b"mac");
        assert!(take_in(&key, &sealed, b"mac").is_ok());
        // Somebody else signed, or it was sealed to another key, or answers another request.
        for refused in [
            take_in(&key, &stranger.send(&key, "dev_1", "tok_1", b"mac"), b"mac"),
            take_in(&other, &sealed, b"mac"),
            take_in(&key, &sealed, b"another mac"),
        ] {
            assert!(matches!(
                refused,
                Err(WalletError::Vault(VaultError::Foreign))
            ));
        }
        for (device, token) in [("dev_2", "tok_1"), ("dev_1", "tok_2")] {
            let elsewhere = network.send(&key, device, token, b"mac");
            assert!(matches!(
                take_in(&key, &elsewhere, b"mac"),
                Err(WalletError::Provisioning(_))
            ));
        }
    }
}
