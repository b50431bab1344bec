//! A payment by code: what the customer's phone shows is read, and the acquirer asked about it.
//!
//! An order of the merchant is paid once, whatever is scanned for it and however often, at whichever of its tills. The
//! other way round, a till can ask for a code of its own that the customer's phone reads ([`Pos::merchant_code`]), ask how
//! its order stands ([`Pos::order_standing`]), and take an order back ([`Pos::revoke`]).

use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sandbox_kit::{bytes, clock};
use serde::{Deserialize, Serialize};

use crate::folder::Registration;
use crate::merchant_code::{MerchantCode, OrderStanding};
use crate::online::{ScanRequest, Verdict, understood};
use crate::receipt;
use crate::tap::Pos;

/// How a consumer-presented code begins: `85 05 "CPV01"` in base64.
pub const CPM_BEGIN: &str = "hQVDUFYw";
/// How a merchant-presented code begins: its version.
pub const MPM_BEGIN: &str = "000201";

/// The digits that codes of all wallets have.
const DIGITS: std::ops::RangeInclusive<usize> = 16..=32;
/// The longest consumer-presented code (EMV QRCPS CPM).
const LONGEST_CPM: usize = 512;

/// Why what was scanned is no customer's code. Its text is the sentence for the person at the till.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeError {
    /// A shop's code.
    MerchantPresented,
    /// Anything else.
    Unknown,
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MerchantPresented => {
                "this is a shop's own code: the customer's phone reads it, and pays it with `phone pay`"
            }
            Self::Unknown => {
                "this is no payment code: it has 16 to 32 digits, or is a consumer-presented code in base64"
            }
        })
    }
}

impl std::error::Error for CodeError {}

/// A code that a customer's phone shows.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Code(String);

impl Code {
    /// Reads a code, without the blanks that people put between digits.
    ///
    /// # Errors
    /// [`CodeError`] when it can be no customer's.
    pub fn read(text: &str) -> Result<Self, CodeError> {
        let code: String = text.split_whitespace().collect();
        let digits = code.bytes().all(|byte| byte.is_ascii_digit());
        let presented = code.starts_with(CPM_BEGIN) && code.len() <= LONGEST_CPM;
        match code {
            code if digits && DIGITS.contains(&code.len()) => Ok(Self(code)),
            code if presented && STANDARD.decode(&code).is_ok() => Ok(Self(code)),
            code if code.starts_with(MPM_BEGIN) => Err(CodeError::MerchantPresented),
            _ => Err(CodeError::Unknown),
        }
    }
}

/// A code pays while it is on the screen: it is not for logs.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({} characters)", self.0.len())
    }
}

/// What is to be paid for, and by which code.
#[derive(Debug, Clone)]
pub struct Order {
    /// The customer's code.
    pub code: Code,
    /// In minor units.
    pub amount_minor: i64,
    /// The merchant's name for the order.
    pub order_id: String,
}

/// A name for an order that no other has.
#[must_use]
pub fn fresh_order() -> String {
    bytes::random_id("ord")
}

/// The result of a scan; serialized, it is what `scan --json` prints: what a tap's result has, and the order.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `approved`, `declined` or `unclear`.
    pub result: String,
    /// Why it was declined.
    pub reason: Option<String>,
    /// In minor units.
    pub amount_minor: i64,
    /// ISO 4217 letters.
    pub currency: String,
    /// The merchant's name for the order.
    pub order: String,
    /// The wallet provider's name for the payment.
    pub payment_id: Option<String>,
    /// Application transaction counter, where a card's cryptogram has paid.
    pub atc: Option<u16>,
    /// The cryptogram, hex, where there was one.
    pub arqc: Option<String>,
    /// Token number, masked, where there was one.
    pub token: Option<String>,
    /// The merchant's name.
    pub merchant: String,
    /// The issuer's six digits.
    pub authorisation: Option<String>,
    /// Where the receipt is, if it could be kept.
    pub receipt: Option<PathBuf>,
    /// The trace number.
    pub trace: u32,
    /// A sentence that goes with a result that is unclear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// An order that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// The merchant's name for it.
    #[serde(rename(serialize = "order", deserialize = "order_id"))]
    pub order_id: String,
    /// The payment that was taken back; none where it was never paid.
    pub payment_id: Option<String>,
    /// `revoked`.
    pub state: String,
    /// When, RFC 3339.
    pub at: String,
}

impl Pos {
    /// Takes one payment by code. It may take as long as a person takes over a password; `progress` hears what somebody
    /// watching may want to know.
    ///
    /// # Errors
    /// When there is no result at all: the acquirer refuses the request, the disk is full.
    pub async fn scan(
        &self,
        order: &Order,
        mut progress: impl FnMut(&str),
    ) -> anyhow::Result<Report> {
        let registration = self.acquirer.registration();
        let request = ScanRequest {
            trace: self.folder.next_trace()?,
            at: clock::now_text(),
            code: order.code.clone(),
            amount_minor: order.amount_minor,
            currency: registration.currency.clone(),
            order_id: order.order_id.clone(),
        };
        let verdict = self.authorise(&request, &mut progress).await?;
        let text = receipt::write_scan(registration, &request, &verdict);
        let mut report = report(registration, order, request.trace, verdict);
        // The payment is made or refused by now: a receipt that cannot be kept must not hide that.
        match self.folder.keep_receipt(request.trace, &text) {
            Ok(place) => report.receipt = Some(place),
            Err(why) => progress(&format!("the receipt is lost: {why:#}")),
        }
        Ok(report)
    }

    /// Asks for a code that customers' phones read: for one order of this amount, or, without an amount, for any.
    ///
    /// # Errors
    /// When the acquirer refuses or cannot be reached.
    pub async fn merchant_code(
        &self,
        amount_minor: Option<i64>,
        order_id: Option<&str>,
    ) -> anyhow::Result<MerchantCode> {
        let made = self.acquirer.request_code(amount_minor, order_id).await;
        self.known_or_forgotten(made)
    }

    /// How the order of such a code stands.
    ///
    /// # Errors
    /// When the acquirer made no code for this order, or cannot be reached.
    pub async fn order_standing(&self, order_id: &str) -> anyhow::Result<OrderStanding> {
        let stands = self.acquirer.order_standing(order_id).await;
        self.known_or_forgotten(stands)
    }

    /// Takes an order back: what was paid returns to the customer, and nobody pays it any more.
    ///
    /// # Errors
    /// When the acquirer refuses, such as because it is too early or the order is unknown, or cannot be reached.
    pub async fn revoke(&self, order_id: &str) -> anyhow::Result<Revoked> {
        #[derive(Serialize)]
        struct Body<'a> {
            order_id: &'a str,
        }
        let url = format!("{}/v1/scans/revoke", self.acquirer.url);
        let client = &self.acquirer.client;
        let answer = client.post(&url, &Body { order_id }, None).await;
        self.known_or_forgotten(understood(answer, "revoke the order"))
    }
}

fn report(registration: &Registration, order: &Order, trace: u32, verdict: Verdict) -> Report {
    let mut report = Report {
        result: "unclear".into(),
        reason: None,
        amount_minor: order.amount_minor,
        currency: registration.currency.clone(),
        order: order.order_id.clone(),
        payment_id: None,
        atc: None,
        arqc: None,
        token: None,
        merchant: registration.merchant.clone(),
        authorisation: None,
        receipt: None,
        trace,
        detail: None,
    };
    match verdict {
        Verdict::Answered(answer) => {
            report.result = answer.result;
            report.reason = answer.reason;
            report.authorisation = answer.authorisation;
            report.payment_id = answer.payment_id;
            report.atc = answer.atc;
            report.arqc = answer.arqc;
            report.token = answer.token;
        }
        Verdict::Unclear(why) => report.detail = Some(why),
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EMV QRCPS Consumer-Presented Mode 1.1, the example with two applications and a cryptogram.
    const CPM: &str = "hQVDUFYwMWETTwegAAAAVVVVUAhQcm9kdWN0MWETTwegAAAAZmZmUAhQcm9kdWN0MmJJWggSNFZ4kBI0WF8gDkNBUkRIT0xERVIvRU1W\
                       Xy0IcnVlc2RlZW5kIZ8QBwYBCgMAAACfJghYT9OF+iNLzJ82AgABnzcEbVjvEw==";

    #[test]
    fn digits_are_read_as_people_type_them() {
        assert_eq!(
            Code::read(" 7394 8502 6340 3002 17\n").unwrap(),
            Code("739485026340300217".into())
        );
        for (text, error) in [
            ("", CodeError::Unknown),
            ("739485026340300", CodeError::Unknown),
            ("７３９４８５０２６３４０３００２", CodeError::Unknown),
            ("73948502634030021773948502634030021", CodeError::Unknown),
            ("hQVDUFYw!", CodeError::Unknown),
            ("0002010102", CodeError::MerchantPresented),
        ] {
            assert_eq!(Code::read(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_consumer_presented_code_has_its_length() {
        assert!(Code::read(CPM).is_ok());
        let long = format!("{CPM}{}", "A".repeat(512));
        assert_eq!(Code::read(&long), Err(CodeError::Unknown));
    }

    #[test]
    fn a_code_is_not_for_logs() {
        let code = Code::read("739485026340300217").unwrap();
        assert_eq!(format!("{code:?}"), "Code(18 characters)");
    }
}
