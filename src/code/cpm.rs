//! The consumer-presented code (EMV QRCPS, Consumer-Presented Mode 1.1): data objects around a cryptogram, in base64.
//!
//! ```text
//! 85 "CPV01"
//! 61 { 4F AID, 50 label, 57 or 5A … }               one per application
//! 62 { 5A …, 64 { 9F10, 9F26, 9F36, 9F37 } }  what all share; 64 is the payment
//! ```
//! The amount is not in it, and nobody asks the phone anything: so 9F37, the unpredictable number of a tap, carries the
//! step of time ([`super::steps::Step::unpredictable`]), which the issuer takes for as long as a numeric code's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::emv::presented::Presented;
use crate::emv::profile::{Application, tags};
use crate::emv::tlv::{self, Tag};

/// Data objects that only such codes have.
const FORMAT: Tag = Tag::new(0x85);
const COMMON: Tag = Tag::new(0x62);
const PAYMENT: Tag = Tag::new(0x64);

/// The version of the format.
const VERSION: &[u8] = b"CPV01";

/// The longest code that readers take, in characters.
const LONGEST: usize = 512;

/// What an application or the common data may hold beside name and payment, with the greatest length in bytes: track 2
/// equivalent data, application PAN, cardholder name, language preference, issuer URL, application version number, token
/// requestor ID, payment account reference, last four digits of the PAN.
const OBJECTS: [(Tag, usize); 9] = [
    (Tag::new(0x57), 19),
    (Tag::new(0x5A), 10),
    (Tag::new(0x5F20), 26),
    (Tag::new(0x5F2D), 8),
    (Tag::new(0x5F50), 255),
    (Tag::new(0x9F08), 2),
    (Tag::new(0x9F19), 6),
    (Tag::new(0x9F24), 29),
    (Tag::new(0x9F25), 2),
];

/// Why a code cannot be made. All but the last say that the card's profile does not fit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpmError {
    /// No application at all.
    #[error("the card has no application to show in a payment code: add the card again")]
    NoApplication,
    /// A value is empty, too long or has the wrong characters.
    #[error("the card's data object {0} does not fit a payment code: add the card again")]
    Value(Tag),
    /// An object that such codes do not have, or one twice.
    #[error("the card's data object {0} does not belong into a payment code: add the card again")]
    Foreign(Tag),
    /// The whole is longer than readers take.
    #[error(
        "the payment code would have {0} characters, more than readers take: show a numeric code"
    )]
    TooLong(usize),
}

/// One application that the code offers.
#[derive(Clone, Copy, Debug)]
pub struct CpmApplication<'a> {
    /// The application identifier (4F), 5 to 16 bytes.
    pub aid: &'a [u8],
    /// The application label (50), 1 to 16 printable ASCII characters.
    pub label: Option<&'a str>,
    /// Data objects beside these, in the order of the code: with the token's number, never the card's.
    pub objects: &'a [(Tag, &'a [u8])],
}

/// The payment, as a tap's answer has it.
#[derive(Clone, Copy, Debug)]
pub struct CpmPayment<'a> {
    /// Issuer application data (9F10), 1 to 32 bytes.
    pub iad: &'a [u8],
    /// The application cryptogram (9F26).
    pub cryptogram: [u8; 8],
    /// The application transaction counter (9F36).
    pub atc: u16,
    /// The unpredictable number (9F37): the step of time.
    pub unpredictable: [u8; 4],
}

/// A code before it is written.
#[derive(Clone, Copy, Debug)]
pub struct CpmCode<'a> {
    /// The applications, the preferred one first.
    pub applications: &'a [CpmApplication<'a>],
    /// Data objects that all applications share, in the order of the code.
    pub common: &'a [(Tag, &'a [u8])],
    /// The payment. A code without one only says who pays; issuers that want a cryptogram refuse it.
    pub payment: Option<CpmPayment<'a>>,
}

/// The code of one card: its application, the token's track 2, and the cryptogram with what the issuer needs to check it.
///
/// # Errors
/// [`CpmError`] says which value of the card's profile does not fit.
pub fn of_card(application: &Application, presented: &Presented) -> Result<String, CpmError> {
    let code = CpmCode {
        applications: &[CpmApplication {
            aid: application.aid(),
            label: Some(application.label()),
            objects: &[(tags::TRACK_2, &presented.track_2)],
        }],
        common: &[],
        payment: Some(CpmPayment {
            iad: &presented.iad,
            cryptogram: presented.cryptogram,
            atc: presented.atc,
            unpredictable: presented.unpredictable,
        }),
    };
    code.encode()
}

impl CpmCode<'_> {
    /// The code's characters.
    ///
    /// # Errors
    /// [`CpmError`] says which value does not fit.
    pub fn encode(&self) -> Result<String, CpmError> {
        if self.applications.is_empty() {
            return Err(CpmError::NoApplication);
        }
        let mut code = Vec::with_capacity(LONGEST);
        tlv::write(&mut code, FORMAT, VERSION);
        for application in self.applications {
            tlv::write(&mut code, tags::ENTRY, &application.content()?);
        }
        let common = self.common()?;
        if !common.is_empty() {
            tlv::write(&mut code, COMMON, &common);
        }
        let text = STANDARD.encode(code);
        match text.len() <= LONGEST {
            true => Ok(text),
            false => Err(CpmError::TooLong(text.len())),
        }
    }

    fn common(&self) -> Result<Vec<u8>, CpmError> {
        let mut content = Vec::new();
        write_all(&mut content, self.common)?;
        if let Some(payment) = &self.payment {
            let mut objects = Vec::new();
            write(&mut objects, tags::IAD, payment.iad, 1..=32)?;
            tlv::write(&mut objects, tags::CRYPTOGRAM, &payment.cryptogram);
            tlv::write(&mut objects, tags::ATC, &payment.atc.to_be_bytes());
            tlv::write(&mut objects, tags::UNPREDICTABLE, &payment.unpredictable);
            tlv::write(&mut content, PAYMENT, &objects);
        }
        Ok(content)
    }
}

impl CpmApplication<'_> {
    fn content(&self) -> Result<Vec<u8>, CpmError> {
        let mut content = Vec::new();
        write(&mut content, tags::AID, self.aid, 5..=16)?;
        if let Some(label) = self.label {
            if !label.bytes().all(|b| (0x20..0x7F).contains(&b)) {
                return Err(CpmError::Value(tags::LABEL));
            }
            write(&mut content, tags::LABEL, label.as_bytes(), 1..=16)?;
        }
        write_all(&mut content, self.objects)?;
        Ok(content)
    }
}

/// Objects of the known kinds, each once.
fn write_all(out: &mut Vec<u8>, objects: &[(Tag, &[u8])]) -> Result<(), CpmError> {
    for (at, (tag, value)) in objects.iter().enumerate() {
        let known = OBJECTS.iter().find(|(known, _)| known == tag);
        let (_, longest) = known.ok_or(CpmError::Foreign(*tag))?;
        if objects.iter().take(at).any(|(before, _)| before == tag) {
            return Err(CpmError::Foreign(*tag));
        }
        write(out, *tag, value, 1..=*longest)?;
    }
    Ok(())
}

fn write(
    out: &mut Vec<u8>,
    tag: Tag,
    value: &[u8],
    lengths: std::ops::RangeInclusive<usize>,
) -> Result<(), CpmError> {
    match lengths.contains(&value.len()) {
        true => {
            tlv::write(out, tag, value);
            Ok(())
        }
        false => Err(CpmError::Value(tag)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AID: &[u8] = &[0xA0, 0, 0, 0, 0x55, 0x55, 0x55];

    fn application<'a>(aid: &'a [u8], label: Option<&'a str>) -> CpmApplication<'a> {
        CpmApplication {
            aid,
            label,
            objects: &[],
        }
    }

    /// EMV QRCPS Consumer-Presented Mode 1.1, the example with two applications and a cryptogram; npm `steplix-emv-qrcps`
    /// 0.0.8 makes the same characters of the same values.
    #[test]
    fn the_specifications_example_with_a_cryptogram() {
        let code = CpmCode {
            applications: &[
                application(AID, Some("Product1")),
                application(&[0xA0, 0, 0, 0, 0x66, 0x66, 0x66], Some("Product2")),
            ],
            common: &[
                (
                    Tag::new(0x5A),
                    &[0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x58],
                ),
                (Tag::new(0x5F20), b"CARDHOLDER/EMV"),
                (Tag::new(0x5F2D), b"ruesdeen"),
            ],
            payment: Some(CpmPayment {
                iad: &[0x06, 0x01, 0x0A, 0x03, 0, 0, 0],
                cryptogram: [0x58, 0x4F, 0xD3, 0x85, 0xFA, 0x23, 0x4B, 0xCC],
                atc: 1,
                unpredictable: [0x6D, 0x58, 0xEF, 0x13],
            }),
        };
        assert_eq!(
            code.encode().unwrap(),
            "hQVDUFYwMWETTwegAAAAVVVVUAhQcm9kdWN0MWETTwegAAAAZmZmUAhQcm9kdWN0MmJJWggSNFZ4kBI0WF8gDkNBUkRIT0xERVIvRU1W\
             Xy0IcnVlc2RlZW5kIZ8QBwYBCgMAAACfJghYT9OF+iNLzJ82AgABnzcEbVjvEw=="
        );
    }

    /// The same, the example with track 2 equivalent data; public decoders (JPQRReader, EMVCoCpmDecoder) test with it.
    #[test]
    fn the_specifications_example_with_track_2() {
        let track_2 = hex::decode("1234567890123458D191220112345F").unwrap();
        let application = CpmApplication {
            objects: &[(Tag::new(0x57), &track_2)],
            ..application(AID, None)
        };
        let code = CpmCode {
            applications: &[application],
            common: &[],
            payment: None,
        };
        assert_eq!(
            code.encode().unwrap(),
            "hQVDUFYwMWEaTwegAAAAVVVVVw8SNFZ4kBI0WNGRIgESNF8="
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refusal = |applications: &[CpmApplication<'_>], common: &[(Tag, &[u8])]| {
            let payment = None;
            let code = CpmCode {
                applications,
                common,
                payment,
            };
            code.encode().unwrap_err()
        };
        let sound = application(AID, None);
        let value = |number| CpmError::Value(Tag::new(number));
        assert_eq!(refusal(&[], &[]), CpmError::NoApplication);
        assert_eq!(refusal(&[application(&[0xA0], None)], &[]), value(0x4F));
        for label in ["", "seventeen letters", "银联"] {
            let labelled = application(AID, Some(label));
            assert_eq!(refusal(&[labelled], &[]), value(0x50), "{label}");
        }
        let long = CpmApplication {
            objects: &[(Tag::new(0x57), &[0; 20])],
            ..sound
        };
        assert_eq!(refusal(&[long], &[]), value(0x57));
        let number = Tag::new(0x5A);
        assert_eq!(refusal(&[sound], &[(number, &[])]), value(0x5A));
        let twice = [(number, &[1][..]), (number, &[1])];
        assert_eq!(refusal(&[sound], &twice), CpmError::Foreign(number));
        let foreign = [(tags::CRYPTOGRAM, &[0; 8][..])];
        assert_eq!(
            refusal(&[sound], &foreign),
            CpmError::Foreign(tags::CRYPTOGRAM)
        );
        let payment = CpmPayment {
            iad: &[0; 33],
            cryptogram: [0; 8],
            atc: 0,
            unpredictable: [0; 4],
        };
        let code = CpmCode {
            applications: &[sound],
            common: &[],
            payment: Some(payment),
        };
        assert_eq!(code.encode(), Err(value(0x9F10)));
    }

    #[test]
    fn a_code_has_at_most_512_characters() {
        let common: &[(Tag, &[u8])] = &[(Tag::new(0x5F50), &[b'x'; 255])];
        let length = |count: usize| {
            let applications = vec![application(AID, Some("Product1")); count];
            let code = CpmCode {
                applications: &applications,
                common,
                payment: None,
            };
            code.encode().map(|text| text.len())
        };
        // 7 + 21 n + 262 bytes: 384 of them are 512 characters.
        assert_eq!(length(5), Ok(500));
        assert_eq!(length(6), Err(CpmError::TooLong(528)));
    }
}
