//! The acquirer's database: terminals, authorisations, books.

use std::path::Path;

use sandbox_kit::db::{Db, Migration};
use sandbox_kit::ledger::{Ledger, LedgerEntry, masked};
use sandbox_kit::problem::Problem;
use sandbox_kit::{bytes, clock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use crate::Merchant;
use crate::authorise::{Answer, Outcome, Request};

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "terminals, authorisations, books",
        sql: include_str!("../migrations/001_acquirer.sql"),
    },
    Migration {
        version: 2,
        name: "scans of payment codes",
        sql: include_str!("../migrations/002_scans.sql"),
    },
    Migration {
        version: 3,
        name: "consumer-presented codes",
        sql: include_str!("../migrations/003_card_codes.sql"),
    },
    Migration {
        version: 4,
        name: "merchants' codes",
        sql: include_str!("../migrations/004_merchant_codes.sql"),
    },
    Migration {
        version: 5,
        name: "reversals before bookings",
        sql: include_str!("../migrations/005_reversals.sql"),
    },
    Migration {
        version: 6,
        name: "cards' codes forgotten",
        sql: include_str!("../migrations/006_forgotten_codes.sql"),
    },
    Migration {
        version: 7,
        name: "revoked orders of merchants' codes",
        sql: include_str!("../migrations/007_revoked_orders.sql"),
    },
];

/// What the network owes.
const RECEIVABLE: &str = "network:receivable";

type Result<T> = std::result::Result<T, sqlx::Error>;

#[derive(Clone)]
pub(crate) struct Store {
    db: Db,
}

/// How a trace number stands.
pub(crate) enum Asked {
    /// No answer yet: the network is to be asked, perhaps again.
    Open,
    /// Answered before; here is the answer's JSON.
    Answered(String),
    /// It stands for another request.
    Otherwise,
    /// Its order is with another wallet's provider, which may have been paid.
    Elsewhere,
}

impl Asked {
    /// How a trace number stands that has this answer; `same` when it stands for what is asked under it now.
    pub(crate) fn of(same: bool, answer: Option<String>) -> Self {
        match same {
            true => answer.map_or(Self::Open, Self::Answered),
            false => Self::Otherwise,
        }
    }

    /// The answer that was given before; `None` where it is still to be found out.
    pub(crate) fn answer<T: DeserializeOwned>(self) -> std::result::Result<Option<T>, Problem> {
        match self {
            Self::Answered(answer) => serde_json::from_str(&answer)
                .map(Some)
                .map_err(|_| Problem::internal()),
            Self::Otherwise => Err(Problem::new(
                409,
                "trace_conflict",
                "Trace number used before",
                "This trace number stands for another payment of this terminal. Use the next one.",
            )),
            Self::Elsewhere => Err(Problem::new(
                409,
                "order_conflict",
                "Order with another wallet",
                "A code of another wallet is being paid for this order, or has paid it. Scan a code of that wallet to hear how it stands, or use another order number.",
            )),
            Self::Open => Ok(None),
        }
    }
}

impl Store {
    pub(crate) async fn open(path: &Path, url: Option<&str>) -> anyhow::Result<Self> {
        Ok(Self {
            db: Db::open_at(path, url, MIGRATIONS).await?,
        })
    }

    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    /// The terminal with this key, made when there is none.
    pub(crate) async fn terminal_of_key(&self, public_key: &str, merchant: &str) -> Result<String> {
        // Eight characters, as terminals are numbered in ISO 8583 field 41; `T` and 28 random bits.
        let id = format!(
            "T{}",
            bytes::to_hex(&bytes::random::<4>())
                .chars()
                .skip(1)
                .collect::<String>()
        );
        let mut work = self.db.begin().await?;
        sqlx::query(
            "INSERT INTO terminals (terminal_id, public_key, merchant_id, at) VALUES ($1, $2, $3, $4) ON CONFLICT (public_key) DO NOTHING",
        )
        .bind(id)
        .bind(public_key)
        .bind(merchant)
        .bind(clock::now_text())
        .execute(&mut *work)
        .await?;
        let id = sqlx::query("SELECT terminal_id FROM terminals WHERE public_key = $1")
            .bind(public_key)
            .fetch_one(&mut *work)
            .await?
            .try_get(0)?;
        work.commit().await?;
        Ok(id)
    }

    pub(crate) async fn key_of_terminal(&self, id: &str) -> Result<Option<String>> {
        let row = sqlx::query("SELECT public_key FROM terminals WHERE terminal_id = $1")
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    /// Writes the request down, or says how its trace number stands already.
    pub(crate) async fn ask(&self, terminal: &str, trace: u32, request: &str) -> Result<Asked> {
        let mut work = self.db.begin().await?;
        sqlx::query(
            "INSERT INTO authorisations (terminal_id, trace, request, asked_at) VALUES ($1, $2, $3, $4) ON CONFLICT (terminal_id, trace) DO NOTHING",
        )
        .bind(terminal)
        .bind(i64::from(trace))
        .bind(request)
        .bind(clock::now_text())
        .execute(&mut *work)
        .await?;
        let row = sqlx::query(
            "SELECT request, answer FROM authorisations WHERE terminal_id = $1 AND trace = $2",
        )
        .bind(terminal)
        .bind(i64::from(trace))
        .fetch_one(&mut *work)
        .await?;
        work.commit().await?;
        let same = row.try_get::<String, _>(0)? == request;
        Ok(Asked::of(same, row.try_get(1)?))
    }

    /// Keeps the answer and books it, once: `false` when another request was quicker.
    pub(crate) async fn book(
        &self,
        terminal: &str,
        request: &Request,
        merchant: &Merchant,
        answer: &Answer,
    ) -> Result<bool> {
        let update = "UPDATE authorisations SET result = $1, answer = $2 WHERE terminal_id = $3 AND trace = $4 AND answer IS NULL";
        let mut work = self.db.begin().await?;
        let asked = (terminal, request.trace);
        if !keep(&mut work, update, asked, (answer.result, answer)).await? {
            return Ok(false);
        }
        write_entry(&mut work, terminal, request, merchant, answer).await?;
        work.commit().await?;
        Ok(true)
    }

    /// Payments asked for at `until` or before of which nobody knows the result: who asked, under which trace number, and
    /// the request's JSON.
    pub(crate) async fn unresolved(&self, until: &str) -> Result<Vec<(String, u32, String)>> {
        let rows = sqlx::query(
            "SELECT terminal_id, trace, request FROM authorisations WHERE result IS NULL AND asked_at <= $1 ORDER BY asked_at, terminal_id, trace",
        )
        .bind(until)
        .fetch_all(self.db.pool())
        .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, trace_in(row)?, row.try_get(2)?)))
            .collect()
    }

    /// Notes that the network does not take this payment, so that only its terminal asks for it again.
    pub(crate) async fn give_up(&self, terminal: &str, trace: u32) -> Result<()> {
        sqlx::query(
            "UPDATE authorisations SET result = 'refused' WHERE terminal_id = $1 AND trace = $2 AND answer IS NULL",
        )
        .bind(terminal)
        .bind(i64::from(trace))
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    pub(crate) async fn ledger(&self) -> Result<Ledger> {
        let rows = sqlx::query(
            "SELECT e.at, e.kind, d.account, c.account, e.amount_minor, e.currency, e.merchant, e.reference, e.result, e.reason, e.atc, e.arqc, e.token
             FROM entries e
             LEFT JOIN postings d ON d.entry_id = e.id AND d.amount_minor > 0
             LEFT JOIN postings c ON c.entry_id = e.id AND c.amount_minor < 0
             ORDER BY e.at, e.id",
        )
        .fetch_all(self.db.pool())
        .await?;
        let entries = rows.iter().map(line).collect::<Result<Vec<_>>>()?;
        let unbalanced = sqlx::query(
            "SELECT entry_id FROM postings GROUP BY entry_id HAVING SUM(amount_minor) <> 0 LIMIT 1",
        )
        .fetch_optional(self.db.pool())
        .await?;
        Ok(Ledger {
            party: "acquirer".to_owned(),
            entries,
            balanced: unbalanced.is_none(),
        })
    }
}

/// Keeps the answer to what a terminal asked under a trace number, by an update of result and answer where there is none
/// yet; `false` when there is one.
pub(crate) async fn keep(
    work: &mut Transaction<'static, Any>,
    update: &'static str,
    (terminal, trace): (&str, u32),
    (result, answer): (Outcome, &impl Serialize),
) -> Result<bool> {
    let text = serde_json::to_string(answer).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let kept = sqlx::query(update)
        .bind(result.name())
        .bind(text)
        .bind(terminal)
        .bind(i64::from(trace))
        .execute(&mut **work)
        .await?;
    Ok(kept.rows_affected() == 1)
}

/// The trace number in a row that begins with `terminal_id, trace`.
pub(crate) fn trace_in(row: &AnyRow) -> Result<u32> {
    let trace: i64 = row.try_get(1)?;
    u32::try_from(trace).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// The line of a payment that a card's cryptogram was shown for.
pub(crate) async fn write_entry(
    work: &mut Transaction<'static, Any>,
    terminal: &str,
    request: &Request,
    merchant: &Merchant,
    answer: &Answer,
) -> Result<()> {
    let id = format!("{terminal}/{:06}", request.trace);
    let approved = answer.result == Outcome::Approved;
    let atc = request
        .emv
        .get("9F36")
        .and_then(|atc| bytes::from_hex_exact::<2>(atc))
        .map(u16::from_be_bytes);
    sqlx::query(
        "INSERT INTO entries (id, at, kind, amount_minor, currency, merchant, reference, result, reason, atc, arqc, token) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(id.as_str())
    .bind(answer.at.as_str())
    .bind(if approved { "payment" } else { "decline" })
    .bind(request.amount_minor)
    .bind(request.currency.as_str())
    .bind(merchant.name.as_str())
    .bind(answer.network_ref.as_str())
    .bind(answer.result.name())
    .bind(answer.reason.as_deref())
    .bind(atc.map(i64::from))
    .bind(request.emv.get("9F26").map(String::as_str))
    .bind(masked(&request.token))
    .execute(&mut **work)
    .await?;
    if !approved {
        return Ok(());
    }
    post_sale(work, &id, merchant, request.amount_minor).await
}

/// Moves an approved payment: the network owes it to the acquirer, and the acquirer to the merchant.
pub(crate) async fn post_sale(
    work: &mut Transaction<'static, Any>,
    entry: &str,
    merchant: &Merchant,
    amount_minor: i64,
) -> Result<()> {
    let payable = format!("merchant:{}:payable", merchant.merchant_id);
    for (account, amount) in [
        (RECEIVABLE, amount_minor),
        (payable.as_str(), -amount_minor),
    ] {
        sqlx::query("INSERT INTO postings (entry_id, account, amount_minor) VALUES ($1, $2, $3)")
            .bind(entry)
            .bind(account)
            .bind(amount)
            .execute(&mut **work)
            .await?;
    }
    Ok(())
}

fn line(row: &AnyRow) -> Result<LedgerEntry> {
    let atc: Option<i64> = row.try_get(10)?;
    Ok(LedgerEntry {
        at: row.try_get(0)?,
        kind: row.try_get(1)?,
        debit: row.try_get::<Option<String>, _>(2)?.unwrap_or_default(),
        credit: row.try_get::<Option<String>, _>(3)?.unwrap_or_default(),
        amount_minor: row.try_get(4)?,
        currency: row.try_get(5)?,
        merchant: row.try_get(6)?,
        reference: row.try_get(7)?,
        result: row.try_get(8)?,
        reason: row.try_get(9)?,
        atc: atc.and_then(|atc| u32::try_from(atc).ok()),
        arqc: row.try_get(11)?,
        token: row.try_get(12)?,
    })
}
