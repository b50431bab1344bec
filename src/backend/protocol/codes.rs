//! Payment codes: aliases, how they stand, payments that wait for the person, shops' codes.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::account::{Currency, Money};
use crate::code::Alias;
use crate::token::TokenRef;
use crate::vault::SealedBox;

/// `POST /v1/codes/aliases`.
#[derive(Debug, Serialize)]
pub struct CodeBatchRequest {
    /// The aliases that this phone holds.
    pub have: Vec<Alias>,
    /// The accounts it wants codes for, the most used first.
    pub token_refs: Vec<TokenRef>,
    /// A one-time public key, SEC1 uncompressed, in hexadecimal.
    pub provisioning_key: String,
    /// The device key's signature.
    pub proof: String,
}

/// Answer of `POST /v1/codes/aliases`.
#[derive(Debug, Deserialize)]
pub struct CodeBatchAnswer {
    /// The batch.
    pub sealed: SealedBox,
    /// The provider's clock, RFC 3339.
    pub server_time: String,
}

/// What the box holds. No `Debug`: the seed makes codes.
#[derive(Deserialize)]
pub struct CodeBatch {
    /// 1.
    pub version: u32,
    /// `code_aliases`.
    pub kind: String,
    /// For which phone.
    pub device_id: String,
    /// The device's seed.
    pub seed: SeedHex,
    /// The fresh ones.
    pub aliases: Vec<FreshAlias>,
    /// Those of the phone's that pay no more.
    pub dead: Vec<Alias>,
}

/// 32 bytes in hexadecimal, wiped when dropped.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct SeedHex(pub String);

/// An alias that nobody has seen.
#[derive(Deserialize)]
pub struct FreshAlias {
    /// The digits.
    pub alias: Alias,
    /// The account it stands for.
    pub token_ref: TokenRef,
    /// Until when, RFC 3339.
    pub not_after: String,
}

/// `POST /v1/codes/void`.
#[derive(Debug, Serialize)]
pub struct VoidRequest {
    /// The aliases.
    pub aliases: Vec<VoidAlias>,
}

/// An alias that is shown no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VoidAlias {
    /// The digits.
    pub alias: Alias,
    /// Why.
    pub why: VoidReason,
}

/// Why an alias is shown no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VoidReason {
    /// The view was closed.
    Closed,
    /// Its digits were uncovered.
    Revealed,
    /// The screen was photographed by the system.
    Screenshot,
}

/// Answer of `GET /v1/codes/aliases/{alias}`.
#[derive(Debug, Deserialize)]
pub struct AliasStanding {
    /// What a screen shows; that of the payment once there is one.
    pub state: String,
    /// The payment that was made with it.
    pub payment: Option<CodePaymentAnswer>,
}

/// A payment by code.
#[derive(Debug, Deserialize)]
pub struct CodePaymentAnswer {
    /// Its identifier.
    pub payment_id: String,
    /// How it stands.
    pub state: CodePaymentState,
    /// `password`, where the person is to confirm it.
    pub wants: Option<String>,
    /// Until when, RFC 3339.
    pub confirm_until: String,
    /// The account.
    pub token_ref: TokenRef,
    /// What is paid.
    #[serde(flatten)]
    pub money: Money,
    /// Where; the payee of a confirmation.
    pub merchant: String,
    /// Why not.
    pub reason: Option<String>,
    /// The authorisation code.
    pub authorisation: Option<String>,
}

/// How a payment by code stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodePaymentState {
    /// It is not decided.
    Pending,
    /// Paid.
    Approved,
    /// Not paid.
    Declined,
    /// Taken back by the shop.
    Revoked,
}

impl CodePaymentState {
    /// Whether nothing changes it any more, except that a shop takes an approved one back.
    pub fn is_final(self) -> bool {
        self != Self::Pending
    }
}

/// `POST /v1/codes/payments/{payment_id}/confirm`.
#[derive(Debug, Serialize)]
pub struct CodeConfirmRequest {
    /// The confirmation, made under the same idempotency key.
    pub confirmation_id: String,
}

/// Answer of `GET /v1/codes/acceptance`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AcceptanceAnswer {
    /// Merchant categories that are refused; every other is accepted.
    pub refused_classes: Vec<RefusedClass>,
    /// Where codes are taken, ISO 3166 numeric in four digits.
    pub countries: Vec<String>,
    /// The reason in every other country.
    pub elsewhere: String,
    /// Of the amount below.
    pub currency: Currency,
    /// Above this amount the payment password is asked for, in minor units.
    pub password_above_minor: i64,
}

/// Merchant categories that are refused (ISO 18245).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RefusedClass {
    /// The first of them, four digits.
    pub from: String,
    /// The last of them.
    pub to: String,
    /// What they are.
    pub name: String,
    /// The stable word for why.
    pub reason: String,
}

/// `POST /v1/merchant-codes`.
#[derive(Debug, Serialize)]
pub struct MerchantCodeRequest {
    /// The code as it was read.
    pub code: String,
}

/// Answer of `POST /v1/merchant-codes`.
#[derive(Debug, Deserialize)]
pub struct MerchantCodeAnswer {
    /// The payee's name, as the provider knows it.
    pub payee: String,
    /// The payee's city.
    pub city: String,
    /// Merchant category, four digits.
    pub category: String,
    /// What is to be paid, where the code says; in minor units.
    pub amount_minor: Option<i64>,
    /// In which currency.
    pub currency: Currency,
    /// The bill or order.
    pub bill: Option<String>,
    /// Whether it is paid once.
    pub once: bool,
}

/// `POST /v1/merchant-payments`.
#[derive(Debug, Serialize)]
pub struct MerchantPaymentRequest {
    /// The code as it was read.
    pub code: String,
    /// The account that pays.
    pub token_ref: TokenRef,
    /// What is paid.
    #[serde(flatten)]
    pub money: Money,
}

/// A payment by code in `GET /v1/entries`.
#[derive(Debug, Deserialize)]
pub struct CodeIssuerEntry {
    /// Which payment.
    pub payment_id: String,
    /// The account.
    pub token_ref: TokenRef,
    /// What was paid.
    #[serde(flatten)]
    pub money: Money,
    /// Where.
    pub merchant: String,
    /// The decision.
    pub result: super::IssuerResult,
    /// Why not.
    pub reason: Option<String>,
    /// The authorisation code.
    pub authorisation: Option<String>,
    /// When, RFC 3339.
    pub at: String,
}
