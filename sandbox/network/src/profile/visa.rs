//! Visa style (kernel 3).

use super::card::CardData;
use super::qvsdc::{self, Style};
use super::{Certificates, IadPart, Profile, Results};
use crate::scheme::Scheme;

const STYLE: Style = Style {
    scheme: Scheme::Visa,
    aid: "A0000000031010",
    label: "VISA",
    languages: "en",
    // Byte 1, bit 1: offline data authentication for online authorisations.
    ttq_fdda: "01000000",
    // Online if data authentication fails; online PIN where the reader wants verification; verified on the phone.
    ctq: ["2000", "A000", "2080"],
};

pub(super) fn profile(
    card: &CardData<'_>,
    certificates: Certificates<'_>,
) -> anyhow::Result<Profile> {
    qvsdc::profile(&STYLE, card, certificates)
}

/// The 32 bytes of cloud payments: length, format, derivation key index, results, key index, and room for the issuer.
pub(super) fn iad() -> Vec<IadPart> {
    vec![
        IadPart::Fixed("1F430100".into()),
        IadPart::Result(Results {
            online: "03A00000".into(),
            verified: "03A40000".into(),
            declined: "03800000".into(),
        }),
        IadPart::KeyIndex,
        IadPart::Fixed("00".repeat(20)),
    ]
}
