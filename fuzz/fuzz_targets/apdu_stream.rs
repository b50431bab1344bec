//! A card with three armed tokens answers any sequence of commands.
//!
//! The input is a byte of length and so many bytes, again and again; length 0 is the end of a stay in the field. Whatever
//! comes, every answer ends in a status word and fits into a short one, and no counter of a token leaves twice.

#![no_main]

#[path = "../../tests/fixtures/armed.rs"]
mod armed;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rand_core::OsRng;
use tapcore::emv::atc::AtcBlock;
use tapcore::emv::card::{Card, Fact, Reply};
use tapcore::emv::oda::CardKey;
use tapcore::emv::profile::CardProfile;
use tapcore::token::TokenRef;

static PROFILE: LazyLock<Arc<CardProfile>> = LazyLock::new(armed::profile);
static KEY: LazyLock<Arc<CardKey>> = LazyLock::new(|| armed::card_key(&armed::rsa_key()));

/// The tokens and their first counters: one new, one in the middle, one at its end.
const TOKENS: [(&str, u32); 3] = [("tok_1", 0), ("tok_2", 40_000), ("tok_3", 65_533)];
/// Counters armed at a time.
const BLOCK: u32 = 4;

struct Tested {
    card: Card,
    /// The first counter that was not armed yet.
    next: BTreeMap<&'static str, u32>,
    /// The last counter that left.
    last: BTreeMap<TokenRef, u16>,
}

impl Tested {
    fn new() -> Self {
        let mut tested = Self {
            card: Card::new(Vec::new(), 3),
            next: TOKENS.into(),
            last: BTreeMap::new(),
        };
        for (name, _) in TOKENS {
            tested.arm(name);
        }
        tested
    }

    /// Arms a token's next block; answers whether it has any counter left.
    fn arm(&mut self, name: &'static str) -> bool {
        let next = self.next.entry(name).or_default();
        let block = AtcBlock::new(*next, *next + BLOCK);
        *next = block.end();
        let left = block.left();
        self.card
            .arm(armed::token(name, &PROFILE, Some(&*KEY), block));
        left > 0
    }

    fn command(&mut self, apdu: &[u8]) {
        let (reply, facts) = self.card.process(apdu, &mut OsRng);
        for fact in facts {
            if let Fact::Cryptogram(cryptogram) = fact {
                let before = self.last.insert(cryptogram.token, cryptogram.atc);
                assert!(before.is_none_or(|before| before < cryptogram.atc));
            }
        }
        match reply {
            Reply::Now(answer) => assert!((2..=258).contains(&answer.len())),
            Reply::NotArmed(token) => {
                let name = TOKENS.iter().find(|(name, _)| *name == token.as_str());
                let (name, _) = name.expect("the card names a token that it has");
                if self.arm(name) {
                    self.command(apdu);
                }
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut tested = Tested::new();
    let mut rest = data;
    while let Some((&length, after)) = rest.split_first() {
        if length == 0 {
            tested.card.leave_field();
        }
        let (apdu, after) = after.split_at(usize::from(length).min(after.len()));
        if length > 0 {
            tested.command(apdu);
        }
        rest = after;
    }
});
