//! The payment password (OPAQUE messages in hexadecimal) and what it confirms.

use serde::{Deserialize, Serialize};

use crate::vault::SealedBox;

/// How the payment password stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PasswordStanding {
    /// Set or not.
    pub state: PasswordState,
    /// Tries that are left.
    pub tries_left: u32,
}

/// Whether there is a payment password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PasswordState {
    /// None was set.
    None,
    /// It can be used.
    Set,
    /// Too many tries: it must be reset.
    Locked,
}

/// `POST /v1/payment-password/registrations`.
#[derive(Serialize)]
pub struct RegistrationRequest {
    /// OPAQUE's registration request.
    pub request: String,
}

/// Its answer.
#[derive(Deserialize)]
pub struct RegistrationAnswer {
    /// OPAQUE's registration response.
    pub response: String,
}

/// `POST /v1/payment-password`.
#[derive(Serialize)]
pub struct SetRequest {
    /// OPAQUE's registration record.
    pub upload: String,
    /// By what right it replaces another.
    pub authority: Option<Authority>,
}

/// By what right a password is replaced.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Authority {
    /// The old one.
    Old {
        /// The login.
        login_id: String,
        /// KE3.
        ke3: String,
        /// By the session key, over the upload.
        mac: String,
    },
    /// A reset that the bank has confirmed.
    Reset {
        /// Which.
        reset_id: String,
    },
}

/// `POST /v1/payment-password/logins`.
#[derive(Serialize)]
pub struct LoginRequest {
    /// KE1.
    pub ke1: String,
}

/// Its answer.
#[derive(Deserialize)]
pub struct LoginAnswer {
    /// The login.
    pub login_id: String,
    /// KE2.
    pub ke2: String,
    /// Tries that are left when this one comes to nothing.
    pub tries_left: u32,
}

/// `POST /v1/confirmations`.
#[derive(Serialize)]
pub struct ConfirmationRequest {
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// Who is paid.
    pub payee: String,
    /// What proves the person.
    pub method: Method,
}

/// What proves the person.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Method {
    /// The payment password.
    Password {
        /// The login.
        login_id: String,
        /// KE3.
        ke3: String,
        /// By the session key.
        mac: String,
    },
    /// The key behind fingerprint, face or PIN.
    Device {
        /// ECDSA P-256, r ‖ s.
        signature: String,
    },
}

/// Answer of `POST /v1/confirmations`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ConfirmationAnswer {
    /// To be shown with the payment.
    pub confirmation_id: String,
    /// Until when, RFC 3339.
    pub expires_at: String,
}

/// `POST /v1/confirmation-key`.
#[derive(Serialize)]
pub struct ConfirmationKeyRequest {
    /// SEC1 uncompressed.
    pub public_key: String,
    /// The device key's signature.
    pub proof: String,
}

/// `POST /v1/payment-password/resets`.
#[derive(Serialize)]
pub struct ResetRequest {
    /// A card of the person, sealed to the network.
    pub sealed_card: SealedBox,
}

/// Its answer.
#[derive(Clone, Debug, Deserialize)]
pub struct ResetAnswer {
    /// The reset.
    pub reset_id: String,
    /// The card's last four digits.
    pub masked: String,
    /// The issuing bank.
    pub bank: String,
    /// Until when the code is good, RFC 3339.
    pub sms_expires_at: String,
    /// Tries.
    pub tries_left: u32,
}

/// `POST /v1/payment-password/resets/{reset_id}/verify`.
#[derive(Serialize)]
pub struct ResetVerifyRequest {
    /// The code out of the SMS.
    pub code: String,
}
