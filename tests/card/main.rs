//! The card against a reader that follows the book, and against readers that do not.
//!
//! Expected cryptograms come from crate `emv`, which is not ours.

mod concurrent;
mod generate_ac;
mod presented;
mod several;

use std::sync::Arc;

use emv::core::application_cryptogram::application_cryptogram as foreign_cryptogram;
use rand_core::{OsRng, RngCore};
use rsa::BigUint;
use tapcore::emv::atc::AtcBlock;
use tapcore::emv::card::{ArmedToken, Card, Fact, Reply};
use tapcore::emv::oda::CardKey;
use tapcore::emv::profile::{CardProfile, ProfileError};
use tapcore::emv::verification::Tally;
use tapcore::secret::Secret;
use tapcore::token::{Allowance, TokenRef};

const PROFILE: &str = include_str!("../fixtures/quickpass.json");
/// A limited-use key for tests, published as V5 of the worked examples.
const KEY: &str = "D144CA8CBB4BD463C8EDD5761BF1770E";
/// A 1024-bit RSA key for tests, exponent 3.
const MODULUS: &str = "D279841D3850D3B1E526CC870038A3ADF4CE34C5AD88A1B72169DD6389B456BA867282D87B860056CEC82F1BB6E870606BF5EFE67E5A95C9F13AD32901994C1FEB1A371575C2B7A60FC8ABAB140ACAC51220DF52BA565E3E44463A5A68C36347289E19F6F68D8580FF9FC5BDD17A500EC4C4FFF45F627036F0443589B716E6B9";
const PRIMES: [&str; 2] = [
    "F8A4174B795109BB79722DDBA73D0CC35E3A6A950476F5B9FF8305865522E7ABE2405C4B9BCAE5EA78CC1985B5B0D811ABE922A5B3FD0A41499CC113ADC52D51",
    "D8B43EE3F8E5DC2CFEB58DB2ABF62B50530DFFED56F93ABAB993D07D8A4A7BE605E03B3D0C27AD5F1EEC3D13657ABAAD3B87DEE95D87243139C9028AB3CC28E9",
];
/// What a reader tells: TTQ, amounts, country, TVR, currency, date, type, unpredictable number, merchant.
const ONLINE: &str = "66800000 000000001250 000000000000 0156 0000000000 0156 261122 00 11223344 4D61706F20546F667520486F7573652020202020";

fn bytes(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    hex::decode(text).unwrap()
}

fn armed(atcs: AtcBlock) -> ArmedToken {
    let [prime1, prime2] = PRIMES.map(bytes);
    ArmedToken {
        token: TokenRef::new("tok_1"),
        profile: Arc::new(CardProfile::parse(PROFILE).unwrap()),
        card_key: Some(Arc::new(
            CardKey::from_parts(&bytes(MODULUS), &[3], [&prime1, &prime2]).unwrap(),
        )),
        key: Secret::from_hex(KEY).unwrap(),
        key_index: "6570201".to_owned().try_into().unwrap(),
        not_after_ms: i64::MAX,
        allowance: Allowance::default(),
        tally: Tally::default(),
        atcs,
    }
}

fn card() -> Card {
    Card::new(vec![armed(AtcBlock::new(7, 20))], 3)
}

struct Exchange {
    data: Vec<u8>,
    status: u16,
    fact: Option<Fact>,
}

fn send(card: &mut Card, apdu: &[u8]) -> Exchange {
    let (reply, facts) = card.process(apdu, &mut OsRng);
    let fact = facts.into_iter().next();
    let Reply::Now(mut data) = reply else {
        panic!("the card is not armed")
    };
    let low = data.pop().unwrap();
    let high = data.pop().unwrap();
    Exchange {
        data,
        status: u16::from_be_bytes([high, low]),
        fact,
    }
}

fn select(card: &mut Card, aid: &str) -> Exchange {
    let aid = bytes(aid);
    let length = u8::try_from(aid.len()).unwrap();
    send(
        card,
        &[&[0x00, 0xA4, 0x04, 0x00, length][..], &aid, &[0x00]].concat(),
    )
}

fn gpo(card: &mut Card, told: &str) -> Exchange {
    let told = bytes(told);
    let length = u8::try_from(told.len()).unwrap();
    send(
        card,
        &[
            &[0x80, 0xA8, 0x00, 0x00, length + 2, 0x83, length][..],
            &told,
            &[0x00],
        ]
        .concat(),
    )
}

fn read(card: &mut Card, sfi: u8, number: u8) -> Exchange {
    send(card, &[0x00, 0xB2, number, sfi << 3 | 4, 0x00])
}

/// The value of a tag in a template whose objects have one-byte lengths, or lengths of the form 81.
fn value(template: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
    let mut rest = match template {
        [_, 0x81, _, rest @ ..] | [_, _, rest @ ..] => rest,
        _ => return None,
    };
    while !rest.is_empty() {
        let size = if rest[0] & 0x1F == 0x1F { 2 } else { 1 };
        let (name, after) = rest.split_at(size);
        let (length, after) = match after {
            [0x81, length, after @ ..] | [length, after @ ..] => (usize::from(*length), after),
            [] => return None,
        };
        if name == tag {
            return Some(after[..length].to_vec());
        }
        rest = &after[length..];
    }
    None
}

#[test]
fn a_payment_as_the_book_has_it() {
    let mut card = card();
    let directory = select(&mut card, "325041592E5359532E4444463031");
    assert_eq!(directory.status, 0x9000);
    let expected = "6F4E 840E325041592E5359532E4444463031 A53C BF0C39 \
         6117 4F08A000000333010101 5008556E696F6E506179 870101 \
         611E 4F08A000000333010102 500F556E696F6E50617920437265646974 870102";
    assert_eq!(directory.data, bytes(expected));
    let fci = select(&mut card, "A000000333010101");
    assert_eq!(fci.status, 0x9000);
    let answer = gpo(&mut card, ONLINE);
    assert_eq!(answer.status, 0x9000);
    assert_eq!(value(&answer.data, &[0x9F, 0x36]).unwrap(), [0x00, 0x07]);
    let iad = value(&answer.data, &[0x9F, 0x10]).unwrap();
    assert_eq!(hex::encode_upper(&iad), "0B010103A000000106570201");

    let told = bytes(ONLINE);
    let input = [&told[4..33], &[0x00, 0x00], &[0x00, 0x07], &iad].concat();
    let expected = foreign_cryptogram(&bytes(KEY).try_into().unwrap(), &input);
    assert_eq!(value(&answer.data, &[0x9F, 0x26]).unwrap(), expected);

    let Some(Fact::Cryptogram(fact)) = answer.fact else {
        panic!("the cryptogram is not handed to the journal")
    };
    assert_eq!((fact.atc, fact.asked.money.minor), (7, 1250));
    assert_eq!(fact.asked.money.currency.code(), "CNY");
    assert_eq!(fact.asked.merchant.as_deref(), Some("Mapo Tofu House"));

    assert!(read(&mut card, 1, 1).fact.is_none());
    let last = read(&mut card, 1, 2);
    assert_eq!(last.status, 0x9000);
    let finished = Fact::Finished {
        token: TokenRef::new("tok_1"),
        atc: 7,
    };
    assert_eq!(last.fact, Some(finished));
    assert!(
        read(&mut card, 1, 2).fact.is_none(),
        "a payment finishes once"
    );
}

/// The same payment under the profile's other ciphers. The cryptograms are those of OpenSSL 3.0 over the input above:
/// `openssl mac -cipher AES-128-CBC … CMAC`, and the last block of `openssl enc -sm4-cbc` with `80` and zeros behind it.
#[test]
fn a_payment_by_aes_and_by_sm4() {
    for (cipher, expected) in [("aes", "886A60AE5606EF0E"), ("sm4", "5568838BE211DF4E")] {
        let profile = PROFILE.replacen("\"tdes\"", &format!("\"{cipher}\""), 1);
        let held = ArmedToken {
            profile: Arc::new(CardProfile::parse(&profile).unwrap()),
            ..armed(AtcBlock::new(7, 20))
        };
        let mut card = Card::new(vec![held], 3);
        select(&mut card, "A000000333010101");
        let answer = gpo(&mut card, ONLINE);
        let cryptogram = value(&answer.data, &[0x9F, 0x26]).unwrap();
        assert_eq!(hex::encode_upper(cryptogram), expected, "{cipher}");
    }
}

/// The signed block as two independent kernels accept it (RSA by crate `rsa`'s big numbers, SHA-1 by `ring`).
#[test]
fn fdda_when_the_reader_asks_for_it() {
    let mut card = card();
    select(&mut card, "A000000333010101");
    let told = ONLINE.replace("66800000", "66800080");
    let answer = gpo(&mut card, &told);
    assert!(answer.data.len() < 256, "{} bytes", answer.data.len());
    let signature = BigUint::from_bytes_be(&value(&answer.data, &[0x9F, 0x4B]).unwrap());
    let modulus = BigUint::from_bytes_be(&bytes(MODULUS));
    let block = signature
        .modpow(&BigUint::from(3_u8), &modulus)
        .to_bytes_be();
    assert_eq!(block.len(), 128);
    assert_eq!(block[..7], [0x6A, 0x05, 0x01, 0x03, 0x02, 0x00, 0x07]);
    assert!(block[7..107].iter().all(|byte| *byte == 0xBB));
    assert_eq!(block[127], 0xBC);

    let record = read(&mut card, 2, 1);
    assert!(matches!(record.fact, Some(Fact::Finished { atc: 7, .. })));
    let card_data = value(&record.data, &[0x9F, 0x69]).unwrap();
    assert_eq!(
        (card_data.len(), card_data[0], card_data[7]),
        (8, 0x01, 0x00)
    );
    let told = bytes(&told);
    let (un, amount, currency) = (&told[29..33], &told[4..10], &told[23..25]);
    let hashed = [&block[1..107], un, amount, currency, &card_data].concat();
    let hash = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &hashed);
    assert_eq!(block[107..127], *hash.as_ref());
}

#[test]
fn the_same_gpo_again_is_answered_the_same_and_a_fourth_new_one_is_not() {
    let mut card = card();
    select(&mut card, "A000000333010101");
    let first = gpo(&mut card, ONLINE);
    let again = gpo(&mut card, ONLINE);
    assert_eq!(first.data, again.data);
    assert!(again.fact.is_none());
    for (number, status) in [("22", 0x9000), ("33", 0x9000), ("44", 0x6985)] {
        let told = ONLINE.replace("11223344", &number.repeat(4));
        assert_eq!(gpo(&mut card, &told).status, status, "{number}");
    }
    card.leave_field();
    select(&mut card, "A000000333010101");
    assert_eq!(gpo(&mut card, ONLINE).status, 0x9000);
    assert_eq!(
        card.tokens()[0].atcs.left(),
        9,
        "four of thirteen were used"
    );
}

#[test]
fn without_reserved_counters_nothing_is_computed() {
    let mut card = Card::new(vec![armed(AtcBlock::new(7, 7))], 3);
    select(&mut card, "A000000333010101");
    let apdu = bytes(&format!("80A80000378335{ONLINE}00"));
    let (reply, facts) = card.process(&apdu, &mut OsRng);
    assert_eq!(reply, Reply::NotArmed(TokenRef::new("tok_1")));
    assert!(facts.is_empty());
}

/// A tap that goes on while the next block is made durable must not see a counter of the old block again.
#[test]
fn a_block_is_joined_to_what_is_left_when_it_arrives() {
    let mut card = Card::new(vec![armed(AtcBlock::new(1, 5))], 255);
    let pay = |card: &mut Card, number: u32| {
        select(card, "A000000333010101");
        let answer = gpo(card, &ONLINE.replace("11223344", &format!("{number:08}")));
        let atc = value(&answer.data, &[0x9F, 0x36]).unwrap();
        u16::from_be_bytes(atc.try_into().unwrap())
    };
    let mut seen: Vec<u16> = (0..3).map(|number| pay(&mut card, number)).collect();
    let next = armed(AtcBlock::new(5, 9));
    seen.push(pay(&mut card, 3));
    card.arm(next);
    seen.extend((4..6).map(|number| pay(&mut card, number)));

    let other_key = ArmedToken {
        key_index: "6570202".to_owned().try_into().unwrap(),
        ..armed(AtcBlock::new(9, 13))
    };
    card.arm(other_key);
    assert_eq!(card.left(&TokenRef::new("tok_1")), 6);
    seen.extend((6..12).map(|number| pay(&mut card, number)));
    assert_eq!(seen, (1..=12).collect::<Vec<u16>>());
    assert_eq!(card.tokens()[0].key_index.as_str(), "6570202");
}

#[test]
fn a_key_past_its_time_pays_no_more() {
    let mut card = card();
    card.expire(i64::MAX - 1);
    assert_eq!(card.left(&TokenRef::new("tok_1")), 13);
    card.expire(i64::MAX);
    assert_eq!(card.left(&TokenRef::new("tok_1")), 0);
}

#[test]
fn partial_names_match_by_prefix_and_walk_through_the_applications() {
    let mut card = card();
    let name = |exchange: &Exchange| value(&exchange.data, &[0x84]).map(hex::encode_upper);
    let first = select(&mut card, "A0000003330101");
    assert_eq!(name(&first).as_deref(), Some("A000000333010101"));
    let next = bytes("00A4040207A000000333010100");
    let second = send(&mut card, &next);
    assert_eq!(name(&second).as_deref(), Some("A000000333010102"));
    assert_eq!(send(&mut card, &next).status, 0x6A82);
    assert_eq!(select(&mut card, "A0").status, 0x6A82);
    assert_eq!(select(&mut card, "A0000000031010").status, 0x6A82);
}

#[test]
fn a_reader_that_starts_in_the_middle_or_reads_what_nobody_named_is_put_right_and_paid() {
    let mut card = card();
    assert_eq!(read(&mut card, 1, 1).status, 0x6985);
    assert_eq!(gpo(&mut card, ONLINE).status, 0x6985);
    select(&mut card, "A000000333010101");
    // Records before the payment are data like any other.
    let early = read(&mut card, 1, 2);
    assert!(early.status == 0x9000 && early.fact.is_none());
    let paid = gpo(&mut card, ONLINE);
    assert_eq!(paid.status, 0x9000);
    // One that only the other path's locator names, and two that no locator does.
    assert!(read(&mut card, 2, 1).fact.is_none());
    assert_eq!(read(&mut card, 1, 9).status, 0x6A83);
    assert_eq!(read(&mut card, 9, 1).status, 0x6A83);
    // Begun anew before the last record: the same payment, and it finishes once.
    select(&mut card, "A000000333010101");
    assert_eq!(gpo(&mut card, ONLINE).data, paid.data);
    assert!(read(&mut card, 1, 1).fact.is_none());
    let last = read(&mut card, 1, 2).fact;
    assert!(matches!(last, Some(Fact::Finished { atc: 7, .. })));
}

#[test]
fn what_does_not_fit_gets_its_status_word() {
    let mut card = card();
    let mut status = |text: &str| send(&mut card, &bytes(text)).status;
    assert_eq!(status("80A80000028300"), 0x6985, "GPO before SELECT");
    assert_eq!(status("00B2010C00"), 0x6985, "READ RECORD before SELECT");
    assert_eq!(status(""), 0x6700);
    assert_eq!(status("00A404"), 0x6700);
    assert_eq!(status("00A40400FFA000"), 0x6700);
    assert_eq!(status("00CA9F3600"), 0x6D00);
    assert_eq!(status("80A4040007A0000003330101"), 0x6E00);
    assert_eq!(status("00A4020007A0000003330101"), 0x6A86);
    assert_eq!(status("00A4040008A00000033301010100"), 0x9000);
    assert_eq!(status("00B2010D00"), 0x6A86);
    assert_eq!(status("00B2090C00"), 0x6A83);
    assert_eq!(status("00B2011400"), 0x6985, "a computed record before GPO");
    assert_eq!(status("80A80000028300"), 0x6700);
    assert_eq!(status("80A8000003830100"), 0x6700);
    assert_eq!(status("80A8000003990100"), 0x6A80);
    let amount_not_decimal = format!(
        "80A80000378335{}00",
        ONLINE.replace("000000001250", "00000000125A")
    );
    assert_eq!(status(&amount_not_decimal), 0x6A80);
    assert_eq!(card.tokens()[0].atcs.left(), 13, "no counter was spent");
}

/// Random commands, plausible ones among them; `TAPCORE_TEST_SIZE` sets how many (the seed is fixed).
#[test]
fn no_bytes_make_the_card_panic_and_every_answer_ends_in_a_status_word() {
    let size = std::env::var("TAPCORE_TEST_SIZE").map_or(20_000, |size| size.parse().unwrap());
    let mut state = 0x5EED_u64;
    println!("seed {state:#X}, {size} commands");
    let mut random = move || {
        // Marsaglia's xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let plausible: Vec<Vec<u8>> = [
        "00A404000E325041592E5359532E444446303100".to_owned(),
        "00A4040008A00000033301010100".to_owned(),
        format!("80A80000378335{ONLINE}00"),
        "00B2010C00".to_owned(),
        "00B2011400".to_owned(),
    ]
    .iter()
    .map(|text| bytes(text))
    .collect();
    let mut card = Card::new(vec![armed(AtcBlock::new(0, 65_536))], 3);
    for _ in 0..size {
        let mut apdu = match random() % 4 {
            0 => {
                let mut noise = vec![0; usize::try_from(random() % 300).unwrap()];
                OsRng.fill_bytes(&mut noise);
                noise
            }
            _ => plausible[usize::try_from(random()).unwrap() % plausible.len()].clone(),
        };
        for _ in 0..random() % 3 {
            if apdu.is_empty() {
                break;
            }
            let at = usize::try_from(random()).unwrap() % apdu.len();
            match random() % 3 {
                0 => apdu[at] ^= 1 << (random() % 8),
                1 => apdu.truncate(at),
                _ => apdu.insert(at, random().to_le_bytes()[0]),
            }
        }
        if let (Reply::Now(answer), _) = card.process(&apdu, &mut OsRng) {
            assert!((2..=258).contains(&answer.len()));
        }
        if random() % 16 == 0 {
            card.leave_field();
        }
    }
}

#[test]
fn a_profile_with_anything_unknown_is_refused() {
    let changed = |from: &str, to: &str| {
        assert!(PROFILE.contains(from), "{from}");
        CardProfile::parse(&PROFILE.replacen(from, to, 1))
    };
    let form = |result| assert!(matches!(result, Err(ProfileError::Form { .. })));
    form(changed("\"scheme\"", "\"surprise\": 1, \"scheme\""));
    form(changed("\"gpo\"", "\"generate_ac\""));
    form(changed("\"6986\"", "\"6999\""));
    form(changed("\"tdes\"", "\"rot13\""));
    form(changed("\"iso9797_m2\"", "\"iso9797_m3\""));
    form(changed("\"fdda_01\"", "\"fdda_02\""));
    form(changed("\"limited_use_key\"", "\"guess\""));
    assert!(matches!(
        changed("\"version\": 1", "\"version\": 2"),
        Err(ProfileError::Version(2))
    ));

    let unusable = |result| assert!(matches!(result, Err(ProfileError::Unusable(_))));
    unusable(changed("08010201", "08010301"));
    unusable(changed("\"9A\", \"9C\"", "\"9A\", \"9F7C\""));
    unusable(changed(
        "{ \"tag\": \"9F36\" }",
        "{ \"tag\": \"9F36\", \"value\": \"0001\" }",
    ));
    unusable(changed("{ \"tag\": \"9F69\" }", "{ \"tag\": \"9F7C\" }"));
    unusable(changed("A000000333010101", "A0000003"));
    unusable(changed("0B0101", &"00".repeat(40)));
    unusable(changed("03A40000", "03A400"));
    unusable(changed("03A40000", "03800000"));
    unusable(changed("\"fdda_01\", \"ctq_tag\": \"9F6C\"", "\"cda\""));
    unusable(changed("\"6986\"", "\"declined_ac\""));
    unusable(changed("\"0156\"\n", "\"56\"\n"));
    unusable(
        changed("\"limited_use_key\"", "\"session_key\"").and_then(|_| {
            CardProfile::parse(
                &PROFILE
                    .replacen("\"limited_use_key\"", "\"session_key\"", 1)
                    .replacen("\"tdes\"", "\"aes\"", 1),
            )
        }),
    );
    unusable(changed(
        "\"mask\": \"00000080\"",
        "\"mask\": \"0000000080\"",
    ));
}
