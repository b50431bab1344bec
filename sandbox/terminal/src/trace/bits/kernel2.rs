//! Layouts of Kernel 2's own data objects, which a reader keeps under tags `DF81xx`, and of its reader's 9F7E.

use super::Field::{Choice, Flag, Number};
use super::Layout;
use crate::trace::scheme::Scheme;

pub(super) fn layout(tag: u32, scheme: Scheme) -> Option<Layout> {
    Some(match tag {
        0x9F7E if scheme == Scheme::Mastercard => MOBILE_SUPPORT,
        0xDF8117 => CARD_INPUT,
        0xDF8118 | 0xDF8119 => VERIFICATION,
        0xDF811B => CONFIGURATION,
        0xDF811E | 0xDF812C => STRIPE_VERIFICATION,
        0xDF811F => SECURITY,
        0xDF8129 => OUTCOME,
        _ => return None,
    })
}

const MOBILE_SUPPORT: Layout = &[
    (1, Flag(0x02, "offline PIN on the phone required")),
    (1, Flag(0x01, "payments by phone supported")),
];

const CARD_INPUT: Layout = &[
    (1, Flag(0x80, "manual key entry")),
    (1, Flag(0x40, "magnetic stripe")),
    (1, Flag(0x20, "chip with contacts")),
];

const VERIFICATION: Layout = &[
    (1, Flag(0x80, "offline PIN in plain")),
    (1, Flag(0x40, "online PIN")),
    (1, Flag(0x20, "signature")),
    (1, Flag(0x10, "offline PIN enciphered")),
    (1, Flag(0x08, "no verification")),
];

const STRIPE_VERIFICATION: Layout = &[(
    1,
    Choice(
        0xF0,
        &[
            (0, "no verification"),
            (1, "signature"),
            (2, "online PIN"),
            (15, "not applicable"),
        ],
    ),
)];

const CONFIGURATION: Layout = &[
    (1, Flag(0x80, "mag-stripe mode not supported")),
    (1, Flag(0x40, "EMV mode not supported")),
    (1, Flag(0x20, "verification on the device supported")),
    (1, Flag(0x10, "relay resistance protocol supported")),
    (1, Flag(0x08, "reserved for the payment system")),
    (1, Flag(0x04, "reads all records without CDA as well")),
];

const SECURITY: Layout = &[
    (1, Flag(0x80, "SDA")),
    (1, Flag(0x40, "DDA")),
    (1, Flag(0x20, "card capture")),
    (1, Flag(0x08, "CDA")),
];

const OUTCOME: Layout = &[
    (
        1,
        Choice(
            0xF0,
            &[
                (1, "approved"),
                (2, "declined"),
                (3, "online request"),
                (4, "end application"),
                (5, "select next"),
                (6, "try another interface"),
                (7, "try again"),
                (15, "no outcome"),
            ],
        ),
    ),
    (
        2,
        Choice(
            0xF0,
            &[
                (0, "start A"),
                (1, "start B"),
                (2, "start C"),
                (3, "start D"),
                (15, "no start"),
            ],
        ),
    ),
    (3, Choice(0xF0, &[(15, "no online response data")])),
    (
        4,
        Choice(
            0xF0,
            &[
                (0, "no verification"),
                (1, "signature"),
                (2, "online PIN"),
                (3, "verified on the device"),
                (15, "verification not applicable"),
            ],
        ),
    ),
    (5, Flag(0x80, "user interface request on outcome")),
    (5, Flag(0x40, "user interface request on restart")),
    (5, Flag(0x20, "data record present")),
    (5, Flag(0x10, "discretionary data present")),
    (5, Flag(0x08, "receipt wanted")),
    (6, Choice(0xF0, &[(15, "no other interface preferred")])),
    (7, Number(0xFF, "field off, in tenths of a second:")),
    (8, Number(0xFF, "removal timeout, in tenths of a second:")),
];
