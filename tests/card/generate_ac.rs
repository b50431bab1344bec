//! A card that pays by GENERATE AC (Kernel 2 style): session keys, CDA, declining, and the person sent to the phone.

use emv::core::application_cryptogram::application_cryptogram as foreign_cryptogram;
use emv::core::oda::{IccPublicKey, verify_cda};
use emv::core::secure_messaging::{derive_session_key_tdes, diversification_for_ac_session_key};
use rand_core::OsRng;
use tapcore::account::{Currency, Money};
use tapcore::emv::atc::AtcBlock;
use tapcore::emv::card::{ArmedToken, Card, Fact, Reply};
use tapcore::emv::profile::{CardProfile, Decision};
use tapcore::emv::verification::{Consent, Covers, VerificationRule, VerifiedKey};
use tapcore::secret::Secret;
use tapcore::token::{Allowance, KeyLimits, Spent, TokenRef};

use super::{Exchange, KEY, MODULUS, armed, bytes, read, select, send, value};

const PROFILE: &str = include_str!("../fixtures/mastercard.json");
const AID: &str = "A0000000041010";
/// What the CDOL asks for: amounts, country, TVR, currency, date, type, unpredictable number, terminal type, CVM results,
/// merchant.
const TOLD: &str = "000000001250 000000000000 0156 0000008000 0156 261122 00 11223344 22 1F0302 4D61706F20546F667520486F7573652020202020";
const ARQC: u8 = 0x80;
const ARQC_WITH_CDA: u8 = 0x90;
const AAC: u8 = 0x00;

fn token() -> ArmedToken {
    ArmedToken {
        profile: CardProfile::parse(PROFILE).unwrap().into(),
        ..armed(AtcBlock::new(7, 20))
    }
}

fn card() -> Card {
    Card::new(vec![token()], 3)
}

/// SELECT, GPO, and the records of the AFL.
fn begin(card: &mut Card) {
    let fci = select(card, AID);
    assert_eq!(fci.status, 0x9000);
    assert!(value(&fci.data, &[0x9F, 0x38]).is_none(), "no PDOL");
    let options = send(card, &bytes("80A8000002830000"));
    assert_eq!(hex::encode_upper(&options.data), "770A82021B80940408010401");
    for number in 1..=4 {
        assert_eq!(read(card, 1, number).status, 0x9000);
    }
}

fn generate_ac(card: &mut Card, p1: u8, told: &str) -> Exchange {
    let told = bytes(told);
    let length = u8::try_from(told.len()).unwrap();
    send(
        card,
        &[&[0x80, 0xAE, p1, 0x00, length][..], &told, &[0x00]].concat(),
    )
}

/// The cryptogram by crate `emv`: the session key of the limited-use key, over what the profile says.
fn expected(atc: u16, iad: &[u8]) -> [u8; 8] {
    let told = bytes(TOLD);
    let session = derive_session_key_tdes(
        &bytes(KEY).try_into().unwrap(),
        &diversification_for_ac_session_key(atc),
    );
    let input = [&told[..29], &[0x1B, 0x80], &atc.to_be_bytes(), iad].concat();
    foreign_cryptogram(&session, &input)
}

#[test]
fn an_online_request_under_a_session_key() {
    let mut card = card();
    begin(&mut card);
    let answer = generate_ac(&mut card, ARQC, TOLD);
    assert_eq!(answer.status, 0x9000);
    assert_eq!(value(&answer.data, &[0x9F, 0x27]).unwrap(), [0x80]);
    let iad = value(&answer.data, &[0x9F, 0x10]).unwrap();
    assert_eq!(hex::encode_upper(&iad), "0110A0000000000006570201");
    let cryptogram = value(&answer.data, &[0x9F, 0x26]).unwrap();
    assert_eq!(cryptogram, expected(7, &iad));
    let Some(Fact::Cryptogram(fact)) = answer.fact else {
        panic!("the cryptogram is not handed to the journal")
    };
    assert_eq!(fact.asked.money.minor, 1250);
    assert_eq!(fact.asked.merchant.as_deref(), Some("Mapo Tofu House"));
    assert_eq!(fact.decision, Decision::Online { verified: false });
}

/// The signature as crate `emv` checks it (EMV Book 2, 6.6.2): dynamic data, cryptogram and the hash of everything said.
#[test]
fn cda_over_the_whole_exchange() {
    let mut card = card();
    begin(&mut card);
    let answer = generate_ac(&mut card, ARQC_WITH_CDA, TOLD);
    assert!(answer.data.len() < 256, "{} bytes", answer.data.len());
    assert!(value(&answer.data, &[0x9F, 0x26]).is_none());
    let signature = value(&answer.data, &[0x9F, 0x4B]).unwrap();
    let at = answer.data.windows(3).position(|w| w == [0x9F, 0x4B, 0x81]);
    let at = at.unwrap();
    let rest = [
        &answer.data[3..at],
        &answer.data[at + 4 + signature.len()..],
    ]
    .concat();
    let key = IccPublicKey {
        modulus: bytes(MODULUS),
        exponent: vec![3],
        hash_algorithm_indicator: 1,
        algorithm_indicator: 1,
        application_pan: [0xFF; 10],
        expiration_mmyy: [0x12, 0x29],
        serial_number: [0; 3],
    };
    let number = [0x11, 0x22, 0x33, 0x44];
    let said = [bytes(TOLD), rest].concat();
    let verified = verify_cda(&key, &signature, number, &said, 0x80).unwrap();
    let iad = value(&answer.data, &[0x9F, 0x10]).unwrap();
    assert_eq!(verified.application_cryptogram, expected(7, &iad));
    assert!(verify_cda(&key, &signature, [0; 4], &said, 0x80).is_err());
    assert!(verify_cda(&key, &signature, number, &said[1..], 0x80).is_err());
    assert!(verify_cda(&key, &signature, number, &said, 0x40).is_err());
}

#[test]
fn the_same_request_again_is_answered_the_same_and_another_needs_a_new_gpo() {
    let mut card = card();
    begin(&mut card);
    let first = generate_ac(&mut card, ARQC, TOLD);
    assert_eq!(generate_ac(&mut card, ARQC, TOLD).data, first.data);
    let other = TOLD.replace("11223344", "55667788");
    assert_eq!(generate_ac(&mut card, ARQC, &other).status, 0x6985);
    assert_eq!(generate_ac(&mut card, AAC, TOLD).status, 0x6985);
    begin(&mut card);
    let second = generate_ac(&mut card, ARQC, &other);
    assert_eq!(value(&second.data, &[0x9F, 0x36]).unwrap(), [0, 8]);
    assert_eq!(card.tokens()[0].atcs.left(), 11);
}

#[test]
fn a_reader_that_declines_gets_an_aac_which_pays_nothing() {
    let mut card = card();
    begin(&mut card);
    let answer = generate_ac(&mut card, AAC, TOLD);
    assert_eq!(value(&answer.data, &[0x9F, 0x27]).unwrap(), [0x00]);
    let iad = value(&answer.data, &[0x9F, 0x10]).unwrap();
    assert_eq!(
        hex::encode_upper(&iad[2..8]),
        "800000000000",
        "the issuer can tell"
    );
    let Some(Fact::Cryptogram(fact)) = answer.fact else {
        panic!("the counter is not handed to the journal")
    };
    assert_eq!(fact.decision, Decision::Declined);
}

#[test]
fn s30_the_person_is_sent_to_the_phone_and_taps_again() {
    let mut card = card();
    card.set_rule(VerificationRule::Always);
    begin(&mut card);
    let told = bytes(TOLD);
    let length = u8::try_from(told.len()).unwrap();
    let apdu = [&[0x80, 0xAE, ARQC, 0x00, length][..], &told, &[0x00]].concat();
    let (reply, facts) = card.process(&apdu, &mut OsRng);
    let Reply::Now(answer) = reply else {
        panic!("the card is not armed")
    };
    assert_eq!(value(&answer, &[0x9F, 0x27]).unwrap(), [0x00]);
    // Byte 2, bit 1: verification on the phone is wanted.
    assert_eq!(value(&answer, &[0xDF, 0x4B]).unwrap(), [0x00, 0x01, 0x00]);
    assert!(matches!(facts.last(), Some(Fact::PersonWanted { .. })));

    card.forget_field();
    let money = Money {
        minor: 1250,
        currency: Currency::CNY,
    };
    card.permit(Consent {
        covers: Covers::Exactly(money),
        keys: vec![VerifiedKey {
            token: TokenRef::new("tok_1"),
            key: Secret::from_hex(KEY).unwrap(),
            key_index: "6570300".to_owned().try_into().unwrap(),
            allowance: Allowance::default(),
        }],
    });
    begin(&mut card);
    let answer = generate_ac(&mut card, ARQC, TOLD);
    assert_eq!(value(&answer.data, &[0x9F, 0x27]).unwrap(), [0x80]);
    // Byte 2, bit 5: it was successful.
    assert_eq!(
        value(&answer.data, &[0xDF, 0x4B]).unwrap(),
        [0x00, 0x10, 0x00]
    );
    let iad = value(&answer.data, &[0x9F, 0x10]).unwrap();
    assert_eq!(hex::encode_upper(&iad), "0110A4000000000006570300");
    assert_eq!(
        value(&answer.data, &[0x9F, 0x26]).unwrap(),
        expected(8, &iad)
    );
    assert_eq!(
        card.take_spared().len(),
        1,
        "the phone's own key gave a use that it gets back"
    );
}

#[test]
fn what_does_not_fit_gets_its_status_word() {
    let mut card = card();
    let short = "80AE800004112233440000";
    assert_eq!(send(&mut card, &bytes(short)).status, 0x6985, "no SELECT");
    select(&mut card, AID);
    assert_eq!(generate_ac(&mut card, ARQC, TOLD).status, 0x6985, "no GPO");
    begin(&mut card);
    assert_eq!(send(&mut card, &bytes(short)).status, 0x6700);
    assert_eq!(generate_ac(&mut card, 0xC0, TOLD).status, 0x6A86);
    let longer = format!("{TOLD}0011");
    assert_eq!(generate_ac(&mut card, ARQC, &longer).status, 0x9000);
}

/// Cardholder verification by the device: the reader takes any answer that pays for a verified one, so nobody pays so
/// unverified, whatever the provider's rule.
#[test]
fn s30_a_reader_that_leaves_verification_to_the_phone_gets_no_unverified_payment() {
    let mut card = card();
    begin(&mut card);
    let left_to_the_phone = TOLD.replace("1F0302", "010002");
    let answer = generate_ac(&mut card, ARQC, &left_to_the_phone);
    assert_eq!(value(&answer.data, &[0x9F, 0x27]).unwrap(), [0x00]);
    assert_eq!(
        value(&answer.data, &[0xDF, 0x4B]).unwrap(),
        [0x00, 0x01, 0x00]
    );
    for other in ["3F0002", "1F0302", "020300"] {
        card.forget_field();
        begin(&mut card);
        let answer = generate_ac(&mut card, ARQC, &TOLD.replace("1F0302", other));
        assert_eq!(
            value(&answer.data, &[0x9F, 0x27]).unwrap(),
            [0x80],
            "{other}"
        );
    }
}

#[test]
fn a_payment_above_the_limits_is_declined_in_the_schemes_own_way() {
    let limits = KeyLimits {
        currency: Currency::CNY,
        single_minor: 1_000,
        total_minor: 1_000,
        foreign_uses: 0,
    };
    let token = ArmedToken {
        allowance: Allowance::new(Some(limits), Spent::default()),
        ..token()
    };
    let mut card = Card::new(vec![token], 3);
    begin(&mut card);
    let answer = generate_ac(&mut card, ARQC, TOLD);
    assert_eq!(value(&answer.data, &[0x9F, 0x27]).unwrap(), [0x00]);
    assert_eq!(value(&answer.data, &[0xDF, 0x4B]).unwrap(), [0; 3]);
    assert_eq!(
        card.take_worn(),
        [],
        "nothing is burnt by asking for too much"
    );
}
