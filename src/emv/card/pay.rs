//! The commands that pay: GET PROCESSING OPTIONS, READ RECORD, GENERATE AC.

use std::sync::Arc;

use rand_core::CryptoRngCore;

use super::{ArmedToken, Asked, Card, Cryptogram, Fact, Outcome};
use crate::emv::apdu::{Command, StatusWord};
use crate::emv::computed::{Computed, Request, Told, encode_record};
use crate::emv::profile::{Ask, CardProfile, DataObject, Decision, Flow, Path, tags};
use crate::emv::tlv;
use crate::emv::verification::VerifiedKey;
use crate::token::{Overrun, TokenRef};

/// What a GPO found where a GENERATE AC is to follow.
pub(super) struct Options {
    token: usize,
    pdol_data: Vec<u8>,
    path: usize,
    /// Whether a cryptogram was given for it: there is one (EMV Book 3, 9.3).
    paid: bool,
}

/// The payment of a stay in the field.
pub(super) struct Payment {
    pub(super) token: usize,
    /// What the reader said for it: to the same, the answer is the same.
    said: Vec<u8>,
    answer: Vec<u8>,
    path: usize,
    atc: u16,
    card_authentication: Vec<u8>,
    finished: bool,
}

/// A command that pays, read.
struct Demand<'a> {
    token: usize,
    profile: &'a CardProfile,
    path: (usize, &'a Path),
    pdol_data: &'a [u8],
    cdol_data: Option<&'a [u8]>,
    told: Told,
    said: Vec<u8>,
    how: How<'a>,
}

/// Which answers a command that pays can get.
#[derive(Clone, Copy)]
struct How<'a> {
    pays: &'a [DataObject],
    declines: Option<&'a [DataObject]>,
    /// What sends the person to the phone.
    sees_phone: Option<&'a [DataObject]>,
    /// The reader itself declines.
    refused: bool,
}

/// Whether a payment may be made, and how.
enum Verdict {
    Pay(Option<VerifiedKey>),
    Decline,
    Ask,
    NotArmed(TokenRef),
    AboveLimit,
}

impl Card {
    pub(super) fn token(&self, at: usize) -> Result<&ArmedToken, StatusWord> {
        self.tokens.get(at).ok_or(StatusWord::NOT_FOUND)
    }

    /// The token of the selected application.
    fn selected(&self) -> Result<usize, StatusWord> {
        let entry = self.field.selected.and_then(|at| self.entries.get(at));
        entry
            .map(|entry| entry.token)
            .ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)
    }

    pub(super) fn get_processing_options(
        &mut self,
        command: &Command<'_>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Outcome, StatusWord> {
        if (command.p1, command.p2) != (0, 0) {
            return Err(StatusWord::WRONG_P1_P2);
        }
        let token = self.selected()?;
        let profile = Arc::clone(&self.token(token)?.profile);
        let pdol_data = template_83(command.data).ok_or(StatusWord::WRONG_DATA)?;
        if pdol_data.len() != profile.pdol().length() {
            return Err(StatusWord::WRONG_LENGTH);
        }
        let path = profile
            .path_for(pdol_data)
            .ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        if let Flow::GenerateAc(_) = profile.flow() {
            let mut content = Vec::new();
            for object in &path.1.answer {
                let value = object.value(false).ok_or(StatusWord::INTERNAL)?;
                tlv::write(&mut content, object.tag, value);
            }
            self.field.options = Some(Options {
                token,
                pdol_data: pdol_data.to_vec(),
                path: path.0,
                paid: false,
            });
            return Ok(Outcome::data(tlv::wrap(tags::RESPONSE, &content)));
        }
        let demand = Demand {
            token,
            profile: &profile,
            path,
            pdol_data,
            cdol_data: None,
            told: Told::read(profile.pdol(), pdol_data).ok_or(StatusWord::WRONG_DATA)?,
            said: pdol_data.to_vec(),
            how: How {
                pays: &path.1.answer,
                declines: None,
                sees_phone: None,
                refused: false,
            },
        };
        self.pay(demand, rng)
    }

    pub(super) fn generate_ac(
        &mut self,
        command: &Command<'_>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Outcome, StatusWord> {
        let token = self.selected()?;
        let profile = Arc::clone(&self.token(token)?.profile);
        let Flow::GenerateAc(rule) = profile.flow() else {
            return Err(StatusWord::INS_NOT_SUPPORTED);
        };
        let options = self.field.options.as_ref();
        let options = options.filter(|options| options.token == token);
        let options = options.ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        // Bits 8 and 7 say what is asked for, 5 whether with CDA; the others mean nothing here.
        let refused = match command.p1 & 0xC0 {
            0x00 => true,
            0x40 | 0x80 => false,
            _ => return Err(StatusWord::WRONG_P1_P2),
        };
        if command.p2 != 0 {
            return Err(StatusWord::WRONG_P1_P2);
        }
        // Some readers send more than the list asks for.
        let cdol_data = command.data.get(..rule.cdol.length());
        let cdol_data = cdol_data.ok_or(StatusWord::WRONG_LENGTH)?;
        let signed = rule.cda_answer.as_deref();
        let signed = signed.filter(|_| command.p1 & 0x10 != 0);
        let said = [&[command.p1], options.pdol_data.as_slice(), cdol_data].concat();
        let pdol_data = options.pdol_data.clone();
        let (path, paid) = (options.path, options.paid);
        let again = self.field.payment.as_ref();
        let again = again.is_some_and(|payment| payment.token == token && payment.said == said);
        if paid && !again {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
        }
        let demand = Demand {
            token,
            profile: &profile,
            path: (path, profile.path(path).ok_or(StatusWord::INTERNAL)?),
            pdol_data: &pdol_data,
            cdol_data: Some(cdol_data),
            told: Told::read(&rule.cdol, cdol_data).ok_or(StatusWord::WRONG_DATA)?,
            said,
            how: How {
                pays: signed.unwrap_or(&rule.answer),
                declines: Some(&rule.declined),
                sees_phone: rule.see_phone.as_deref(),
                refused,
            },
        };
        let outcome = self.pay(demand, rng)?;
        if let (Outcome::Answer(..), Some(options)) = (&outcome, &mut self.field.options) {
            options.paid = true;
        }
        Ok(outcome)
    }

    /// Pays, or says why not.
    fn pay(
        &mut self,
        mut demand: Demand<'_>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Outcome, StatusWord> {
        if let Some(payment) = &self.field.payment
            && payment.token == demand.token
            && payment.said == demand.said
        {
            return Ok(Outcome::data(payment.answer.clone()));
        }
        if self.field.cryptograms >= self.cryptograms_per_field {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
        }
        let asked = Asked {
            money: demand.told.money,
            merchant: demand.told.merchant.take(),
            country: demand.told.country,
        };
        let name = self.token(demand.token)?.token.clone();
        match (self.judge(&demand), demand.how.declines) {
            (Verdict::NotArmed(token), _) => Ok(Outcome::NotArmed(token)),
            (Verdict::AboveLimit, None) => Ok(Outcome::Refused(
                StatusWord::CONDITIONS_NOT_SATISFIED,
                Fact::AboveLimit { token: name, asked },
            )),
            (Verdict::AboveLimit, Some(declines)) => {
                let told = Fact::AboveLimit {
                    token: name,
                    asked: asked.clone(),
                };
                self.decline(&demand, declines, asked, told, rng)
            }
            (Verdict::Pay(key), _) => {
                let decision = Decision::Online {
                    verified: key.is_some(),
                };
                self.answer(&demand, demand.how.pays, decision, key, asked, rng)
            }
            (Verdict::Ask, Some(declines))
                if demand.profile.verification().ask == Ask::DeclinedAc =>
            {
                let wanted = Fact::PersonWanted {
                    token: name,
                    asked: asked.clone(),
                };
                let see_phone = demand.how.sees_phone.unwrap_or(declines);
                self.decline(&demand, see_phone, asked, wanted, rng)
            }
            (Verdict::Ask, _) => Ok(Outcome::Refused(
                StatusWord::SEE_PHONE,
                Fact::PersonWanted { token: name, asked },
            )),
            (Verdict::Decline, Some(declines)) => {
                self.answer(&demand, declines, Decision::Declined, None, asked, rng)
            }
            (Verdict::Decline, None) => Err(StatusWord::CONDITIONS_NOT_SATISFIED),
        }
    }

    /// Declines, and tells why.
    fn decline(
        &mut self,
        demand: &Demand<'_>,
        objects: &[DataObject],
        asked: Asked,
        why: Fact,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Outcome, StatusWord> {
        let outcome = self.answer(demand, objects, Decision::Declined, None, asked, rng)?;
        Ok(match outcome {
            Outcome::Answer(data, facts) => {
                Outcome::Answer(data, facts.into_iter().chain([why]).collect())
            }
            other => other,
        })
    }

    /// Whether this payment may be made: the counter, the person, the limits of the key.
    fn judge(&mut self, demand: &Demand<'_>) -> Verdict {
        let money = demand.told.money;
        let abroad = is_abroad(demand);
        loop {
            self.take_next(demand.token);
            let Some(held) = self.tokens.get(demand.token) else {
                return Verdict::Decline;
            };
            if held.atcs.left() == 0 {
                return Verdict::NotArmed(held.token.clone());
            }
            if demand.how.refused {
                return Verdict::Decline;
            }
            let consent = self.consent.as_ref();
            let consent = consent.filter(|consent| consent.covers.admits(money));
            let key = consent.and_then(|consent| {
                let of_token = |key: &VerifiedKey| key.token == held.token;
                consent.keys.iter().position(of_token)
            });
            if let (Some(at), Some(consent)) = (key, self.consent.as_mut()) {
                // Looked at before it is taken: a payment that is refused uses no consent up.
                let keys = &mut consent.keys;
                match keys.get(at).map(|key| key.allowance.check(money, abroad)) {
                    Some(Ok(())) => {
                        let key = keys.swap_remove(at);
                        self.revoke();
                        return Verdict::Pay(Some(key));
                    }
                    _ => return Verdict::AboveLimit,
                }
            }
            let list = demand.profile.payment_list();
            let data = demand.cdol_data.unwrap_or(demand.pdol_data);
            if self
                .rule
                .needs_person(demand.profile, (list, data), money, &held.tally)
            {
                return Verdict::Ask;
            }
            match held.allowance.check(money, abroad) {
                Ok(()) => return Verdict::Pay(None),
                Err(Overrun::Single | Overrun::Foreign) => return Verdict::AboveLimit,
                // Each turn takes a block away, of which there are two.
                Err(Overrun::Spent) => self.set_aside(demand.token),
            }
        }
    }

    /// Takes a counter and answers under it.
    fn answer(
        &mut self,
        demand: &Demand<'_>,
        objects: &[DataObject],
        decision: Decision,
        verified: Option<VerifiedKey>,
        asked: Asked,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Outcome, StatusWord> {
        let abroad = is_abroad(demand);
        let held = self.tokens.get_mut(demand.token);
        let held = held.ok_or(StatusWord::NOT_FOUND)?;
        let Some(atc) = held.atcs.take() else {
            return Ok(Outcome::NotArmed(held.token.clone()));
        };
        self.field.cryptograms += 1;
        let (key, key_index) = match &verified {
            Some(verified) => (&verified.key, verified.key_index),
            None => (&held.key, held.key_index),
        };
        let request = Request {
            token: held,
            key,
            key_index: &key_index,
            decision,
            path: demand.path.1,
            answer: objects,
            pdol_data: demand.pdol_data,
            cdol_data: demand.cdol_data,
            atc,
        };
        let computed = Computed::new(&request, rng)?;
        let answer = tlv::wrap(tags::RESPONSE, &computed.encode(objects)?);
        if verified.is_some() {
            // The counter was reserved with a use of the key that did not pay.
            let spared = (held.token.clone(), held.key_index, 1);
            self.spared.push(spared);
        } else if decision != Decision::Declined {
            held.allowance.spend(asked.money, abroad);
        }
        if decision != Decision::Declined {
            held.tally.note(asked.money, verified.is_some());
        }
        let token = held.token.clone();
        let mut facts = vec![Fact::Cryptogram(Cryptogram {
            token: token.clone(),
            atc,
            key_index,
            unpredictable: demand.told.unpredictable,
            asked,
            abroad,
            decision,
        })];
        // A GENERATE AC comes after the records; a GPO before them, where there are any.
        let finished = demand.cdol_data.is_some() || demand.path.1.last_record().is_none();
        if finished {
            facts.push(Fact::Finished { token, atc });
        }
        self.field.payment = Some(Payment {
            token: demand.token,
            said: demand.said.clone(),
            answer: answer.clone(),
            path: demand.path.0,
            atc,
            card_authentication: computed.card_authentication,
            finished,
        });
        Ok(Outcome::Answer(answer, facts))
    }

    pub(super) fn read_record(&mut self, command: &Command<'_>) -> Result<Outcome, StatusWord> {
        let selected = self.selected()?;
        if command.p2 & 0x07 != 0x04 {
            return Err(StatusWord::WRONG_P1_P2);
        }
        let at = (command.p2 >> 3, command.p1);
        let token = self.token(selected)?;
        let profile = Arc::clone(&token.profile);
        let token_ref = token.token.clone();
        let record = profile
            .record(at.0, at.1)
            .ok_or(StatusWord::RECORD_NOT_FOUND)?;
        let payment = self.field.payment.as_mut();
        let payment = payment.filter(|payment| payment.token == selected);
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

fn is_abroad(demand: &Demand<'_>) -> bool {
    let country = demand.told.country;
    demand
        .profile
        .is_foreign(country.as_ref().map(<[u8; 2]>::as_slice))
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
