//! Numbers that a seed decides, and codes made of them.

use tapcore::code::cpm::{CpmApplication, CpmCode, CpmPayment};
use tapcore::code::{Alias, CodeFormat, numeric};
use tapcore::emv::tlv::Tag;
use tapcore::secret::Secret;

use crate::Failure;

/// Steele, Lea and Flood's SplitMix64, which takes any seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| {
            let [first, ..] = self.number().to_be_bytes();
            first
        })
    }

    fn digits(&mut self, count: u8) -> String {
        let digits = (0..count).map(|_| self.number() % 10);
        digits.map(|digit| digit.to_string()).collect()
    }
}

/// A numeric code, and what it was made of.
pub(crate) struct Numeric {
    pub(crate) seed: [u8; 32],
    pub(crate) alias: String,
    pub(crate) step: u64,
    pub(crate) digits: String,
}

/// A code of a random device, alias and step of time.
pub(crate) fn numeric_code(random: &mut Random, format: &CodeFormat) -> Result<Numeric, Failure> {
    let seed = random.bytes();
    let digits = random.digits(format.alias_digits());
    let alias = Alias::try_from(digits.clone())?;
    // Some four thousand years of steps: as far as `oathtool` reads times.
    let step = random.number() % (1 << 32);
    let key = numeric::code_key(&Secret::new(seed), &alias)?;
    let code = numeric::encode(format, &key, &alias, step)?;
    Ok(Numeric {
        seed,
        alias: digits,
        step,
        digits: code.digits().to_owned(),
    })
}

/// A consumer-presented code, and its objects.
pub(crate) struct Presented {
    pub(crate) text: String,
    pub(crate) objects: serde_json::Value,
}

/// A code of 200 characters: what a token's profile usually has, with values that mean nothing.
pub(crate) fn presented_code(random: &mut Random) -> Result<Presented, Failure> {
    let aid = [0xA0_u8, 0, 0, 0x03, 0x33, 1, 1, 2];
    let track_2 = random.bytes::<19>();
    let reference = random.bytes::<29>();
    let (requestor, last_digits) = (random.bytes::<6>(), random.bytes::<2>());
    let iad = random.bytes::<24>();
    let cryptogram = random.bytes();
    let (counter, unpredictable) = (random.bytes(), random.bytes());
    let code = CpmCode {
        applications: &[CpmApplication {
            aid: &aid,
            label: Some("UnionPay"),
            objects: &[(Tag::new(0x57), &track_2)],
        }],
        common: &[
            (Tag::new(0x9F24), &reference),
            (Tag::new(0x9F19), &requestor),
            (Tag::new(0x9F25), &last_digits),
        ],
        payment: Some(CpmPayment {
            iad: &iad,
            cryptogram,
            atc: u16::from_be_bytes(counter),
            unpredictable,
        }),
    };
    Ok(Presented {
        text: code.encode()?,
        objects: serde_json::json!({
            "85": shown(b"CPV01"),
            "61": { "4F": shown(&aid), "50": shown(b"UnionPay"), "57": shown(&track_2) },
            "62": {
                "9F24": shown(&reference),
                "9F19": shown(&requestor),
                "9F25": shown(&last_digits),
                "64": {
                    "9F10": shown(&iad),
                    "9F26": shown(&cryptogram),
                    "9F36": shown(&counter),
                    "9F37": shown(&unpredictable),
                },
            },
        }),
    })
}

/// Bytes as JSON has them here.
pub(crate) fn shown(bytes: &[u8]) -> String {
    hex::encode_upper(bytes)
}
