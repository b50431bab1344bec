//! Payments without a card's data: a person showed a code of the provider's or read one of a shop's, the provider vouches
//! for it and names the token that pays. The provider is known by its signature, the payment by the provider's id of it; token, bank, books
//! and crash safety are those of taps. What is not checked is what is not there: cryptogram, counter, limited-use key.

use std::collections::BTreeMap;

use sandbox_kit::ledger::LedgerEntry;
use sandbox_kit::problem::Problem;
use sandbox_kit::{bytes, clock};
use serde::{Deserialize, Serialize};
use sqlx::{Any, Row, Transaction};

use crate::Network;
use crate::authorise::{Authorisation, AuthorisationQuery, MAX_AMOUNT, yymm_of};
use crate::card_data::EntryMode;
use crate::merchants::{MerchantOrder, tell_acquirer};
use crate::number::masked;
use crate::settle::{Case, book_and_tell};
use crate::{books, outbox, state};

/// Stands for the acquirer in the key of such payments, where the terminal is the payment's id. No acquirer that signs is
/// called so.
const ON_FILE: &str = "on-file";
/// The reason of a payment that was undone.
const REVERSED: &str = "reversed";

/// A payment as the provider asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnFileQuery {
    /// The provider's name for the payment; the same one is answered the same.
    pub payment_id: String,
    /// The phone that showed the code.
    pub device_id: String,
    /// The token that pays.
    pub token_ref: String,
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
    /// When, RFC 3339.
    pub at: String,
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217 letters.
    pub currency: String,
    /// The order, of a payment by the merchant's own code: the acquirer, which did not ask for it, is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
}

/// A payment to be undone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReversalQuery {
    /// The provider's name for it.
    pub payment_id: String,
}

/// A recorded payment.
struct Known {
    network_ref: String,
    request: String,
}

/// What the token's row says about a payment.
struct Judged {
    query: AuthorisationQuery,
    bank: String,
    card_ref: String,
    reason: Option<&'static str>,
}

impl Network {
    /// Decides on a payment on a token.
    pub async fn authorise_on_file(&self, query: &OnFileQuery) -> Result<Authorisation, Problem> {
        if !(1..=MAX_AMOUNT).contains(&query.amount_minor) {
            return Err(Problem::invalid(
                "amount_minor must be from 1 to 999999999999.",
            ));
        }
        if query.currency != "CNY" {
            return Err(Problem::invalid("The network takes payments in CNY only."));
        }
        let text = serde_json::to_vec(query).map_err(|_| Problem::internal())?;
        let request = bytes::to_hex(&bytes::sha256(&text));
        let mut tx = self.db().begin().await?;
        if let Some(known) = known(&mut tx, &query.payment_id).await? {
            tx.rollback().await?;
            // One that was undone before it came has no request.
            if known.request != request && !known.request.is_empty() {
                return Err(Problem::new(
                    409,
                    "idempotency_conflict",
                    "Payment id used before",
                    "This payment_id came with another payment before.",
                ));
            }
            return self.finish(&known.network_ref).await;
        }
        let judged = self.judge_on_file(&mut tx, query).await?;
        let case = Case {
            network_ref: bytes::random_id("net"),
            token_ref: query.token_ref.clone(),
            bank: judged.bank,
            card_ref: judged.card_ref,
            atc: 0,
            query: judged.query,
        };
        let at = clock::text(self.now());
        record(
            &mut tx,
            &query.payment_id,
            &request,
            &case,
            judged.reason,
            &at,
        )
        .await?;
        let Some(reason) = judged.reason else {
            tx.commit().await?;
            return self.finish(&case.network_ref).await;
        };
        let decision = Authorisation {
            result: "declined".into(),
            reason: Some(reason.into()),
            authorisation: None,
            at,
            network_ref: case.network_ref.clone(),
        };
        book_and_tell(&mut tx, &case, &decision, "refusal").await?;
        tx.commit().await?;
        Ok(decision)
    }

    /// Undoes a payment, once however often it is told. One that has not come yet is refused when it does; one that was
    /// declined stays so.
    pub async fn reverse_on_file(&self, query: &ReversalQuery) -> Result<Authorisation, Problem> {
        let mut tx = self.db().begin().await?;
        let Some(known) = known(&mut tx, &query.payment_id).await? else {
            let case = nothing(&query.payment_id, &clock::text(self.now()));
            let at = clock::text(self.now());
            record(&mut tx, &query.payment_id, "", &case, Some(REVERSED), &at).await?;
            tx.commit().await?;
            return self.finish(&case.network_ref).await;
        };
        tx.rollback().await?;
        // What is on its way to the bank comes to its end first: only then is it known what there is to undo.
        let decision = self.finish(&known.network_ref).await?;
        if decision.authorisation.is_none() {
            return Ok(decision);
        }
        self.undo(&known.network_ref).await?;
        self.finish(&known.network_ref).await
    }

    /// Takes an approved payment back: in the books here, and at the bank by a message that stays until it is taken.
    async fn undo(&self, network_ref: &str) -> Result<(), Problem> {
        let at = clock::text(self.now());
        let mut tx = self.db().begin().await?;
        let undone = sqlx::query("UPDATE authorisations SET result = 'declined', reason = $1, authorisation = '' WHERE network_ref = $2 AND state = 'done' AND authorisation <> ''")
            .bind(REVERSED)
            .bind(network_ref)
            .execute(&mut *tx)
            .await?;
        if undone.rows_affected() == 0 {
            // The same reversal came twice at once.
            tx.rollback().await?;
            return Ok(());
        }
        let row = sqlx::query(
            "SELECT token_ref, bank, card_ref, query FROM authorisations WHERE network_ref = $1",
        )
        .bind(network_ref)
        .fetch_one(&mut *tx)
        .await?;
        let text: String = row.try_get(3)?;
        let case = Case {
            network_ref: network_ref.to_owned(),
            token_ref: row.try_get(0)?,
            bank: row.try_get(1)?,
            card_ref: row.try_get(2)?,
            atc: 0,
            query: serde_json::from_str(&text).map_err(anyhow::Error::from)?,
        };
        let line = LedgerEntry {
            at,
            kind: "reversal".into(),
            debit: format!("acquirer:{}", case.query.acquirer_id),
            credit: format!("issuer:{}", case.bank),
            amount_minor: case.query.amount_minor,
            currency: case.query.currency.clone(),
            merchant: case.query.merchant.clone(),
            reference: network_ref.to_owned(),
            result: REVERSED.into(),
            token: Some(masked(&case.query.token)),
            ..LedgerEntry::default()
        };
        books::book(&mut tx, &line).await?;
        let taken_back = Authorisation {
            result: "declined".into(),
            reason: Some(REVERSED.into()),
            authorisation: None,
            at: line.at.clone(),
            network_ref: network_ref.to_owned(),
        };
        tell_acquirer(&mut tx, &case, &taken_back).await?;
        let id = format!("rev_{network_ref}");
        outbox::post(&mut tx, &id, &case.bank, "/v1/reversals", &case.payment()).await?;
        tx.commit().await?;
        self.mail_waits();
        Ok(())
    }

    /// The network's own checks: the token is this device's, young enough and active.
    async fn judge_on_file(
        &self,
        tx: &mut Transaction<'static, Any>,
        query: &OnFileQuery,
    ) -> Result<Judged, Problem> {
        let row = sqlx::query("SELECT token, psn, expiry, bank, card_ref, state FROM tokens WHERE token_ref = $1 AND device_id = $2 AND state <> 'withdrawn'")
            .bind(query.token_ref.as_str())
            .bind(query.device_id.as_str())
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = row else {
            return Ok(Judged {
                query: as_tap(query, String::new(), String::new(), ""),
                bank: String::new(),
                card_ref: String::new(),
                reason: Some("token_unknown"),
            });
        };
        let (expiry, state): (String, String) = (row.try_get(2)?, row.try_get(5)?);
        let late = self.now().date().to_string() > expiry;
        Ok(Judged {
            query: as_tap(query, row.try_get(0)?, row.try_get(1)?, &expiry),
            bank: row.try_get(3)?,
            card_ref: row.try_get(4)?,
            reason: match late {
                true => Some("token_expired"),
                false => state::refusal(&state),
            },
        })
    }
}

/// The payment in the shape in which all payments are kept. That it has no card's data tells it from a tap.
fn as_tap(query: &OnFileQuery, token: String, psn: String, expiry: &str) -> AuthorisationQuery {
    AuthorisationQuery {
        acquirer_id: query.acquirer_id.clone(),
        terminal_id: query.terminal_id.clone(),
        merchant_id: query.merchant_id.clone(),
        merchant: query.merchant.clone(),
        mcc: query.mcc.clone(),
        country: query.country.clone(),
        trace: 0,
        at: query.at.clone(),
        amount_minor: query.amount_minor,
        currency: query.currency.clone(),
        token,
        expiry: yymm_of(expiry),
        psn,
        emv: BTreeMap::new(),
        entry: EntryMode::default(),
        order: query.order_id.clone().map(|order_id| MerchantOrder {
            payment_id: query.payment_id.clone(),
            order_id,
        }),
    }
}

/// What is kept of a payment that was undone before it came.
fn nothing(payment_id: &str, at: &str) -> Case {
    Case {
        network_ref: bytes::random_id("net"),
        token_ref: String::new(),
        bank: String::new(),
        card_ref: String::new(),
        atc: 0,
        query: AuthorisationQuery {
            acquirer_id: ON_FILE.into(),
            terminal_id: payment_id.into(),
            merchant_id: String::new(),
            merchant: String::new(),
            mcc: String::new(),
            country: String::new(),
            trace: 0,
            at: at.into(),
            amount_minor: 0,
            currency: String::new(),
            token: String::new(),
            expiry: String::new(),
            psn: String::new(),
            emv: BTreeMap::new(),
            entry: EntryMode::default(),
            order: None,
        },
    }
}

async fn known(
    tx: &mut Transaction<'static, Any>,
    payment_id: &str,
) -> Result<Option<Known>, sqlx::Error> {
    let row = sqlx::query("SELECT network_ref, request FROM authorisations WHERE acquirer_id = $1 AND terminal_id = $2 AND trace = 0")
        .bind(ON_FILE)
        .bind(payment_id)
        .fetch_optional(&mut **tx)
        .await?;
    row.map(|row| {
        Ok(Known {
            network_ref: row.try_get(0)?,
            request: row.try_get(1)?,
        })
    })
    .transpose()
}

/// Writes the payment down: on its way to the bank, or declined for `reason`.
async fn record(
    tx: &mut Transaction<'static, Any>,
    payment_id: &str,
    request: &str,
    case: &Case,
    reason: Option<&str>,
    at: &str,
) -> Result<(), Problem> {
    let text = serde_json::to_string(&case.query).map_err(|_| Problem::internal())?;
    let (stage, result) = match reason {
        Some(_) => ("done", "declined"),
        None => ("asking", ""),
    };
    sqlx::query("INSERT INTO authorisations (network_ref, acquirer_id, terminal_id, trace, request, query, token_ref, atc, key_index, bank, card_ref, state, result, reason, authorisation, at) VALUES ($1, $2, $3, 0, $4, $5, $6, 0, '', $7, $8, $9, $10, $11, '', $12)")
        .bind(case.network_ref.as_str())
        .bind(ON_FILE)
        .bind(payment_id)
        .bind(request)
        .bind(text)
        .bind(case.token_ref.as_str())
        .bind(case.bank.as_str())
        .bind(case.card_ref.as_str())
        .bind(stage)
        .bind(result)
        .bind(reason.unwrap_or_default())
        .bind(at)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
