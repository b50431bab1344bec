//! The receipt: what the person takes home, and what the acquirer signed.

use std::fmt::Write;

use crate::amount;
use crate::folder::Registration;
use crate::kernel::Cryptogram;
use crate::online::{Request, Verdict};
use crate::trace::mask_number;

/// Writes the receipt of one authorisation.
#[must_use]
pub fn write(
    registration: &Registration,
    request: &Request,
    card: &Cryptogram,
    verdict: &Verdict,
) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<16}{value}");
    };
    line("Merchant", &registration.merchant);
    line("Merchant id", &registration.merchant_id);
    line("Terminal", &registration.terminal_id);
    line("Date", &request.at);
    line("Trace", &format!("{:06}", request.trace));
    line("Card", &mask_number(&request.token));
    line("Application", &hex::encode_upper(&card.aid));
    line("ATC", &card.atc.to_string());
    line("Cryptogram", &hex::encode_upper(&card.arqc));
    line("Card check", card.authentication.word());
    line(
        "Amount",
        &format!(
            "{} {}",
            request.currency,
            amount::show(request.amount_minor)
        ),
    );
    match verdict {
        Verdict::Answered(answer) => {
            line("Result", &answer.result.to_uppercase());
            if let Some(reason) = &answer.reason {
                line("Reason", reason);
            }
            if let Some(authorisation) = &answer.authorisation {
                line("Authorisation", authorisation);
            }
            if card.verified_on_device {
                line("Verification", "on the device");
            }
            if card.signature_wanted && answer.result == "approved" {
                line("Signature", "______________________________");
            }
            line(
                "Signed by",
                &format!("acquirer, ECDSA P-256, key {}", registration.acquirer_key),
            );
            line("", &answer.receipt_signature);
        }
        Verdict::Unclear(_) => line(
            "Result",
            "UNCLEAR - no answer from the acquirer; this is no proof of payment",
        ),
    }
    text
}
