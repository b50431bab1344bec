//! The card's state machine: command APDUs in, answers and facts out.
//!
//! A [`Card`] holds the tokens that are armed. It is driven by whatever carries APDUs (a phone's NFC controller, TCP, a
//! PC/SC reader) and neither blocks nor fails: any bytes get an ISO 7816-4 status word. What happened is handed out as
//! [`Fact`]s, for the journal.

use std::sync::Arc;

use rand_core::CryptoRngCore;

use super::apdu::{Command, StatusWord};
use super::atc::AtcBlock;
use super::computed::{Computed, Told, encode_record};
use super::oda::CardKey;
use super::profile::{Application, CardProfile, tags};
use super::tlv;
use crate::account::Money;
use crate::secret::Secret;
use crate::token::{KeyIndex, TokenRef};

/// The name of the proximity payment system environment.
pub const PPSE: &[u8] = b"2PAY.SYS.DDF01";

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

/// What happened, for the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A cryptogram was computed and is about to leave.
    Cryptogram(Cryptogram),
    /// The reader has read the last record (or, where a path has none, the GPO answer): it has all it needs.
    Finished {
        /// The token.
        token: TokenRef,
        /// The ATC of the cryptogram.
        atc: u16,
    },
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
    /// Amount and currency as the reader told the card.
    pub money: Money,
    /// Merchant name and location (tag 9F4E), where the reader tells it.
    pub merchant: Option<String>,
}

/// The card as readers see it.
pub struct Card {
    tokens: Vec<ArmedToken>,
    /// Blocks under the next key, at most one for each token.
    queued: Vec<ArmedToken>,
    field: Field,
    cryptograms_per_field: u8,
}

/// What is true of one stay in a reader's field.
#[derive(Default)]
struct Field {
    selected: Option<Selection>,
    payment: Option<Payment>,
    cryptograms: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Selection {
    token: usize,
    application: usize,
}

struct Payment {
    token: usize,
    gpo: Vec<u8>,
    answer: Vec<u8>,
    path: usize,
    atc: u16,
    card_authentication: Vec<u8>,
    finished: bool,
}

impl Card {
    /// A card with these tokens, the default one first; at most `cryptograms_per_field` new cryptograms leave in one stay.
    pub fn new(tokens: Vec<ArmedToken>, cryptograms_per_field: u8) -> Self {
        Self {
            tokens,
            queued: Vec::new(),
            field: Field::default(),
            cryptograms_per_field,
        }
    }

    /// The tokens, as they are armed now.
    pub fn tokens(&self) -> &[ArmedToken] {
        &self.tokens
    }

    /// Arms a token, or arms it anew; a stay in the field that is going on continues.
    ///
    /// Taps may have gone on while the new block was made durable, so it is joined here to what is left *now*. A block
    /// under another key waits until the one in use is empty.
    pub fn arm(&mut self, mut token: ArmedToken) {
        let Some(held) = self
            .tokens
            .iter_mut()
            .find(|held| held.token == token.token)
        else {
            self.tokens.push(token);
            return;
        };
        // What waits goes first: counters leave in rising order.
        if held.atcs.left() == 0
            && let Some(at) = self.queued.iter().position(|next| next.token == held.token)
        {
            *held = self.queued.remove(at);
        }
        if held.key_index == token.key_index {
            token.atcs = held.atcs.then(token.atcs);
            *held = token;
        } else if held.atcs.left() == 0 {
            *held = token;
        } else {
            self.queued.retain(|queued| queued.token != token.token);
            self.queued.push(token);
        }
    }

    /// Burns what is reserved under keys whose time is over.
    pub fn expire(&mut self, now_ms: i64) {
        for held in self.tokens.iter_mut().chain(&mut self.queued) {
            if held.not_after_ms <= now_ms {
                held.atcs = AtcBlock::new(held.atcs.end(), held.atcs.end());
            }
        }
    }

    /// Takes a token out of the card: it can pay no more.
    pub fn remove(&mut self, token: &TokenRef) {
        self.queued.retain(|queued| queued.token != *token);
        if let Some(at) = self.tokens.iter().position(|held| held.token == *token) {
            self.tokens.remove(at);
            // Selections are positions in the list.
            self.field = Field::default();
        }
    }

    /// Payments that a token has reserved: those of the key in use and of the one that waits.
    pub fn left(&self, token: &TokenRef) -> u32 {
        let blocks = self.tokens.iter().chain(&self.queued);
        blocks
            .filter(|held| held.token == *token)
            .map(|held| held.atcs.left())
            .sum()
    }

    /// What was reserved and not used, by token and key.
    pub fn unused(&self) -> Vec<(TokenRef, KeyIndex, u32)> {
        let blocks = self.tokens.iter().chain(&self.queued);
        blocks
            .map(|held| (held.token.clone(), held.key_index.clone(), held.atcs.left()))
            .collect()
    }

    /// The phone has left the field, or another application was selected by the reader's side.
    pub fn leave_field(&mut self) {
        self.field = Field::default();
    }

    /// Answers one command. `rng` feeds the card's unpredictable number and blinds signatures.
    pub fn process(&mut self, apdu: &[u8], rng: &mut impl CryptoRngCore) -> (Reply, Vec<Fact>) {
        let outcome = Command::parse(apdu).and_then(|command| match (command.cla, command.ins) {
            (0x00, 0xA4) => self.select(&command).map(Outcome::data),
            (0x80, 0xA8) => self.get_processing_options(&command, rng),
            (0x00, 0xB2) => self.read_record(&command),
            (_, 0xA4 | 0xA8 | 0xB2) => Err(StatusWord::CLA_NOT_SUPPORTED),
            _ => Err(StatusWord::INS_NOT_SUPPORTED),
        });
        match outcome {
            Ok(Outcome::Answer(mut data, facts)) => {
                data.extend(StatusWord::OK.bytes());
                (Reply::Now(data), facts)
            }
            Ok(Outcome::NotArmed(token)) => (Reply::NotArmed(token), Vec::new()),
            Err(status) => (Reply::Now(status.answer()), Vec::new()),
        }
    }

    fn select(&mut self, command: &Command<'_>) -> Result<Vec<u8>, StatusWord> {
        let next_occurrence = match (command.p1, command.p2) {
            (0x04, 0x00) => false,
            (0x04, 0x02) => true,
            _ => return Err(StatusWord::WRONG_P1_P2),
        };
        if command.data == PPSE {
            self.field.selected = None;
            return self.directory();
        }
        // A name of fewer than five bytes is no AID and would match half the card.
        let selection = Some(command.data)
            .filter(|name| name.len() >= 5)
            .and_then(|name| self.find(name, next_occurrence))
            .ok_or(StatusWord::NOT_FOUND)?;
        let fci = self.control_information(selection)?;
        if self
            .field
            .payment
            .as_ref()
            .is_some_and(|payment| payment.token != selection.token)
        {
            self.field.payment = None;
        }
        self.field.selected = Some(selection);
        Ok(fci)
    }

    /// The application whose AID starts with `name`; with `next_occurrence`, the one after the last selected.
    fn find(&self, name: &[u8], next_occurrence: bool) -> Option<Selection> {
        let mut matches = self
            .applications()
            .filter(|(_, application)| application.aid().starts_with(name))
            .map(|(selection, _)| selection);
        match (next_occurrence, self.field.selected) {
            // A reader that selects by partial AID walks through the matches.
            (true, Some(last)) => matches.skip_while(|at| *at != last).nth(1),
            _ => matches.next(),
        }
    }

    fn applications(&self) -> impl Iterator<Item = (Selection, &Application)> {
        self.tokens.iter().enumerate().flat_map(|(token, armed)| {
            let applications = armed.profile.applications().iter().enumerate();
            applications.map(move |(at, application)| {
                let selection = Selection {
                    token,
                    application: at,
                };
                (selection, application)
            })
        })
    }

    /// The PPSE's answer: one directory entry for each application.
    fn directory(&self) -> Result<Vec<u8>, StatusWord> {
        let mut entries = Vec::new();
        for (_, application) in self.applications() {
            let mut entry = Vec::new();
            tlv::write(&mut entry, tags::AID, application.aid());
            tlv::write(&mut entry, tags::LABEL, application.label().as_bytes());
            tlv::write(&mut entry, tags::PRIORITY, &[application.priority()]);
            tlv::write(&mut entries, tags::ENTRY, &entry);
        }
        if entries.is_empty() {
            return Err(StatusWord::NOT_FOUND);
        }
        let discretionary = tlv::wrap(tags::FCI_DISCRETIONARY, &entries);
        Ok(file_control_information(PPSE, &discretionary))
    }

    fn control_information(&self, selection: Selection) -> Result<Vec<u8>, StatusWord> {
        let profile = &self.token(selection.token)?.profile;
        let application = profile
            .applications()
            .get(selection.application)
            .ok_or(StatusWord::NOT_FOUND)?;
        let mut proprietary = Vec::new();
        tlv::write(
            &mut proprietary,
            tags::LABEL,
            application.label().as_bytes(),
        );
        tlv::write(&mut proprietary, tags::PRIORITY, &[application.priority()]);
        tlv::write(&mut proprietary, tags::PDOL, profile.pdol().encoded());
        for object in profile.fci() {
            tlv::write(
                &mut proprietary,
                object.tag,
                object.value.as_deref().unwrap_or_default(),
            );
        }
        Ok(file_control_information(application.aid(), &proprietary))
    }

    fn token(&self, index: usize) -> Result<&ArmedToken, StatusWord> {
        self.tokens.get(index).ok_or(StatusWord::NOT_FOUND)
    }

    fn get_processing_options(
        &mut self,
        command: &Command<'_>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Outcome, StatusWord> {
        if (command.p1, command.p2) != (0, 0) {
            return Err(StatusWord::WRONG_P1_P2);
        }
        let selection = self
            .field
            .selected
            .ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        let profile = Arc::clone(&self.token(selection.token)?.profile);
        let pdol_data = template_83(command.data).ok_or(StatusWord::WRONG_DATA)?;
        if pdol_data.len() != profile.pdol().length() {
            return Err(StatusWord::WRONG_LENGTH);
        }
        if let Some(payment) = &self.field.payment
            && payment.token == selection.token
            && payment.gpo == pdol_data
        {
            return Ok(Outcome::data(payment.answer.clone()));
        }
        if self.field.cryptograms >= self.cryptograms_per_field {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
        }
        let told = Told::read(&profile, pdol_data).ok_or(StatusWord::WRONG_DATA)?;
        let (path_index, path) = profile
            .path_for(pdol_data)
            .ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        let token = self
            .tokens
            .get_mut(selection.token)
            .ok_or(StatusWord::NOT_FOUND)?;
        if token.atcs.left() == 0
            && let Some(at) = self
                .queued
                .iter()
                .position(|next| next.token == token.token)
        {
            *token = self.queued.remove(at);
        }
        let Some(atc) = token.atcs.take() else {
            return Ok(Outcome::NotArmed(token.token.clone()));
        };
        self.field.cryptograms += 1;
        let computed = Computed::new(token, path, pdol_data, atc, rng)?;
        let answer = tlv::wrap(tags::RESPONSE, &computed.encode(&path.answer)?);
        let mut facts = vec![Fact::Cryptogram(Cryptogram {
            token: token.token.clone(),
            atc,
            key_index: token.key_index.clone(),
            unpredictable: told.unpredictable,
            money: told.money,
            merchant: told.merchant,
        })];
        let finished = path.last_record().is_none();
        if finished {
            facts.push(Fact::Finished {
                token: token.token.clone(),
                atc,
            });
        }
        self.field.payment = Some(Payment {
            token: selection.token,
            gpo: pdol_data.to_vec(),
            answer: answer.clone(),
            path: path_index,
            atc,
            card_authentication: computed.card_authentication,
            finished,
        });
        Ok(Outcome::Answer(answer, facts))
    }

    fn read_record(&mut self, command: &Command<'_>) -> Result<Outcome, StatusWord> {
        let selection = self
            .field
            .selected
            .ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        if command.p2 & 0x07 != 0x04 {
            return Err(StatusWord::WRONG_P1_P2);
        }
        let at = (command.p2 >> 3, command.p1);
        let token = self.token(selection.token)?;
        let profile = Arc::clone(&token.profile);
        let token_ref = token.token.clone();
        let record = profile
            .record(at.0, at.1)
            .ok_or(StatusWord::RECORD_NOT_FOUND)?;
        let payment = self
            .field
            .payment
            .as_mut()
            .filter(|payment| payment.token == selection.token);
        let computed = payment
            .as_ref()
            .map(|payment| payment.card_authentication.as_slice());
        let data = encode_record(record, computed)?;
        let fact = payment.and_then(|payment| {
            let last = profile.path(payment.path)?.last_record()?;
            let finishes = last == at && !payment.finished;
            payment.finished |= finishes;
            finishes.then_some(Fact::Finished {
                token: token_ref,
                atc: payment.atc,
            })
        });
        Ok(Outcome::Answer(data, fact.into_iter().collect()))
    }
}

enum Outcome {
    Answer(Vec<u8>, Vec<Fact>),
    NotArmed(TokenRef),
}

impl Outcome {
    fn data(data: Vec<u8>) -> Self {
        Self::Answer(data, Vec::new())
    }
}

fn file_control_information(name: &[u8], proprietary: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    tlv::write(&mut content, tags::DF_NAME, name);
    tlv::write(&mut content, tags::FCI_PROPRIETARY, proprietary);
    tlv::wrap(tags::FCI, &content)
}

/// The value of the command template 83.
fn template_83(data: &[u8]) -> Option<&[u8]> {
    let (length, value) = match data {
        [0x83, 0x81, length, value @ ..] => (length, value),
        [0x83, length, value @ ..] if *length < 0x80 => (length, value),
        _ => return None,
    };
    (value.len() == usize::from(*length)).then_some(value)
}
