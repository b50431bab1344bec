//! The wallet of the phones' maker, played: what Apple, Samsung or Xiaomi put between an app and the secure element.
//!
//! An app cannot reach that wallet's keys; it only carries boxes. The wallet makes a one-time key and a nonce and vouches
//! for both ([`MakerWallet::ask`]); the network seals the card's data and an activation for them; the wallet opens the box
//! ([`MakerWallet::open`]) and shows the activation to the network, which gives it a token of its own
//! (`POST /v1/maker-tokens`, signed by [`signing_key`] under the key id [`MAKER`]).
//!
//! **Its signing key is public**, made of words that stand here: its word is worth nothing outside a sandbox.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bind::bind;
use crate::bytes;
use crate::hpke::{self, Sealed};
use crate::keys::{PartyKey, verify};

/// The maker's name at the network, and the key id of its requests.
pub const MAKER: &str = "test-maker";
/// HPKE `info` of what goes to a maker's wallet.
pub const INFO: &[u8] = b"tapcore maker wallet v1";

/// What a maker's wallet hands to an app that wants to add a card: the app passes it on as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The maker's name.
    pub maker: String,
    /// The wallet's one-time public key, hex.
    pub maker_key: String,
    /// Sixteen bytes, hex; an answer is for this question alone.
    pub nonce: String,
    /// The maker's signature over both, hex.
    pub maker_signature: String,
}

/// Why a box was not accepted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// For another wallet or question, or changed on the way.
    #[error("the box is not for this wallet and this question")]
    Box,
    /// The network has not signed what is in it.
    #[error("the content is not signed by the network")]
    Signature,
}

/// One card on its way into the maker's wallet.
pub struct MakerWallet {
    key: PartyKey,
    nonce: [u8; 16],
}

/// The key by which the maker signs.
///
/// # Panics
/// Never: the words give a valid key.
#[must_use]
pub fn signing_key() -> PartyKey {
    let scalar = bytes::sha256(b"tapcore TEST maker wallet key, trust it nowhere");
    PartyKey::from_scalar_hex(&bytes::to_hex(&scalar)).expect("a scalar below the order")
}

/// What the maker signs to vouch for a one-time key.
#[must_use]
pub fn vouched(maker: &str, key: &[u8], nonce: &[u8]) -> Vec<u8> {
    bind("tapcore-maker-key-v1", &[maker.as_bytes(), key, nonce])
}

/// What a box is bound to, besides its key.
#[must_use]
pub fn box_aad(maker: &str, nonce: &[u8]) -> Vec<u8> {
    bind("maker-payload", &[maker.as_bytes(), nonce])
}

impl MakerWallet {
    /// Begins to take in a card.
    #[must_use]
    pub fn begin() -> Self {
        Self {
            key: PartyKey::generate(),
            nonce: bytes::random(),
        }
    }

    /// What the app is given.
    #[must_use]
    pub fn ask(&self) -> Ask {
        let message = vouched(MAKER, &self.key.public(), &self.nonce);
        Ask {
            maker: MAKER.to_owned(),
            maker_key: self.key.public_hex(),
            nonce: bytes::to_hex(&self.nonce),
            maker_signature: bytes::to_hex(&signing_key().sign(&message)),
        }
    }

    /// Opens what the app brought back, and checks that it is `network`'s word (SEC1 uncompressed).
    ///
    /// # Errors
    /// [`Error`] says what does not fit.
    pub fn open(&self, network: &[u8], sealed: &Sealed) -> Result<Value, Error> {
        #[derive(Deserialize)]
        struct Signed {
            payload: String,
            signature: String,
        }
        let aad = box_aad(MAKER, &self.nonce);
        let opened = hpke::open(&self.key, INFO, &aad, sealed).map_err(|_| Error::Box)?;
        let signed: Signed = serde_json::from_slice(&opened).map_err(|_| Error::Box)?;
        let message = bind("tapcore-payload-v1", &[signed.payload.as_bytes()]);
        let signature = bytes::from_hex(&signed.signature).ok_or(Error::Signature)?;
        if !verify(network, &message, &signature) {
            return Err(Error::Signature);
        }
        serde_json::from_str(&signed.payload).map_err(|_| Error::Box)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_carries_the_maker_s_word() {
        let wallet = MakerWallet::begin();
        let ask = wallet.ask();
        let key = bytes::from_hex(&ask.maker_key).unwrap();
        let nonce = bytes::from_hex(&ask.nonce).unwrap();
        let signature = bytes::from_hex(&ask.maker_signature).unwrap();
        let message = vouched(MAKER, &key, &nonce);
        assert!(verify(&signing_key().public(), &message, &signature));
        assert_ne!(ask, MakerWallet::begin().ask());
    }

    #[test]
    fn only_the_network_s_box_for_this_question_opens() {
        let (wallet, network) = (MakerWallet::begin(), PartyKey::generate());
        let payload = r#"{"kind":"maker_wallet"}"#;
        let signature = network.sign(&bind("tapcore-payload-v1", &[payload.as_bytes()]));
        let container = serde_json::json!({
            "payload": payload, "signature": bytes::to_hex(&signature),
        });
        let seal = |wallet: &MakerWallet, nonce: &[u8]| {
            let aad = box_aad(MAKER, nonce);
            let text = container.to_string();
            hpke::seal(&wallet.key.public(), INFO, &aad, text.as_bytes()).unwrap()
        };
        let sealed = seal(&wallet, &wallet.nonce);
        let opened = wallet.open(&network.public(), &sealed).unwrap();
        assert_eq!(opened["kind"], "maker_wallet");
        let stranger = PartyKey::generate().public();
        assert_eq!(wallet.open(&stranger, &sealed), Err(Error::Signature));
        let network = network.public();
        let elsewhere = seal(&MakerWallet::begin(), &wallet.nonce);
        assert_eq!(wallet.open(&network, &elsewhere), Err(Error::Box));
        let earlier = seal(&wallet, &[0; 16]);
        assert_eq!(wallet.open(&network, &earlier), Err(Error::Box));
    }
}
