//! A card on the screen: its code is taken apart, and its cryptogram checked, by crate `emv`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use emv::core::application_cryptogram::verify_application_cryptogram;
use emv::core::secure_messaging::{derive_session_key_tdes, diversification_for_ac_session_key};
use emv::core::tag::Tag;
use emv::core::tlv::Tlv;
use rand_core::OsRng;
use tapcore::code::cpm;
use tapcore::emv::atc::AtcBlock;
use tapcore::emv::card::{ArmedToken, Card};
use tapcore::emv::profile::CardProfile;

use super::{KEY, armed, bytes, gpo, select};

/// A step of time: 2026-11-23 12:00:00 UTC, in half minutes since 1970.
const STEP: [u8; 4] = [0x03, 0x91, 0x34, 0xA0];

/// The code under the next counter.
fn code(token: &mut ArmedToken) -> String {
    let presented = token.present(STEP, &mut OsRng).unwrap();
    cpm::of_card(token.application().unwrap(), &presented).unwrap()
}

/// The one object with this tag.
fn find(objects: &[Tlv], tag: u32) -> &Tlv {
    let mut found = objects.iter().filter(|object| object.tag() == Tag(tag));
    let object = found.next().unwrap();
    assert!(found.next().is_none(), "{tag:X} twice");
    object
}

fn inside(objects: &[Tlv], tag: u32) -> &[Tlv] {
    find(objects, tag).value().as_constructed().unwrap()
}

fn value(objects: &[Tlv], tag: u32) -> &[u8] {
    find(objects, tag).value().as_primitive().unwrap()
}

#[test]
fn a_code_is_read_and_its_cryptogram_checked_by_others() {
    let mut token = armed(AtcBlock::new(7, 20));
    let objects = Tlv::parse_all(&STANDARD.decode(code(&mut token)).unwrap()).unwrap();
    assert_eq!(value(&objects, 0x85), b"CPV01");
    let application = inside(&objects, 0x61);
    assert_eq!(value(application, 0x4F), bytes("A000000333010101"));
    let track_2 = hex::encode_upper(value(application, 0x57));
    assert!(track_2.starts_with("6258070000001234D2912"), "{track_2}");
    let payment = inside(inside(&objects, 0x62), 0x64);
    assert_eq!(value(payment, 0x9F36), [0, 7]);
    assert_eq!(value(payment, 0x9F37), STEP);

    // Amounts, country, TVR, currency, date, type: all zeros; the step; AIP and counter; the issuer's own data.
    let told = [&[0; 25][..], &STEP].concat();
    let input = [&told, &[0, 0][..], &[0, 7], value(payment, 0x9F10)].concat();
    let cryptogram = value(payment, 0x9F26).try_into().unwrap();
    let key = bytes(KEY).try_into().unwrap();
    assert!(verify_application_cryptogram(&key, &input, cryptogram));
    let later = [&[0; 25][..], &[0x03, 0x91, 0x34, 0xA1], &input[29..]].concat();
    assert!(!verify_application_cryptogram(&key, &later, cryptogram));
}

#[test]
fn a_card_that_pays_by_generate_ac_is_shown_as_well() {
    let profile = include_str!("../fixtures/mastercard.json");
    let mut token = ArmedToken {
        profile: CardProfile::parse(profile).unwrap().into(),
        ..armed(AtcBlock::new(9, 20))
    };
    let objects = Tlv::parse_all(&STANDARD.decode(code(&mut token)).unwrap()).unwrap();
    assert_eq!(value(inside(&objects, 0x61), 0x4F), bytes("A0000000041010"));
    let payment = inside(inside(&objects, 0x62), 0x64);
    let told = [&[0; 25][..], &STEP].concat();
    let input = [&told, &[0x1B, 0x80][..], &[0, 9], value(payment, 0x9F10)].concat();
    let cryptogram = value(payment, 0x9F26).try_into().unwrap();
    let key = bytes(KEY).try_into().unwrap();
    let session = derive_session_key_tdes(&key, &diversification_for_ac_session_key(9));
    assert!(verify_application_cryptogram(&session, &input, cryptogram));
}

/// Where the cryptogram leaves out what a reader is asked for, a reader could tell that and still get a code's cryptogram.
#[test]
fn s29_a_profile_whose_cryptogram_covers_too_little_makes_no_code() {
    let profile = include_str!("../fixtures/quickpass.json");
    for uncovered in [
        "\"9F02\", ",
        "\"9F1A\", ",
        "\"5F2A\", ",
        "\"9A\", ",
        "\"9F37\", ",
    ] {
        let less = profile.replacen(uncovered, "", 1);
        assert_ne!(less, profile);
        let Ok(less) = CardProfile::parse(&less) else {
            // A profile that does not even pay.
            continue;
        };
        let mut token = ArmedToken {
            profile: less.into(),
            ..armed(AtcBlock::new(9, 20))
        };
        assert_eq!(token.present(STEP, &mut OsRng), None, "without {uncovered}");
        assert_eq!(token.atcs.left(), 11, "no counter is taken");
    }
}

#[test]
fn counters_end_and_none_comes_twice() {
    let mut token = armed(AtcBlock::new(7, 9));
    let codes = [code(&mut token), code(&mut token)];
    assert_ne!(codes[0], codes[1]);
    assert_eq!(token.present(STEP, &mut OsRng), None);
}

/// A code's cryptogram covers no amount. A reader that tells a tap just what the code covers, and a step of its choice, must
/// not be given it: it would have a code for tomorrow.
#[test]
fn s29_no_reader_gets_the_cryptogram_of_a_code() {
    let mut card = Card::new(vec![armed(AtcBlock::new(7, 20))], 3);
    assert_eq!(select(&mut card, "A000000333010101").status, 0x9000);
    let nothing = "00000000 000000000000 000000000000 0000 0000000000 0000 000000 00 039134A0 2020202020202020202020202020202020202020";
    let refused = gpo(&mut card, nothing);
    assert_eq!((refused.status, refused.data.len()), (0x6A80, 0));
    assert!(refused.fact.is_none(), "no counter is taken");
    // A reader of nothing in particular, which knows what day it is, is answered.
    let dated = nothing.replace("0000 000000 00 039134A0", "0000 261122 00 039134A0");
    assert_eq!(gpo(&mut card, &dated).status, 0x9000);
}
