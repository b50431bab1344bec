//! Whatever profile is taken can be tapped: every application answers in full and within a short answer.

#![no_main]

#[path = "../../tests/fixtures/armed.rs"]
mod armed;

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rand_core::OsRng;
use tapcore::emv::atc::AtcBlock;
use tapcore::emv::card::{Card, Reply};
use tapcore::emv::dol::Dol;
use tapcore::emv::oda::CardKey;
use tapcore::emv::profile::CardProfile;
use tapcore::emv::tlv::Tag;

static KEY: LazyLock<Arc<CardKey>> = LazyLock::new(|| armed::card_key(&armed::rsa_key()));

fuzz_target!(|data: &[u8]| {
    let Some(profile) = std::str::from_utf8(data)
        .ok()
        .and_then(|json| CardProfile::parse(json).ok())
    else {
        return;
    };
    // As provisioning does it: a key whose signature does not fit is refused with the profile.
    if profile.signs() && profile.check_signature(KEY.size()).is_err() {
        return;
    }
    let profile = Arc::new(profile);
    let token = armed::token("tok_1", &profile, Some(&*KEY), AtcBlock::new(0, 1_000));
    let mut card = Card::new(vec![token], 255);
    send(&mut card, armed::PPSE);
    // A few of them say as much as all.
    for application in profile.applications().iter().take(8) {
        let aid = application.aid();
        let length = u8::try_from(aid.len()).expect("an AID has at most 16 bytes");
        let select = [&[0x00, 0xA4, 0x04, 0x00, length][..], aid, &[0x00]].concat();
        let fci = send(&mut card, &select);
        assert!(
            fci.ends_with(&[0x90, 0x00]),
            "an application cannot be selected"
        );
        if armed::value(&fci, [0x9F, 0x38]).is_none() {
            generate_ac(&mut card, &profile);
            continue;
        }
        for qualifiers in [armed::ONLINE, armed::FDDA, [0xFF; 4]] {
            let Some(options) = options(&fci, qualifiers) else {
                continue;
            };
            send(&mut card, &options);
            for (sfi, number) in (1..=30).flat_map(|sfi| (1..=4).map(move |number| (sfi, number))) {
                send(&mut card, &[0x00, 0xB2, number, sfi << 3 | 0x04, 0x00]);
            }
        }
    }
});

/// A card without a PDOL pays by GENERATE AC: an online request, with CDA and without, and a refusal.
fn generate_ac(card: &mut Card, profile: &CardProfile) {
    let length = profile.payment_length();
    for kind in [0x80, 0x90, 0x40, 0x00] {
        send(card, &[0x80, 0xA8, 0x00, 0x00, 0x02, 0x83, 0x00, 0x00]);
        let count = u8::try_from(length).expect("a list fits one command");
        let mut apdu = vec![0x80, 0xAE, kind, 0x00, count];
        // Digits, so that amount and currency are decimal wherever they stand; the currency begins with a zero.
        apdu.extend(std::iter::repeat_n(0x01, length));
        apdu.push(0x00);
        send(card, &apdu);
        card.forget_field();
        send(card, armed::PPSE);
        let application = &profile.applications()[0];
        let aid = application.aid();
        let length = u8::try_from(aid.len()).expect("an AID has at most 16 bytes");
        send(
            card,
            &[&[0x00, 0xA4, 0x04, 0x00, length][..], aid, &[0x00]].concat(),
        );
    }
}

fn send(card: &mut Card, apdu: &[u8]) -> Vec<u8> {
    match card.process(apdu, &mut OsRng) {
        (Reply::Now(answer), _) => {
            assert!((2..=258).contains(&answer.len()), "{} bytes", answer.len());
            assert!(
                !answer.ends_with(&[0x6F, 0x00]),
                "the card could not compute an answer"
            );
            answer
        }
        (Reply::NotArmed(_), _) => panic!("a thousand counters are enough"),
    }
}

/// GPO by the application's own list, with a plausible amount and currency.
fn options(fci: &[u8], qualifiers: [u8; 4]) -> Option<Vec<u8>> {
    let list = Dol::parse(armed::value(fci, [0x9F, 0x38])?)?;
    // A value that says where it stands: lists ask for fewer bytes than a byte can count.
    let places: Vec<u8> = (0..=u8::MAX).take(list.length()).collect();
    let mut told = vec![0; list.length()];
    let known: [(u32, &[u8]); 4] = [
        (0x9F66, &qualifiers),
        (0x9F02, &[0, 0, 0, 0, 0x12, 0x50]),
        (0x5F2A, &[0x01, 0x56]),
        (0x9F37, &[0x11, 0x22, 0x33, 0x44]),
    ];
    for (tag, value) in known {
        if let Some(at) = list.value(Tag::new(tag), &places).and_then(|at| at.first()) {
            let at = usize::from(*at);
            let wanted = told.get_mut(at..)?;
            wanted
                .iter_mut()
                .zip(value)
                .for_each(|(to, from)| *to = *from);
        }
    }
    let length = u8::try_from(told.len()).ok()?;
    let head = match length {
        0..=0x7F => vec![0x80, 0xA8, 0x00, 0x00, length + 2, 0x83, length],
        _ => vec![0x80, 0xA8, 0x00, 0x00, length + 3, 0x83, 0x81, length],
    };
    Some([&head[..], &told, &[0x00]].concat())
}
