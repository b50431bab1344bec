//! The card under a reader: single commands, and a whole payment from the directory to the last record.
//!
//! What is measured is the card's state machine, which is all there is between an APDU and its answer but for the lock
//! and the hand-over that `tap.wallet` in `phone` adds.

use std::sync::Arc;

use des::Des;
use des::cipher::generic_array::GenericArray;
use des::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use rand_core::OsRng;
use rsa::hazmat::rsa_decrypt_and_check;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPrivateKey};
use tapcore::emv::atc::AtcBlock;
use tapcore::emv::card::{Card, Reply};
use tapcore::emv::oda::CardKey;
use tapcore::emv::profile::CardProfile;

use crate::Bench;
use crate::armed::{self, FDDA, FDDA_RECORDS, ONLINE, ONLINE_RECORDS, PPSE, SELECT};
use crate::counting::allocations;
use crate::measure::{Reading, alone, batches, calls, slowest};

pub(crate) const BENCHES: &[Bench] = &[
    Bench {
        name: "tap.select",
        run: select,
    },
    Bench {
        name: "tap.gpo",
        run: gpo,
    },
    Bench {
        name: "tap.read_record",
        run: read_record,
    },
    Bench {
        name: "tap.whole",
        run: whole,
    },
    Bench {
        name: "tap.whole_p99",
        run: whole_p99,
    },
    Bench {
        name: "tap.whole_fdda",
        run: whole_fdda,
    },
    Bench {
        name: "tap.allocations",
        run: whole_allocations,
    },
];

/// As many new cryptograms as one stay in the field may have.
const IN_ONE_FIELD: u8 = 255;
const ROUNDS: usize = 1_000;

/// A card that never runs out of counters.
struct Endless {
    card: Card,
    profile: Arc<CardProfile>,
    key: Option<Arc<CardKey>>,
    unpredictable: u32,
}

/// The answers of a whole payment: directory, application, processing options, two records.
pub(crate) type Answers = [Vec<u8>; 5];

impl Endless {
    fn new(key: Option<Arc<CardKey>>) -> Self {
        let mut endless = Self {
            card: Card::new(Vec::new(), IN_ONE_FIELD),
            profile: armed::profile(),
            key,
            unpredictable: 0,
        };
        endless.arm();
        endless
    }

    fn arm(&mut self) {
        let atcs = AtcBlock::new(0, 65_536);
        let token = armed::token("tok_1", &self.profile, self.key.as_ref(), atcs);
        self.card.arm(token);
    }

    fn send(&mut self, apdu: &[u8]) -> Vec<u8> {
        loop {
            if let (Reply::Now(answer), _) = self.card.process(apdu, &mut OsRng) {
                return answer;
            }
            self.arm();
        }
    }

    fn options(&mut self, command: &mut [u8]) -> Vec<u8> {
        self.unpredictable = self.unpredictable.wrapping_add(1);
        put(command, self.unpredictable);
        self.send(command)
    }

    fn whole(&mut self, options: &mut [u8], records: &[[u8; 5]; 2]) -> Answers {
        self.card.leave_field();
        [
            self.send(PPSE),
            self.send(SELECT),
            self.options(options),
            self.send(&records[0]),
            self.send(&records[1]),
        ]
    }
}

/// Puts a fresh unpredictable number into a GPO: behind the header, the template's tag and length, and 29 bytes.
fn put(options: &mut [u8], unpredictable: u32) {
    options[36..40].copy_from_slice(&unpredictable.to_be_bytes());
}

/// The same cryptogram by crate `des` alone, and the answers' bytes moved.
pub(crate) struct Bare {
    key: [u8; 16],
    input: Vec<u8>,
    answers: Answers,
}

impl Bare {
    /// Takes over what a payment with this unpredictable number covered and answered, and sees that the cryptogram is
    /// the same.
    pub(crate) fn of(answers: Answers, qualifiers: [u8; 4], aip: [u8; 2], number: u32) -> Self {
        assert!(answers.iter().all(|answer| answer.ends_with(&[0x90, 0])));
        let object = |tag| armed::value(&answers[2], tag).unwrap();
        let (atc, iad) = (object([0x9F, 0x36]), object([0x9F, 0x10]));
        let told = armed::told(qualifiers, number);
        let input = armed::covered(&told, aip, atc.try_into().unwrap(), iad);
        let key = hex::decode(armed::KEY).unwrap();
        let bare = Self {
            key: key.try_into().unwrap(),
            input,
            answers: answers.clone(),
        };
        assert_eq!(bare.cryptogram(), object([0x9F, 0x26]));
        bare
    }

    fn cryptogram(&self) -> [u8; 8] {
        cryptogram(&self.key, &self.input)
    }

    /// All of it.
    pub(crate) fn whole(&self) -> ([u8; 8], Answers) {
        (self.cryptogram(), self.answers.clone())
    }
}

/// ISO/IEC 9797-1, algorithm 3 with padding method 2: both key schedules, and one block after the other.
pub(crate) fn cryptogram(key: &[u8; 16], input: &[u8]) -> [u8; 8] {
    let (left, right) = key.split_at(8);
    let first = Des::new(GenericArray::from_slice(left));
    let second = Des::new(GenericArray::from_slice(right));
    let mut chain = GenericArray::from([0_u8; 8]);
    let (blocks, rest) = input.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    for block in blocks.iter().chain([&last]) {
        chain.iter_mut().zip(block).for_each(|(a, b)| *a ^= b);
        first.encrypt_block(&mut chain);
    }
    second.decrypt_block(&mut chain);
    first.encrypt_block(&mut chain);
    chain.into()
}

/// A card, a GPO for it, and the floor under both.
fn online() -> (Endless, Vec<u8>, Bare) {
    let mut card = Endless::new(None);
    let mut options = armed::gpo(ONLINE, 0);
    let answers = card.whole(&mut options, &ONLINE_RECORDS);
    let bare = Bare::of(answers, ONLINE, [0, 0], card.unpredictable);
    (card, options, bare)
}

/// SELECT of the application. No library does that; there is no floor.
fn select() -> Reading {
    let (mut card, ..) = online();
    alone(200, ROUNDS, || card.send(SELECT))
}

/// GPO with a fresh unpredictable number each time. Floor: the cryptogram, and the answer's bytes moved.
fn gpo() -> Reading {
    let (mut card, mut options, bare) = online();
    let mut count = 0_u8;
    batches(
        50,
        ROUNDS,
        || {
            // A new stay in the field once in 200.
            if count == 0 {
                card.card.leave_field();
                card.send(SELECT);
            }
            count = (count + 1) % 200;
            card.options(&mut options)
        },
        || (bare.cryptogram(), bare.answers[2].clone()),
    )
}

/// READ RECORD of the first record. No floor, as for SELECT.
fn read_record() -> Reading {
    let (mut card, ..) = online();
    alone(200, ROUNDS, || card.send(&ONLINE_RECORDS[0]))
}

/// Five commands with a fresh unpredictable number each time.
fn whole() -> Reading {
    let (mut card, mut options, bare) = online();
    batches(
        20,
        ROUNDS,
        || card.whole(&mut options, &ONLINE_RECORDS),
        || bare.whole(),
    )
}

/// The slowest of a hundred payments, over more than a hundred thousand. Floor: the median of the bare one.
fn whole_p99() -> Reading {
    let (mut card, mut options, bare) = online();
    slowest(
        110_000,
        || card.whole(&mut options, &ONLINE_RECORDS),
        || bare.whole(),
    )
}

/// Five commands with offline data authentication by a key of 1024 bits. Floor: the cryptogram, the bytes moved, and a
/// blinded private operation by crate `rsa`, checked, as a faulty one would give the key away.
fn whole_fdda() -> Reading {
    let key: RsaPrivateKey = armed::rsa_key();
    let mut card = Endless::new(Some(armed::card_key(&key)));
    let mut options = armed::gpo(FDDA, 0);
    let answers = card.whole(&mut options, &FDDA_RECORDS);
    let signature = armed::value(&answers[2], [0x9F, 0x4B]).unwrap();
    assert_eq!(signature.len(), key.size());
    let signature = BigUint::from_bytes_be(signature);
    let block = signature.modpow(&BigUint::from(3_u8), key.n());
    let bare = Bare::of(answers, FDDA, [0x20, 0], card.unpredictable);
    calls(
        2_000,
        || card.whole(&mut options, &FDDA_RECORDS),
        || {
            let signed = rsa_decrypt_and_check(&key, Some(&mut OsRng), &block).unwrap();
            (signed, bare.whole())
        },
    )
}

/// How often one payment asks for memory. Floor: once for each answer, which the caller is to own.
fn whole_allocations() -> Reading {
    let (mut card, mut options, _) = online();
    let payments = 1_000;
    let count = allocations(|| {
        for _ in 0..payments {
            std::hint::black_box(card.whole(&mut options, &ONLINE_RECORDS));
        }
    });
    Reading::count("allocations", count as f64 / f64::from(payments), Some(5.0))
}
