//! The directory of merchants: acquirers enter theirs, and the provider asks whom a merchant's code pays. The name that a
//! person reads before paying is the one that stands here, whatever a printed code claims.

use sandbox_kit::clock;
use sandbox_kit::problem::Problem;
use serde::{Deserialize, Serialize};
use sqlx::{Any, Row, Transaction};

use crate::Network;
use crate::authorise::Authorisation;
use crate::outbox::{self, ACQUIRER};
use crate::settle::Case;

/// The longest name, in characters, as the provider takes it from an acquirer that scans.
const MAX_NAME: usize = 140;

/// A merchant as its acquirer enters it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MerchantEntry {
    /// The acquirer's name for it.
    pub merchant_id: String,
    /// The name for people, in whatever script.
    pub name: String,
    /// Merchant category (ISO 18245), four digits.
    pub mcc: String,
    /// ISO 3166 numeric, four digits.
    pub country: String,
    /// The city.
    pub city: String,
    /// What it is paid in, ISO 4217 letters.
    pub currency: String,
}

/// What stands in the directory now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerchantEntered {
    /// The merchant.
    pub merchant_id: String,
}

/// Whose merchant the provider asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MerchantQuery {
    /// The acquirer.
    pub acquirer_id: String,
    /// Its name for the merchant.
    pub merchant_id: String,
}

/// The order that a merchant's code is for. Nobody at the shop asks for its payment, so the acquirer is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MerchantOrder {
    /// The provider's name for the payment.
    pub payment_id: String,
    /// The merchant's for the order, or the provider's where the code names none.
    pub order_id: String,
}

/// What the acquirer is told of a payment by a merchant's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerchantNotice {
    /// The same for every attempt to deliver it.
    pub id: String,
    /// The provider's name for the payment.
    pub payment_id: String,
    /// The network's.
    pub network_ref: String,
    /// The merchant.
    pub merchant_id: String,
    /// The order.
    pub order_id: String,
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217 letters.
    pub currency: String,
    /// `approved`, or `reversed` when it was taken back.
    pub result: String,
    /// The bank's six digits, when approved.
    pub authorisation: Option<String>,
    /// When, RFC 3339.
    pub at: String,
}

impl Network {
    /// Enters a merchant of this acquirer. What was entered before under the same name is replaced.
    pub async fn enter_merchant(
        &self,
        acquirer: &str,
        entry: &MerchantEntry,
    ) -> Result<MerchantEntered, Problem> {
        check(entry)?;
        sqlx::query("INSERT INTO merchants (acquirer_id, merchant_id, name, mcc, country, city, currency, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (acquirer_id, merchant_id) DO UPDATE SET name = excluded.name, mcc = excluded.mcc, country = excluded.country, city = excluded.city, currency = excluded.currency, at = excluded.at")
            .bind(acquirer)
            .bind(entry.merchant_id.as_str())
            .bind(entry.name.as_str())
            .bind(entry.mcc.as_str())
            .bind(entry.country.as_str())
            .bind(entry.city.as_str())
            .bind(entry.currency.as_str())
            .bind(clock::text(self.now()))
            .execute(self.db().pool())
            .await?;
        Ok(MerchantEntered {
            merchant_id: entry.merchant_id.clone(),
        })
    }

    /// The merchant of this name.
    pub async fn look_up_merchant(&self, query: &MerchantQuery) -> Result<MerchantEntry, Problem> {
        let row = sqlx::query("SELECT merchant_id, name, mcc, country, city, currency FROM merchants WHERE acquirer_id = $1 AND merchant_id = $2")
            .bind(query.acquirer_id.as_str())
            .bind(query.merchant_id.as_str())
            .fetch_optional(self.db().pool())
            .await?
            .ok_or_else(|| {
                Problem::new(
                    404,
                    "payee_unknown",
                    "Unknown merchant",
                    "No acquirer has entered this merchant.",
                )
            })?;
        Ok(MerchantEntry {
            merchant_id: row.try_get(0)?,
            name: row.try_get(1)?,
            mcc: row.try_get(2)?,
            country: row.try_get(3)?,
            city: row.try_get(4)?,
            currency: row.try_get(5)?,
        })
    }
}

/// Tells the acquirer of a payment by a merchant's code, if this is one: that it was approved, or that it was taken back.
pub(crate) async fn tell_acquirer(
    tx: &mut Transaction<'static, Any>,
    case: &Case,
    decision: &Authorisation,
) -> anyhow::Result<()> {
    let Some(order) = &case.query.order else {
        return Ok(());
    };
    let result = match decision.authorisation {
        Some(_) => "approved",
        None => "reversed",
    };
    let notice = MerchantNotice {
        id: format!("{result}_{}", case.network_ref),
        payment_id: order.payment_id.clone(),
        network_ref: case.network_ref.clone(),
        merchant_id: case.query.merchant_id.clone(),
        order_id: order.order_id.clone(),
        amount_minor: case.query.amount_minor,
        currency: case.query.currency.clone(),
        result: result.to_owned(),
        authorisation: decision.authorisation.clone(),
        at: decision.at.clone(),
    };
    outbox::post(tx, &notice.id, ACQUIRER, "/v1/merchant-payments", &notice).await
}

fn check(entry: &MerchantEntry) -> Result<(), Problem> {
    // 15 characters is what field 42 of ISO 8583 holds.
    let id = &entry.merchant_id;
    if !(1..=15).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::invalid(
            "merchant_id must be 1 to 15 printable ASCII characters without spaces.",
        ));
    }
    let text = |text: &str| {
        (1..=MAX_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    };
    if !text(&entry.name) || !text(&entry.city) {
        return Err(Problem::invalid(format!(
            "name and city must be 1 to {MAX_NAME} characters without control characters."
        )));
    }
    let four = |text: &str| text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !four(&entry.mcc) || !four(&entry.country) {
        return Err(Problem::invalid("mcc and country must be four digits."));
    }
    let letters = entry.currency.bytes().all(|byte| byte.is_ascii_uppercase());
    if entry.currency.len() != 3 || !letters {
        return Err(Problem::invalid("currency must be three capitals."));
    }
    Ok(())
}
