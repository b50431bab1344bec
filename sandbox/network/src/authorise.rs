//! Authorisations. The network checks, in this order: token, key index, cryptogram, transaction counter, the age of a
//! consumer-presented code, the token's state, what the card says of its own decision, the limits of the key; what passes
//! goes to the bank behind the token. What a cryptogram covers, which key makes it and how issuer data is read goes by the
//! token's scheme. Counter and limits are spent in the transaction that records the authorisation, before the bank is
//! asked, so a crash can lose an answer but never let a cryptogram count twice.

use std::collections::BTreeMap;

use sandbox_kit::problem::Problem;
use sandbox_kit::{bytes, clock};
use serde::{Deserialize, Serialize};
use sqlx::{Any, Row, Transaction};

use crate::Network;
use crate::card_data::{self, CardSaid, EntryMode};
use crate::derive::{cryptogram_is_right, limited_use_key, session_key};
use crate::entry::stored_scheme;
use crate::limits::{self, Key, KeyClass, Wanted};
use crate::merchants::MerchantOrder;
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
    /// The token's sequence number; empty where a code does not carry it.
    pub psn: String,
    /// Card and terminal data by tag, hex.
    pub emv: BTreeMap<String, String>,
    /// How the card's data came.
    #[serde(default, skip_serializing_if = "EntryMode::is_tap")]
    pub entry: EntryMode,
    /// The order of a merchant's code, where one was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<MerchantOrder>,
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
        let said = card_data::read(query, self.scheme_of(&query.token).await?)?;
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
        let unsaid = query.entry == EntryMode::Cpm && query.psn.is_empty();
        if (psn != query.psn && !unsaid) || yymm_of(&expiry) != query.expiry {
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
        if let Some(step) = said.step
            && !card_data::step_counts(step, now)
        {
            return found(Some("code_expired"));
        }
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

/// `YYMM` of `YYYY-MM-DD`.
pub(crate) fn yymm_of(expiry: &str) -> String {
    expiry
        .chars()
        .skip(2)
        .filter(char::is_ascii_digit)
        .take(4)
        .collect()
}
