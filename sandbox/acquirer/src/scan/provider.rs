//! The acquirer's line to wallet providers.

use std::time::Duration;

use sandbox_kit::client::CallError;
use sandbox_kit::clock;
use serde::{Deserialize, Serialize};

use super::{CodeRoute, Scan};
use crate::Inner;

/// How often a revocation that came too early is tried again.
const TRIES: u32 = 20;

/// A code with who is asking, for its provider.
#[derive(Serialize)]
struct Pay<'a> {
    code: &'a str,
    amount_minor: i64,
    currency: &'a str,
    order_id: &'a str,
    merchant_id: &'a str,
    merchant: &'a str,
    mcc: &'a str,
    country: &'a str,
    terminal_id: &'a str,
    at: &'a str,
}

#[derive(Serialize)]
struct OrderName<'a> {
    merchant_id: &'a str,
    order_id: &'a str,
    /// The only payment that is given up; absent where the order is over whatever became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<&'a str>,
}

/// How the provider says that an order stands.
#[derive(Clone, Deserialize)]
pub(crate) struct Standing {
    /// The payment that the order stands by: not always the one that was asked for.
    pub(crate) payment_id: Option<String>,
    /// What that one comes to, minor units.
    pub(crate) amount_minor: Option<i64>,
    pub(crate) currency: Option<String>,
    /// Whether it is the scanned code that pays, where one was asked with.
    #[serde(default)]
    pub(crate) of_code: Option<bool>,
    /// `approved`, `declined`, `pending` or `revoked`.
    pub(crate) state: String,
    /// What it waits for while it is pending: `password`, or nothing that anybody can do.
    pub(crate) wants: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) authorisation: Option<String>,
    pub(crate) network_ref: Option<String>,
    pub(crate) at: String,
}

impl Standing {
    /// Declined here, before any provider was asked.
    pub(crate) fn declined(reason: &str) -> Self {
        Self {
            payment_id: None,
            amount_minor: None,
            currency: None,
            of_code: None,
            state: "declined".to_owned(),
            wants: None,
            reason: Some(reason.to_owned()),
            authorisation: None,
            network_ref: None,
            at: clock::now_text(),
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        self.state == "pending"
    }

    /// Why a payment that waits is given up: the person was too slow, or those who decide were.
    pub(super) fn timeout(&self) -> &'static str {
        match self.wants.as_deref() {
            Some("password") => "password_timeout",
            _ => "provider_timeout",
        }
    }

    /// Whether the order stands by this payment.
    pub(super) fn is_of(&self, payment: &str) -> bool {
        self.payment_id.as_deref() == Some(payment)
    }

    /// What it means for this scan. The order may be paid with another amount, by a printed code, say: that payment is
    /// booked by whomever it was told to, and pays nothing here.
    pub(super) fn seen_by(self, scan: &Scan) -> Self {
        let paid = (self.amount_minor, self.currency.as_deref());
        if self.state != "approved"
            || paid == (Some(scan.amount_minor), Some(scan.currency.as_str()))
        {
            return self;
        }
        Self {
            state: "declined".to_owned(),
            reason: Some("order_conflict".to_owned()),
            network_ref: None,
            ..self
        }
    }
}

/// The provider that a code belongs to.
pub(super) fn route<'a>(routes: &'a [CodeRoute], code: &str) -> Option<&'a str> {
    routes
        .iter()
        .filter(|route| code.starts_with(&route.prefix))
        .max_by_key(|route| route.prefix.len())
        .map(|route| route.provider_url.as_str())
}

impl Inner {
    /// The provider that a code belongs to.
    pub(crate) fn route(&self, code: &str) -> Option<&str> {
        route(&self.code_routes, code)
    }

    /// The providers that may know an order: any, where a code was shown for it, or the one whose digits were scanned.
    pub(super) async fn providers_of(&self, order: &str) -> Result<Vec<&str>, sqlx::Error> {
        if !self.store.has_code(order).await? {
            let scanned = self.store.code_of_order(order).await?;
            return Ok(scanned
                .and_then(|code| self.route(&code))
                .into_iter()
                .collect());
        }
        let urls = self.code_routes.iter();
        let mut urls: Vec<&str> = urls.map(|route| route.provider_url.as_str()).collect();
        urls.sort_unstable();
        urls.dedup();
        Ok(urls)
    }

    pub(super) async fn ask_to_pay(
        &self,
        url: &str,
        terminal: &str,
        scan: &Scan,
    ) -> Result<Standing, CallError> {
        let pay = Pay {
            code: &scan.code,
            amount_minor: scan.amount_minor,
            currency: &scan.currency,
            order_id: &scan.order_id,
            merchant_id: &self.merchant.merchant_id,
            merchant: &self.merchant.name,
            mcc: &self.merchant.mcc,
            country: &self.merchant.country,
            terminal_id: terminal,
            at: &scan.at,
        };
        self.client
            .post(&format!("{url}/v1/codes/pay"), &pay, None)
            .await
    }

    pub(super) async fn ask_how(&self, url: &str, order: &str) -> Result<Standing, CallError> {
        let url = format!("{url}/v1/codes/query");
        self.client.post(&url, &self.order(order, None), None).await
    }

    /// Revokes an order, whatever was paid for it by whom.
    pub(super) async fn ask_to_revoke(
        &self,
        url: &str,
        order: &str,
    ) -> Result<Standing, CallError> {
        let url = format!("{url}/v1/codes/revoke");
        self.client.post(&url, &self.order(order, None), None).await
    }

    /// Gives a payment up as soon as the provider lets it, unless it was decided or lost the order meanwhile: then nothing
    /// changes, and the answer is how the order stands.
    pub(super) async fn ask_to_give_up(
        &self,
        url: &str,
        order: &str,
        payment: &str,
    ) -> Result<Standing, CallError> {
        let url = format!("{url}/v1/codes/revoke");
        let body = self.order(order, Some(payment));
        let mut tries = 1;
        loop {
            match self.client.post(&url, &body, None).await {
                Err(error) if error.code() == Some("revoke_too_early") && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                other => return other,
            }
        }
    }

    fn order<'a>(&'a self, order: &'a str, payment: Option<&'a str>) -> OrderName<'a> {
        OrderName {
            merchant_id: &self.merchant.merchant_id,
            order_id: order,
            payment_id: payment,
        }
    }
}
