//! Numeric codes: every layout that is taken has codes that are read back, drawn, and refused when a checked digit changes.
//!
//! The input is the layout (lengths of alias and one-time password, whether a check digit ends it, two digits of prefix),
//! and a code to read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapcore::code::symbol::{code128, qr};
use tapcore::code::{Alias, CodeFormat, numeric};
use tapcore::secret::Secret;

fuzz_target!(|data: &[u8]| {
    let Some((&[alias_digits, otp_digits, luhn, prefix], rest)) = data.split_first_chunk::<4>()
    else {
        return;
    };
    let Ok(code) = std::str::from_utf8(rest) else {
        return;
    };
    let luhn = luhn & 1 == 1;
    let prefix = format!("{prefix:02}");
    let Ok(format) = CodeFormat::new(&prefix, alias_digits, otp_digits, luhn) else {
        return;
    };
    if let Ok(parts) = numeric::parse(&format, code) {
        let whole = format!("{prefix}{}{}", parts.alias.as_str(), parts.otp);
        assert!(code.starts_with(&whole) && code.len() - whole.len() == usize::from(luhn));
    }
    let digits: String = rest
        .iter()
        .map(|byte| char::from(b'0' + byte % 10))
        .chain(std::iter::repeat('7'))
        .take(usize::from(alias_digits))
        .collect();
    let alias = Alias::try_from(digits).expect("as long as the format has it");
    let key = numeric::code_key(&Secret::new([7; 32]), &alias).expect("32 bytes can be derived");
    let made = numeric::encode(&format, &key, &alias, u64::from(alias_digits))
        .expect("an alias of the right length");
    let parts = numeric::parse(&format, made.digits()).expect("what was made can be read");
    assert_eq!(parts.alias, alias);
    assert_eq!(parts.otp.len(), usize::from(otp_digits));
    let square = qr::encode(made.digits(), qr::Masking::Fixed(0)).expect("a code fits");
    assert_eq!(square.width(), 21 + 2 * qr::QUIET_ZONE);
    assert!(code128::encode(made.digits()).is_ok());
    if luhn {
        let last = made.digits().len() - 1;
        let other = if made.digits().ends_with('0') {
            '1'
        } else {
            '0'
        };
        assert!(numeric::parse(&format, &format!("{}{other}", &made.digits()[..last])).is_err());
    }
});
