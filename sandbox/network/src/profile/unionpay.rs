//! UnionPay QuickPass style (kernel 7).

use super::card::CardData;
use super::qvsdc::{self, Style};
use super::{Certificates, IadPart, Profile, Results};
use crate::scheme::Scheme;

/// The application identifier of UnionPay debit.
pub const AID_DEBIT: &str = "A000000333010101";

const STYLE: Style = Style {
    scheme: Scheme::UnionPay,
    aid: AID_DEBIT,
    label: "UnionPay",
    languages: "zhen",
    // Byte 4, bit 8: fDDA version 01.
    ttq_fdda: "00000080",
    ctq: ["0000", "8000", "0080"],
};

pub(super) fn profile(
    card: &CardData<'_>,
    certificates: Certificates<'_>,
) -> anyhow::Result<Profile> {
    qvsdc::profile(&STYLE, card, certificates)
}

/// Length, derivation key index and cryptogram version, results, algorithm, key index.
pub(super) fn iad() -> Vec<IadPart> {
    vec![
        IadPart::Fixed("0B0101".into()),
        IadPart::Result(Results {
            online: "03A00000".into(),
            verified: "03A40000".into(),
            declined: "03800000".into(),
        }),
        IadPart::Fixed("01".into()),
        IadPart::KeyIndex,
    ]
}
