//! Layouts of what the reader says, and of what both put together about a payment.

use super::Field::{Choice, Flag};
use super::Layout;
use crate::trace::scheme::Scheme;

pub(super) fn layout(tag: u32, scheme: Scheme) -> Option<Layout> {
    Some(match (tag, scheme) {
        // Issuer action codes are laid out as the results that they are compared with; so are the terminal's.
        (0x95 | 0x9F0D | 0x9F0E | 0x9F0F | 0xDF8120 | 0xDF8121 | 0xDF8122, _) => TVR,
        (0x9B, _) => TSI,
        (0x9F1D, _) => RISK_MANAGEMENT,
        (0x9F33, _) => CAPABILITIES,
        (0x9F35, _) => TERMINAL_TYPE,
        (0x9F40, _) => ADDITIONAL_CAPABILITIES,
        (0x9F66, Scheme::UnionPay) => TTQ_KERNEL_7,
        (0x9F66, Scheme::Visa | Scheme::Other) => TTQ_KERNEL_3,
        _ => return None,
    })
}

const TVR: Layout = &[
    (
        1,
        Flag(0x80, "offline data authentication was not performed"),
    ),
    (1, Flag(0x40, "SDA failed")),
    (1, Flag(0x20, "card data missing")),
    (1, Flag(0x10, "card number on the exception file")),
    (1, Flag(0x08, "DDA failed")),
    (1, Flag(0x04, "CDA failed")),
    (1, Flag(0x02, "SDA selected")),
    (1, Flag(0x01, "XDA selected")),
    (2, Flag(0x80, "card and terminal have different versions")),
    (2, Flag(0x40, "expired application")),
    (2, Flag(0x20, "application not yet effective")),
    (2, Flag(0x10, "service not allowed for the card")),
    (2, Flag(0x08, "new card")),
    (2, Flag(0x02, "biometric verification successful")),
    (2, Flag(0x01, "biometric template not supported")),
    (3, Flag(0x80, "cardholder verification failed")),
    (3, Flag(0x40, "unrecognised verification method")),
    (3, Flag(0x20, "PIN tries exceeded")),
    (3, Flag(0x10, "PIN required, PIN pad missing or broken")),
    (3, Flag(0x08, "PIN required, PIN not entered")),
    (3, Flag(0x04, "online PIN entered")),
    (
        3,
        Flag(0x02, "biometric required, capture device missing or broken"),
    ),
    (3, Flag(0x01, "biometric required, entry bypassed")),
    (4, Flag(0x80, "floor limit exceeded")),
    (4, Flag(0x40, "lower offline limit exceeded")),
    (4, Flag(0x20, "upper offline limit exceeded")),
    (4, Flag(0x10, "selected at random for online")),
    (4, Flag(0x08, "merchant forced online")),
    (4, Flag(0x04, "biometric tries exceeded")),
    (4, Flag(0x02, "biometric type not supported")),
    (4, Flag(0x01, "XDA signature failed")),
    (5, Flag(0x80, "default TDOL used")),
    (5, Flag(0x40, "issuer authentication failed")),
    (5, Flag(0x20, "script failed before the final GENERATE AC")),
    (5, Flag(0x10, "script failed after the final GENERATE AC")),
    (5, Flag(0x08, "relay resistance threshold exceeded")),
    (5, Flag(0x04, "relay resistance time limits exceeded")),
    // As Kernel 2 has them; the contact books give two of these to elliptic-curve keys.
    (5, Flag(0x02, "relay resistance protocol performed")),
    (5, Flag(0x01, "relay resistance protocol not performed")),
];

const TSI: Layout = &[
    (1, Flag(0x80, "offline data authentication performed")),
    (1, Flag(0x40, "cardholder verification performed")),
    (1, Flag(0x20, "card risk management performed")),
    (1, Flag(0x10, "issuer authentication performed")),
    (1, Flag(0x08, "terminal risk management performed")),
    (1, Flag(0x04, "script processing performed")),
];

const RISK_MANAGEMENT: Layout = &[
    (1, Flag(0x80, "restart supported")),
    (1, Flag(0x40, "online PIN, contactless")),
    (1, Flag(0x20, "signature, contactless")),
    (1, Flag(0x10, "offline enciphered PIN, contactless")),
    (1, Flag(0x08, "no verification, contactless")),
    (1, Flag(0x04, "verification on the device, contactless")),
    (1, Flag(0x02, "offline plain PIN, contactless")),
    (1, Flag(0x01, "present and hold supported")),
    (2, Flag(0x80, "verification limit exceeded")),
    (2, Flag(0x40, "online PIN, contact")),
    (2, Flag(0x20, "signature, contact")),
    (2, Flag(0x10, "offline enciphered PIN, contact")),
    (2, Flag(0x08, "no verification, contact")),
    (2, Flag(0x04, "verification on the device, contact")),
    (2, Flag(0x02, "offline plain PIN, contact")),
    (3, Flag(0x80, "mag-stripe mode not supported")),
    (3, Flag(0x40, "EMV mode not supported")),
    (
        3,
        Flag(0x20, "verification on the device without CDA supported"),
    ),
    (
        4,
        Flag(0x80, "asks to go without verification on the device"),
    ),
    (4, Flag(0x40, "exempt from strong authentication")),
];

const CAPABILITIES: Layout = &[
    (1, Flag(0x80, "manual key entry")),
    (1, Flag(0x40, "magnetic stripe")),
    (1, Flag(0x20, "chip with contacts")),
    (2, Flag(0x80, "offline PIN in plain")),
    (2, Flag(0x40, "online PIN")),
    (2, Flag(0x20, "signature")),
    (2, Flag(0x10, "offline PIN enciphered")),
    (2, Flag(0x08, "no verification")),
    (2, Flag(0x04, "online biometric")),
    (2, Flag(0x02, "offline biometric")),
    (2, Flag(0x01, "offline PIN enciphered on elliptic curves")),
    (3, Flag(0x80, "SDA")),
    (3, Flag(0x40, "DDA")),
    (3, Flag(0x20, "card capture")),
    (3, Flag(0x08, "CDA")),
    (3, Flag(0x04, "XDA")),
];

const TERMINAL_TYPE: Layout = &[
    (
        1,
        Choice(
            0xF0,
            &[
                (1, "run by a financial institution"),
                (2, "run by a merchant"),
                (3, "run by the cardholder"),
            ],
        ),
    ),
    (
        1,
        Choice(
            0x0F,
            &[
                (1, "attended, online only"),
                (2, "attended, offline with online"),
                (3, "attended, offline only"),
                (4, "unattended, online only"),
                (5, "unattended, offline with online"),
                (6, "unattended, offline only"),
            ],
        ),
    ),
];

const ADDITIONAL_CAPABILITIES: Layout = &[
    (1, Flag(0x80, "cash")),
    (1, Flag(0x40, "goods")),
    (1, Flag(0x20, "services")),
    (1, Flag(0x10, "cashback")),
    (1, Flag(0x08, "inquiry")),
    (1, Flag(0x04, "transfer")),
    (1, Flag(0x02, "payment")),
    (1, Flag(0x01, "administrative")),
    (2, Flag(0x80, "cash deposit")),
    (3, Flag(0x80, "numeric keys")),
    (3, Flag(0x40, "alphabetic and special keys")),
    (3, Flag(0x20, "command keys")),
    (3, Flag(0x10, "function keys")),
    (4, Flag(0x80, "prints for the attendant")),
    (4, Flag(0x40, "prints for the cardholder")),
    (4, Flag(0x20, "displays to the attendant")),
    (4, Flag(0x10, "displays to the cardholder")),
    (4, Flag(0x02, "code table 10")),
    (4, Flag(0x01, "code table 9")),
    (5, Flag(0x80, "code table 8")),
    (5, Flag(0x40, "code table 7")),
    (5, Flag(0x20, "code table 6")),
    (5, Flag(0x10, "code table 5")),
    (5, Flag(0x08, "code table 4")),
    (5, Flag(0x04, "code table 3")),
    (5, Flag(0x02, "code table 2")),
    (5, Flag(0x01, "code table 1")),
];

const TTQ_KERNEL_7: Layout = &[
    (1, Flag(0x40, "contactless debit and credit supported")),
    (1, Flag(0x20, "qPBOC supported")),
    (1, Flag(0x10, "contact PBOC supported")),
    (1, Flag(0x08, "offline-only reader")),
    (1, Flag(0x04, "online PIN supported")),
    (1, Flag(0x02, "signature supported")),
    (2, Flag(0x80, "online cryptogram required")),
    (2, Flag(0x40, "cardholder verification required")),
    (3, Flag(0x40, "verification on the device supported")),
    (4, Flag(0x80, "fDDA version 01 supported")),
];

const TTQ_KERNEL_3: Layout = &[
    (1, Flag(0x80, "mag-stripe mode supported")),
    (1, Flag(0x20, "EMV mode supported")),
    (1, Flag(0x10, "EMV contact chip supported")),
    (1, Flag(0x08, "offline-only reader")),
    (1, Flag(0x04, "online PIN supported")),
    (1, Flag(0x02, "signature supported")),
    (
        1,
        Flag(
            0x01,
            "offline data authentication for online authorisations supported",
        ),
    ),
    (2, Flag(0x80, "online cryptogram required")),
    (2, Flag(0x40, "cardholder verification required")),
    (2, Flag(0x20, "contact chip offline PIN supported")),
    (3, Flag(0x80, "issuer update processing supported")),
    (3, Flag(0x40, "verification on the device supported")),
];
