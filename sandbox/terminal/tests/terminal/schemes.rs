//! The other schemes: what kernels 2 and 3 ask, and what they make of the answers.

use crate::common::{
    MASTERCARD, ScriptedCard, TOKEN, VISA, all_schemes, bytes, genuine, genuine_mastercard,
    genuine_visa, settings, terminal, tlv,
};
use crate::kernel::{online, reason};
use sandbox_terminal::apdu::Stop;
use sandbox_terminal::entry;
use sandbox_terminal::kernel::{Authentication, Kernel, Outcome, Settings};

fn pay(card: &mut ScriptedCard) -> Result<Outcome, Stop> {
    entry::pay(card, &terminal(false), &all_schemes())
}

fn pay_with_oda(card: &mut ScriptedCard, settings: &Settings) -> Result<Outcome, Stop> {
    entry::pay(card, &terminal(true), settings)
}

#[test]
fn the_registered_provider_names_the_kernel() {
    for (aid, kernel) in [
        (MASTERCARD, Some(Kernel::Two)),
        (VISA, Some(Kernel::Three)),
        ("A000000333010102", Some(Kernel::Seven)),
        ("A0000000251010", None),
        ("A0000000", None),
    ] {
        assert_eq!(Kernel::of(&bytes(aid)), kernel, "{aid}");
    }
    // A terminal takes what its acquirer names, whatever kernels it has.
    let mut card = ScriptedCard::visa();
    let outcome = entry::pay(&mut card, &terminal(false), &settings());
    assert_eq!(reason(outcome), "no_application");
}

#[test]
fn a_visa_style_card_is_asked_by_qualifiers_of_its_own() {
    let mut card = ScriptedCard::visa();
    let cryptogram = online(pay(&mut card));
    assert_eq!(cryptogram.aid, bytes(VISA));
    assert_eq!(cryptogram.emv["9F66"], "20804000");
    assert_eq!(cryptogram.emv["9F6C"], "A000");
    assert!(!cryptogram.signature_wanted && !cryptogram.verified_on_device);
    assert!(card.heard[2].starts_with("80A800003783352080400000000000125"));
}

#[test]
fn a_visa_style_card_proves_that_it_is_genuine() {
    let (mut card, settings) = genuine_visa();
    let cryptogram = online(pay_with_oda(&mut card, &settings));
    assert_eq!(cryptogram.authentication, Authentication::Verified);
    assert_eq!(cryptogram.emv["9F66"], "21804000");
    // The same key under another scheme's provider is no key of this one.
    let (_, other) = genuine();
    assert_eq!(reason(pay_with_oda(&mut card, &other)), "oda_failed");
    // Its qualifiers may let it go online all the same.
    let mut lenient = card.with("9F6C", "A000");
    let cryptogram = online(pay_with_oda(&mut lenient, &other));
    assert_eq!(cryptogram.authentication, Authentication::Failed);
}

#[test]
fn a_mastercard_style_card_answers_generate_ac() {
    let mut card = ScriptedCard::mastercard();
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
    let [_, _, options, record, generate] = card.heard.as_slice() else {
        panic!("{:?}", card.heard);
    };
    assert_eq!(options, "80A8000002830000");
    assert_eq!(record, "00B2010C00");
    // Amounts, country, TVR, currency, date, type, unpredictable number, terminal type, no CVM performed, merchant.
    let told = concat!(
        "000000001250",
        "000000000000",
        "0156",
        "8000000000",
        "0156",
        "261122",
        "00",
        "01020304",
        "22",
        "3F0002",
        "4D61706F20546F667520486F7573652020202020"
    );
    assert_eq!(*generate, format!("80AE800035{told}00"));
    // What the network needs to check the cryptogram, and never the amount.
    for (tag, value) in [
        ("9F03", "000000000000"),
        ("9F1A", "0156"),
        ("95", "8000000000"),
        ("5F2A", "0156"),
        ("9A", "261122"),
        ("9C", "00"),
        ("9F37", "01020304"),
        ("82", "1B80"),
        ("9F36", "0007"),
        ("9F10", "0110A0000000000006570201"),
        ("9F26", "1122334455667788"),
        ("9F34", "3F0002"),
    ] {
        assert_eq!(cryptogram.emv[tag], value, "{tag}");
    }
    assert!(!cryptogram.emv.contains_key("9F02"));
}

#[test]
fn a_pdol_is_no_hindrance_to_kernel_2() {
    let mut card = ScriptedCard::mastercard();
    let fci = [tlv("84", MASTERCARD), tlv("A5", &tlv("9F38", "9F1A02"))].concat();
    card.answers
        .insert("00A4040007".into(), tlv("6F", &fci) + "9000");
    online(pay(&mut card));
    assert_eq!(card.heard[2], "80A80000048302015600");
    // Kernel 3 cannot do without one.
    let mut visa = ScriptedCard::visa();
    let fci = tlv("6F", &[tlv("84", VISA), tlv("A5", "")].concat());
    visa.answers.insert("00A4040007".into(), fci + "9000");
    assert_eq!(reason(pay(&mut visa)), "card_data_missing");
}

#[test]
fn cda_proves_cryptogram_and_transaction() {
    let (mut card, settings) = genuine_mastercard();
    let cryptogram = online(pay_with_oda(&mut card, &settings));
    assert_eq!(cryptogram.authentication, Authentication::Verified);
    assert_eq!(
        cryptogram.arqc,
        bytes("1122334455667788"),
        "out of the signature"
    );
    assert_eq!(cryptogram.emv["95"], "0000000000");
    let generate = card.heard.last().unwrap();
    assert!(generate.starts_with("80AE9000"), "{generate}");

    // A terminal without the scheme's key.
    let outcome = pay_with_oda(&mut card, &all_schemes());
    assert_eq!(reason(outcome), "oda_failed");
    // Every object of the answer is under the signature.
    let whole = {
        let mut card = genuine_mastercard().0;
        let outcome = pay_with_oda(&mut card, &settings);
        online(outcome);
        answer_to(&mut card)
    };
    for (told, other) in [
        ("9F36020007", "9F36020008"),
        ("0110A000000000", "0110A400000000"),
        ("DF4B03000000", "DF4B03001000"),
        ("9F270180", "9F270140"),
    ] {
        assert!(whole.contains(told), "{told} in {whole}");
        let mut forged = genuine_mastercard().0;
        let answer = whole.replacen(told, other, 1);
        forged.answers.insert("80AE".into(), answer);
        let refused = reason(pay_with_oda(&mut forged, &settings));
        let expected = match other {
            "9F270140" => "online_required",
            _ => "oda_failed",
        };
        assert_eq!(refused, expected, "{other}");
    }
    // The same signature for another transaction: another unpredictable number.
    let mut copied = genuine_mastercard().0;
    copied.answers.insert("80AE".into(), whole);
    let outcome = entry::pay(
        &mut copied,
        &terminal(true).with(0x9F37, &[9, 9, 9, 9]),
        &settings,
    );
    assert_eq!(reason(outcome), "oda_failed");
}

#[test]
fn without_cda_where_it_is_asked_for_nothing_goes_online() {
    let (card, settings) = genuine_mastercard();
    // A card that does not offer it is not even asked for a cryptogram.
    let mut plain = card.with("82", "1A80");
    assert_eq!(reason(pay_with_oda(&mut plain, &settings)), "oda_failed");
    assert!(
        plain
            .heard
            .iter()
            .all(|command| !command.starts_with("80AE"))
    );
    // One that offers it and does not sign.
    let mut silent = genuine_mastercard().0;
    silent.signer = None;
    assert_eq!(reason(pay_with_oda(&mut silent, &settings)), "oda_failed");
    // Nobody asks, nobody minds.
    let mut unasked = genuine_mastercard().0;
    let outcome = entry::pay(&mut unasked, &terminal(false), &settings);
    assert_eq!(online(outcome).authentication, Authentication::NotAsked);
}

#[test]
fn each_refusal_of_generate_ac_has_its_word() {
    let card = ScriptedCard::mastercard;
    let answering = |answer: &str| {
        let mut card = card();
        card.answers.insert("80AE".into(), answer.into());
        card
    };
    let mut no_list = card();
    let record = tlv("57", &format!("{TOKEN}D29122200000012345"));
    no_list
        .answers
        .insert("00B2010C".into(), tlv("70", &record) + "9000");
    let aac = || card().with_cryptogram("9F27", "00");
    for (at, (mut card, expected)) in [
        (aac(), "card_declined"),
        (aac().with_cryptogram("DF4B", "000100"), "see_phone"),
        (aac().with_cryptogram("DF4B", ""), "card_declined"),
        (card().with_cryptogram("9F27", "40"), "online_required"),
        (card().with_cryptogram("9F26", ""), "card_data_missing"),
        (card().with_cryptogram("9F10", ""), "card_data_missing"),
        (card().with_cryptogram("DF4B", "0000"), "card_data_invalid"),
        (card().with("82", "1B00"), "card_data_invalid"),
        (no_list, "card_data_missing"),
        (answering("6985"), "card_refused"),
        (answering("6986"), "see_phone"),
        (answering("77029F279000"), "card_data_invalid"),
        (answering("80029F279000"), "card_data_invalid"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(reason(pay(&mut card)), expected, "case {at}");
    }
    // With CDA asked for, an AAC is an AAC and not a failed signature.
    let (card, settings) = genuine_mastercard();
    let mut declined = card.with_cryptogram("9F27", "00");
    declined.signer = None;
    assert_eq!(
        reason(pay_with_oda(&mut declined, &settings)),
        "card_declined"
    );
}

/// The card's answer to the GENERATE AC that it heard last.
fn answer_to(card: &mut ScriptedCard) -> String {
    use sandbox_terminal::card::Card;
    let command = bytes(card.heard.last().unwrap());
    hex::encode_upper(card.transmit(&command).unwrap())
}
