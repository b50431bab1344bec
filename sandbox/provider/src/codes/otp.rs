//! The one-time password of an alias: TOTP (RFC 6238) with SHA-256 under HKDF-SHA256(device seed, info = alias).
//!
//! A code is good in the step it was made in, in the next (it was shown late) and in the one before (the phone's clock
//! runs ahead): 90 seconds after it was made. For some minutes more it is told from a guess.

use std::ops::Range;

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// How long a password is shown, seconds (RFC 6238's default). It is no configuration: phones have it built in.
const STEP_S: i64 = 30;
/// The passwords of so many steps before those that count are known for old: a screen was left open, or a clock is slow.
/// They pay nothing.
pub(super) const OLD_STEPS: i64 = 20;

/// What a password is to a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// One that counts.
    Right,
    /// One that counted some minutes ago.
    Old,
    Wrong,
}

/// What the passwords of one alias come from.
pub(super) struct AliasKey(Zeroizing<[u8; 32]>);

impl AliasKey {
    /// `None` never happens: the output is shorter than HKDF can give.
    pub(super) fn derive(seed: &[u8], alias: &str) -> Option<Self> {
        let mut key = Zeroizing::new([0_u8; 32]);
        Hkdf::<Sha256>::new(None, seed)
            .expand(alias.as_bytes(), key.as_mut_slice())
            .ok()?;
        Some(Self(key))
    }

    /// What `otp` is at this moment. The answer to a right one tells that it is; what is not right costs the same, whether
    /// it is old or was never anything.
    pub(super) fn fits(&self, otp: &str, unix: i64) -> Fit {
        let now = unix.div_euclid(STEP_S);
        let first = now.saturating_sub(1);
        if self.is_of(otp, first..now.saturating_add(2)) {
            return Fit::Right;
        }
        match self.is_of(otp, first.saturating_sub(OLD_STEPS)..first) {
            true => Fit::Old,
            false => Fit::Wrong,
        }
    }

    /// Whether `otp` is the password of one of these steps. It is compared with all of them, each in a time that tells
    /// nothing.
    fn is_of(&self, otp: &str, steps: Range<i64>) -> bool {
        let mut same = Choice::from(0);
        // Taking the key in is half of the work, and is done once.
        let Some(mac) = self.mac() else {
            return false;
        };
        for step in steps {
            let Some(made) = password(mac.clone(), step, otp.len()) else {
                return false;
            };
            same |= made.as_bytes().ct_eq(otp.as_bytes());
        }
        same.into()
    }

    fn mac(&self) -> Option<Hmac<Sha256>> {
        Hmac::new_from_slice(self.0.as_slice()).ok()
    }
}

/// The password of a step, with leading zeros.
fn password(mut mac: Hmac<Sha256>, step: i64, digits: usize) -> Option<Zeroizing<String>> {
    let modulus = 10_u32.checked_pow(u32::try_from(digits).ok()?)?;
    mac.update(&step.to_be_bytes());
    let tag: [u8; 32] = mac.finalize().into_bytes().into();
    // RFC 4226, 5.3: the last nibble says where to read four bytes, of which the first bit does not count.
    let offset = usize::from(tag.last()? & 0x0F);
    let word: [u8; 4] = tag.get(offset..offset + 4)?.try_into().ok()?;
    let number = (u32::from_be_bytes(word) & 0x7FFF_FFFF) % modulus;
    Some(Zeroizing::new(format!("{number:0digits$}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, the SHA-256 rows.
    #[test]
    fn passwords_are_those_of_rfc_6238() {
        let key = AliasKey(Zeroizing::new(*b"12345678901234567890123456789012"));
        for (unix, expected) in [
            (59, "46119246"),
            (1_111_111_109, "68084774"),
            (1_111_111_111, "67062674"),
            (1_234_567_890, "91819424"),
            (2_000_000_000, "90698825"),
            (20_000_000_000, "77737706"),
        ] {
            let made = password(key.mac().unwrap(), unix / STEP_S, 8);
            assert_eq!(made.unwrap().as_str(), expected);
        }
    }

    #[test]
    fn a_password_counts_in_three_steps() {
        let key = AliasKey::derive(&[7; 32], "0123456789").unwrap();
        let made = 1_800_000_000;
        let otp = password(key.mac().unwrap(), made / STEP_S, 6).unwrap();
        for (late, fit) in [
            (-31, Fit::Wrong),
            (-30, Fit::Right),
            (0, Fit::Right),
            (59, Fit::Right),
            (60, Fit::Old),
            (659, Fit::Old),
            (660, Fit::Wrong),
        ] {
            assert_eq!(key.fits(&otp, made + late), fit, "{late}");
        }
        // Another alias of the same phone has other passwords.
        let other = AliasKey::derive(&[7; 32], "0123456788").unwrap();
        let same = (0..20)
            .filter(|step| {
                password(key.mac().unwrap(), *step, 6) == password(other.mac().unwrap(), *step, 6)
            })
            .count();
        assert!(same < 3);
    }
}
