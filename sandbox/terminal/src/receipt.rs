//! The receipt: what the person takes home, and what the acquirer signed.

use std::fmt::Write;

use crate::amount;
use crate::folder::Registration;
use crate::kernel::Cryptogram;
use crate::online::{Answer, Payment, Request, ScanRequest, Verdict};
use sandbox_kit::mask::mask_number;

/// Writes the receipt of one authorisation.
#[must_use]
pub fn write(
    registration: &Registration,
    request: &Request,
    card: &Cryptogram,
    verdict: &Verdict,
) -> String {
    let mut receipt = Receipt::begin(registration, request, &request.at);
    receipt.line("Card", &mask_number(&request.token));
    receipt.line("Application", &hex::encode_upper(&card.aid));
    receipt.line("ATC", &card.atc.to_string());
    receipt.line("Cryptogram", &hex::encode_upper(&card.arqc));
    receipt.line("Card check", card.authentication.word());
    receipt.end(registration, request, verdict, |receipt, answer| {
        if card.verified_on_device {
            receipt.line("Verification", "on the device");
        }
        if card.signature_wanted && answer.result == "approved" {
            receipt.line("Signature", "______________________________");
        }
    })
}

/// Writes the receipt of one scanned code. The code itself is not on it: it pays once, but it is the customer's.
#[must_use]
pub fn write_scan(registration: &Registration, request: &ScanRequest, verdict: &Verdict) -> String {
    let mut receipt = Receipt::begin(registration, request, &request.at);
    receipt.line("Order", &request.order_id);
    receipt.end(registration, request, verdict, |receipt, answer| {
        if let Some(payment) = &answer.payment_id {
            receipt.line("Payment", payment);
        }
    })
}

/// A receipt that is being written.
struct Receipt(String);

impl Receipt {
    fn begin(registration: &Registration, request: &impl Payment, at: &str) -> Self {
        let mut receipt = Self(String::new());
        receipt.line("Merchant", &registration.merchant);
        receipt.line("Merchant id", &registration.merchant_id);
        receipt.line("Terminal", &registration.terminal_id);
        receipt.line("Date", at);
        receipt.line("Trace", &format!("{:06}", request.trace()));
        receipt
    }

    fn line(&mut self, name: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{name:<16}{value}");
    }

    /// Amount, result and signature; `more` adds what else there is to say about an answer.
    fn end(
        mut self,
        registration: &Registration,
        request: &impl Payment,
        verdict: &Verdict,
        more: impl FnOnce(&mut Self, &Answer),
    ) -> String {
        let amount = amount::show(request.amount_minor());
        self.line("Amount", &format!("{} {amount}", request.currency()));
        match verdict {
            Verdict::Answered(answer) => {
                self.line("Result", &answer.result.to_uppercase());
                if let Some(reason) = &answer.reason {
                    self.line("Reason", reason);
                }
                if let Some(authorisation) = &answer.authorisation {
                    self.line("Authorisation", authorisation);
                }
                more(&mut self, answer);
                let key = &registration.acquirer_key;
                self.line("Signed by", &format!("acquirer, ECDSA P-256, key {key}"));
                self.line("", &answer.receipt_signature);
            }
            Verdict::Unclear(_) => self.line(
                "Result",
                "UNCLEAR - no answer from the acquirer; this is no proof of payment",
            ),
        }
        self.0
    }
}
