//! Layouts of what the card says.

use super::Field::{Choice, Flag, Number};
use super::{Explained, Layout, read};
use crate::trace::scheme::Scheme;

pub(super) fn layout(tag: u32, scheme: Scheme) -> Option<Layout> {
    Some(match (tag, scheme) {
        (0x82, _) => AIP,
        (0x87, _) => PRIORITY,
        (0x9F07, _) => AUC,
        (0x9F27, _) => CID,
        (0x9F2A, _) => KERNEL,
        (0x9F5D, Scheme::Mastercard) => CAPABILITIES,
        (0x9F6C, Scheme::Mastercard) => return None,
        (0x9F6C, _) => CTQ,
        (0x9F6E, Scheme::Visa) => FORM_FACTOR,
        (0xDF4B, _) => INTERACTION,
        _ => return None,
    })
}

const AIP: Layout = &[
    (1, Flag(0x80, "XDA supported")),
    (1, Flag(0x40, "SDA supported")),
    (1, Flag(0x20, "DDA supported")),
    (1, Flag(0x10, "cardholder verification supported")),
    (1, Flag(0x08, "terminal risk management to be performed")),
    (1, Flag(0x04, "issuer authentication supported")),
    (1, Flag(0x02, "on-device cardholder verification supported")),
    (1, Flag(0x01, "CDA supported")),
    (2, Flag(0x80, "EMV mode supported")),
    (2, Flag(0x01, "relay resistance protocol supported")),
];

const PRIORITY: Layout = &[
    (1, Flag(0x80, "the cardholder must confirm")),
    (1, Number(0x0F, "priority")),
];

const AUC: Layout = &[
    (1, Flag(0x80, "domestic cash")),
    (1, Flag(0x40, "international cash")),
    (1, Flag(0x20, "domestic goods")),
    (1, Flag(0x10, "international goods")),
    (1, Flag(0x08, "domestic services")),
    (1, Flag(0x04, "international services")),
    (1, Flag(0x02, "at cash machines")),
    (1, Flag(0x01, "at other terminals")),
    (2, Flag(0x80, "domestic cashback")),
    (2, Flag(0x40, "international cashback")),
];

const CRYPTOGRAMS: &[(u8, &str)] = &[
    (0, "AAC, declined by the card"),
    (1, "TC, approved by the card"),
    (2, "ARQC, the issuer is to be asked"),
];

const CID: Layout = &[
    (1, Choice(0xC0, CRYPTOGRAMS)),
    (1, Flag(0x08, "advice required")),
    (
        1,
        Choice(
            0x07,
            &[
                (0, "no information given"),
                (1, "service not allowed"),
                (2, "PIN tries exceeded"),
                (3, "issuer authentication failed"),
            ],
        ),
    ),
];

const KERNEL: Layout = &[
    (
        1,
        Choice(
            0xC0,
            &[
                (0, "an international kernel"),
                (2, "a domestic kernel of EMVCo's form"),
                (3, "a domestic kernel of its own form"),
            ],
        ),
    ),
    (1, Number(0x3F, "kernel")),
];

/// Kernel 2, Application Capabilities Information.
const CAPABILITIES: Layout = &[
    (1, Number(0xF0, "version")),
    (1, Number(0x0F, "data storage version")),
    (2, Flag(0x04, "field-off detection supported")),
    (2, Flag(0x02, "balance reading supported")),
    (2, Flag(0x01, "CDA over GENERATE AC and data storage")),
    (3, Number(0xFF, "data storage scheme")),
];

const CTQ: Layout = &[
    (1, Flag(0x80, "online PIN required")),
    (1, Flag(0x40, "signature required")),
    (
        1,
        Flag(0x20, "go online if offline data authentication fails"),
    ),
    (
        1,
        Flag(
            0x10,
            "switch interface if offline data authentication fails",
        ),
    ),
    (1, Flag(0x08, "go online if the application has expired")),
    (1, Flag(0x04, "switch interface for cash")),
    (1, Flag(0x02, "switch interface for cashback")),
    (1, Flag(0x01, "not valid at contactless cash machines")),
    (2, Flag(0x80, "verification performed on the device")),
    (2, Flag(0x40, "issuer update processing supported")),
];

const FORM_FACTOR: Layout = &[
    (1, Number(0xE0, "version")),
    (
        1,
        Choice(
            0x1F,
            &[
                (0, "a card"),
                (1, "a small card"),
                (2, "not a card"),
                (3, "a mobile phone"),
                (4, "worn on the wrist"),
            ],
        ),
    ),
    (2, Flag(0x80, "can take a passcode")),
    (2, Flag(0x40, "has a signature panel")),
    (2, Flag(0x20, "has a hologram")),
    (2, Flag(0x10, "has a CVV2")),
    (2, Flag(0x08, "messages both ways")),
    (2, Flag(0x04, "credentials in the cloud")),
    (2, Flag(0x02, "can verify biometrics")),
    (4, Choice(0x0F, &[(0, "contactless by ISO/IEC 14443")])),
];

/// Kernel 2, what the phone wants of its holder.
const INTERACTION: Layout = &[
    (1, Number(0xFF, "version")),
    (2, Flag(0x10, "offline PIN verified on the phone")),
    (2, Flag(0x08, "the context has changed: another payment")),
    (2, Flag(0x04, "the offline PIN must be changed")),
    (2, Flag(0x02, "the holder must acknowledge on the phone")),
    (2, Flag(0x01, "the holder must be verified on the phone")),
];

const SECOND: &[(u8, &str)] = &[
    (0, "second GENERATE AC: AAC"),
    (1, "second GENERATE AC: TC"),
    (2, "second GENERATE AC: not requested"),
];
const FIRST: &[(u8, &str)] = &[
    (0, "first cryptogram: AAC"),
    (1, "first cryptogram: TC"),
    (2, "first cryptogram: ARQC"),
];

/// Card verification results of three bytes behind their length, as Visa and UnionPay have them.
const RESULTS_3: Layout = &[
    (1, Choice(0xC0, SECOND)),
    (1, Choice(0x30, FIRST)),
    (1, Flag(0x08, "issuer authentication failed")),
    (1, Flag(0x04, "offline PIN verification performed")),
    (1, Flag(0x02, "offline PIN verification failed")),
    (1, Flag(0x01, "unable to go online")),
    (2, Flag(0x80, "last online payment not completed")),
    (2, Flag(0x40, "PIN tries exceeded")),
    (2, Flag(0x20, "velocity counters exceeded")),
    (2, Flag(0x10, "new card")),
    (
        2,
        Flag(
            0x08,
            "issuer authentication failed in the last online payment",
        ),
    ),
    (
        2,
        Flag(
            0x04,
            "issuer authentication not performed after going online",
        ),
    ),
    (2, Flag(0x02, "application blocked, PIN tries exceeded")),
    (
        2,
        Flag(
            0x01,
            "offline data authentication failed in the last payment",
        ),
    ),
    (3, Number(0xF0, "script commands processed:")),
    (3, Flag(0x08, "script processing failed")),
    (3, Flag(0x04, "DDA failed in the last payment")),
    (3, Flag(0x02, "DDA performed")),
    (3, Flag(0x01, "PIN expected and not received")),
];

/// Card verification results of the common core definitions (EMV Book 3, C7.3), five bytes.
const RESULTS_CCD: Layout = &[
    (1, Choice(0xC0, SECOND)),
    (1, Choice(0x30, FIRST)),
    (1, Flag(0x08, "CDA performed")),
    (1, Flag(0x04, "DDA performed")),
    (1, Flag(0x02, "issuer authentication not performed")),
    (1, Flag(0x01, "issuer authentication failed")),
    (2, Number(0xF0, "PIN tries left:")),
    (2, Flag(0x08, "offline PIN verification performed")),
    (2, Flag(0x04, "offline PIN verification failed")),
    (2, Flag(0x02, "PIN tries exceeded")),
    (2, Flag(0x01, "last online payment not completed")),
    (3, Flag(0x80, "lower offline count exceeded")),
    (3, Flag(0x40, "upper offline count exceeded")),
    (3, Flag(0x20, "lower offline amount exceeded")),
    (3, Flag(0x10, "upper offline amount exceeded")),
    (3, Flag(0x08, "issuer's own bit 1")),
    (3, Flag(0x04, "issuer's own bit 2")),
    (3, Flag(0x02, "issuer's own bit 3")),
    (3, Flag(0x01, "issuer's own bit 4")),
    (4, Number(0xF0, "script commands processed:")),
    (4, Flag(0x08, "script processing failed")),
    (
        4,
        Flag(
            0x04,
            "offline data authentication failed in the last payment",
        ),
    ),
    (4, Flag(0x02, "go online next time was set")),
    (4, Flag(0x01, "unable to go online")),
];

/// Card verification results of Mastercard's cards: six bytes, of which the last is left to the product.
const RESULTS_6: Layout = &[
    (1, Choice(0xC0, SECOND)),
    (1, Choice(0x30, FIRST)),
    (1, Flag(0x08, "date check failed")),
    (1, Flag(0x04, "offline PIN verification performed")),
    (
        1,
        Flag(0x02, "offline enciphered PIN verification performed"),
    ),
    (1, Flag(0x01, "offline PIN verification successful")),
    (2, Flag(0x80, "DDA returned")),
    (2, Flag(0x40, "CDA in the first GENERATE AC")),
    (2, Flag(0x20, "CDA in the second GENERATE AC")),
    (2, Flag(0x10, "issuer authentication performed")),
    (2, Flag(0x08, "default action skipped on a CAT3 terminal")),
    (3, Number(0xF0, "script counter")),
    (3, Number(0x0F, "PIN tries left:")),
    (4, Flag(0x80, "last online payment not completed")),
    (4, Flag(0x40, "unable to go online")),
    (4, Flag(0x20, "offline PIN verification not performed")),
    (4, Flag(0x10, "offline PIN verification failed")),
    (4, Flag(0x08, "PIN tries exceeded")),
    (4, Flag(0x04, "international payment")),
    (4, Flag(0x02, "domestic payment")),
    (
        4,
        Flag(0x01, "the terminal wrongly takes the PIN for right"),
    ),
    (5, Flag(0x80, "lower offline count exceeded")),
    (5, Flag(0x40, "upper offline count exceeded")),
    (5, Flag(0x20, "lower offline amount exceeded")),
    (5, Flag(0x10, "upper offline amount exceeded")),
    (5, Flag(0x08, "go online next time was set")),
    (5, Flag(0x04, "issuer authentication failed")),
    (5, Flag(0x02, "script received")),
    (5, Flag(0x01, "script failed")),
];

/// For the test that looks at every layout.
#[cfg(test)]
pub(super) const RESULTS: [Layout; 3] = [RESULTS_3, RESULTS_CCD, RESULTS_6];

/// The card verification results inside issuer application data, where its form is known.
pub(super) fn issuer_application_data(value: &[u8], scheme: Scheme) -> Explained {
    match value {
        [0x0F, _, _, rest @ ..] if value.len() == 32 && value.get(16) == Some(&0x0F) => rest
            .get(..5)
            .map_or_else(Explained::default, |results| read(RESULTS_CCD, results, 3)),
        [_, _, rest @ ..]
            if scheme == Scheme::Mastercard && matches!(value.len(), 18 | 20 | 26 | 28) =>
        {
            rest.get(..5)
                .map_or_else(Explained::default, |results| read(RESULTS_6, results, 2))
        }
        [length, _, _, 0x03, rest @ ..] if usize::from(*length) + 1 == value.len() => rest
            .get(..3)
            .map_or_else(Explained::default, |results| read(RESULTS_3, results, 4)),
        _ => Explained::default(),
    }
}
