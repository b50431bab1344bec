//! The cardholder's check by SMS before a card may be tokenised: six random digits, five minutes, three tries.

use rand_core::{OsRng, RngCore};
use sandbox_kit::event::Event;
use sandbox_kit::ledger::{LedgerEntry, masked};
use sandbox_kit::problem::Problem;
use sandbox_kit::{bytes, clock};
use serde::{Deserialize, Serialize};
use sqlx::{Any, Row, Transaction};
use time::Duration;

use crate::card::{
    AccountType, Behaviour, CURRENCY, NotACard, OPENING_BALANCE, expires_on, look_up,
};
use crate::{Bank, books};

/// How long an SMS code lives.
pub const CODE_LIFETIME: Duration = Duration::minutes(5);
/// How often a code may be typed wrong.
pub const TRIES: i64 = 3;

/// A card that somebody wants to add, as typed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardQuery {
    /// The card number, digits.
    pub number: String,
    /// `MM/YY`.
    pub expiry: String,
}

/// An SMS is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Names the challenge.
    pub challenge_id: String,
    /// The card's last four digits.
    pub masked: String,
    /// What stands behind the card.
    pub account_type: AccountType,
    /// When the code dies.
    pub sms_expires_at: String,
    /// Tries left.
    pub tries_left: i64,
}

/// The code as typed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeTyped {
    /// Six digits.
    pub code: String,
}

/// The cardholder is who they say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The bank's name for the card from now on.
    pub card_ref: String,
}

impl Bank {
    /// Begins a check: sends a code to the cardholder, or says why this card cannot be added.
    pub async fn challenge(&self, query: &CardQuery) -> Result<Challenge, Problem> {
        let behaviour = look_up(&query.number, self.bin()).map_err(not_a_card)?;
        let first_invalid = expires_on(&query.expiry)
            .ok_or_else(|| Problem::invalid("Write the expiry as on the card, MM/YY."))?;
        match behaviour {
            Behaviour::Down => return Err(self.unavailable()),
            Behaviour::Lost => {
                return Err(Problem::new(
                    409,
                    "card_reported_lost",
                    "Card reported lost",
                    "This card was reported lost. Ask the bank for a new one.",
                ));
            }
            Behaviour::Expired => return Err(card_expired()),
            _ if self.now().date() >= first_invalid => return Err(card_expired()),
            _ => {}
        }
        let challenge = Challenge {
            challenge_id: bytes::random_id("sms"),
            masked: masked(&query.number),
            account_type: AccountType::of(&query.number, self.bin()),
            sms_expires_at: clock::text(self.now() + CODE_LIFETIME),
            tries_left: TRIES,
        };
        let code = random_code();
        sqlx::query("INSERT INTO challenges (challenge_id, number, expiry, code, expires_at, tries_left, card_ref) VALUES ($1, $2, $3, $4, $5, $6, '')")
            .bind(challenge.challenge_id.as_str())
            .bind(query.number.as_str())
            .bind(query.expiry.as_str())
            .bind(code.as_str())
            .bind(challenge.sms_expires_at.as_str())
            .bind(TRIES)
            .execute(self.db().pool())
            .await?;
        self.events().tell(
            Event::new("sms")
                .with(
                    "to",
                    format!("{} customer {}", self.name(), challenge.masked),
                )
                .with("code", code),
        );
        Ok(challenge)
    }

    /// Checks a code. The right one opens the card's account, or finds it when it is open already; repeating the right
    /// one gives the same answer. The third wrong one ends the challenge.
    pub async fn verify(&self, challenge_id: &str, code: &str) -> Result<Verified, Problem> {
        let mut tx = self.db().begin().await?;
        let row = sqlx::query("SELECT number, expiry, code, expires_at, tries_left, card_ref FROM challenges WHERE challenge_id = $1")
            .bind(challenge_id)
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| {
                Problem::new(
                    404,
                    "challenge_unknown",
                    "Unknown challenge",
                    "There is no such SMS check. Add the card again.",
                )
            })?;
        let (number, expiry): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let (right, expires_at): (String, String) = (row.try_get(2)?, row.try_get(3)?);
        let (tries_left, card_ref): (i64, String) = (row.try_get(4)?, row.try_get(5)?);
        if tries_left <= 0 {
            return Err(tries_exhausted());
        }
        if clock::text(self.now()) >= expires_at {
            return Err(Problem::new(
                410,
                "challenge_expired",
                "SMS code expired",
                "The code is older than five minutes. Add the card again to get a fresh one.",
            ));
        }
        if code != right {
            let tries_left = tries_left - 1;
            sqlx::query("UPDATE challenges SET tries_left = $1 WHERE challenge_id = $2")
                .bind(tries_left)
                .bind(challenge_id)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            return Err(match tries_left {
                0 => tries_exhausted(),
                left => Problem::new(
                    403,
                    "sms_code_wrong",
                    "Wrong SMS code",
                    "That is not the code of the SMS. Read it again and type its six digits.",
                )
                .with("tries_left", left),
            });
        }
        if !card_ref.is_empty() {
            return Ok(Verified { card_ref });
        }
        let card_ref = self.open_card(&mut tx, &number, &expiry).await?;
        sqlx::query("UPDATE challenges SET card_ref = $1 WHERE challenge_id = $2")
            .bind(card_ref.as_str())
            .bind(challenge_id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Verified { card_ref })
    }

    /// The card's reference; its account is opened and funded the first time.
    async fn open_card(
        &self,
        tx: &mut Transaction<'static, Any>,
        number: &str,
        expiry: &str,
    ) -> Result<String, Problem> {
        let known = sqlx::query("SELECT card_ref FROM cards WHERE number = $1")
            .bind(number)
            .fetch_optional(&mut **tx)
            .await?;
        if let Some(row) = known {
            return Ok(row.try_get(0)?);
        }
        let card_ref = bytes::random_id("card");
        let account_type = AccountType::of(number, self.bin());
        let at = clock::text(self.now());
        sqlx::query("INSERT INTO cards (card_ref, number, expiry, account_type, opened_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(card_ref.as_str())
            .bind(number)
            .bind(expiry)
            .bind(account_type.name())
            .bind(at.as_str())
            .execute(&mut **tx)
            .await?;
        let account = books::customer(&card_ref);
        for name in [account.as_str(), books::FUNDS, books::SETTLEMENT] {
            books::open_account(tx, name, CURRENCY).await?;
        }
        let is_funded = account_type == AccountType::BankCard;
        if is_funded && look_up(number, self.bin()) != Ok(Behaviour::NoFunds) {
            let opening = LedgerEntry {
                at,
                kind: "opening".into(),
                debit: books::FUNDS.into(),
                credit: account,
                amount_minor: OPENING_BALANCE,
                currency: CURRENCY.into(),
                reference: card_ref.clone(),
                result: "posted".into(),
                ..LedgerEntry::default()
            };
            books::book(tx, &opening).await?;
        }
        Ok(card_ref)
    }
}

fn not_a_card(reason: NotACard) -> Problem {
    match reason {
        NotACard::Malformed => Problem::new(
            422,
            "card_number_invalid",
            "Card number not valid",
            "That is not a card number. Check the digits.",
        ),
        NotACard::Unknown => Problem::new(
            404,
            "card_unknown",
            "Unknown card",
            "The bank has no card with this number. Check the digits.",
        ),
    }
}

fn card_expired() -> Problem {
    Problem::new(
        422,
        "card_expired",
        "Card expired",
        "This card has expired. Use the one the bank sent to replace it.",
    )
}

fn tries_exhausted() -> Problem {
    Problem::new(
        429,
        "tries_exhausted",
        "Too many wrong codes",
        "The code was typed wrong three times. Add the card again to get a fresh one.",
    )
    .with("tries_left", 0)
}

/// Six digits, each sequence as likely as the others.
fn random_code() -> String {
    const CODES: u32 = 1_000_000;
    // Values above the last whole multiple would favour small codes.
    let limit = u32::MAX - u32::MAX % CODES;
    let value = std::iter::repeat_with(|| OsRng.next_u32())
        .find(|value| *value < limit)
        .unwrap_or_default();
    format!("{:06}", value % CODES)
}
