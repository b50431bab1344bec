//! The vault: the only place that holds secrets.
//!
//! Keys are apart by what they are for (ADR 3). The **storage key** lives as long as the installation and seals rows
//! and look-up hashes. The **payment key** seals limited-use keys and whatever else can pay. The **arming key** is drawn
//! afresh at each arming under a fresh alias of the platform's key store; it seals the payment key together with the
//! ATCs that are given out, so that a database put back from a copy opens nothing: its alias is gone.
//!
//! The vault stores nothing itself: it hands out records for `store` and takes them back.

mod arming;
mod error;
mod hierarchy;
mod key_store;
mod password;
mod person;
mod pin;
mod provisioning;
mod sealing;
mod session;

pub use arming::{Arming, ArmingState, NextArming, TokenState};
pub use error::VaultError;
pub use hierarchy::Hierarchy;
pub use key_store::{AttestedKey, KeyStoreError, PlatformKeyStore, SecurityLevel};
pub use password::{PasswordLogin, PasswordRegistration, ProvenPassword};
pub use person::{Biometric, Person, PersonalKey, PublicHalves};
pub use pin::{PinRecord, PinRules};
pub use provisioning::{RecipientKey, SealedBox, verify_signature};
pub use sealing::{SealCount, StorageSealer};
pub use session::SessionKey;
