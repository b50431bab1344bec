//! Authorisations. The network checks, in this order: token, key index, cryptogram, transaction counter, the token's
//! state, what the card says of its own decision, the limits of the key; what passes goes to the bank behind the token.
//! What a cryptogram covers, which key makes it and how issuer data is read goes by the token's scheme. Counter and
//! limits are spent in the transaction that records the authorisation, before the bank is asked, so a crash can lose an
//! answer but never let a cryptogram count twice.

use std::collections::BTreeMap;

use anyhow::Context;
use sandbox_kit::problem::Problem;
use sandbox_kit::{bytes, clock};
use serde::{Deserialize, Serialize};
use sqlx::{Any, Row, Transaction};

use crate::Network;
use crate::derive::{cryptogram_is_right, limited_use_key, session_key};
use crate::entry::stored_scheme;
use crate::limits::{self, Key, KeyClass, Wanted};
use crate::profile::KeyMethod;
use crate::profile::iad::{self, CardResult};
use crate::scheme::Scheme;
use crate::settle::{Case, book_and_tell};
use crate::state;

/// The largest amount that fits tag 9F02, in minor units.
pub const MAX_AMOUNT: i64 = 999_999_999_999;

/// A payment as the acquirer asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorisationQuery {
    /// The acquirer.
    pub acquirer_id: String,
    /// The terminal.
    pub terminal_id: String,
    /// The merchant.
    pub merchant_id: String,
    /// The merchant's name.
    pub merchant: String,
    /// Merchant category, four digits.
    pub mcc: String,
    /// ISO 3166 numeric.
    pub country: String,
    /// The terminal's number for the payment; the same one is answered the same.
    pub trace: i64,
    /// When, RFC 3339.
    pub at: String,
    /// Minor units. Tag 9F02 is derived from it and never taken from elsewhere.
    pub amount_minor: i64,
    /// ISO 4217 letters. Tag 5F2A is derived from it.
    pub currency: String,
    /// The token number.
    pub token: String,
    /// The token's month of expiry, `YYMM`.
    pub expiry: String,
    /// The token's sequence number.
    pub psn: String,
    /// Card and terminal data by tag, hex.
    pub emv: BTreeMap<String, String>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorisation {
    /// `approved` or `declined`.
    pub result: String,
    /// Why not.
    pub reason: Option<String>,
    /// The bank's six digits, when approved.
    pub authorisation: Option<String>,
    /// When it was decided, RFC 3339.
    pub at: String,
    /// The network's name for the payment.
    pub network_ref: String,
}

/// The card's data that the network reads, taken out of the tags with their lengths checked.
struct CardSaid {
    scheme: Scheme,
    atc: u16,
    arqc: [u8; 8],
    iad: Vec<u8>,
    /// Where the card was told it is.
    country: [u8; 2],
    /// The bytes under the cryptogram.
    inputs: Vec<u8>,
}

/// What the checks found.
struct Judgement {
    token_ref: String,
    bank: String,
    card_ref: String,
    key_index: String,
    reason: Option<&'static str>,
}

impl Judgement {
    fn refused(token_ref: &str, reason: &'static str) -> Self {
        Self {
            token_ref: token_ref.to_owned(),
            bank: String::new(),
            card_ref: String::new(),
            key_index: String::new(),
            reason: Some(reason),
        }
    }
}

impl Network {
    /// Decides on a payment.
    pub async fn authorise(&self, query: &AuthorisationQuery) -> Result<Authorisation, Problem> {
        let said = read_card_data(query, self.scheme_of(&query.token).await?)?;
        let text = serde_json::to_string(query).map_err(|_| Problem::internal())?;
        let request = bytes::to_hex(&bytes::sha256(text.as_bytes()));
        let mut tx = self.db().begin().await?;
        let known = sqlx::query("SELECT network_ref, request FROM authorisations WHERE acquirer_id = $1 AND terminal_id = $2 AND trace = $3")
            .bind(query.acquirer_id.as_str())
            .bind(query.terminal_id.as_str())
            .bind(query.trace)
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(row) = known {
            tx.rollback().await?;
            if row.try_get::<String, _>(1)? != request {
                return Err(Problem::new(
                    409,
                    "idempotency_conflict",
                    "Trace number used before",
                    "This terminal has sent another payment under this trace number. Use the next one.",
                ));
            }
            return self.finish(&row.try_get::<String, _>(0)?).await;
        }
        let network_ref = bytes::random_id("net");
        let judged = self.judge(&mut tx, query, &said, &network_ref).await?;
        let (stage, result, reason) = match judged.reason {
            Some(reason) => ("done", "declined", reason),
            None => ("asking", "", ""),
        };
        let at = clock::text(self.now());
        sqlx::query("INSERT INTO authorisations (network_ref, acquirer_id, terminal_id, trace, request, query, token_ref, atc, key_index, bank, card_ref, state, result, reason, authorisation, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, '', $15)")
            .bind(network_ref.as_str())
            .bind(query.acquirer_id.as_str())
            .bind(query.terminal_id.as_str())
            .bind(query.trace)
            .bind(request)
            .bind(text)
            .bind(judged.token_ref.as_str())
            .bind(i64::from(said.atc))
            .bind(judged.key_index.as_str())
            .bind(judged.bank.as_str())
            .bind(judged.card_ref.as_str())
            .bind(stage)
            .bind(result)
            .bind(reason)
            .bind(at.as_str())
            .execute(&mut *tx)
            .await?;
        if let Some(reason) = judged.reason {
            let case = Case {
                network_ref: network_ref.clone(),
                token_ref: judged.token_ref,
                bank: judged.bank,
                card_ref: judged.card_ref,
                atc: said.atc,
                query: query.clone(),
            };
            let decision = Authorisation {
                result: "declined".into(),
                reason: Some(reason.into()),
                authorisation: None,
                at,
                network_ref,
            };
            book_and_tell(&mut tx, &case, &decision, "refusal").await?;
            tx.commit().await?;
            self.mail_waits();
            return Ok(decision);
        }
        tx.commit().await?;
        self.finish(&network_ref).await
    }

    /// The scheme of a token, which never changes; of one that is not known, any: it is refused whatever it sends.
    async fn scheme_of(&self, token: &str) -> Result<Scheme, Problem> {
        let row = sqlx::query("SELECT scheme FROM tokens WHERE token = $1")
            .bind(token)
            .fetch_optional(self.db().pool())
            .await?;
        match row {
            Some(row) => stored_scheme(&row, 0),
            None => Ok(Scheme::default()),
        }
    }

    /// The network's own checks, in order. Spends the transaction counter and what the key may pay when they are reached.
    async fn judge(
        &self,
        tx: &mut Transaction<'static, Any>,
        query: &AuthorisationQuery,
        said: &CardSaid,
        network_ref: &str,
    ) -> Result<Judgement, Problem> {
        let row = sqlx::query("SELECT token_ref, psn, expiry, bank, card_ref, state FROM tokens WHERE token = $1 AND state <> 'withdrawn'")
            .bind(query.token.as_str())
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = row else {
            return Ok(Judgement::refused("", "token_unknown"));
        };
        let (token_ref, psn, expiry): (String, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let refused = |reason| Ok(Judgement::refused(&token_ref, reason));
        if psn != query.psn || yymm_of(&expiry) != query.expiry {
            return refused("token_unknown");
        }
        let now = self.now();
        if now.date().to_string() > expiry {
            return refused("token_expired");
        }
        let Some(iad) = iad::read(&said.scheme.iad(), &said.iad) else {
            return refused("key_unknown");
        };
        let Some(key) = Key::read(tx, &token_ref, &iad.key_index).await? else {
            return refused("key_unknown");
        };
        if clock::text(now) > key.not_after {
            return refused("key_expired");
        }
        let master = self.token_master_key(&query.token, &psn)?;
        let luk = limited_use_key(&master, &iad.key_index).map_err(anyhow::Error::from)?;
        let ac_key = match said.scheme.cryptogram().key_method {
            KeyMethod::LimitedUseKey => luk,
            KeyMethod::SessionKey => session_key(&luk, said.atc),
        };
        if !cryptogram_is_right(&ac_key, &said.inputs, said.arqc) {
            return refused("cryptogram_invalid");
        }
        let spent = sqlx::query("INSERT INTO used_atcs (token_ref, atc, network_ref) VALUES ($1, $2, $3) ON CONFLICT (token_ref, atc) DO NOTHING")
            .bind(token_ref.as_str())
            .bind(i64::from(said.atc))
            .bind(network_ref)
            .execute(&mut **tx)
            .await?;
        if spent.rows_affected() == 0 {
            return refused("atc_replayed");
        }
        let found = |reason| -> Result<Judgement, Problem> {
            Ok(Judgement {
                reason,
                bank: row.try_get(3)?,
                card_ref: row.try_get(4)?,
                token_ref: token_ref.clone(),
                key_index: iad.key_index.clone(),
            })
        };
        // Only now that the counter is spent: a cryptogram that was refused must not pay once the token is resumed.
        if let Some(reason) = state::refusal(&row.try_get::<String, _>(5)?) {
            return found(Some(reason));
        }
        if let Some(reason) = contradiction(iad.result, key.class) {
            return found(Some(reason));
        }
        let wanted = Wanted {
            amount_minor: query.amount_minor,
            currency: &query.currency,
            foreign: limits::is_foreign(said.country, &query.country),
        };
        if let Some(reason) = key.refusal(wanted) {
            return found(Some(reason));
        }
        limits::count(tx, &token_ref, &iad.key_index, wanted).await?;
        found(None)
    }
}

/// Whether the card's own word stands against the payment: it declined, or it paid with a key that is for payments of
/// the other kind.
fn contradiction(result: CardResult, class: KeyClass) -> Option<&'static str> {
    match (result, class) {
        (CardResult::Online, KeyClass::Plain) | (CardResult::Verified, KeyClass::Verified) => None,
        (CardResult::Other, _) => Some("card_declined"),
        (CardResult::Online | CardResult::Verified, _) => Some("verification_mismatch"),
    }
}

/// Reads the card's and the terminal's data. Every value must have its tag's own length: values are concatenated under
/// the cryptogram, and a byte must not be able to move from one to the next.
fn read_card_data(query: &AuthorisationQuery, scheme: Scheme) -> Result<CardSaid, Problem> {
    if !(1..=MAX_AMOUNT).contains(&query.amount_minor) {
        return Err(Problem::invalid(
            "amount_minor must be from 1 to 999999999999.",
        ));
    }
    let numeric = match query.currency.as_str() {
        "CNY" => [0x01, 0x56],
        _ => return Err(Problem::invalid("The network takes payments in CNY only.")),
    };
    let value = |tag: &str| -> Result<Vec<u8>, Problem> {
        let value = query.emv.get(tag).and_then(|text| bytes::from_hex(text));
        value
            .filter(|value| length_is_right(tag, value.len()))
            .ok_or_else(|| {
                Problem::invalid(format!("emv needs tag {tag} with a value of its length."))
            })
    };
    let mut inputs = Vec::with_capacity(64);
    for tag in &scheme.cryptogram().inputs {
        match tag.as_str() {
            "9F02" => inputs.extend(amount_bcd(query.amount_minor)?),
            "5F2A" => inputs.extend(numeric),
            tag => inputs.extend(value(tag)?),
        }
    }
    let exact = || Problem::invalid("A tag of the card has the wrong length.");
    Ok(CardSaid {
        scheme,
        atc: u16::from_be_bytes(value("9F36")?.try_into().map_err(|_| exact())?),
        arqc: value("9F26")?.try_into().map_err(|_| exact())?,
        iad: value("9F10")?,
        country: value("9F1A")?.try_into().map_err(|_| exact())?,
        inputs,
    })
}

fn length_is_right(tag: &str, length: usize) -> bool {
    match tag {
        "9F26" => length == 8,
        "9F03" => length == 6,
        "95" => length == 5,
        "9F37" => length == 4,
        "9A" => length == 3,
        "9F1A" | "82" | "9F36" => length == 2,
        "9C" => length == 1,
        "9F10" => (1..=32).contains(&length),
        _ => false,
    }
}

/// Tag 9F02: twelve digits.
fn amount_bcd(amount_minor: i64) -> anyhow::Result<Vec<u8>> {
    crate::derive::bcd(&format!("{amount_minor:012}"), crate::derive::Pad::Left)
        .filter(|bytes| bytes.len() == 6)
        .context("an amount has at most twelve digits")
}

/// `YYMM` of `YYYY-MM-DD`.
pub(crate) fn yymm_of(expiry: &str) -> String {
    expiry
        .chars()
        .skip(2)
        .filter(char::is_ascii_digit)
        .take(4)
        .collect()
}
