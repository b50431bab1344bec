//! After the network's own checks: the bank is asked, its answer written down, booked and told, and what nobody waited
//! for undone.

use std::time::Duration;

use sandbox_kit::ledger::LedgerEntry;
use sandbox_kit::problem::Problem;
use sandbox_kit::{bytes, clock};
use serde::{Deserialize, Serialize};
use sqlx::{Any, Row, Transaction};

use crate::Network;
use crate::authorise::{Authorisation, AuthorisationQuery};
use crate::bank::{BankDecision, BankPayment};
use crate::number::masked;
use crate::outbox::{self, PROVIDER};
use crate::{books, merchants};

/// Declines of the network's own of which the provider hears nothing: nobody showed a genuine cryptogram, or it had
/// been counted before.
const SILENT: [&str; 5] = [
    "token_unknown",
    "token_expired",
    "key_unknown",
    "key_expired",
    "atc_replayed",
];

/// How often payments are looked for that nobody finishes any more.
const SWEEP: Duration = Duration::from_secs(10);
/// A payment is one of them when it has been on its way to its bank for this long: much longer than a bank may take.
const ABANDONED: Duration = Duration::from_secs(60);

/// What the provider is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The same for every attempt to deliver it.
    pub id: String,
    /// The token's name in APIs.
    pub token_ref: String,
    /// Transaction counter.
    pub atc: u32,
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217 letters.
    pub currency: String,
    /// Merchant's name.
    pub merchant: String,
    /// `approved` or `declined`.
    pub result: String,
    /// Why not.
    pub reason: Option<String>,
    /// The bank's six digits, when approved.
    pub authorisation: Option<String>,
    /// When it was decided, RFC 3339.
    pub at: String,
}

/// A recorded authorisation on its way to the bank or back.
pub(crate) struct Case {
    pub(crate) network_ref: String,
    pub(crate) token_ref: String,
    pub(crate) bank: String,
    pub(crate) card_ref: String,
    pub(crate) atc: u16,
    pub(crate) query: AuthorisationQuery,
}

impl Network {
    /// The answer to a recorded authorisation: the one it has, or the bank's, asked for now. The bank knows a repeated
    /// question by its reference.
    pub(crate) async fn finish(&self, network_ref: &str) -> Result<Authorisation, Problem> {
        let row = sqlx::query("SELECT state, token_ref, bank, card_ref, atc, query FROM authorisations WHERE network_ref = $1")
            .bind(network_ref)
            .fetch_one(self.db().pool())
            .await?;
        if row.try_get::<String, _>(0)? == "done" {
            return self.answer(network_ref).await;
        }
        let query: String = row.try_get(5)?;
        let case = Case {
            network_ref: network_ref.to_owned(),
            token_ref: row.try_get(1)?,
            bank: row.try_get(2)?,
            card_ref: row.try_get(3)?,
            atc: u16::try_from(row.try_get::<i64, _>(4)?).map_err(anyhow::Error::from)?,
            query: serde_json::from_str(&query).map_err(anyhow::Error::from)?,
        };
        let (decision, undo) = self.ask(&case).await;
        let authorisation = Authorisation {
            result: decision.result,
            reason: decision.reason,
            authorisation: decision.authorisation,
            at: clock::text(self.now()),
            network_ref: case.network_ref.clone(),
        };
        let mut tx = self.db().begin().await?;
        let settled = sqlx::query("UPDATE authorisations SET state = 'done', result = $1, reason = $2, authorisation = $3, at = $4 WHERE network_ref = $5 AND state = 'asking'")
            .bind(authorisation.result.as_str())
            .bind(authorisation.reason.as_deref().unwrap_or_default())
            .bind(authorisation.authorisation.as_deref().unwrap_or_default())
            .bind(authorisation.at.as_str())
            .bind(network_ref)
            .execute(&mut *tx)
            .await?;
        if settled.rows_affected() == 0 {
            // The same request came twice at once and the other one was faster: its answer counts.
            tx.rollback().await?;
            return self.answer(network_ref).await;
        }
        let kind = if authorisation.authorisation.is_some() {
            "payment"
        } else {
            "decline"
        };
        book_and_tell(&mut tx, &case, &authorisation, kind).await?;
        if undo {
            let id = format!("rev_{network_ref}");
            outbox::post(&mut tx, &id, &case.bank, "/v1/reversals", &case.payment()).await?;
        }
        tx.commit().await?;
        self.mail_waits();
        Ok(authorisation)
    }

    /// Asks the bank. The flag says that it may have posted something nobody waited for, which must be undone.
    async fn ask(&self, case: &Case) -> (BankDecision, bool) {
        let declined = |reason: &str| BankDecision {
            result: "declined".into(),
            reason: Some(reason.into()),
            authorisation: None,
        };
        let Some(bank) = self.bank_named(&case.bank) else {
            return (declined("bank_unavailable"), false);
        };
        match self
            .ask_bank::<_, BankDecision>(bank, "/v1/authorisations", &case.payment())
            .await
        {
            Ok(decision) if decision.result == "approved" && decision.authorisation.is_some() => {
                (decision, false)
            }
            Ok(decision) => (
                declined(decision.reason.as_deref().unwrap_or("bank_declined")),
                false,
            ),
            Err(problem) if problem.code == "bank_unavailable" => {
                (declined("bank_unavailable"), true)
            }
            Err(problem) => {
                eprintln!("network: {} refused a payment: {problem}", case.bank);
                (declined("bank_declined"), false)
            }
        }
    }

    async fn answer(&self, network_ref: &str) -> Result<Authorisation, Problem> {
        let row = sqlx::query(
            "SELECT result, reason, authorisation, at FROM authorisations WHERE network_ref = $1",
        )
        .bind(network_ref)
        .fetch_one(self.db().pool())
        .await?;
        let text = |column: usize| -> Result<Option<String>, sqlx::Error> {
            let text: String = row.try_get(column)?;
            Ok((!text.is_empty()).then_some(text))
        };
        Ok(Authorisation {
            result: row.try_get(0)?,
            reason: text(1)?,
            authorisation: text(2)?,
            at: row.try_get(3)?,
            network_ref: network_ref.to_owned(),
        })
    }

    /// Finishes what was on its way to a bank when the network stopped.
    pub(crate) async fn finish_interrupted(&self) {
        self.finish_asking(Duration::ZERO).await;
    }

    /// The same for ever, for what is left over while the network runs: whoever asked has gone away, and the request
    /// with it, or the answer could not be written down.
    pub(crate) async fn sweep_abandoned(&self) {
        loop {
            tokio::time::sleep(SWEEP).await;
            self.finish_asking(ABANDONED).await;
        }
    }

    /// Finishes what has been on its way to a bank for at least so long.
    async fn finish_asking(&self, age: Duration) {
        let refs = sqlx::query(
            "SELECT network_ref FROM authorisations WHERE state = 'asking' AND at <= $1",
        )
        .bind(clock::text(self.now() - age))
        .fetch_all(self.db().pool())
        .await;
        for row in refs.unwrap_or_default() {
            let Ok(network_ref) = row.try_get::<String, _>(0) else {
                continue;
            };
            if let Err(problem) = self.finish(&network_ref).await {
                eprintln!("network: {network_ref} stays open: {problem}");
            }
        }
    }
}

impl Case {
    pub(crate) fn payment(&self) -> BankPayment<'_> {
        BankPayment {
            network_ref: &self.network_ref,
            card_ref: &self.card_ref,
            amount_minor: self.query.amount_minor,
            currency: &self.query.currency,
            merchant: &self.query.merchant,
            mcc: &self.query.mcc,
            terminal_id: &self.query.terminal_id,
            at: &self.query.at,
        }
    }
}

/// Writes the ledger line of a decision, and the notification if the provider is to hear of it.
pub(crate) async fn book_and_tell(
    tx: &mut Transaction<'static, Any>,
    case: &Case,
    decision: &Authorisation,
    kind: &str,
) -> Result<(), Problem> {
    let query = &case.query;
    // A payment without a card's data was asked for by the provider, which has the answer.
    let on_file = query.emv.is_empty();
    let moves = decision.authorisation.is_some();
    let line = LedgerEntry {
        at: decision.at.clone(),
        kind: kind.to_owned(),
        debit: if moves {
            format!("issuer:{}", case.bank)
        } else {
            String::new()
        },
        credit: if moves {
            format!("acquirer:{}", query.acquirer_id)
        } else {
            String::new()
        },
        amount_minor: query.amount_minor,
        currency: query.currency.clone(),
        merchant: query.merchant.clone(),
        reference: case.network_ref.clone(),
        result: decision.result.clone(),
        reason: decision.reason.clone(),
        atc: (!on_file).then(|| u32::from(case.atc)),
        arqc: query.emv.get("9F26").map(|arqc| arqc.to_ascii_uppercase()),
        token: Some(masked(&query.token)),
    };
    books::book(tx, &line).await?;
    if on_file && moves {
        merchants::tell_acquirer(tx, case, decision).await?;
    }
    let silent = decision
        .reason
        .as_deref()
        .is_some_and(|reason| SILENT.contains(&reason));
    if silent || on_file || case.token_ref.is_empty() {
        return Ok(());
    }
    let notification = Notification {
        id: bytes::random_id("ntf"),
        token_ref: case.token_ref.clone(),
        atc: u32::from(case.atc),
        amount_minor: query.amount_minor,
        currency: query.currency.clone(),
        merchant: query.merchant.clone(),
        result: decision.result.clone(),
        reason: decision.reason.clone(),
        authorisation: decision.authorisation.clone(),
        at: decision.at.clone(),
    };
    outbox::post(
        tx,
        &notification.id,
        PROVIDER,
        "/v1/notifications",
        &notification,
    )
    .await?;
    Ok(())
}
