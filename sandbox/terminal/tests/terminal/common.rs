//! A card made of plain bytes, from public facts about contactless payments, for the kernel to read.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use emv::core::oda::CaPublicKey;
use rand_core::OsRng;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};
use sandbox_terminal::card::{Card, CardLost};
use sandbox_terminal::data::{Purchase, TerminalData};
use sandbox_terminal::kernel::Settings;
use sha1::{Digest, Sha1};
use time::macros::datetime;

pub(crate) const TOKEN: &str = "6251640000001239";
pub(crate) const PDOL: &str = "9F66049F02069F03069F1A0295055F2A029A039C019F37049F4E14";
pub(crate) const QUICKPASS: &str = "A000000333010101";
pub(crate) const VISA: &str = "A0000000031010";
pub(crate) const MASTERCARD: &str = "A0000000041010";
/// What a Mastercard style card wants to be told; the unpredictable number is at 25.
pub(crate) const CDOL: &str = "9F02069F03069F1A0295055F2A029A039C019F37049F35019F34039F4E14";

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
    /// Objects of the answer to GENERATE AC, in order.
    pub(crate) cryptogram: Vec<(String, String)>,
}

impl ScriptedCard {
    /// A QuickPass card that goes online.
    pub(crate) fn online() -> Self {
        let mut card = Self::named(QUICKPASS, Some(PDOL));
        card.options = objects(&[
            ("82", "0000"),
            ("94", "08010100"),
            ("57", &track2()),
            ("5F34", "01"),
            ("9F10", "0B010103A000000106570201"),
            ("9F26", "1122334455667788"),
            ("9F27", "80"),
            ("9F36", "0007"),
            ("9F6C", "0000"),
        ]);
        card
    }

    /// A Visa style card that goes online.
    pub(crate) fn visa() -> Self {
        let mut card = Self::named(VISA, Some(PDOL));
        card.options = Self::online().options;
        card.with("9F6C", "A000")
    }

    /// A Mastercard style card that goes online; it verifies on the device.
    pub(crate) fn mastercard() -> Self {
        let mut card = Self::named(MASTERCARD, None);
        card.options = objects(&[("82", "1B80"), ("94", "08010101")]);
        card.cryptogram = objects(&[
            ("9F27", "80"),
            ("9F36", "0007"),
            ("9F26", "1122334455667788"),
            ("9F10", "0110A0000000000006570201"),
            ("DF4B", "000000"),
        ]);
        let record = tlv("70", &mastercard_record()) + "9000";
        card.answers.insert("00B2010C".into(), record);
        card
    }

    /// A card with this application, a signed record, and nothing to pay with yet.
    fn named(aid: &str, pdol: Option<&str>) -> Self {
        let entry = [tlv("4F", aid), tlv("50", "43617264"), tlv("87", "01")].concat();
        let directory = tlv("A5", &tlv("BF0C", &tlv("61", &entry)));
        let name = tlv("84", "325041592E5359532E4444463031");
        let ppse = tlv("6F", &[name, directory].concat());
        let pdol = pdol.map(|list| tlv("9F38", list)).unwrap_or_default();
        let proprietary = tlv("A5", &[tlv("50", "43617264"), pdol].concat());
        let fci = tlv("6F", &[tlv("84", aid), proprietary].concat());
        let select = format!("00A40400{:02X}", aid.len() / 2);
        let record = tlv("70", &[tlv("5F24", "291231"), tlv("5A", TOKEN)].concat());
        Self {
            answers: BTreeMap::from([
                ("00A404000E".into(), ppse + "9000"),
                (select, fci + "9000"),
                ("00B2010C".into(), record + "9000"),
            ]),
            options: Vec::new(),
            heard: Vec::new(),
            signer: None,
            cryptogram: Vec::new(),
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

    /// Changes one object of the answer to GENERATE AC where it stands; an empty value takes it out.
    pub(crate) fn with_cryptogram(mut self, tag: &str, value: &str) -> Self {
        for (name, old) in &mut self.cryptogram {
            if name == tag {
                *old = value.into();
            }
        }
        self.cryptogram.retain(|(_, value)| !value.is_empty());
        self
    }

    fn generate_ac(&self, command: &[u8]) -> String {
        let signer = self.signer.as_ref().filter(|_| command[2] & 0x10 != 0);
        let mut answer = self.cryptogram.clone();
        if let Some(signer) = signer {
            let cryptogram = take(&mut answer, "9F26");
            let told = &command[5..5 + usize::from(command[4])];
            let covered = bytes(&encoded(&answer));
            let transaction = Sha1::new().chain_update(told).chain_update(covered);
            // Dynamic data: a number of the card's own, kind of cryptogram, cryptogram, hash of the transaction.
            let dynamic = [
                bytes("08 C1C2C3C4C5C6C7C8 80"),
                bytes(&cryptogram),
                transaction.finalize().to_vec(),
            ]
            .concat();
            let signature = signer.sign(&dynamic, &told[25..29]);
            answer.insert(2, ("9F4B".into(), hex::encode_upper(signature)));
        }
        tlv("77", &encoded(&answer)) + "9000"
    }

    fn processing_options(&mut self, command: &[u8]) -> String {
        let mut options = self.options.clone();
        if let Some(signer) = self.signer.as_ref().filter(|_| self.cryptogram.is_empty()) {
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
            let dynamic = [vec![2], atc].concat();
            options.push((
                "9F4B".into(),
                hex::encode_upper(signer.sign(&dynamic, &input)),
            ));
        }
        tlv("77", &encoded(&options)) + "9000"
    }
}

fn objects(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned()))
        .collect()
}

fn encoded(objects: &[(String, String)]) -> String {
    objects.iter().map(|(tag, value)| tlv(tag, value)).collect()
}

/// Takes an object out of a list.
fn take(objects: &mut Vec<(String, String)>, tag: &str) -> String {
    let at = objects.iter().position(|(name, _)| name == tag);
    objects.remove(at.expect("an object to take")).1
}

fn track2() -> String {
    format!("{TOKEN}D29122200000012345")
}

/// What is signed of a Mastercard style card, besides the AIP that 9F4A names.
fn mastercard_record() -> String {
    [
        tlv("57", &track2()),
        tlv("5A", TOKEN),
        tlv("5F24", "291231"),
        tlv("5F34", "01"),
        tlv("8C", CDOL),
        tlv("9F4A", "82"),
    ]
    .concat()
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
            None if hex.starts_with("80AE") => self.generate_ac(command),
            None => "6A82".into(),
        };
        Ok(bytes(&answer))
    }
}

/// The card's half of offline data authentication.
pub(crate) struct Signer {
    key: RsaPrivateKey,
    /// Tag 9F69, for fDDA.
    pub(crate) related: Vec<u8>,
}

impl Signer {
    fn sign(&self, dynamic: &[u8], input: &[u8]) -> Vec<u8> {
        let size = self.key.size();
        let length = u8::try_from(dynamic.len()).expect("short dynamic data");
        let mut head = [&[0x05, 0x01, length], dynamic].concat();
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

/// The keys of scheme, issuer and card; made once, since that takes a while.
fn keys() -> &'static [RsaPrivateKey; 3] {
    static KEYS: OnceLock<[RsaPrivateKey; 3]> = OnceLock::new();
    KEYS.get_or_init(|| {
        [1408, 1152, 1024].map(|bits| {
            RsaPrivateKey::new_with_exp(&mut OsRng, bits, &BigUint::from(3u8)).expect("a key")
        })
    })
}

/// The records of a card's certificates over `signed` data: key index and what is left of the moduli, issuer, card.
/// `more` goes into the last one.
fn certificates(signed: &str, more: &str) -> [String; 3] {
    let [scheme, issuer, own] = keys();
    // The scheme certifies the issuer: 144 bytes of modulus, of which 140 fit.
    let issuer_modulus = issuer.n().to_bytes_be();
    let (inside, remainder) = issuer_modulus.split_at(176 - 36);
    let head = [&bytes("02 62516400 1230 000001 01 01 90 01"), inside].concat();
    let certificate = recoverable(scheme, &head, &[remainder, &[3]].concat());
    // The issuer certifies the card and its signed record.
    let own_modulus = own.n().to_bytes_be();
    let (own_inside, own_remainder) = own_modulus.split_at(144 - 42);
    let own_head = [
        &bytes(&format!("04 {TOKEN}FFFF 1229 000002 01 01 80 01")),
        own_inside,
    ]
    .concat();
    let rest = [own_remainder, &[3], &bytes(signed)].concat();
    let own_certificate = recoverable(issuer, &own_head, &rest);

    let up = |value: &[u8]| hex::encode_upper(value);
    let keys = [
        tlv("8F", "01"),
        tlv("9F32", "03"),
        tlv("92", &up(remainder)),
        tlv("9F47", "03"),
        tlv("9F48", &up(own_remainder)),
    ];
    let last = [tlv("9F46", &up(&own_certificate)), more.to_owned()];
    [keys.concat(), tlv("90", &up(&certificate)), last.concat()]
        .map(|objects| tlv("70", &objects) + "9000")
}

/// Gives the card its certificates as records 2 to 4; answers it with the settings of a terminal that knows its scheme.
fn certified(
    mut card: ScriptedCard,
    aid: &str,
    signed: &str,
    more: &str,
) -> (ScriptedCard, Settings) {
    for (number, record) in (2..).zip(certificates(signed, more)) {
        card.answers.insert(format!("00B2{number:02}0C"), record);
    }
    let [scheme, _, own] = keys();
    card.signer = Some(Signer {
        key: own.clone(),
        related: bytes("01 A1A2A3A4 0000 00"),
    });
    let mut settings = all_schemes();
    let rid = bytes(aid).get(..5).and_then(|rid| rid.try_into().ok());
    settings.ca_keys.push(CaPublicKey {
        rid: rid.expect("five bytes"),
        index: 1,
        modulus: scheme.n().to_bytes_be(),
        exponent: vec![3],
    });
    (card, settings)
}

/// A QuickPass card that signs, and the terminal's settings for it.
pub(crate) fn genuine() -> (ScriptedCard, Settings) {
    let card = ScriptedCard::online()
        .with("82", "2000")
        .with("94", "08010401");
    let signed = [tlv("5F24", "291231"), tlv("5A", TOKEN)].concat();
    certified(card, QUICKPASS, &signed, &tlv("9F69", "01A1A2A3A4000000"))
}

/// The same of Visa style.
pub(crate) fn genuine_visa() -> (ScriptedCard, Settings) {
    let card = ScriptedCard::visa()
        .with("82", "2000")
        .with("94", "08010401")
        .with("9F6C", "0000");
    let signed = [tlv("5F24", "291231"), tlv("5A", TOKEN)].concat();
    certified(card, VISA, &signed, &tlv("9F69", "01A1A2A3A4000000"))
}

/// The same of Mastercard style.
pub(crate) fn genuine_mastercard() -> (ScriptedCard, Settings) {
    let card = ScriptedCard::mastercard().with("94", "08010401");
    let signed = mastercard_record() + "1B80";
    certified(card, MASTERCARD, &signed, "")
}

/// A terminal that takes QuickPass and has no scheme keys.
pub(crate) fn settings() -> Settings {
    Settings {
        aids: vec![bytes("A0000003330101")],
        ca_keys: Vec::new(),
    }
}

/// A terminal that takes all three schemes and has no scheme keys.
pub(crate) fn all_schemes() -> Settings {
    let mut settings = settings();
    settings.aids.extend([bytes(VISA), bytes(MASTERCARD)]);
    settings
}

/// 12.50 yuan on 22 November 2026.
pub(crate) fn terminal(oda: bool) -> TerminalData {
    terminal_asking(oda, false)
}

/// The same, with what the terminal asks for.
pub(crate) fn terminal_asking(oda: bool, cvm: bool) -> TerminalData {
    TerminalData::new(&Purchase {
        amount_minor: 1250,
        currency: [0x01, 0x56],
        country: [0x01, 0x56],
        at: datetime!(2026-11-22 10:11:12 UTC),
        unpredictable_number: [1, 2, 3, 4],
        oda,
        cvm,
        merchant: "Mapo Tofu House".into(),
        mcc: "5812".into(),
        merchant_id: "M1".into(),
        terminal_id: "T1".into(),
    })
}
