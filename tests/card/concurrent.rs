//! Taps beside an arming, in every order that threads can take (loom).
//!
//! The wallet drives the card under one lock. The model holds the card under loom's lock and lets several readers, an
//! arming and a time that runs out come in any order.

use loom::sync::{Arc, Mutex};
use rand_core::OsRng;
use tapcore::emv::atc::AtcBlock;
use tapcore::emv::card::{Card, Reply};

use super::{ONLINE, armed, bytes, value};

/// One reader: selects, asks once, and gives up when it is refused.
fn pay(card: &Mutex<Card>, number: u8) -> Option<u16> {
    let select = bytes("00A4040008A00000033301010100");
    let told = ONLINE.replace("11223344", &format!("{number:02}").repeat(4));
    let gpo = bytes(&format!("80A80000378335{told}00"));
    // A command at a time, as commands come from a reader: others may get in between.
    for (at, apdu) in [select, gpo].iter().enumerate() {
        let (reply, _) = card.lock().unwrap().process(apdu, &mut OsRng);
        let Reply::Now(answer) = reply else {
            return None;
        };
        if at == 1 && answer.ends_with(&[0x90, 0x00]) {
            let atc = value(&answer[..answer.len() - 2], &[0x9F, 0x36]).unwrap();
            return Some(u16::from_be_bytes([atc[0], atc[1]]));
        }
    }
    None
}

#[test]
fn s24_counters_rise_and_none_leaves_twice_in_any_order_of_threads() {
    let mut model = loom::model::Builder::new();
    // Two forced switches between threads find what more would (loom's documentation); without a bound it takes hours.
    model.preemption_bound = Some(2);
    model.check(|| {
        let card = Card::new(vec![armed(AtcBlock::new(1, 3))], u8::MAX);
        let card = Arc::new(Mutex::new(card));
        let readers = (1..=2).map(|number| {
            let card = Arc::clone(&card);
            loom::thread::spawn(move || pay(&card, number))
        });
        let readers: Vec<_> = readers.collect();
        let arming = {
            let card = Arc::clone(&card);
            loom::thread::spawn(move || card.lock().unwrap().arm(armed(AtcBlock::new(3, 5))))
        };
        let mut seen = vec![pay(&card, 3)];
        seen.extend(readers.into_iter().map(|reader| reader.join().unwrap()));
        arming.join().unwrap();
        seen.push(pay(&card, 4));
        let last = seen.last().copied().flatten();
        let mut atcs: Vec<u16> = seen.iter().flatten().copied().collect();
        assert_eq!(last, atcs.iter().max().copied(), "it came last");
        let count = atcs.len();
        atcs.sort_unstable();
        atcs.dedup();
        assert_eq!(atcs.len(), count, "{seen:?}");
        // Without a gap: what was reserved is used in order.
        assert_eq!(
            atcs,
            (1..=u16::try_from(count).unwrap()).collect::<Vec<_>>()
        );
    });
}

/// Eight threads as fast as they can, for as long as there are counters.
#[test]
fn s24_eight_readers_at_once() {
    let card = Card::new(vec![armed(AtcBlock::new(1, 401))], u8::MAX);
    let card = std::sync::Arc::new(std::sync::Mutex::new(card));
    let readers = (0..8_u32).map(|reader| {
        let card = std::sync::Arc::clone(&card);
        std::thread::spawn(move || {
            let mut seen = Vec::new();
            for number in 0..100 {
                let told = ONLINE.replace("11223344", &format!("{:08}", reader * 1_000 + number));
                let gpo = bytes(&format!("80A80000378335{told}00"));
                // One reader's whole stay, and others in between.
                let mut card = card.lock().unwrap();
                card.forget_field();
                drop(card.process(&bytes("00A4040008A00000033301010100"), &mut OsRng));
                if let (Reply::Now(answer), _) = card.process(&gpo, &mut OsRng)
                    && answer.ends_with(&[0x90, 0x00])
                {
                    let atc = value(&answer[..answer.len() - 2], &[0x9F, 0x36]).unwrap();
                    seen.push(u16::from_be_bytes([atc[0], atc[1]]));
                }
            }
            assert!(seen.is_sorted(), "{seen:?}");
            seen
        })
    });
    let readers: Vec<_> = readers.collect();
    let seen = readers
        .into_iter()
        .flat_map(|reader| reader.join().unwrap());
    let mut seen: Vec<u16> = seen.collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=400).collect::<Vec<u16>>());
}
