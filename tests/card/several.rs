//! Several tokens in one card: what readers see, in which order, and which one pays.

use rand_core::OsRng;
use tapcore::account::Currency;
use tapcore::emv::atc::AtcBlock;
use tapcore::emv::card::{ArmedToken, Card, Reply};
use tapcore::emv::profile::CardProfile;
use tapcore::token::{Allowance, KeyLimits, Spent, TokenRef};

use super::{ONLINE, armed, bytes, gpo, select, send, value};

const PPSE: &str = "325041592E5359532E4444463031";
const UNIONPAY: &str = "A000000333010101";
const MASTERCARD: &str = "A0000000041010";

fn token(name: &str, profile: &str, first: u32) -> ArmedToken {
    ArmedToken {
        token: TokenRef::new(name),
        profile: CardProfile::parse(profile).unwrap().into(),
        ..armed(AtcBlock::new(first, first + 10))
    }
}

/// Two UnionPay tokens, the second's counter far ahead, and one of another scheme between them.
fn card() -> Card {
    let unionpay = include_str!("../fixtures/quickpass.json");
    let mastercard = include_str!("../fixtures/mastercard.json");
    let tokens = vec![
        token("first", unionpay, 1),
        token("other", mastercard, 50),
        token("second", unionpay, 100),
    ];
    Card::new(tokens, 9)
}

/// Names and priorities in the PPSE, in its order.
fn directory(card: &mut Card) -> Vec<(String, u8)> {
    let answer = select(card, PPSE);
    assert_eq!(answer.status, 0x9000);
    let data = answer.data;
    let mut listed = Vec::new();
    for (at, window) in data.windows(2).enumerate() {
        // An entry begins with its name.
        if window[0] == 0x61 && data.get(at + 2) == Some(&0x4F) {
            let entry = &data[at..at + 2 + usize::from(window[1])];
            let name = value(entry, &[0x4F]).unwrap();
            let priority = value(entry, &[0x87]).unwrap();
            listed.push((hex::encode_upper(name), priority[0]));
        }
    }
    listed
}

fn atc(card: &mut Card, number: &str) -> u8 {
    let answer = gpo(card, &ONLINE.replace("11223344", &number.repeat(4)));
    value(&answer.data, &[0x9F, 0x36]).unwrap()[1]
}

#[test]
fn all_are_listed_each_under_a_name_of_its_own() {
    let mut card = card();
    let names = directory(&mut card);
    let expected = [
        ("A000000333010101", 1),
        ("A000000333010102", 2),
        ("A0000000041010", 3),
        // The same applications again, told apart by a number behind the AID.
        ("A00000033301010102", 4),
        ("A00000033301010202", 5),
    ];
    assert_eq!(
        names,
        expected.map(|(name, priority)| (name.to_owned(), priority))
    );
    // A reader selects by the AID it knows, or by the whole name it was told.
    select(&mut card, UNIONPAY);
    assert_eq!(atc(&mut card, "01"), 1);
    select(&mut card, "A00000033301010102");
    assert_eq!(atc(&mut card, "02"), 100);
    // Or it walks through what begins with the AID.
    select(&mut card, UNIONPAY);
    let next = send(&mut card, &bytes("00A4040208A00000033301010100"));
    let name = value(&next.data, &[0x84]).unwrap();
    assert_eq!(hex::encode_upper(name), "A00000033301010102");
}

#[test]
fn the_default_comes_first_and_an_override_is_alone() {
    let mut card = card();
    card.prefer(vec![TokenRef::new("second")], None);
    assert_eq!(directory(&mut card)[0], (UNIONPAY.to_owned(), 1));
    select(&mut card, UNIONPAY);
    assert_eq!(atc(&mut card, "01"), 100, "the default has the plain name");

    card.prefer(Vec::new(), Some(TokenRef::new("other")));
    assert_eq!(directory(&mut card), [(MASTERCARD.to_owned(), 1)]);
    assert_eq!(select(&mut card, UNIONPAY).status, 0x6A82);
    assert_eq!(select(&mut card, MASTERCARD).status, 0x9000);
    card.prefer(Vec::new(), None);
    assert_eq!(directory(&mut card).len(), 5);
}

#[test]
fn a_change_of_order_in_the_field_goes_on_with_what_was_selected() {
    let mut card = card();
    select(&mut card, UNIONPAY);
    card.prefer(vec![TokenRef::new("other"), TokenRef::new("second")], None);
    assert_eq!(atc(&mut card, "01"), 1);
    // Hidden, it is selected no more.
    card.prefer(Vec::new(), Some(TokenRef::new("other")));
    let told = bytes(ONLINE);
    let apdu = [&[0x80, 0xA8, 0, 0, 0x37, 0x83, 0x35][..], &told, &[0]].concat();
    let (reply, _) = card.process(&apdu, &mut OsRng);
    assert_eq!(reply, Reply::Now(vec![0x69, 0x85]));
}

/// Fifteen cards do not fit into one answer; the first ones are listed, and all can be selected.
#[test]
fn a_directory_is_never_longer_than_an_answer() {
    let unionpay = include_str!("../fixtures/quickpass.json");
    let tokens = (0..15).map(|number| token(&format!("t{number}"), unionpay, number * 20 + 1));
    let mut card = Card::new(tokens.collect(), 9);
    let answer = select(&mut card, PPSE);
    assert!(answer.data.len() <= 256, "{} bytes", answer.data.len());
    assert!(directory(&mut card).len() >= 6);
    assert_eq!(select(&mut card, "A0000003330101010F").status, 0x9000);
}

/// A reader that names another country, or asks for too much, takes nothing from the key but the payments it makes.
#[test]
fn s26_what_does_not_fit_leaves_the_key_for_what_does() {
    let limits = KeyLimits {
        currency: Currency::CNY,
        single_minor: 2_000,
        total_minor: 6_000,
        foreign_uses: 1,
    };
    let unionpay = include_str!("../fixtures/quickpass.json");
    let token = ArmedToken {
        allowance: Allowance::new(Some(limits), Spent::default()),
        ..token("first", unionpay, 1)
    };
    let mut card = Card::new(vec![token], 99);
    select(&mut card, UNIONPAY);
    let mut number = 10;
    let mut pays = |card: &mut Card, amount: &str, country: &str| {
        number += 1;
        let told = ONLINE
            .replace("000000001250", &format!("{amount:0>12}"))
            .replace("000000000000 0156", &format!("000000000000 {country}"))
            .replace("11223344", &format!("{number:08}"));
        gpo(card, &told).status
    };
    assert_eq!(pays(&mut card, "1000", "0344"), 0x9000);
    assert_eq!(pays(&mut card, "1000", "0344"), 0x6985, "once abroad");
    assert_eq!(pays(&mut card, "2001", "0156"), 0x6985, "too much at once");
    assert_eq!(pays(&mut card, "2000", "0156"), 0x9000);
    assert_eq!(card.left(&TokenRef::new("first")), 8, "two have paid");
    assert!(card.take_worn().is_empty());
    assert_eq!(pays(&mut card, "2000", "0156"), 0x9000);
    // 1,000 are left: the next key pays, and this one keeps its uses.
    let told = ONLINE.replace("000000001250", "000000002000");
    let apdu = bytes(&format!("80A80000378335{told}00"));
    let (reply, _) = card.process(&apdu, &mut OsRng);
    assert_eq!(reply, Reply::NotArmed(TokenRef::new("first")));
    assert_eq!(card.take_worn().len(), 1);
    assert_eq!(card.take_spared()[0].2, 7);
}
