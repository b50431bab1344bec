//! Android's `KeyDescription`, as far as it is judged here. Its schema is in Android's documentation under "Verify
//! hardware-backed key pairs with key attestation"; versions add members at the ends of the lists only.

use x509_parser::asn1_rs::{Any, Class, FromDer as _, Tag};

/// Tags of an `AuthorizationList`.
const PURPOSE: u32 = 1;
const ORIGIN: u32 = 702;
/// Values of `purpose`.
const SIGN: u32 = 2;
const VERIFY: u32 = 3;
/// Value of `origin`: made in the key store and never outside.
const GENERATED: u32 = 0;

/// What the maker says of a key.
pub(super) struct KeyDescription<'a> {
    /// Who speaks: 0 the system's software, 1 the trusted execution environment, 2 the secure element.
    pub(super) attestation_level: u32,
    /// Where the key lies, in the same numbers.
    pub(super) key_level: u32,
    pub(super) challenge: &'a [u8],
    /// What the level's own keeper enforces, not the system above it.
    enforced: Authorizations,
}

#[derive(Default)]
struct Authorizations {
    purposes: Vec<u32>,
    origin: Option<u32>,
}

impl<'a> KeyDescription<'a> {
    /// Reads a DER `KeyDescription`; `None` when it is none.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut whole = Elements(der);
        let mut members = Elements(whole.next(Tag::Sequence)?);
        if !whole.0.is_empty() {
            return None;
        }
        let _attestation_version = members.number(Tag::Integer)?;
        let attestation_level = members.number(Tag::Enumerated)?;
        let _key_mint_version = members.number(Tag::Integer)?;
        let key_level = members.number(Tag::Enumerated)?;
        let challenge = members.next(Tag::OctetString)?;
        let _unique_id = members.next(Tag::OctetString)?;
        let software = Authorizations::read(members.next(Tag::Sequence)?)?;
        let hardware = Authorizations::read(members.next(Tag::Sequence)?)?;
        Some(Self {
            attestation_level,
            key_level,
            challenge,
            enforced: if key_level == 0 { software } else { hardware },
        })
    }

    /// Whether the key was made where it lies and does nothing but sign (and verify, which anybody can).
    pub(super) fn is_made_for_signing(&self) -> bool {
        let purposes = &self.enforced.purposes;
        self.enforced.origin == Some(GENERATED)
            && purposes.contains(&SIGN)
            && purposes
                .iter()
                .all(|purpose| matches!(*purpose, SIGN | VERIFY))
    }
}

impl Authorizations {
    fn read(list: &[u8]) -> Option<Self> {
        let mut found = Self::default();
        let mut list = Elements(list);
        while !list.0.is_empty() {
            let member = list.any()?;
            if member.class() != Class::ContextSpecific {
                return None;
            }
            let mut value = Elements(member.data);
            match member.tag().0 {
                PURPOSE => {
                    let mut set = Elements(value.next(Tag::Set)?);
                    while !set.0.is_empty() {
                        found.purposes.push(set.number(Tag::Integer)?);
                    }
                }
                ORIGIN => found.origin = Some(value.number(Tag::Integer)?),
                _ => {}
            }
        }
        Some(found)
    }
}

/// DER elements one after another.
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Elements<'a> {
    pub(super) fn any(&mut self) -> Option<Any<'a>> {
        let (rest, element) = Any::from_der(self.0).ok()?;
        self.0 = rest;
        Some(element)
    }

    /// The content of the next element, which must be of this universal type.
    pub(super) fn next(&mut self, tag: Tag) -> Option<&'a [u8]> {
        let element = self.any()?;
        let constructed = matches!(tag, Tag::Sequence | Tag::Set);
        let is_it = element.class() == Class::Universal
            && element.tag() == tag
            && element.header.is_constructed() == constructed;
        is_it.then_some(element.data)
    }

    /// The next element as a number that is not negative and fits 32 bits.
    fn number(&mut self, tag: Tag) -> Option<u32> {
        let content = self.next(tag)?;
        // The leading zero of a number whose first bit is set.
        let digits = match content {
            [0, digits @ ..] if !digits.is_empty() => digits,
            [first, ..] if *first < 0x80 => content,
            _ => return None,
        };
        let mut bytes = [0; 4];
        let from = bytes.len().checked_sub(digits.len())?;
        bytes.get_mut(from..)?.copy_from_slice(digits);
        Some(u32::from_be_bytes(bytes))
    }
}
