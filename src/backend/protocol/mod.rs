//! The messages of `docs/backend-api.yaml`, phone's side.

mod codes;
mod device;
mod password;
mod policy;

use serde::{Deserialize, Serialize};

use crate::account::Money;
use crate::token::{LogEntry, TokenRef};
use crate::vault::SealedBox;

pub use codes::{
    AcceptanceAnswer, AliasStanding, CodeBatch, CodeBatchAnswer, CodeBatchRequest,
    CodeConfirmRequest, CodeIssuerEntry, CodePaymentAnswer, CodePaymentState, MerchantCodeAnswer,
    MerchantCodeRequest, MerchantPaymentRequest, RefusedClass, VoidAlias, VoidReason, VoidRequest,
};
pub use device::{
    DeviceAnswer, LinkCodeAnswer, LinkCodeRequest, LinkKind, Phone, PhoneState, StateRequest,
    TokenStanding, TokenStateAnswer,
};
pub use password::{
    Authority, ConfirmationAnswer, ConfirmationKeyRequest, ConfirmationRequest, LoginAnswer,
    LoginRequest, Method, PasswordStanding, PasswordState, RegistrationAnswer, RegistrationRequest,
    ResetAnswer, ResetRequest, ResetVerifyRequest, SetRequest,
};
pub use policy::Policy;

/// Answer of `POST /v1/enrolment-challenges`.
#[derive(Debug, Deserialize)]
pub struct EnrolmentChallenge {
    /// 32 bytes in hexadecimal.
    pub challenge: String,
}

/// `POST /v1/enrolments`.
#[derive(Debug, Serialize)]
pub struct EnrolmentRequest {
    /// The challenge.
    pub challenge: String,
    /// The device's public key, SEC1 uncompressed, in hexadecimal.
    pub device_key: String,
    /// Where platform keys live.
    pub key_store: String,
    /// Version of the app.
    pub app_version: String,
    /// The device key's attestation: DER certificates in hexadecimal, its own first.
    pub attestation: Vec<String>,
    /// A code from another phone of the same person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_code: Option<String>,
    /// The device key's signature.
    pub proof: String,
}

/// Answer of `POST /v1/enrolments`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnrolmentAnswer {
    /// The device's identifier.
    pub device_id: String,
    /// The person's identifier, the same on all their phones.
    pub user_id: String,
    /// SHA-256 of the leaf key in use and of a spare, in hexadecimal.
    pub pins: Vec<String>,
    /// The payment network's keys.
    pub network: NetworkKeys,
    /// What the provider configures.
    pub policy: Policy,
}

/// The payment network's public keys, SEC1 uncompressed, in hexadecimal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkKeys {
    /// Signs what it provisions.
    pub signing_key: String,
    /// Card data is sealed to it.
    pub hpke_key: String,
}

/// `POST /v1/sessions`.
#[derive(Debug, Serialize)]
pub struct SessionRequest {
    /// The device's identifier.
    pub device_id: String,
    /// The session's public key, SEC1 uncompressed, in hexadecimal.
    pub session_key: String,
    /// When it ends, RFC 3339.
    pub expires_at: String,
    /// Version of the app.
    pub app_version: String,
    /// The device key's signature.
    pub proof: String,
}

/// Answer of `POST /v1/sessions`.
#[derive(Debug, Deserialize)]
pub struct SessionAnswer {
    /// Key identifier of the signatures.
    pub session_id: String,
    /// When it ends, RFC 3339.
    pub expires_at: String,
    /// The provider's clock, RFC 3339.
    pub server_time: String,
}

/// `POST /v1/cards`.
#[derive(Debug, Serialize)]
pub struct CardRequest {
    /// Number and expiry, sealed to the network.
    pub sealed_card: SealedBox,
    /// The payment scheme that is wanted, where the card carries several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
}

/// Answer of `POST /v1/cards`.
#[derive(Debug, Deserialize)]
pub struct CardAnswer {
    /// The challenge.
    pub challenge_id: String,
    /// The card's last four digits.
    pub masked: String,
    /// The issuing bank.
    pub bank: String,
    /// Until when the code is good, RFC 3339.
    pub sms_expires_at: String,
    /// Tries.
    pub tries_left: u32,
}

/// `POST /v1/cards/{challenge_id}/verify`. No `Debug`: the code is a secret while it lives.
#[derive(Serialize, Deserialize)]
pub struct VerifyRequest {
    /// The code out of the SMS.
    pub code: String,
    /// A one-time public key, SEC1 uncompressed, in hexadecimal.
    pub provisioning_key: String,
    /// The device key's signature.
    pub proof: String,
}

/// Answer of `POST /v1/cards/{challenge_id}/verify`.
#[derive(Debug, Deserialize)]
pub struct VerifyAnswer {
    /// The token.
    pub token_ref: TokenRef,
    /// The provisioning payload.
    pub sealed: SealedBox,
}

/// `POST /v1/tokens/{token_ref}/replenish`.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReplenishRequest {
    /// Payments since the last replenishment.
    pub log: Vec<LogEntry>,
    /// Their MAC, in hexadecimal.
    pub log_mac: String,
    /// A one-time public key, SEC1 uncompressed, in hexadecimal.
    pub provisioning_key: String,
    /// The device key's signature.
    pub proof: String,
    /// Whether keys for payments with the person verified are wanted as well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub verified_keys: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Answer of `POST /v1/tokens/{token_ref}/replenish`.
#[derive(Debug, Deserialize)]
pub struct ReplenishAnswer {
    /// The replenishment payload.
    pub sealed: SealedBox,
}

/// Answer of `GET /v1/entries`.
#[derive(Debug, Deserialize)]
pub struct EntriesAnswer {
    /// In rising order of their positions.
    pub entries: Vec<IssuerEntry>,
    /// Payments by code, in rising order of theirs.
    #[serde(default)]
    pub code_entries: Vec<CodeIssuerEntry>,
    /// Where to go on.
    pub next: i64,
    /// Whether there is more.
    pub more: bool,
}

/// A payment as the provider lists it.
#[derive(Debug, Deserialize)]
pub struct IssuerEntry {
    /// The token.
    pub token_ref: TokenRef,
    /// The counter.
    pub atc: u16,
    /// What was asked for.
    #[serde(flatten)]
    pub money: Money,
    /// Where.
    pub merchant: String,
    /// The decision.
    pub result: IssuerResult,
    /// Why not.
    pub reason: Option<String>,
    /// The authorisation code.
    pub authorisation: Option<String>,
    /// When, RFC 3339.
    pub at: String,
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerResult {
    /// Paid.
    Approved,
    /// Not paid.
    Declined,
}

/// Body of `POST /v1/tokens/{token_ref}/maker-payload`.
#[derive(Debug, Serialize)]
pub struct MakerRequest {
    /// The maker's name.
    pub maker: String,
    /// The maker's wallet's one-time public key, SEC1 uncompressed, in hexadecimal.
    pub maker_key: String,
    /// Its nonce, in hexadecimal.
    pub nonce: String,
    /// The maker's signature over both, in hexadecimal.
    pub maker_signature: String,
    /// The device key's signature.
    pub proof: String,
}

/// Answer of `POST /v1/tokens/{token_ref}/maker-payload`.
#[derive(Debug, Deserialize)]
pub struct MakerAnswer {
    /// The token that will live in the maker's wallet.
    pub token_ref: TokenRef,
    /// Until when it must be fetched, RFC 3339.
    pub expires_at: String,
    /// For the maker's wallet alone.
    pub sealed: SealedBox,
}
