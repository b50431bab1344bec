//! Why a merchant's code was refused.

/// Why a merchant's code cannot be paid. The first group is damage, which scanning again may mend; the second is the
/// shop's own mistake. None names a value out of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MpmError {
    /// No symbol holds so much.
    #[error("this code is longer than any payment code: scan the shop's payment code")]
    TooLong,
    /// It ends inside an object.
    #[error("the code breaks off at character {at}: scan it again")]
    Truncated {
        /// Characters from the begin of the code, from 0.
        at: usize,
    },
    /// An id that is not two digits.
    #[error(
        "the code is no merchant's payment code (character {at}): scan the shop's payment code"
    )]
    Id {
        /// Characters from the begin of the code, from 0.
        at: usize,
    },
    /// A length that is not two digits, or zero.
    #[error("the code has no length at character {at}: scan it again")]
    Length {
        /// Characters from the begin of the code, from 0.
        at: usize,
    },
    /// It does not begin with the format's version.
    #[error(
        "the code is no merchant's payment code of a known version: scan the shop's payment code"
    )]
    Version,
    /// It does not end with a checksum.
    #[error("the code does not end with its checksum: scan it again")]
    NoCrc,
    /// The checksum does not match.
    #[error("the code's checksum is wrong: scan it again")]
    Crc,

    /// A mandatory object is not there.
    #[error("the shop's code lacks object {0:02}: ask the shop for another code")]
    Missing(u8),
    /// An object stands in it twice.
    #[error("the shop's code has object {0:02} twice: ask the shop for another code")]
    Duplicate(u8),
    /// A template that holds no objects, or not its mandatory one.
    #[error(
        "the shop's code has a template {0:02} that cannot be read: ask the shop for another code"
    )]
    Template(u8),
    /// A value with other characters or another length than its object has.
    #[error(
        "the shop's code has a value in object {0:02} that cannot be read: ask the shop for another code"
    )]
    Value(u8),
    /// The currency has no minor unit that an amount could be counted in.
    #[error("the shop's code is in a currency that cannot be paid: ask the shop for another code")]
    Currency,
    /// Something else than digits with at most one point, or nothing before the point.
    #[error("the amount in the shop's code cannot be read: ask the shop for another code")]
    AmountForm,
    /// More decimals than the currency's minor unit has.
    #[error(
        "the amount in the shop's code has too many decimals for its currency: ask the shop for another code"
    )]
    AmountDecimals,
    /// More than the 13 characters of an amount.
    #[error("the amount in the shop's code is too large: ask the shop for another code")]
    AmountTooLarge,
    /// Zero.
    #[error("the amount in the shop's code is zero: ask the shop for another code")]
    AmountZero,
    /// Indicator and value of the tip or fee do not belong together.
    #[error("the tip or fee in the shop's code cannot be read: ask the shop for another code")]
    Tip,
}
