//! What only a person opens: one key behind fingerprint, face or PIN.
//!
//! The **verified key** is 32 random bytes that never lie open on the phone. A platform key that needs a person wraps it
//! (the shell unwraps it inside its prompt), and the PIN seals it too. Whoever opens it can unlock the wallet and confirm
//! payments: the keys for that are derived from it, each by its own label. A boolean "authenticated" opens nothing.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde::{Deserialize, Serialize};

use super::pin::PinRecord;
use super::sealing::{derive, random};
use super::{Hierarchy, RecipientKey, SealedBox, VaultError};
use crate::bind::bind;
use crate::secret::Secret;
use crate::token::{KeyIndex, TokenRef};

/// HPKE's info for keys that pay with the person verified.
const VERIFIED_INFO: &[u8] = b"tapcore verified key v1";

/// The verified key, opened.
pub struct PersonalKey(Secret<32>);

impl PersonalKey {
    /// Draws a key.
    ///
    /// # Errors
    /// When the random number generator fails.
    pub fn generate() -> Result<Self, VaultError> {
        Secret::fill(|bytes| random(bytes)).map(Self)
    }

    /// The key as the shell or the PIN opened it; the buffer is wiped.
    ///
    /// # Errors
    /// [`VaultError::Foreign`] when it has not 32 bytes.
    pub fn take(bytes: Vec<u8>) -> Result<Self, VaultError> {
        Secret::take(bytes).map(Self).ok_or(VaultError::Foreign)
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The key to which the payment key is sealed while the wallet is locked.
    pub(super) fn lock_key(&self) -> Result<RecipientKey, VaultError> {
        Ok(RecipientKey::derive(&derive(
            &self.0,
            "tapcore lock key v1",
        )?))
    }

    /// Signs a payment that a person confirms: ECDSA P-256 with SHA-256, r ‖ s.
    ///
    /// # Errors
    /// Never for a key that was drawn here.
    pub fn confirm(&self, message: &[u8]) -> Result<Vec<u8>, VaultError> {
        let signature: Signature = self.confirmation_key()?.sign(message);
        Ok(signature.to_bytes().to_vec())
    }

    /// The key to which keys for verified payments are sealed.
    fn payment_key(&self) -> Result<RecipientKey, VaultError> {
        let material = derive(&self.0, "tapcore verified payment v1")?;
        Ok(RecipientKey::derive(&material))
    }

    /// Opens a limited-use key for verified payments.
    ///
    /// # Errors
    /// [`VaultError::Foreign`] when it was sealed to another person, or for another token or index.
    pub fn open_payment_key(
        &self,
        token: &TokenRef,
        index: &KeyIndex,
        sealed: &SealedBox,
    ) -> Result<Secret<16>, VaultError> {
        let plain = self
            .payment_key()?
            .open(sealed, VERIFIED_INFO, &verified_aad(token, index))?;
        plain.to_secret().ok_or(VaultError::Foreign)
    }

    fn confirmation_key(&self) -> Result<SigningKey, VaultError> {
        let material = derive(&self.0, "tapcore confirmation v1")?;
        // The derivation of RFC 9180 gives a scalar that is valid and evenly spread.
        let scalar = RecipientKey::derive(&material);
        SigningKey::from_slice(scalar.private_half()).map_err(|_| VaultError::Foreign)
    }

    /// What the phone keeps in the open of this key.
    ///
    /// # Errors
    /// Never for a key that was drawn here.
    pub fn public_halves(&self) -> Result<PublicHalves, VaultError> {
        let confirmation = self.confirmation_key()?;
        let point = confirmation.verifying_key().to_encoded_point(false);
        Ok(PublicHalves {
            lock: hex::encode_upper(self.lock_key()?.public()?),
            confirmation: hex::encode_upper(point.as_bytes()),
            payment: hex::encode_upper(self.payment_key()?.public()?),
        })
    }
}

/// Public halves of the keys below a verified key, SEC1 uncompressed in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicHalves {
    /// What the payment key is sealed to.
    pub lock: String,
    /// What confirmations are checked with.
    pub confirmation: String,
    /// What keys for verified payments are sealed to.
    pub payment: String,
}

impl PublicHalves {
    /// Seals a limited-use key so that the person alone opens it.
    ///
    /// # Errors
    /// [`VaultError::UnknownFormat`] when what is stored is no key.
    pub fn seal_payment_key(
        &self,
        token: &TokenRef,
        index: &KeyIndex,
        key: &[u8],
    ) -> Result<SealedBox, VaultError> {
        let recipient = hex::decode(&self.payment).map_err(|_| VaultError::UnknownFormat)?;
        SealedBox::seal(&recipient, VERIFIED_INFO, &verified_aad(token, index), key)
    }
}

fn verified_aad(token: &TokenRef, index: &KeyIndex) -> Vec<u8> {
    let parts = [token.as_str().as_bytes(), index.as_str().as_bytes()];
    bind("verified payment key", &parts)
}

/// What the wallet keeps of a person. Guarded: tries and wrapped keys must not go back.
#[derive(Clone, Serialize, Deserialize)]
pub struct Person {
    /// Of the verified key.
    pub public: PublicHalves,
    /// The verified key behind the PIN.
    pub pin: Option<PinRecord>,
    /// The verified key behind fingerprint or face.
    pub biometric: Option<Biometric>,
    /// Whether a change of the enrolled biometrics took that way away, until it is set up again.
    pub voided: bool,
    /// Whether the provider has the confirmation key.
    pub registered: bool,
}

/// The verified key, wrapped by a platform key that needs a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Biometric {
    /// The platform key's alias.
    pub alias: String,
    /// What it wrapped, in hexadecimal.
    pub wrapped: String,
}

impl Biometric {
    /// Puts a verified key behind a fresh platform key that needs a person.
    ///
    /// # Errors
    /// When the key store refuses, as where no biometric is enrolled.
    pub fn set(hierarchy: &Hierarchy, key: &PersonalKey) -> Result<Self, VaultError> {
        let alias = hierarchy.fresh_alias("verified")?;
        let store = hierarchy.key_store();
        store.create_verified_key(&alias)?;
        let wrapped = store.wrap(&alias, key.bytes())?;
        Ok(Self {
            alias,
            wrapped: hex::encode_upper(wrapped),
        })
    }
}

impl Hierarchy {
    /// Deletes the platform keys of a person that `person` does not name: what an interrupted change left behind.
    ///
    /// # Errors
    /// When one of them may still be there.
    pub fn retire_personal_keys(&self, person: Option<&Person>) -> Result<(), VaultError> {
        let named: Vec<&str> = person
            .map(|person| {
                let pin = person.pin.as_ref().map(|pin| pin.alias.as_str());
                let biometric = person.biometric.as_ref().map(|held| held.alias.as_str());
                pin.into_iter().chain(biometric).collect()
            })
            .unwrap_or_default();
        for alias in self.key_store().aliases()? {
            let personal = ["pin.", "verified."]
                .iter()
                .any(|purpose| alias.starts_with(&self.alias(purpose)));
            if personal && !named.contains(&alias.as_str()) {
                self.key_store().delete(&alias)?;
            }
        }
        Ok(())
    }
}
