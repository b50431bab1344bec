//! The card's state machine: command APDUs in, answers and facts out.
//!
//! A [`Card`] holds the tokens that are armed. It is driven by whatever carries APDUs (a phone's NFC controller, TCP, a
//! PC/SC reader) and neither blocks nor fails: any bytes get an ISO 7816-4 status word. What happened is handed out as
//! [`Fact`]s, for the journal and the person.

mod pay;
mod select;
mod stock;

use std::sync::Arc;

use rand_core::CryptoRngCore;

use super::apdu::{Command, StatusWord};
use super::atc::AtcBlock;
use super::oda::CardKey;
use super::profile::{CardProfile, Decision};
use super::verification::{Consent, Tally, VerificationRule};
use crate::account::Money;
use crate::secret::Secret;
use crate::token::{Allowance, KeyIndex, TokenRef};

pub use select::PPSE;

/// A token with what it needs to pay: a key in memory and ATCs that are durably reserved for this process.
pub struct ArmedToken {
    /// Which token this is.
    pub token: TokenRef,
    /// What the card is.
    pub profile: Arc<CardProfile>,
    /// The key for offline data authentication, where the profile has any.
    pub card_key: Option<Arc<CardKey>>,
    /// The limited-use key and its index.
    pub key: Secret<16>,
    /// The index by which the issuer derives the same key.
    pub key_index: KeyIndex,
    /// Until when the key may pay, in milliseconds of Unix time. The card itself knows no time; who arms it does.
    pub not_after_ms: i64,
    /// What the key may still pay.
    pub allowance: Allowance,
    /// The token's payments since its person was last verified for one.
    pub tally: Tally,
    /// The reserved ATCs.
    pub atcs: AtcBlock,
}

/// The card's answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// These bytes, status word included.
    Now(Vec<u8>),
    /// The selected token has no reserved ATC or no key; the same command can be answered once it is armed.
    NotArmed(TokenRef),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A cryptogram was computed and is about to leave: for the journal.
    Cryptogram(Cryptogram),
    /// The reader has read the last record (or, where a path has none, the answer that pays): it has all it needs.
    Finished {
        /// The token.
        token: TokenRef,
        /// The ATC of the cryptogram.
        atc: u16,
    },
    /// A payment waits for the person, who is to look at the phone.
    PersonWanted {
        /// The token that would pay.
        token: TokenRef,
        /// What the reader asks for.
        asked: Asked,
    },
    /// A payment is above what the issuer lets this token pay at once.
    AboveLimit {
        /// The token.
        token: TokenRef,
        /// What the reader asks for.
        asked: Asked,
    },
}

/// What a reader asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Amount and currency as the reader told the card.
    pub money: Money,
    /// Merchant name and location (tag 9F4E), where the reader tells it.
    pub merchant: Option<String>,
    /// The terminal's country (tag 9F1A, ISO 3166 numeric in BCD), where the reader tells it.
    pub country: Option<[u8; 2]>,
}

/// A cryptogram that left the card, and what the reader said of the payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cryptogram {
    /// The token that pays.
    pub token: TokenRef,
    /// The counter it was made under.
    pub atc: u16,
    /// The key it was made with.
    pub key_index: KeyIndex,
    /// The reader's unpredictable number (tag 9F37).
    pub unpredictable: [u8; 4],
    /// What the reader asked for.
    pub asked: Asked,
    /// Whether it was a payment abroad, by the limits of the key.
    pub abroad: bool,
    /// What the card decided.
    pub decision: Decision,
}

/// The card as readers see it.
pub struct Card {
    tokens: Vec<ArmedToken>,
    /// Blocks under the next key, at most one for each token.
    queued: Vec<ArmedToken>,
    /// Keys that others are to pay before, for whoever arms.
    worn: Vec<(TokenRef, KeyIndex)>,
    /// Uses of keys that were reserved and can be given back.
    spared: Vec<(TokenRef, KeyIndex, u32)>,
    /// The tokens by preference.
    order: Vec<TokenRef>,
    /// The one token that pays until further notice.
    only: Option<TokenRef>,
    entries: Vec<select::Entry>,
    rule: VerificationRule,
    consent: Option<Consent>,
    field: Field,
    cryptograms_per_field: u8,
}

/// What is true of one stay in a reader's field.
#[derive(Default)]
struct Field {
    selected: Option<usize>,
    /// The last GPO of a flow that pays by GENERATE AC.
    options: Option<pay::Options>,
    payment: Option<pay::Payment>,
    cryptograms: u8,
}

impl Card {
    /// A card with these tokens, the default one first; at most `cryptograms_per_field` new cryptograms leave in one stay.
    pub fn new(tokens: Vec<ArmedToken>, cryptograms_per_field: u8) -> Self {
        let mut card = Self {
            tokens,
            queued: Vec::new(),
            worn: Vec::new(),
            spared: Vec::new(),
            order: Vec::new(),
            only: None,
            entries: Vec::new(),
            rule: VerificationRule::Never,
            consent: None,
            field: Field::default(),
            cryptograms_per_field,
        };
        card.arrange();
        card
    }

    /// Sets when the person is asked for.
    pub fn set_rule(&mut self, rule: VerificationRule) {
        self.rule = rule;
    }

    /// Sets which token readers see first, second, …; `only` hides the others. A stay in the field that has begun with
    /// a token goes on with it.
    pub fn prefer(&mut self, order: Vec<TokenRef>, only: Option<TokenRef>) {
        self.order = order;
        self.only = only;
        self.arrange();
    }

    /// Lets one payment be made with the person verified, in place of an earlier consent.
    pub fn permit(&mut self, consent: Consent) {
        self.revoke();
        self.consent = Some(consent);
    }

    /// Takes a consent back that was not used.
    pub fn revoke(&mut self) {
        let keys = self
            .consent
            .take()
            .into_iter()
            .flat_map(|consent| consent.keys);
        self.spared
            .extend(keys.map(|key| (key.token, key.key_index, 1)));
    }

    /// The phone has left the field. The payment that was going on is kept: a reader that lost the phone for a moment
    /// gets the same answer to the same request.
    pub fn leave_field(&mut self) {
        self.field.selected = None;
        self.field.options = None;
        self.field.cryptograms = 0;
    }

    /// The reader does not come back.
    pub fn forget_field(&mut self) {
        self.field = Field::default();
    }

    /// Answers one command. `rng` feeds the card's unpredictable number and blinds signatures.
    pub fn process(&mut self, apdu: &[u8], rng: &mut impl CryptoRngCore) -> (Reply, Vec<Fact>) {
        let outcome = Command::parse(apdu).and_then(|command| match (command.cla, command.ins) {
            (0x00, 0xA4) => self.select(&command).map(Outcome::data),
            (0x80, 0xA8) => self.get_processing_options(&command, rng),
            (0x80, 0xAE) => self.generate_ac(&command, rng),
            (0x00, 0xB2) => self.read_record(&command),
            (_, 0xA4 | 0xA8 | 0xAE | 0xB2) => Err(StatusWord::CLA_NOT_SUPPORTED),
            _ => Err(StatusWord::INS_NOT_SUPPORTED),
        });
        match outcome {
            Ok(Outcome::Answer(mut data, facts)) => {
                data.extend(StatusWord::OK.bytes());
                (Reply::Now(data), facts)
            }
            Ok(Outcome::Refused(status, fact)) => (Reply::Now(status.answer()), vec![fact]),
            Ok(Outcome::NotArmed(token)) => (Reply::NotArmed(token), Vec::new()),
            Err(status) => (Reply::Now(status.answer()), Vec::new()),
        }
    }
}

enum Outcome {
    Answer(Vec<u8>, Vec<Fact>),
    /// A status word, and what it is about.
    Refused(StatusWord, Fact),
    NotArmed(TokenRef),
}

impl Outcome {
    fn data(data: Vec<u8>) -> Self {
        Self::Answer(data, Vec::new())
    }
}
