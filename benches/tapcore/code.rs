//! Payment codes as the screen needs them: digits, a card's cryptogram in its data objects, and the symbols of both.

use std::cell::Cell;

use qrcodegen::{Mask, QrCode, QrCodeEcc, QrSegment, Version};
use rand_core::OsRng;
use ring::hmac;
use tapcore::code::numeric::{NumericCode, code_key, encode};
use tapcore::code::symbol::qr::{self, Masking};
use tapcore::code::symbol::{Matrix, code128};
use tapcore::code::{Alias, CodeFormat, cpm};
use tapcore::emv::atc::AtcBlock;
use tapcore::secret::Secret;

use crate::Bench;
use crate::armed;
use crate::measure::{Reading, batches};
use crate::tap::cryptogram;

pub(crate) const BENCHES: &[Bench] = &[
    Bench {
        name: "code.numeric",
        run: numeric,
    },
    Bench {
        name: "code.numeric_with_symbols",
        run: numeric_with_symbols,
    },
    Bench {
        name: "code.cpm_with_symbol",
        run: cpm_with_symbol,
    },
];

const ROUNDS: usize = 1_000;
/// Any key does: a test's.
const SEED: [u8; 32] = *b"a seed of thirty-two test bytes.";

/// The code of a fresh alias, its key derived on the way.
struct Showing {
    seed: Secret<32>,
    alias: Alias,
    format: CodeFormat,
    step: Cell<u64>,
}

impl Showing {
    fn new() -> Self {
        Self {
            seed: Secret::new(SEED),
            alias: Alias::try_from("7394850263".to_owned()).unwrap(),
            format: CodeFormat::default(),
            step: Cell::new(59_847_840),
        }
    }

    fn next(&self) -> NumericCode {
        self.step.set(self.step.get() + 1);
        let key = code_key(&self.seed, &self.alias).unwrap();
        encode(&self.format, &key, &self.alias, self.step.get()).unwrap()
    }

    /// HKDF's two and the one-time password's, by ring alone.
    fn hmacs(&self) -> hmac::Tag {
        self.step.set(self.step.get() + 1);
        let sign = |key: &[u8], message: &[u8]| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
        };
        let extracted = sign(&[0; 32], &SEED);
        let info = [self.alias.as_str().as_bytes(), &[1]].concat();
        let key = sign(extracted.as_ref(), &info);
        sign(key.as_ref(), &self.step.get().to_be_bytes())
    }
}

/// Key, one-time password, digits. Floor: the three HMACs.
fn numeric() -> Reading {
    let showing = Showing::new();
    batches(50, ROUNDS, || showing.next(), || showing.hmacs())
}

/// The same with both symbols as matrices. Floor: the HMACs, and qrcodegen with the same mask on the same digits.
fn numeric_with_symbols() -> Reading {
    let showing = Showing::new();
    let text = showing.next().digits().to_owned();
    let ours = || -> (Matrix, Matrix) {
        let code = showing.next();
        let square = qr::encode(code.digits(), qr::SHOWN).unwrap();
        (square, code128::encode(code.digits()).unwrap())
    };
    let floor = || {
        let segment = QrSegment::make_numeric(&text);
        (showing.hmacs(), bare_symbol(segment, QrCodeEcc::Quartile))
    };
    batches(5, ROUNDS, ours, floor)
}

/// A fresh cryptogram of a card in its data objects, in base64, as a symbol. Floor: the bare cryptogram, and qrcodegen with
/// the same mask on the same text.
fn cpm_with_symbol() -> Reading {
    let profile = armed::profile();
    let arm = || armed::token("tok_1", &profile, None, AtcBlock::new(0, 65_536));
    let mut token = arm();
    let mut step = 59_847_840_u32;
    let mut present = || loop {
        step += 1;
        match token.present(step.to_be_bytes(), &mut OsRng) {
            Some(presented) => return presented,
            None => token = arm(),
        }
    };
    let armed = arm();
    let application = armed.application().unwrap();
    let write = |presented| cpm::of_card(application, &presented).unwrap();

    let presented = present();
    let key: [u8; 16] = hex::decode(armed::KEY).unwrap().try_into().unwrap();
    // What a reader tells is zeros but for the number: 25 bytes before it in the cryptogram's input.
    let told = [&[0; 25][..], &presented.unpredictable].concat();
    let atc = presented.atc.to_be_bytes();
    // The card's interchange profile (82) for a reader that asks for nothing is zeros as well.
    let input = [&told, &[0; 2][..], &atc, &presented.iad].concat();
    assert_eq!(cryptogram(&key, &input), presented.cryptogram);
    let text = write(presented);

    let ours = || qr::encode(&write(present()), qr::SHOWN).unwrap();
    let floor = || {
        let segment = QrSegment::make_bytes(text.as_bytes());
        (
            cryptogram(&key, &input),
            bare_symbol(segment, QrCodeEcc::Medium),
        )
    };
    batches(5, ROUNDS, ours, floor)
}

fn bare_symbol(segment: QrSegment, level: QrCodeEcc) -> QrCode {
    let mask = match qr::SHOWN {
        Masking::Automatic => None,
        Masking::Fixed(number) => Some(Mask::new(number)),
    };
    let (least, most) = (Version::MIN, Version::MAX);
    QrCode::encode_segments_advanced(&[segment], level, least, most, mask, false).unwrap()
}
