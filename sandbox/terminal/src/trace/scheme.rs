//! Which scheme an application is of: one tag, and one bit, may mean different things to two schemes' kernels.

/// A payment scheme whose readers have a reading of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// UnionPay, Kernel 7.
    UnionPay,
    /// Visa, Kernel 3.
    Visa,
    /// Mastercard, Kernel 2.
    Mastercard,
    /// Any other: what the EMV books say, and Kernel 3's layouts, which most others follow.
    Other,
}

impl Scheme {
    /// The scheme of an application identifier; nothing for names that are none, such as the directory's.
    #[must_use]
    pub fn of(aid: &[u8]) -> Option<Self> {
        let (rid, _) = aid.split_first_chunk::<5>()?;
        match rid {
            [0xA0, 0x00, 0x00, 0x03, 0x33] => Some(Self::UnionPay),
            [0xA0, 0x00, 0x00, 0x00, 0x03] => Some(Self::Visa),
            [0xA0, 0x00, 0x00, 0x00, 0x04] => Some(Self::Mastercard),
            // Providers registered internationally, nationally, or not at all.
            [0xA0 | 0xD0..=0xDF | 0xF0..=0xFF, ..] => Some(Self::Other),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::UnionPay => "UnionPay",
            Self::Visa => "Visa",
            Self::Mastercard => "Mastercard",
            Self::Other => "another scheme",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_known_by_its_registered_provider() {
        let of = |aid: &str| Scheme::of(&hex::decode(aid).unwrap());
        assert_eq!(of("A000000333010101"), Some(Scheme::UnionPay));
        assert_eq!(of("A0000000031010"), Some(Scheme::Visa));
        assert_eq!(of("A0000000041010"), Some(Scheme::Mastercard));
        assert_eq!(of("A0000000651010"), Some(Scheme::Other));
        assert_eq!(of("A000"), None);
        assert_eq!(Scheme::of(b"2PAY.SYS.DDF01"), None);
    }
}
