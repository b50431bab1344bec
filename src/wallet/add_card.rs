//! Adding a card: the bank sends a code by SMS, the code makes a token.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::arm::{SECRET_LOG, SECRET_ODA, retire_older, secret_name};
use super::enrol::Enrolment;
use super::open::Opened;
use super::payload::{Provisioning, open_provisioning};
use super::permit::{arrange, order};
use super::{Wallet, WalletError};
use crate::backend::protocol::{CardAnswer, CardRequest, VerifyAnswer, VerifyRequest};
use crate::backend::{BackendError, fresh_key, parse_rfc3339_ms};
use crate::bind::bind;
use crate::emv::profile::CardProfile;
use crate::emv::verification::Tally;
use crate::store::{OutboxItem, StoreError, StoredToken, VaultTx};
use crate::token::{KeyStock, PaymentToken, TokenLife};
use crate::vault::{RecipientKey, SealedBox, TokenState};

/// Name of the list of challenges in the vault, newest first.
pub(super) const RECORD: &str = "card_challenges";
/// The most cards that wait for a code at the same time; older ones are forgotten.
const CHALLENGES: usize = 8;

/// A card that waits for the code which its bank has sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardChallenge {
    /// The challenge.
    pub id: String,
    /// The card's last four digits: `…0015`.
    pub masked_card: String,
    /// The issuing bank.
    pub bank: String,
    /// Until when the code is good, milliseconds of Unix time.
    pub expires_at_ms: i64,
    /// Tries that are left.
    pub tries_left: u32,
}

/// A code on its way, kept so that it can be sent again and its answer be opened.
#[derive(Serialize, Deserialize)]
struct Verification {
    request: VerifyRequest,
    private_half: Zeroizing<String>,
}

impl Wallet {
    /// Asks the card's bank to send a code. The number goes out sealed to the payment network and is not kept.
    ///
    /// `expiry` is `MM/YY`. `scheme` names the payment scheme where the card carries several; without it the network
    /// chooses.
    ///
    /// # Errors
    /// [`WalletError::Input`] for a number or expiry that cannot be one; [`BackendError::Refused`] when the network
    /// or the bank does not know the card.
    pub async fn begin_add_card(
        self: &Arc<Self>,
        number: &str,
        expiry: &str,
        scheme: Option<String>,
    ) -> Result<CardChallenge, WalletError> {
        let (backend, enrolment) = self.backend().await?;
        let sealed_card = seal_card(&enrolment, number, expiry)?;
        let answer: CardAnswer = backend
            .post(
                "/v1/cards",
                &CardRequest {
                    sealed_card,
                    scheme,
                },
                &fresh_key(),
            )
            .await?;
        let challenge = CardChallenge {
            id: answer.challenge_id,
            masked_card: answer.masked,
            bank: answer.bank,
            expires_at_ms: parse_rfc3339_ms(&answer.sms_expires_at)
                .ok_or(BackendError::Malformed)?,
            tries_left: answer.tries_left,
        };
        let kept = challenge.clone();
        self.blocking(move |_, opened| {
            opened.vault.write(|tx| {
                let mut challenges = challenges(tx)?;
                challenges.insert(0, kept);
                for forgotten in challenges.drain(CHALLENGES.min(challenges.len())..) {
                    tx.delete_outbox(&subject(&forgotten.id))?;
                }
                tx.set_record(RECORD, Some(&challenges))
            })?;
            Ok(challenge)
        })
        .await
    }

    /// The cards that wait for their codes, the newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn open_challenges(self: &Arc<Self>) -> Result<Vec<CardChallenge>, WalletError> {
        self.blocking(|_, opened| Ok(opened.vault.read(challenges)?))
            .await
    }

    /// Sends the code; the answer is a token with its first keys, stored and armed.
    ///
    /// A code that was on its way when the network failed is sent again under the same idempotency key.
    ///
    /// # Errors
    /// [`WalletError::NoChallenge`]; [`BackendError::Refused`] with `sms_code_wrong` and the tries that are left.
    pub async fn finish_add_card(
        self: &Arc<Self>,
        challenge_id: &str,
        code: &str,
    ) -> Result<PaymentToken, WalletError> {
        let open = self.open_challenges().await?;
        let open = open
            .into_iter()
            .find(|challenge| challenge.id == challenge_id);
        let challenge = open.ok_or(WalletError::NoChallenge)?;
        let code = check_code(code)?;
        let (backend, enrolment) = self.backend().await?;
        let device = enrolment.answer.device_id.clone();
        let id = challenge.id.clone();
        let item = self
            .blocking(move |_, opened| verification(opened, &device, &id, code))
            .await?;
        let path = format!("/v1/cards/{challenge_id}/verify");
        let answer = backend
            .post::<_, VerifyAnswer>(&path, &item.content.request, &item.idempotency_key)
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Err(self.code_refused(challenge, error).await),
        };
        let card = self.with_keys(move |wallet, opened| {
            // Two callers with the same code get the same card.
            let known = opened.vault.read(|tx| tx.tokens())?;
            let mut known = known.into_iter().map(|stored| stored.token);
            if let Some(token) = known.find(|token| token.reference == answer.token_ref) {
                return Ok(token);
            }
            let token = take_in(opened, &enrolment, &item.content, &answer, &challenge.id);
            if token.as_ref().is_err_and(WalletError::is_about_the_answer) {
                // The same answer would come again; another try must ask anew.
                opened
                    .vault
                    .write(|tx| tx.delete_outbox(&subject(&challenge.id)))?;
            }
            let token = token?;
            // The card is there; arming is tried again when a reader asks.
            drop(wallet.arm_now(opened));
            Ok(token)
        });
        let card = card.await?;
        // A card that was added a moment ago is shown without a network as well as tapped.
        if let Err(error) = self.refill_codes().await {
            tracing::info!(%error, "no payment codes came");
        }
        Ok(card)
    }

    /// Takes the refused code out of the outbox and counts the try; the challenge goes when it is over.
    async fn code_refused(
        self: &Arc<Self>,
        challenge: CardChallenge,
        error: BackendError,
    ) -> WalletError {
        let refusal = match &error {
            BackendError::Refused(refusal) if refusal.is_final() => refusal,
            // Nobody decided: the same code may still have arrived, so the request stays in the outbox.
            _ => return error.into(),
        };
        let remaining = match refusal.code.as_str() {
            "sms_code_wrong" => refusal
                .tries_left
                .unwrap_or(challenge.tries_left.saturating_sub(1)),
            "challenge_expired" | "challenge_unknown" | "tries_exhausted" => 0,
            _ => challenge.tries_left,
        };
        let noted = self
            .blocking(move |_, opened| {
                opened.vault.write(|tx| {
                    tx.delete_outbox(&subject(&challenge.id))?;
                    let mut challenges = challenges(tx)?;
                    for open in challenges.iter_mut().filter(|open| open.id == challenge.id) {
                        open.tries_left = remaining;
                    }
                    challenges.retain(|open| open.tries_left > 0);
                    tx.set_record(RECORD, Some(&challenges))
                })?;
                Ok(())
            })
            .await;
        noted.err().unwrap_or_else(|| error.into())
    }

    /// The cards with their states, the default one first; deleted ones are not among them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn cards(self: &Arc<Self>) -> Result<Vec<(PaymentToken, TokenLife)>, WalletError> {
        self.blocking(|_, opened| {
            let mut tokens = opened.vault.read(|tx| tx.tokens())?;
            arrange(&mut tokens, &order(opened)?);
            let held = tokens.into_iter();
            let held = held.filter(|stored| stored.state != TokenLife::Deleted);
            Ok(held.map(|stored| (stored.token, stored.state)).collect())
        })
        .await
    }
}

fn challenges(tx: &VaultTx<'_>) -> Result<Vec<CardChallenge>, StoreError> {
    Ok(tx.record(RECORD)?.unwrap_or_default())
}

fn subject(challenge: &str) -> String {
    format!("card {challenge}")
}

/// The request with this code: the one that waits in the outbox, or a new one, which is put there.
fn verification(
    opened: &Opened,
    device: &str,
    challenge: &str,
    code: String,
) -> Result<OutboxItem<Verification>, WalletError> {
    let subject = subject(challenge);
    let waiting = opened
        .vault
        .read(|tx| tx.outbox::<Verification>(&subject))?;
    if let Some(waiting) = waiting.filter(|waiting| waiting.content.request.code == code) {
        return Ok(waiting);
    }
    let key = RecipientKey::generate()?;
    let public = key.public()?;
    let parts = [device.as_bytes(), challenge.as_bytes(), &public];
    let proof = opened
        .hierarchy
        .sign(&bind("tapcore-provisioning-v1", &parts))?;
    let item = OutboxItem {
        idempotency_key: fresh_key(),
        content: Verification {
            request: VerifyRequest {
                code,
                provisioning_key: hex::encode_upper(&public),
                proof: hex::encode_upper(proof),
            },
            private_half: Zeroizing::new(hex::encode_upper(key.private_half())),
        },
    };
    opened.vault.write(|tx| -> Result<(), StoreError> {
        tx.delete_outbox(&subject)?;
        tx.put_outbox(&subject, &item)
    })?;
    Ok(item)
}

/// Opens the network's answer and stores the token in it.
fn take_in(
    opened: &Opened,
    enrolment: &Enrolment,
    sent: &Verification,
    answer: &VerifyAnswer,
    challenge: &str,
) -> Result<PaymentToken, WalletError> {
    let key = hex::decode(&*sent.private_half).map_err(|_| BackendError::Malformed)?;
    let key = RecipientKey::restore(&Zeroizing::new(key))?;
    let provisioning = open_provisioning(
        enrolment,
        &key,
        &answer.sealed,
        challenge,
        &answer.token_ref,
    )?;
    store_token(opened, &provisioning, challenge)
}

/// Everything of a new token in one commit, under a new generation of the arming. What could not pay is refused here,
/// before anything of it is kept.
fn store_token(
    opened: &Opened,
    provisioning: &Provisioning,
    challenge: &str,
) -> Result<PaymentToken, WalletError> {
    let profile = CardProfile::parse(provisioning.profile.get())?;
    match &provisioning.oda_key {
        Some(key) => profile.check_signature(key.key()?.size())?,
        None if profile.signs() => {
            return Err(WalletError::Provisioning("it signs but its key is missing"));
        }
        None => {}
    }
    if provisioning.first_atc == 0 {
        return Err(WalletError::Provisioning(
            "its counter must begin at 1 or above",
        ));
    }
    let reference = provisioning.token_ref.clone();
    let token = PaymentToken {
        reference: reference.clone(),
        masked_number: PaymentToken::mask(&provisioning.token),
        masked_card: provisioning.masked_card.clone(),
        bank: provisioning.bank.clone(),
        account_type: provisioning.account_type,
        expiry: provisioning.expiry.clone(),
        scheme: profile.scheme().to_owned(),
        home: None,
    };
    let mut arming = opened.arming()?;
    let mut secrets = Vec::new();
    let mut seal = |name: String, plain: &[u8]| -> Result<(), WalletError> {
        let sealed = arming.seal_secret(&reference, &name, plain)?;
        secrets.push((name, sealed));
        Ok(())
    };
    seal(SECRET_LOG.to_owned(), &provisioning.log_key.bytes()?)?;
    if let Some(key) = &provisioning.oda_key {
        let plain = Zeroizing::new(serde_json::to_vec(key).map_err(|_| BackendError::Malformed)?);
        seal(SECRET_ODA.to_owned(), &plain)?;
    }
    let mut keys = KeyStock::default();
    for key in &provisioning.keys {
        let state = key.state()?;
        seal(secret_name(&state.index), &key.bytes()?)?;
        keys.add([state]);
    }
    let state = TokenState {
        next_atc: u32::from(provisioning.first_atc),
        keys,
        logged_through: 0,
        noted_through: 0,
        tally: Tally::default(),
    };
    arming.state_mut().tokens.insert(reference.clone(), state);
    let stored = StoredToken {
        token: token.clone(),
        profile: provisioning.profile.get().to_owned(),
        state: TokenLife::Active,
        told: true,
    };
    let ((), record) = opened.commit(arming, |tx| {
        tx.add_token(&stored)?;
        for (name, sealed) in &secrets {
            tx.add_secret(&reference, name, sealed)?;
        }
        tx.delete_outbox(&subject(challenge))?;
        let mut challenges = challenges(tx)?;
        challenges.retain(|open| open.id != challenge);
        Ok(tx.set_record(RECORD, Some(&challenges))?)
    })?;
    // The card is stored. An older arming key that is still there is deleted before the next block leaves.
    drop(retire_older(opened, &record));
    Ok(token)
}

/// A card's number and expiry, checked and sealed to the network.
pub(super) fn seal_card(
    enrolment: &Enrolment,
    number: &str,
    expiry: &str,
) -> Result<SealedBox, WalletError> {
    let digits = number.chars().filter(|c| !matches!(c, ' ' | '-'));
    // In one buffer from the start: growing would leave copies of the number behind.
    let mut number = Zeroizing::new(String::with_capacity(number.len()));
    number.extend(digits);
    check_number(&number)?;
    check_expiry(expiry)?;
    let network =
        hex::decode(&enrolment.answer.network.hpke_key).map_err(|_| BackendError::Malformed)?;
    let aad = bind("card-entry", &[enrolment.answer.device_id.as_bytes()]);
    // Both were checked to be digits and a slash; a JSON value would leave copies of the number behind.
    let plain = Zeroizing::new(format!(
        r#"{{"number":"{}","expiry":"{expiry}"}}"#,
        &*number
    ));
    Ok(SealedBox::seal(
        &network,
        b"tapcore card entry v1",
        &aad,
        plain.as_bytes(),
    )?)
}

/// A code out of an SMS.
pub(super) fn check_code(code: &str) -> Result<String, WalletError> {
    let code = code.trim();
    match (1..=12).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(code.to_owned()),
        false => Err(WalletError::Input("the code from the SMS has digits only")),
    }
}

fn check_number(number: &str) -> Result<(), WalletError> {
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || !(12..=19).contains(&number.len()) {
        return Err(WalletError::Input("a card number has 12 to 19 digits"));
    }
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let digit = u32::from(digit - b'0');
            match at % 2 {
                0 => digit,
                _ => digit * 2 / 10 + digit * 2 % 10,
            }
        })
        .sum();
    match sum % 10 {
        0 => Ok(()),
        _ => Err(WalletError::Input(
            "the card number has a wrong digit: check it",
        )),
    }
}

fn check_expiry(expiry: &str) -> Result<(), WalletError> {
    let parsed = expiry.split_once('/').and_then(|(month, year)| {
        let two = |text: &str| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u8>().ok())?
        };
        Some((two(month)?, two(year)?))
    });
    match parsed {
        Some((1..=12, _)) => Ok(()),
        _ => Err(WalletError::Input("the expiry looks like MM/YY")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_checked_before_they_go_out() {
        assert!(check_number("6228480402564890018").is_ok());
        assert!(check_number("6228480402564890019").is_err());
        assert!(check_number("62284804").is_err());
        assert!(check_number("622848040256489001x").is_err());
    }

    #[test]
    fn an_expiry_is_month_and_year() {
        assert!(check_expiry("12/30").is_ok());
        for wrong in ["13/30", "00/30", "1/30", "12/2030", "1230", "+1/30"] {
            assert!(check_expiry(wrong).is_err(), "{wrong}");
        }
    }
}
