//! Entry point and kernel against a card made of plain bytes.

use crate::common::{
    PDOL, QUICKPASS, ScriptedCard, TOKEN, bytes, genuine, settings, terminal, tlv,
};
use sandbox_terminal::apdu::Stop;
use sandbox_terminal::card::{Card, CardLost};
use sandbox_terminal::entry;
use sandbox_terminal::kernel::{Authentication, Cryptogram, Outcome, Settings};

fn pay(card: &mut ScriptedCard) -> Result<Outcome, Stop> {
    entry::pay(card, &terminal(false), &settings())
}

pub(crate) fn online(outcome: Result<Outcome, Stop>) -> Cryptogram {
    match outcome {
        Ok(Outcome::Online(cryptogram)) => cryptogram,
        other => panic!("the kernel does not go online: {other:?}"),
    }
}

/// The reason of a decline, with or without a cryptogram.
pub(crate) fn reason(outcome: Result<Outcome, Stop>) -> &'static str {
    match outcome {
        Err(Stop::Declined(decline) | Stop::NextApplication(decline))
        | Ok(Outcome::Declined(decline, _)) => decline.reason,
        other => panic!("not declined: {other:?}"),
    }
}

#[test]
fn a_card_goes_online_with_what_the_network_needs() {
    let mut card = ScriptedCard::online();
    let cryptogram = online(pay(&mut card));
    assert_eq!(
        (
            cryptogram.token.as_str(),
            cryptogram.expiry.as_str(),
            cryptogram.psn.as_str(),
            cryptogram.atc
        ),
        (TOKEN, "2912", "01", 7)
    );
    assert_eq!(cryptogram.arqc, bytes("1122334455667788"));
    assert_eq!(cryptogram.authentication, Authentication::NotAsked);
    assert!(
        !cryptogram.emv.contains_key("9F02"),
        "the network derives the amount itself"
    );
    for (tag, value) in [
        ("9F37", "01020304"),
        ("9A", "261122"),
        ("9F66", "66800000"),
        ("82", "0000"),
        ("9F36", "0007"),
        ("95", "0000000000"),
    ] {
        assert_eq!(
            cryptogram.emv.get(tag).map(String::as_str),
            Some(value),
            "{tag}"
        );
    }
    assert_eq!(
        card.heard.len(),
        4,
        "PPSE, application, options, one record"
    );
    let options = card.heard.get(2).unwrap();
    assert!(
        options.starts_with("80A8000037833566800000000000001250"),
        "{options}"
    );
    assert!(
        options.ends_with("4D61706F20546F667520486F757365202020202000"),
        "{options}"
    );
}

#[test]
fn the_highest_priority_comes_first_and_6985_leads_to_the_next() {
    let entry =
        |aid: &str, priority: &str| tlv("61", &[tlv("4F", aid), tlv("87", priority)].concat());
    let list = [
        entry("A000000333010103", "00"),
        entry("A000000333010102", "02"),
        entry(QUICKPASS, "01"),
        entry("A0000000031010", "01"),
    ]
    .concat();
    let fci = |aid: &str| {
        tlv(
            "6F",
            &[tlv("84", aid), tlv("A5", &tlv("9F38", PDOL))].concat(),
        ) + "9000"
    };
    let mut card = ScriptedCard::online();
    card.answers.insert(
        "00A404000E".into(),
        tlv("6F", &tlv("A5", &tlv("BF0C", &list))) + "9000",
    );
    card.answers
        .insert("00A4040008A000000333010101".into(), "6A82".into());
    card.answers
        .insert("00A4040008A000000333010102".into(), fci("A000000333010102"));
    card.answers
        .insert("00A4040008A000000333010103".into(), fci("A000000333010103"));
    card.answers.remove("00A4040008");
    card.answers.insert("80A8".into(), "6985".into());
    assert_eq!(reason(pay(&mut card)), "card_refused");
    let order: Vec<&str> = card
        .heard
        .iter()
        .filter_map(|command| command.strip_prefix("00A4040008"))
        .collect();
    assert_eq!(
        order,
        [
            "A00000033301010100",
            "A00000033301010200",
            "A00000033301010300"
        ]
    );
}

#[test]
fn each_refusal_has_its_word() {
    let with_answer = |command: &str, answer: &str| {
        let mut card = ScriptedCard::online();
        card.answers.insert(command.into(), answer.into());
        card
    };
    let cases: [(ScriptedCard, &str); 18] = [
        (with_answer("00A404000E", "6A82"), "no_application"),
        (with_answer("00A404000E", "6F009000"), "no_application"),
        (
            with_answer("00A4040008", "6F02A5009000"),
            "card_data_missing",
        ),
        (with_answer("80A8", "6986"), "see_phone"),
        (with_answer("80A8", "6984"), "card_refused"),
        (with_answer("80A8", "80029000"), "card_data_invalid"),
        (with_answer("00B2010C", "6A83"), "card_data_invalid"),
        (
            with_answer("00B2010C", "70039F36029000"),
            "card_data_invalid",
        ),
        (ScriptedCard::online().with("9F26", ""), "card_data_missing"),
        (ScriptedCard::online().with("57", ""), "card_data_missing"),
        (
            ScriptedCard::online().with("9F26", "11223344"),
            "card_data_invalid",
        ),
        (
            ScriptedCard::online().with("57", "6251640000001239D29120"),
            "card_data_invalid",
        ),
        (
            ScriptedCard::online().with("57", "6251640000001247D29122200000012345"),
            "card_data_invalid",
        ),
        (
            ScriptedCard::online().with("94", "0001"),
            "card_data_invalid",
        ),
        (
            ScriptedCard::online().with("94", "0801FF00"),
            "card_data_invalid",
        ),
        (ScriptedCard::online().with("9F27", "00"), "card_declined"),
        (ScriptedCard::online().with("9F27", "40"), "online_required"),
        (
            ScriptedCard::online().with("5A", "6251640000001247"),
            "card_data_invalid",
        ),
    ];
    for (at, (mut card, expected)) in cases.into_iter().enumerate() {
        assert_eq!(reason(pay(&mut card)), expected, "case {at}");
    }
}

#[test]
fn expiry_and_verification_follow_the_cards_qualifiers() {
    let expired = || {
        let mut card = ScriptedCard::online().with("57", &format!("{TOKEN}D26102200000012345"));
        card.answers.insert(
            "00B2010C".into(),
            tlv("70", &tlv("5F24", "261031")) + "9000",
        );
        card
    };
    assert_eq!(reason(pay(&mut expired())), "application_expired");
    online(pay(&mut expired().with("9F6C", "0800")));
    // A PIN where the reader asks for verification; it does not.
    online(pay(&mut ScriptedCard::online().with("9F6C", "8000")));
    assert!(online(pay(&mut ScriptedCard::online().with("9F6C", "0080"))).verified_on_device);
    assert!(online(pay(&mut ScriptedCard::online().with("9F6C", "4000"))).signature_wanted);
}

#[test]
fn a_genuine_card_is_told_from_a_copied_one() {
    let (mut card, settings) = genuine();
    let ask =
        |card: &mut ScriptedCard, settings: &Settings| entry::pay(card, &terminal(true), settings);
    assert_eq!(
        online(ask(&mut card, &settings)).authentication,
        Authentication::Verified
    );
    assert!(
        card.heard
            .iter()
            .any(|command| command.starts_with("80A80000378335668000800000"))
    );

    // A terminal without the scheme's key, and one that does not ask.
    assert_eq!(
        reason(ask(&mut card, &crate::common::settings())),
        "oda_failed"
    );
    assert_eq!(
        online(entry::pay(&mut card, &terminal(false), &settings)).authentication,
        Authentication::NotAsked
    );

    // Qualifiers other than the signed ones: the card would switch off its own protection.
    let mut turned = card.with("9F6C", "0080");
    assert_eq!(reason(ask(&mut turned, &settings)), "oda_failed");
    // A card that wants to go online when the check fails does so, and the result says what happened.
    let mut lenient = turned.with("9F6C", "2000");
    assert_eq!(
        online(ask(&mut lenient, &settings)).authentication,
        Authentication::Failed
    );

    // One byte of the signed record wrong.
    let mut forged = lenient.with("9F6C", "0000");
    assert_eq!(
        online(ask(&mut forged, &settings)).authentication,
        Authentication::Verified
    );
    forged.answers.insert(
        "00B2010C".into(),
        tlv("70", &[tlv("5F24", "291230"), tlv("5A", TOKEN)].concat()) + "9000",
    );
    assert_eq!(reason(ask(&mut forged, &settings)), "oda_failed");

    // A card that has no signature to give.
    assert_eq!(
        reason(ask(&mut ScriptedCard::online(), &settings)),
        "oda_failed"
    );
}

#[test]
fn a_card_that_leaves_is_no_decline() {
    struct Gone;
    impl Card for Gone {
        fn transmit(&mut self, _: &[u8]) -> Result<Vec<u8>, CardLost> {
            Err(CardLost("gone".into()))
        }
    }
    assert_eq!(
        entry::pay(&mut Gone, &terminal(false), &settings()),
        Err(Stop::Lost(CardLost("gone".into())))
    );
}

#[test]
fn no_answer_of_a_card_is_too_strange() {
    // Every answer of a good conversation, cut short, lengthened and with each byte turned: an outcome, never a panic.
    let good = ["00A404000E", "00A4040008", "00B2010C"];
    for command in good {
        let whole = ScriptedCard::online()
            .answers
            .get(command)
            .cloned()
            .unwrap();
        for at in 0..whole.len() / 2 {
            let mut changed = bytes(&whole);
            changed[at] ^= 0xFF;
            let mut card = ScriptedCard::online();
            card.answers
                .insert(command.into(), hex::encode_upper(&changed));
            let _ = pay(&mut card);
            card.answers.insert(command.into(), whole[..at * 2].into());
            let _ = pay(&mut card);
        }
    }
}
