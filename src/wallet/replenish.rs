//! Replenishment: new limited-use keys against the payment log.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::arm::{SECRET_LOG, retire_older, secret_name, verified_name};
use super::enrol::Enrolment;
use super::open::Opened;
use super::paid::note_paid;
use super::payload::open_replenishment;
use super::person::person_in;
use super::{Wallet, WalletError};
use crate::account::{Currency, Money};
use crate::backend::protocol::{ReplenishAnswer, ReplenishRequest};
use crate::backend::{Backend, BackendError, fresh_key, rfc3339};
use crate::bind::bind;
use crate::statement::JournalEvent;
use crate::store::{OutboxItem, VaultTx};
use crate::token::{LogEntry, TokenLife, TokenRef, log_mac};
use crate::vault::{Arming, RecipientKey, TokenState, VaultError};

/// The amount under a cryptogram that no reader asked for.
const NOTHING: Money = Money {
    minor: 0,
    currency: Currency::CNY,
};

/// A request on its way, kept so that it can be sent again and its answer be opened.
#[derive(Serialize, Deserialize)]
struct Asked {
    request: ReplenishRequest,
    private_half: Zeroizing<String>,
    /// The journal position that the log reaches.
    through: i64,
}

impl Wallet {
    /// Asks for new keys where they run low; answers how many came.
    ///
    /// The network is waited for without holding what arming needs, so a tap is never kept waiting by it.
    pub(super) async fn replenish(self: &Arc<Self>) -> Result<u32, WalletError> {
        let _replenishing = self.replenishing.lock().await;
        let (backend, enrolment) = self.backend().await?;
        let below = enrolment.answer.policy.replenish_below;
        let device = enrolment.answer.device_id.clone();
        let asked = self
            .with_keys(move |wallet, opened| wallet.ask(opened, below, &device))
            .await?;
        let mut received = 0;
        let mut first_error = None;
        for (token, item) in asked {
            // One token that is refused must not keep the others from their keys.
            match self.exchange(&backend, &enrolment, token, item).await {
                Ok(keys) => received += keys,
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match first_error {
            Some(error) if received == 0 => Err(error),
            _ => Ok(received),
        }
    }

    /// Sends one request and takes in its keys.
    async fn exchange(
        self: &Arc<Self>,
        backend: &Backend,
        enrolment: &Enrolment,
        token: TokenRef,
        item: OutboxItem<Asked>,
    ) -> Result<u32, WalletError> {
        let path = format!("/v1/tokens/{}/replenish", token.as_str());
        let answer = backend
            .post::<_, ReplenishAnswer>(&path, &item.content.request, &item.idempotency_key)
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(BackendError::Refused(refusal)) if refusal.is_final() => {
                // A refused request is over; the next one is made from the journal as it is then.
                let over = move |tx: &VaultTx<'_>| tx.delete_outbox(&subject(&token));
                self.with_keys(move |_, opened| Ok(opened.vault.write(over)?))
                    .await?;
                return Err(BackendError::Refused(refusal).into());
            }
            Err(error) => return Err(error.into()),
        };
        let enrolment = enrolment.clone();
        self.with_keys(move |wallet, opened| {
            let keys = take_in(
                opened,
                &enrolment,
                &token,
                &item.content,
                &answer,
                opened.time_ms(),
            );
            if keys.as_ref().is_err_and(WalletError::is_about_the_answer) {
                // The same answer would come again; the next sync must ask anew.
                opened
                    .vault
                    .write(|tx| tx.delete_outbox(&subject(&token)))?;
            }
            let keys = keys?;
            // The keys are there; arming is tried again when a reader asks.
            drop(wallet.arm_now(opened));
            Ok(keys)
        })
        .await
    }

    /// The requests to send: those that wait for an answer, and new ones where keys run low.
    fn ask(
        &self,
        opened: &Opened,
        below: u32,
        device: &str,
    ) -> Result<Vec<(TokenRef, OutboxItem<Asked>)>, WalletError> {
        let tokens = opened.vault.read(|tx| tx.tokens())?;
        let tokens: Vec<_> = tokens
            .into_iter()
            .filter(|stored| stored.state == TokenLife::Active)
            .collect();
        // Locked, it can neither authenticate its log nor take keys in.
        if tokens.is_empty() || opened.known().locked {
            return Ok(Vec::new());
        }
        let arming = opened.arming()?;
        let has_person = person_in(opened)?.is_some();
        let now_ms = opened.time_ms();
        let mut asked = Vec::new();
        for stored in tokens {
            let token = stored.token.reference;
            let waiting = opened
                .vault
                .read(|tx| tx.outbox::<Asked>(&subject(&token)))?;
            if let Some(item) = waiting {
                asked.push((token, item));
                continue;
            }
            let Some(state) = arming.state().tokens.get(&token) else {
                continue;
            };
            let wants = Wants::of(state, self.tap.left(&token), below, has_person, now_ms);
            if wants.any() {
                let item = request(
                    opened,
                    &arming,
                    &token,
                    state.logged_through,
                    device,
                    wants.verified,
                )?;
                opened
                    .vault
                    .write(|tx| tx.put_outbox(&subject(&token), &item))?;
                asked.push((token, item));
            }
        }
        Ok(asked)
    }
}

/// Which keys of a card run low.
pub(super) struct Wants {
    plain: bool,
    verified: bool,
}

impl Wants {
    /// Of a card with so many payments reserved in memory, where fewer than `below` are too few.
    pub(super) fn of(
        state: &TokenState,
        reserved: u32,
        below: u32,
        has_person: bool,
        now_ms: i64,
    ) -> Self {
        let plain = state.keys.uses_left(now_ms, false);
        Self {
            plain: plain.saturating_add(reserved) < below,
            // Keys for verified payments are of use only to a phone that knows its person.
            verified: has_person && state.keys.uses_left(now_ms, true) < below,
        }
    }

    pub(super) fn any(&self) -> bool {
        self.plain || self.verified
    }
}

pub(super) fn subject(token: &TokenRef) -> String {
    format!("replenish {}", token.as_str())
}

fn request(
    opened: &Opened,
    arming: &Arming,
    token: &TokenRef,
    logged_through: i64,
    device: &str,
    verified_keys: bool,
) -> Result<OutboxItem<Asked>, WalletError> {
    let (journal, sealed) = opened.vault.read(|tx| {
        Ok((
            tx.journal_after(logged_through)?,
            tx.secret(token, SECRET_LOG)?,
        ))
    })?;
    let through = journal.last().map_or(logged_through, |(seq, ..)| *seq);
    let log: Vec<LogEntry> = journal
        .into_iter()
        .filter_map(|(_, at_ms, event)| log_entry(token, at_ms, event))
        .collect();
    let sealed = sealed.ok_or(VaultError::Unsealable)?;
    let mac_key = arming.mac_key(token, SECRET_LOG, &sealed)?;
    let mac = log_mac(&mac_key, token, &log);
    let key = RecipientKey::generate()?;
    let public = key.public()?;
    let parts = [device.as_bytes(), token.as_str().as_bytes(), &public, &mac];
    let proof = opened
        .hierarchy
        .sign(&bind("tapcore-replenish-v1", &parts))?;
    Ok(OutboxItem {
        idempotency_key: fresh_key(),
        content: Asked {
            request: ReplenishRequest {
                log,
                log_mac: hex::encode_upper(mac),
                provisioning_key: hex::encode_upper(public),
                proof: hex::encode_upper(proof),
                verified_keys,
            },
            private_half: Zeroizing::new(hex::encode_upper(key.private_half())),
            through,
        },
    })
}

/// What the log has of an event: each cryptogram of the token.
fn log_entry(token: &TokenRef, at_ms: i64, event: JournalEvent) -> Option<LogEntry> {
    let (payment, key_index, un, money) = match event {
        JournalEvent::Cryptogram {
            payment,
            key_index,
            un,
            money,
            ..
        } => (payment, key_index, un, money),
        // Nobody told the phone an amount, and none is under the cryptogram.
        JournalEvent::Presented {
            payment,
            key_index,
            un,
        } => (payment, key_index, un, NOTHING),
        JournalEvent::Finished { .. } => return None,
    };
    Some(LogEntry {
        atc: payment.atc().filter(|_| payment.token == *token)?,
        key_index,
        at: rfc3339(at_ms),
        un,
        money,
    })
}

/// Opens the network's answer and stores the keys in it.
fn take_in(
    opened: &Opened,
    enrolment: &Enrolment,
    token: &TokenRef,
    sent: &Asked,
    answer: &ReplenishAnswer,
    now_ms: i64,
) -> Result<u32, WalletError> {
    let decode = |text: &str| hex::decode(text).map_err(|_| BackendError::Malformed);
    let key = Zeroizing::new(decode(&sent.private_half)?);
    let key = RecipientKey::restore(&key)?;
    let mac = decode(&sent.request.log_mac)?;
    let new = open_replenishment(enrolment, &key, &answer.sealed, token, &mac)?;
    store_keys(opened, token, &new.keys, sent.through, now_ms)
}

/// New keys and the log's new position in one commit, under a new generation of the arming; spent keys are wiped.
pub(super) fn store_keys(
    opened: &Opened,
    token: &TokenRef,
    keys: &[super::payload::ProvisionedKey],
    through: i64,
    now_ms: i64,
) -> Result<u32, WalletError> {
    let mut arming = opened.arming()?;
    let person = person_in(opened)?;
    let mut secrets = Vec::new();
    let mut states = Vec::new();
    for key in keys {
        let state = key.state()?;
        // An old request that was put back brings old keys: what was used up stays so.
        let held = arming.state().tokens.get(token);
        if held.is_some_and(|held| held.keys.knows(&state.index)) {
            continue;
        }
        let (name, plain) = match (&person, key.verified) {
            (_, false) => (secret_name(&state.index), key.bytes()?),
            (Some(person), true) => {
                // From here on the person alone opens it.
                let sealed = person
                    .public
                    .seal_payment_key(token, &state.index, &key.bytes()?)?;
                let text = serde_json::to_vec(&sealed).map_err(|_| BackendError::Malformed)?;
                (verified_name(&state.index), Zeroizing::new(text))
            }
            // The person is gone since it was asked for.
            (None, true) => continue,
        };
        secrets.push((name.clone(), arming.seal_secret(token, &name, &plain)?));
        states.push(state);
    }
    let Some(state) = arming.state_mut().tokens.get_mut(token) else {
        return Err(WalletError::Provisioning(
            "the token is not on this phone any more",
        ));
    };
    // Before a key that was used up is forgotten.
    note_paid(opened, token, state)?;
    state.keys.add(states);
    // What is in memory of a spent key pays to its end; only what is stored of it goes.
    let spent = state.keys.prune(now_ms);
    state.logged_through = state.logged_through.max(through);
    let ((), record) = opened.commit(arming, |tx| {
        for (name, sealed) in &secrets {
            tx.add_secret(token, name, sealed)?;
        }
        for index in &spent {
            tx.delete_secret(token, &secret_name(index))?;
            tx.delete_secret(token, &verified_name(index))?;
        }
        tx.delete_outbox(&subject(token))?;
        Ok(())
    })?;
    retire_older(opened, &record)?;
    Ok(u32::try_from(secrets.len()).unwrap_or(u32::MAX))
}
