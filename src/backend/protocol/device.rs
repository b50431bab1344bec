//! Devices and their tokens: standing, phones of one person, link codes.

use serde::{Deserialize, Serialize};

use super::{PasswordStanding, Policy};
use crate::token::{TokenLife, TokenRef};

/// Answer of `GET /v1/device`.
#[derive(Debug, Deserialize)]
pub struct DeviceAnswer {
    /// The provider's clock, RFC 3339.
    pub server_time: String,
    /// What the provider configures now.
    pub policy: Policy,
    /// The device's tokens.
    pub tokens: Vec<TokenStanding>,
    /// The person's phones.
    pub phones: Vec<Phone>,
    /// The payment password.
    pub password: PasswordStanding,
}

/// How a token stands at the provider.
#[derive(Debug, Deserialize)]
pub struct TokenStanding {
    /// The token.
    pub token_ref: TokenRef,
    /// Its state.
    pub state: TokenLife,
}

/// A phone of the same person.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Phone {
    /// The device's identifier.
    pub device_id: String,
    /// When it was enrolled, RFC 3339.
    pub enrolled_at: String,
    /// Where its platform keys live.
    pub key_store: String,
    /// Whether that was proven.
    pub attested: bool,
    /// Whether it is this phone.
    pub this: bool,
    /// How it stands.
    pub state: PhoneState,
}

/// How a phone stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhoneState {
    /// It may pay.
    Active,
    /// It was wiped, or will be at its next contact.
    Wiped,
}

/// `POST /v1/tokens/{token_ref}/state`.
#[derive(Debug, Serialize)]
pub struct StateRequest {
    /// The state to take.
    pub state: TokenLife,
}

/// Its answer.
#[derive(Debug, Deserialize)]
pub struct TokenStateAnswer {
    /// The state it took.
    pub state: TokenLife,
}

/// `POST /v1/link-codes`.
#[derive(Debug, Serialize)]
pub struct LinkCodeRequest {
    /// What becomes of this phone.
    pub kind: LinkKind,
}

/// What becomes of the phone that made a link code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// It stays, beside the new one.
    SecondPhone,
    /// It is wiped when the new one takes over.
    Move,
}

/// Answer of `POST /v1/link-codes`. No `Debug`: the code is a secret while it lives.
#[derive(Deserialize)]
pub struct LinkCodeAnswer {
    /// To be entered on the new phone.
    pub code: String,
    /// Until when, RFC 3339.
    pub expires_at: String,
}
