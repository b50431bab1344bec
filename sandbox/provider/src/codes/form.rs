//! What acquirers ask and are answered, and the forms of it.

use sandbox_kit::clock;
use sandbox_kit::problem::Problem;
use serde::{Deserialize, Serialize};

use super::payments::{Payment, State};

/// The largest amount, as for taps.
pub(super) const MAX_AMOUNT: i64 = 999_999_999_999;
/// The longest merchant's name, in characters: the person confirms it as the payee.
const MAX_MERCHANT: usize = 140;
/// The longest code that is read at all.
const MAX_CODE: usize = 32;

/// A code that a shop has scanned, and what is to be paid with it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scan {
    pub(super) code: String,
    pub(super) amount_minor: i64,
    pub(super) currency: String,
    pub(super) order_id: String,
    pub(super) merchant_id: String,
    pub(super) merchant: String,
    pub(super) mcc: String,
    pub(super) country: String,
    pub(super) terminal_id: String,
    pub(super) at: String,
}

/// An order of a merchant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderName {
    pub(super) merchant_id: String,
    pub(super) order_id: String,
}

/// An order that is to be revoked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revocation {
    pub(super) merchant_id: String,
    pub(super) order_id: String,
    /// The only payment that is given up, while nobody has decided on it. Absent when the order is over whatever became
    /// of it.
    pub(super) payment_id: Option<String>,
}

/// How an order stands, as acquirers are told.
#[derive(Debug, Serialize)]
pub(super) struct Standing {
    pub(super) order_id: String,
    /// The payment that the order stands by. Absent when the code stood for nobody, or the order was revoked before
    /// anybody had paid.
    pub(super) payment_id: Option<String>,
    /// What that payment is of, minor units: a shop's code may have been paid with another amount than the till has.
    pub(super) amount_minor: Option<i64>,
    /// Of that amount.
    pub(super) currency: Option<String>,
    /// Whether it is the code that was asked with which pays; absent where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) of_code: Option<bool>,
    /// `approved`, `declined`, `pending` or `revoked`.
    pub(super) state: &'static str,
    /// What a pending payment waits for: `password`, or nothing that anybody can do.
    pub(super) wants: Option<&'static str>,
    pub(super) reason: Option<String>,
    pub(super) authorisation: Option<String>,
    pub(super) network_ref: Option<String>,
    pub(super) at: String,
}

impl Standing {
    pub(super) fn of(payment: &Payment) -> Self {
        let (state, wants) = match payment.state {
            State::Wanted => ("pending", Some("password")),
            State::Started => ("pending", None),
            State::Approved => ("approved", None),
            State::Declined => ("declined", None),
            // The money is on its way back, whatever happens: the order is over for the shop.
            State::Reversing | State::Revoked => ("revoked", None),
        };
        let paid = payment.was_asked_for();
        Self {
            order_id: payment.order_id.clone(),
            payment_id: paid.then(|| payment.payment_id.clone()),
            amount_minor: paid.then_some(payment.amount_minor),
            currency: paid.then(|| payment.currency.clone()),
            of_code: None,
            state,
            wants,
            reason: payment.reason.clone(),
            authorisation: payment
                .authorisation
                .clone()
                .filter(|_| state == "approved"),
            network_ref: payment.network_ref.clone(),
            at: payment.at.clone(),
        }
    }

    /// A code that was not good for anything: nothing is written down of it.
    pub(super) fn refused(scan: &Scan, reason: &str) -> Self {
        Self {
            order_id: scan.order_id.clone(),
            payment_id: None,
            amount_minor: None,
            currency: None,
            of_code: None,
            state: "declined",
            wants: None,
            reason: Some(reason.to_owned()),
            authorisation: None,
            network_ref: None,
            at: clock::now_text(),
        }
    }
}

impl Scan {
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.code.len() > MAX_CODE {
            return Err(Problem::invalid(format!(
                "code must have {MAX_CODE} characters at most."
            )));
        }
        if !(1..=MAX_AMOUNT).contains(&self.amount_minor) {
            return Err(Problem::invalid("amount_minor must be 1 to 999999999999."));
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase())
        {
            return Err(Problem::invalid("currency must be three capitals."));
        }
        name("order_id", &self.order_id)?;
        name("merchant_id", &self.merchant_id)?;
        name("terminal_id", &self.terminal_id)?;
        let length = self.merchant.chars().count();
        if !(1..=MAX_MERCHANT).contains(&length) || self.merchant.chars().any(char::is_control) {
            return Err(Problem::invalid(format!(
                "merchant must be 1 to {MAX_MERCHANT} characters without control characters."
            )));
        }
        let four = |text: &str| text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !four(&self.mcc) || !four(&self.country) {
            return Err(Problem::invalid("mcc and country must be four digits."));
        }
        if clock::parse(&self.at).is_none() {
            return Err(Problem::invalid(
                "at must be an RFC 3339 time in UTC, with Z.",
            ));
        }
        Ok(())
    }
}

impl OrderName {
    pub(super) fn check(&self) -> Result<(), Problem> {
        name("order_id", &self.order_id)?;
        name("merchant_id", &self.merchant_id)
    }
}

impl Revocation {
    pub(super) fn check(&self) -> Result<(), Problem> {
        name("order_id", &self.order_id)?;
        name("merchant_id", &self.merchant_id)?;
        match &self.payment_id {
            Some(payment) => name("payment_id", payment),
            None => Ok(()),
        }
    }
}

/// A name that somebody else gave: short, and fit to be printed.
fn name(what: &str, text: &str) -> Result<(), Problem> {
    if (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "{what} must be 1 to 64 printable ASCII characters without spaces."
    )))
}
