//! A card made of plain bytes, from public facts about contactless payments, for the kernel to read.

use std::collections::BTreeMap;

use emv::core::oda::CaPublicKey;
use rand_core::OsRng;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};
use sandbox_terminal::card::{Card, CardLost};
use sandbox_terminal::data::{Purchase, TTQ, TTQ_WITH_ODA, TerminalData};
use sandbox_terminal::kernel::Settings;
use sha1::{Digest, Sha1};
use time::macros::datetime;

pub(crate) const TOKEN: &str = "6251640000001239";
pub(crate) const PDOL: &str = "9F66049F02069F03069F1A0295055F2A029A039C019F37049F4E14";
pub(crate) const QUICKPASS: &str = "A000000333010101";

/// Hex, blanks allowed.
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).expect("hex in a test")
}

/// Tag, length, value; all in hex.
pub(crate) fn tlv(tag: &str, value: &str) -> String {
    let value = value.replace(' ', "");
    let length = value.len() / 2;
    match length {
        0..128 => format!("{tag}{length:02X}{value}"),
        128..256 => format!("{tag}81{length:02X}{value}"),
        _ => format!("{tag}82{length:04X}{value}"),
    }
}

/// A card whose answers can be changed before the tap.
pub(crate) struct ScriptedCard {
    /// Answers by command (its first bytes, hex), status word included.
    pub(crate) answers: BTreeMap<String, String>,
    /// The GPO's objects, before the template is put around them.
    pub(crate) options: Vec<(String, String)>,
    /// Everything the terminal sent.
    pub(crate) heard: Vec<String>,
    /// Signs in the GPO's answer, when this card can.
    pub(crate) signer: Option<Signer>,
}

impl ScriptedCard {
    /// A QuickPass card that goes online.
    pub(crate) fn online() -> Self {
        let directory = tlv(
            "61",
            &[
                tlv("4F", QUICKPASS),
                tlv("50", "556E696F6E506179"),
                tlv("87", "01"),
            ]
            .concat(),
        );
        let ppse = tlv(
            "6F",
            &[
                tlv("84", "325041592E5359532E4444463031"),
                tlv("A5", &tlv("BF0C", &directory)),
            ]
            .concat(),
        );
        let fci = tlv(
            "6F",
            &[
                tlv("84", QUICKPASS),
                tlv(
                    "A5",
                    &[tlv("50", "556E696F6E506179"), tlv("9F38", PDOL)].concat(),
                ),
            ]
            .concat(),
        );
        let record = tlv("70", &[tlv("5F24", "291231"), tlv("5A", TOKEN)].concat());
        let option = |tag: &str, value: &str| (tag.to_owned(), value.to_owned());
        Self {
            answers: BTreeMap::from([
                ("00A404000E".into(), ppse + "9000"),
                ("00A4040008".into(), fci + "9000"),
                ("00B2010C".into(), record + "9000"),
            ]),
            options: vec![
                option("82", "0000"),
                option("94", "08010100"),
                option("57", &format!("{TOKEN}D29122200000012345")),
                option("5F34", "01"),
                option("9F10", "0B010103A000000106570201"),
                option("9F26", "1122334455667788"),
                option("9F27", "80"),
                option("9F36", "0007"),
                option("9F6C", "0000"),
            ],
            heard: Vec::new(),
            signer: None,
        }
    }

    /// Changes one object of the GPO's answer; an empty value takes it out.
    pub(crate) fn with(mut self, tag: &str, value: &str) -> Self {
        self.options.retain(|(name, _)| name != tag);
        if !value.is_empty() {
            self.options.push((tag.into(), value.into()));
        }
        self
    }

    fn processing_options(&mut self, command: &[u8]) -> String {
        let mut options = self.options.clone();
        if let Some(signer) = &self.signer {
            let atc = options
                .iter()
                .find(|(tag, _)| tag == "9F36")
                .map(|(_, value)| bytes(value))
                .unwrap_or_default();
            // In the PDOL above: amount at 4, currency at 23, unpredictable number at 29; 7 bytes of command before.
            let asked = |from: usize, length: usize| command[7 + from..7 + from + length].to_vec();
            let input = [
                asked(29, 4),
                asked(4, 6),
                asked(23, 2),
                signer.related.clone(),
            ]
            .concat();
            options.push(("9F4B".into(), hex::encode_upper(signer.sign(&atc, &input))));
        }
        let inner: String = options.iter().map(|(tag, value)| tlv(tag, value)).collect();
        tlv("77", &inner) + "9000"
    }
}

impl Card for ScriptedCard {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardLost> {
        let hex = hex::encode_upper(command);
        self.heard.push(hex.clone());
        let scripted = self
            .answers
            .iter()
            .find(|(start, _)| hex.starts_with(start.as_str()))
            .map(|(_, answer)| answer.clone());
        let answer = match scripted {
            Some(answer) => answer,
            None if hex.starts_with("80A8") => self.processing_options(command),
            None => "6A82".into(),
        };
        Ok(bytes(&answer))
    }
}

/// The card's half of fDDA version 01.
pub(crate) struct Signer {
    key: RsaPrivateKey,
    /// Tag 9F69.
    pub(crate) related: Vec<u8>,
}

impl Signer {
    fn sign(&self, atc: &[u8], input: &[u8]) -> Vec<u8> {
        let size = self.key.size();
        let mut head = vec![0x05, 0x01, 0x03, 0x02];
        head.extend_from_slice(atc);
        head.resize(size - 22, 0xBB);
        recoverable(&self.key, &head, input)
    }
}

/// ISO 9796-2 with SHA-1: `6A ‖ head ‖ hash(head ‖ rest) ‖ BC`, exponentiated.
fn recoverable(key: &RsaPrivateKey, head: &[u8], rest: &[u8]) -> Vec<u8> {
    let hash = Sha1::new().chain_update(head).chain_update(rest).finalize();
    let message = [&[0x6A], head, hash.as_slice(), &[0xBC]].concat();
    assert_eq!(message.len(), key.size());
    let signature = BigUint::from_bytes_be(&message)
        .modpow(key.d(), key.n())
        .to_bytes_be();
    [vec![0; key.size() - signature.len()], signature].concat()
}

/// Certificates for one card under a fresh scheme key; answers the card and the terminal's settings for it.
pub(crate) fn genuine() -> (ScriptedCard, Settings) {
    let new_key =
        |bits| RsaPrivateKey::new_with_exp(&mut OsRng, bits, &BigUint::from(3u8)).expect("a key");
    let (scheme, issuer, own) = (new_key(1408), new_key(1152), new_key(1024));
    let related = bytes("01 A1A2A3A4 0000 00");
    let mut card = ScriptedCard::online()
        .with("82", "2000")
        .with("94", "08010401");

    // The scheme certifies the issuer: 144 bytes of modulus, of which 140 fit.
    let issuer_modulus = issuer.n().to_bytes_be();
    let (inside, remainder) = issuer_modulus.split_at(176 - 36);
    let head = [&bytes("02 62516400 1230 000001 01 01 90 01"), inside].concat();
    let certificate = recoverable(&scheme, &head, &[remainder, &[3]].concat());
    // The issuer certifies the card and its signed record.
    let signed = bytes(&[tlv("5F24", "291231"), tlv("5A", TOKEN)].concat());
    let own_modulus = own.n().to_bytes_be();
    let (own_inside, own_remainder) = own_modulus.split_at(144 - 42);
    let own_head = [
        &bytes(&format!("04 {TOKEN}FFFF 1229 000002 01 01 80 01")),
        own_inside,
    ]
    .concat();
    let own_certificate = recoverable(&issuer, &own_head, &[own_remainder, &[3], &signed].concat());

    let up = |value: &[u8]| hex::encode_upper(value);
    let record = |objects: String| tlv("70", &objects) + "9000";
    card.answers.insert(
        "00B2020C".into(),
        record(
            [
                tlv("8F", "01"),
                tlv("9F32", "03"),
                tlv("92", &up(remainder)),
                tlv("9F47", "03"),
                tlv("9F48", &up(own_remainder)),
            ]
            .concat(),
        ),
    );
    card.answers
        .insert("00B2030C".into(), record(tlv("90", &up(&certificate))));
    card.answers.insert(
        "00B2040C".into(),
        record(
            [
                tlv("9F46", &up(&own_certificate)),
                tlv("9F69", &up(&related)),
            ]
            .concat(),
        ),
    );
    card.signer = Some(Signer { key: own, related });
    let mut settings = settings();
    settings.ca_keys.push(CaPublicKey {
        rid: [0xA0, 0x00, 0x00, 0x03, 0x33],
        index: 1,
        modulus: scheme.n().to_bytes_be(),
        exponent: vec![3],
    });
    (card, settings)
}

/// A terminal that takes QuickPass and has no scheme keys.
pub(crate) fn settings() -> Settings {
    Settings {
        aids: vec![bytes("A0000003330101")],
        ca_keys: Vec::new(),
    }
}

/// 12.50 yuan on 22 November 2026.
pub(crate) fn terminal(oda: bool) -> TerminalData {
    TerminalData::new(&Purchase {
        amount_minor: 1250,
        currency: [0x01, 0x56],
        country: [0x01, 0x56],
        at: datetime!(2026-11-22 10:11:12 UTC),
        unpredictable_number: [1, 2, 3, 4],
        ttq: if oda { TTQ_WITH_ODA } else { TTQ },
        merchant: "Mapo Tofu House".into(),
        mcc: "5812".into(),
        merchant_id: "M1".into(),
        terminal_id: "T1".into(),
    })
}
