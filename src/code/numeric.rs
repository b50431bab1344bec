//! The numeric code: `prefix | alias | one-time password [| check digit]`.
//!
//! The key of a showing is HKDF-SHA-256 (RFC 5869, no salt) of the device's seed with the alias as info; the one-time
//! password is TOTP (RFC 6238) with SHA-256 by that key, so that any authenticator can check what is shown. A showing
//! derives its key once and drops it when it ends; whoever ends it wipes the stack.

use std::fmt;

use ring::{hkdf, hmac};

use super::{Alias, CodeFormat};
use crate::secret::Secret;

/// Why a code cannot be made or read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Something else than digits.
    #[error("a payment code has digits only: scan or type it again")]
    NotDigits,
    /// Too few or too many of them.
    #[error("a payment code has {expected} digits here: scan or type it again")]
    Length {
        /// How many the format has.
        expected: usize,
    },
    /// It begins as another wallet's codes do.
    #[error("this payment code is another wallet's: take that wallet's scanner")]
    Prefix,
    /// A digit was misread.
    #[error("the check digit of the payment code is wrong: scan or type it again")]
    CheckDigit,
    /// The provider sent aliases that do not fit its own format.
    #[error(
        "the alias has not the length of the provider's format: get new payment codes from the provider"
    )]
    Alias,
    /// The key could not be derived.
    #[error(
        "the key of the payment code could not be derived: get new payment codes from the provider"
    )]
    Key,
}

/// A code as it is shown. Whoever sees it within its life can take a payment by it: it is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct NumericCode(String);

impl NumericCode {
    /// Its digits.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// Its digits as they stand on the screen until the person reveals them: the first four in clear.
    pub fn masked(&self) -> String {
        let digits = self.0.chars().enumerate();
        digits
            .map(|(at, digit)| if at < 4 { digit } else { '•' })
            .collect()
    }
}

impl fmt::Debug for NumericCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NumericCode(…)")
    }
}

/// What a code says.
#[derive(Clone, PartialEq, Eq)]
pub struct Parts {
    /// By which the provider finds account and seed.
    pub alias: Alias,
    /// The one-time password.
    pub otp: String,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts(…)")
    }
}

/// The key of one showing.
///
/// # Errors
/// [`CodeError::Key`], which the lengths used here rule out.
pub fn code_key(seed: &Secret<32>, alias: &Alias) -> Result<Secret<32>, CodeError> {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(seed.expose());
    Secret::fill(|out| {
        prk.expand(&[alias.as_str().as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(out))
            .map_err(|_| CodeError::Key)
    })
}

/// The code of one step of time (30 seconds each, from the beginning of Unix time).
///
/// # Errors
/// [`CodeError::Alias`] for an alias of another length than the format's.
pub fn encode(
    format: &CodeFormat,
    key: &Secret<32>,
    alias: &Alias,
    step: u64,
) -> Result<NumericCode, CodeError> {
    if alias.as_str().len() != usize::from(format.alias_digits()) {
        return Err(CodeError::Alias);
    }
    let mut code = String::with_capacity(format.digits());
    code.push_str(format.prefix());
    code.push_str(alias.as_str());
    code.push_str(&totp(key, step, format.otp_digits()));
    if format.luhn() {
        code.push(check_digit(&code));
    }
    Ok(NumericCode(code))
}

/// Takes a code apart. Whether it pays, only the provider knows.
///
/// # Errors
/// [`CodeError`] says what was misread.
pub fn parse(format: &CodeFormat, code: &str) -> Result<Parts, CodeError> {
    if !code.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(CodeError::NotDigits);
    }
    let expected = format.digits();
    if code.len() != expected {
        return Err(CodeError::Length { expected });
    }
    let rest = code
        .strip_prefix(format.prefix())
        .ok_or(CodeError::Prefix)?;
    let rest = match format.luhn() {
        false => rest,
        true => {
            let checked = code.get(..expected.saturating_sub(1)).unwrap_or_default();
            rest.strip_suffix(check_digit(checked))
                .ok_or(CodeError::CheckDigit)?
        }
    };
    let (alias, otp) = rest
        .split_at_checked(usize::from(format.alias_digits()))
        .ok_or(CodeError::Length { expected })?;
    Ok(Parts {
        alias: Alias::try_from(alias.to_owned()).map_err(|_| CodeError::Alias)?,
        otp: otp.to_owned(),
    })
}

/// TOTP with SHA-256 (RFC 6238), the truncation of RFC 4226, 5.3. At most nine digits: the truncated number has 31 bits.
fn totp(key: &Secret<32>, step: u64, digits: u8) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    let mac = hmac::sign(&key, &step.to_be_bytes());
    let bytes = mac.as_ref();
    let offset = usize::from(bytes.last().copied().unwrap_or(0) & 0x0F);
    let four = bytes.iter().skip(offset).take(4);
    let number = four.fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7FFF_FFFF;
    let width = usize::from(digits.min(9));
    let number = number % 10_u32.pow(u32::from(digits.min(9)));
    format!("{number:0width$}")
}

/// The digit that makes the whole sum up (ISO/IEC 7812-1, annex B: "Luhn formula").
fn check_digit(digits: &str) -> char {
    let sum: usize = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let value = usize::from(digit.saturating_sub(b'0'));
            match at % 2 {
                0 => value * 2 / 10 + value * 2 % 10,
                _ => value,
            }
        })
        .sum();
    let missing = (10 - sum % 10) % 10;
    char::from_digit(u32::try_from(missing).unwrap_or(0), 10).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(digits: &str) -> Alias {
        Alias::try_from(digits.to_owned()).unwrap()
    }

    fn counted_seed() -> Secret<32> {
        Secret::fill(|bytes| {
            bytes.iter_mut().zip(0..).for_each(|(byte, n)| *byte = n);
            Ok::<_, ()>(())
        })
        .unwrap()
    }

    /// RFC 6238, appendix B, the rows of SHA-256; `oathtool` 2.6.7 (`--totp=sha256 -d 8 --now @…`) says the same.
    #[test]
    fn the_vectors_of_rfc_6238() {
        let key = Secret::copy_of(b"12345678901234567890123456789012").unwrap();
        for (time, otp) in [
            (59, "46119246"),
            (1_111_111_109, "68084774"),
            (1_111_111_111, "67062674"),
            (1_234_567_890, "91819424"),
            (2_000_000_000, "90698825"),
            (20_000_000_000, "77737706"),
        ] {
            assert_eq!(totp(&key, time / 30, 8), otp, "{time}");
        }
    }

    /// `openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:000102…1f -kdfopt info:7394850263 HKDF` (OpenSSL 3).
    #[test]
    fn the_key_of_a_showing_is_hkdf_of_the_seed_with_the_alias() {
        let key = code_key(&counted_seed(), &alias("7394850263")).unwrap();
        let shown = hex::encode(key.expose());
        assert_eq!(
            shown,
            "aeb72075980f3575fc6c292b8559930ec740a1a554fa1ab2a85fc120334a0163"
        );
    }

    /// The seed 00 01 … 1F; expected by `oathtool` 2.6.7 (`--totp=sha256 -d 6 -s 30s --now @…`) and pyotp 2.12 alike, the
    /// key derived by Python's `hmac`.
    #[test]
    fn a_code_is_what_authenticators_say() {
        let format = CodeFormat::default();
        for (digits, step, otp) in [
            ("7394850263", 59_847_840, "403002"),
            ("7394850263", 59_847_841, "619364"),
            ("7394850263", 0, "076578"),
            ("0000000000", 59_847_840, "718336"),
            ("0000000000", 59_847_841, "432382"),
            ("9999999999", 59_847_840, "424591"),
            ("9999999999", 59_847_841, "302355"),
        ] {
            let alias = alias(digits);
            let key = code_key(&counted_seed(), &alias).unwrap();
            let code = encode(&format, &key, &alias, step).unwrap();
            assert_eq!(code.digits(), format!("73{digits}{otp}"));
            let parts = parse(&format, code.digits()).unwrap();
            assert_eq!((parts.alias, parts.otp.as_str()), (alias, otp));
        }
    }

    /// Numbers whose check digit is public: the formula's textbook example, and a card scheme's test number.
    #[test]
    fn the_check_digit_is_luhns() {
        assert_eq!(check_digit("7992739871"), '3');
        assert_eq!(check_digit("411111111111111"), '1');
        assert_eq!(check_digit(""), '0');
    }

    #[test]
    fn each_misread_digit_of_a_checked_code_is_noticed() {
        let format = CodeFormat::new("73", 10, 6, true).unwrap();
        let alias = alias("7394850263");
        let key = code_key(&counted_seed(), &alias).unwrap();
        let code = encode(&format, &key, &alias, 59_847_840).unwrap();
        assert_eq!(code.digits().len(), 19);
        assert_eq!(parse(&format, code.digits()).unwrap().otp, "403002");
        for at in 2..19 {
            for other in b'0'..=b'9' {
                let mut read = code.digits().as_bytes().to_vec();
                if std::mem::replace(&mut read[at], other) == other {
                    continue;
                }
                let read = String::from_utf8(read).unwrap();
                assert_eq!(parse(&format, &read), Err(CodeError::CheckDigit));
            }
        }
    }

    #[test]
    fn what_is_no_code_of_ours_is_refused() {
        let format = CodeFormat::default();
        let refusal = |code: &str| parse(&format, code).unwrap_err();
        assert_eq!(refusal("73739485026340300٢"), CodeError::NotDigits);
        assert_eq!(refusal("7373948502634030O2"), CodeError::NotDigits);
        for code in ["", "7", "73739485026340300", "7373948502634030021"] {
            assert_eq!(refusal(code), CodeError::Length { expected: 18 });
        }
        assert_eq!(refusal("137394850263403002"), CodeError::Prefix);
        let key = counted_seed();
        let short = encode(&format, &key, &alias("123"), 1);
        assert_eq!(short, Err(CodeError::Alias));
    }

    #[test]
    fn a_code_is_masked_until_revealed_and_never_printed() {
        let code = NumericCode("737394850263403002".into());
        assert_eq!(code.masked(), "7373••••••••••••••");
        assert!(!format!("{code:?}").contains('7'));
    }
}
