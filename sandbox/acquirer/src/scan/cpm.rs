//! The consumer-presented code (EMV QRCPS, Consumer-Presented Mode): base64 of BER-TLV, taken apart into what the network
//! is asked for a tap. The objects are read by crate `emv`.
//!
//! ```text
//! 85 "CPV01"   61 {4F AID, 50 label, 57 track 2 …} per application   62 {… 64 {9F10, 9F26, 9F36, 9F37}}
//! ```

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use emv::core::tag::Tag;
use emv::core::tlv::Tlv;
use sandbox_kit::bytes;

use super::Scan;
use crate::authorise::Request;

/// The longest code that is read, in characters.
const LONGEST: usize = 512;

const FORMAT: Tag = Tag(0x85);
const APPLICATION: Tag = Tag(0x61);
const COMMON: Tag = Tag(0x62);
const PAYMENT: Tag = Tag(0x64);
const AID: Tag = Tag(0x4F);
const TRACK_2: Tag = Tag(0x57);
const SEQUENCE_NUMBER: Tag = Tag(0x5F34);

/// What the network is sent of the payment, with the lengths that it may have.
const EMV: [(Tag, RangeInclusive<usize>); 4] = [
    (Tag(0x9F10), 1..=32),
    (Tag(0x9F26), 8..=8),
    (Tag(0x9F36), 2..=2),
    (Tag(0x9F37), 4..=4),
];

/// A code that was read.
pub(super) struct CardCode {
    /// In the phone's order, the preferred one first.
    applications: Vec<Application>,
    emv: BTreeMap<String, String>,
}

/// One of the cards' applications that the code offers.
struct Application {
    /// Upper-case hex.
    aid: String,
    token: String,
    /// `YYMM`.
    expiry: String,
    /// Two digits, or nothing where the code does not say.
    psn: String,
}

impl CardCode {
    /// Reads a code; `None` when it is none, or has nothing in it to pay with.
    pub(super) fn read(code: &str) -> Option<Self> {
        if code.len() > LONGEST {
            return None;
        }
        let objects = Tlv::parse_all(&STANDARD.decode(code).ok()?).ok()?;
        let (format, objects) = objects.split_first()?;
        if format.tag() != FORMAT || format.value().as_primitive()? != b"CPV01" {
            return None;
        }
        let common = inside(objects, COMMON)?;
        let payment = inside(common, PAYMENT)?;
        let mut emv = BTreeMap::new();
        for (tag, lengths) in EMV {
            let value = value(payment, tag).filter(|value| lengths.contains(&value.len()))?;
            emv.insert(format!("{:04X}", tag.0), bytes::to_hex(value));
        }
        let applications = objects
            .iter()
            .filter(|object| object.tag() == APPLICATION)
            .map(|object| Application::read(object.value().as_constructed()?, common))
            .collect::<Option<Vec<_>>>()?;
        Some(Self { applications, emv })
    }

    /// What the network is asked, for the first application that terminals here select; `None` when they select none.
    pub(super) fn request(&self, scan: &Scan, aids: &[String]) -> Option<Request> {
        let application = self
            .applications
            .iter()
            .find(|application| aids.contains(&application.aid))?;
        Some(Request {
            trace: scan.trace,
            at: scan.at.clone(),
            amount_minor: scan.amount_minor,
            currency: scan.currency.clone(),
            token: application.token.clone(),
            expiry: application.expiry.clone(),
            psn: application.psn.clone(),
            emv: self.emv.clone(),
        })
    }
}

impl Application {
    fn read(own: &[Tlv], common: &[Tlv]) -> Option<Self> {
        let get = |tag| value(own, tag).or_else(|| value(common, tag));
        let (token, expiry) = track_2(get(TRACK_2)?)?;
        let psn = get(SEQUENCE_NUMBER).map(bytes::to_hex).unwrap_or_default();
        let two_digits = psn.len() == 2 && digits(&psn);
        if !psn.is_empty() && !two_digits {
            return None;
        }
        Some(Self {
            aid: bytes::to_hex(value(own, AID)?),
            token,
            expiry,
            psn,
        })
    }
}

/// The value of the one primitive object with this tag.
fn value(objects: &[Tlv], tag: Tag) -> Option<&[u8]> {
    one(objects, tag)?.value().as_primitive()
}

/// The objects inside the one template with this tag.
fn inside(objects: &[Tlv], tag: Tag) -> Option<&[Tlv]> {
    one(objects, tag)?.value().as_constructed()
}

/// The object with this tag. Twice is as good as never: nobody could say which counts.
fn one(objects: &[Tlv], tag: Tag) -> Option<&Tlv> {
    let mut found = objects.iter().filter(|object| object.tag() == tag);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// Number and expiry out of track 2 equivalent data: number, `D`, `YYMM`, service code, the issuer's own.
fn track_2(track: &[u8]) -> Option<(String, String)> {
    let track = bytes::to_hex(track);
    let (number, rest) = track.split_once('D')?;
    let expiry = rest.get(..4)?;
    let sound = (12..=19).contains(&number.len()) && digits(number) && digits(expiry);
    sound.then(|| (number.to_owned(), expiry.to_owned()))
}

fn digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EMV QRCPS Consumer-Presented Mode 1.1, the example with two applications and a cryptogram; public decoders test with it.
    const SPECIFICATION: &str = "hQVDUFYwMWETTwegAAAAVVVVUAhQcm9kdWN0MWETTwegAAAAZmZmUAhQcm9kdWN0MmJJWggSNFZ4kBI0WF8gDkNBUkRIT0xERVIvRU1WXy0IcnVlc2RlZW5kIZ8QBwYBCgMAAACfJghYT9OF+iNLzJ82AgABnzcEbVjvEw==";

    fn object(tag: &str, value: &str) -> String {
        format!("{tag}{:02X}{value}", value.len() / 2)
    }

    /// A code with this track 2 and what follows it in the application.
    fn code(track: &str, more: &str) -> String {
        let payment = [
            object("9F10", "0B010103A000000106570201"),
            object("9F26", "0011223344556677"),
            object("9F36", "0007"),
            object("9F37", "03912345"),
        ];
        let application = [
            object("4F", "A000000333010101"),
            object("57", track),
            more.to_owned(),
        ];
        let objects = [
            object("85", &bytes::to_hex(b"CPV01")),
            object("61", &application.concat()),
            object("62", &object("64", &payment.concat())),
        ];
        STANDARD.encode(bytes::from_hex(&objects.concat()).unwrap())
    }

    fn scan() -> Scan {
        Scan {
            trace: 7,
            at: "2026-11-22T09:30:00Z".to_owned(),
            code: String::new(),
            amount_minor: 1250,
            currency: "CNY".to_owned(),
            order_id: "A-1".to_owned(),
        }
    }

    #[test]
    fn a_code_becomes_a_request_like_a_tap_s() {
        let read = CardCode::read(&code("6258071234567890D291222000000000", "")).unwrap();
        let aids = ["A000000333010101".to_owned()];
        let request = read.request(&scan(), &aids).unwrap();
        assert_eq!(
            (
                request.token.as_str(),
                request.expiry.as_str(),
                request.psn.as_str()
            ),
            ("6258071234567890", "2912", "")
        );
        assert_eq!(request.emv["9F37"], "03912345");
        assert_eq!(request.emv.len(), 4);
        assert!(read.request(&scan(), &[]).is_none());
        // An odd number with its filler, and the sequence number that some phones add.
        let odd = code("625807123456789012D2912220000000000F", "5F340101");
        let request = CardCode::read(&odd)
            .unwrap()
            .request(&scan(), &aids)
            .unwrap();
        assert_eq!(
            (request.token.as_str(), request.psn.as_str()),
            ("625807123456789012", "01")
        );
    }

    /// The example names the account by tag 5A without an expiry, with which no network is asked for a payment.
    #[test]
    fn the_specification_s_example_is_read_as_far_as_it_goes() {
        let objects = Tlv::parse_all(&STANDARD.decode(SPECIFICATION).unwrap()).unwrap();
        let common = inside(&objects, COMMON).unwrap();
        let payment = inside(common, PAYMENT).unwrap();
        assert_eq!(value(payment, Tag(0x9F36)), Some(&[0, 1][..]));
        assert!(CardCode::read(SPECIFICATION).is_none());
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let good = code("6258071234567890D291222000000000", "");
        assert!(CardCode::read(&good).is_some());
        let bytes = STANDARD.decode(&good).unwrap();
        for end in 0..bytes.len() {
            let cut = STANDARD.encode(&bytes[..end]);
            assert!(CardCode::read(&cut).is_none(), "{end}");
        }
        let nested = (0..63).fold(String::new(), |inner, _| object("61", &inner));
        for odd in [
            code("6258071234567890", ""),
            code("62580A1234567890D291222000000000", ""),
            code("6258071234567890D29F", ""),
            code("6258071234567890D291222000000000", "4F07A0000000041010"),
            code("6258071234567890D291222000000000", "5F340A01"),
            good.replace('=', ""),
            format!("{good}AAAA{}", "A".repeat(512)),
            STANDARD.encode(bytes::from_hex(&nested).unwrap()),
            String::new(),
        ] {
            assert!(CardCode::read(&odd).is_none(), "{odd}");
        }
    }
}
