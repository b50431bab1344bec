//! Codes that the shop shows: made by the acquirer for this terminal, paid by phones on their own, asked about afterwards.
//!
//! ```text
//! let made = acquirer.request_code(Some(1250), None).await?;      // show made.code as a QR symbol
//! let order = made.order_id.as_deref().unwrap_or_default();
//! let how = acquirer.order_standing(order).await?;                // until how.state is not "open"
//! ```

use anyhow::bail;
use sandbox_kit::clock;
use serde::{Deserialize, Serialize};

use crate::online::{Acquirer, understood};

/// A code to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerchantCode {
    /// The characters of the symbol (EMV QRCPS, Merchant-Presented Mode).
    pub code: String,
    /// The order that it is for; absent where it stands for many payments.
    pub order_id: Option<String>,
    /// Minor units; absent where the person types the amount.
    pub amount_minor: Option<i64>,
    /// ISO 4217 letters.
    pub currency: String,
    /// When it was made, RFC 3339.
    pub at: String,
}

/// How the order of a code stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderStanding {
    /// The order.
    pub order_id: String,
    /// `open`, `paid`, `differs` (something else than the order's amount was paid) or `revoked`.
    pub state: String,
    /// What the order comes to, minor units.
    pub amount_minor: i64,
    /// ISO 4217 letters.
    pub currency: String,
    /// What was paid.
    pub payment: Option<OrderPayment>,
    /// Since when, RFC 3339.
    pub at: String,
}

/// A payment for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPayment {
    /// The wallet provider's name for it.
    pub payment_id: String,
    /// Minor units.
    pub amount_minor: i64,
    /// The issuer's six digits.
    pub authorisation: Option<String>,
    /// The network's name for it.
    pub network_ref: String,
    /// When, RFC 3339.
    pub at: String,
}

impl Acquirer {
    /// A code for one payment of `amount_minor` in minor units, for `order` or one that the acquirer makes up; without an
    /// amount, a code for many. The same order gets the same code.
    ///
    /// # Errors
    /// When the acquirer cannot be reached, or does not make this code: the order came with another amount before, say.
    pub async fn request_code(
        &self,
        amount_minor: Option<i64>,
        order: Option<&str>,
    ) -> anyhow::Result<MerchantCode> {
        #[derive(Serialize)]
        struct Wanted<'a> {
            amount_minor: Option<i64>,
            order_id: Option<&'a str>,
            at: String,
        }
        let wanted = Wanted {
            amount_minor,
            order_id: order,
            at: clock::now_text(),
        };
        let url = format!("{}/v1/merchant-codes", self.url);
        understood(
            self.client.post(&url, &wanted, None).await,
            "make this code",
        )
    }

    /// How the order of a code stands. Ask again every few seconds while it is open.
    ///
    /// # Errors
    /// When the acquirer cannot be reached, or made no code for this order.
    pub async fn order_standing(&self, order: &str) -> anyhow::Result<OrderStanding> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if order.is_empty() || !order.bytes().all(fits) {
            bail!("an order of a code has letters, digits, hyphens, underscores and points only");
        }
        let url = format!("{}/v1/merchant-codes/{order}", self.url);
        understood(self.client.get(&url).await, "know this order")
    }
}
