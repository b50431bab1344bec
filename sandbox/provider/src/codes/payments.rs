//! Payments by code in the database. Each is in one state at a time, and every step from one to the next is an update
//! that names the state it leaves: whoever comes second changes nothing and reads how it went.
//!
//! ```text
//! wanted ──confirmed──▶ started ──network──▶ approved | declined
//!   │ time-out, another code: declined          │
//!   └──────revoke──────▶ revoked ◀──network── reversing   (revoke of what is started or approved)
//! ```

use sqlx::Row;
use sqlx::any::AnyRow;

use super::aliases::Work;
use super::rules::{Class, day};
use super::{entries, form::Scan};

type Result<T> = std::result::Result<T, sqlx::Error>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for the person's password.
    Wanted,
    /// The network is being asked.
    Started,
    /// Paid.
    Approved,
    /// Not paid; the order may be tried again.
    Declined,
    /// It is revoked, and the network has still to be told.
    Reversing,
    /// Not paid, or paid back; the order is over.
    Revoked,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Started => "started",
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Reversing => "reversing",
            Self::Revoked => "revoked",
        }
    }

    fn named(name: &str) -> Result<Self> {
        [
            Self::Wanted,
            Self::Started,
            Self::Approved,
            Self::Declined,
            Self::Reversing,
            Self::Revoked,
        ]
        .into_iter()
        .find(|state| state.name() == name)
        .ok_or_else(|| sqlx::Error::Decode("a payment is in no known state".into()))
    }
}

/// A payment by code.
#[derive(Clone, Debug)]
pub(super) struct Payment {
    pub(super) payment_id: String,
    pub(super) acquirer_id: String,
    pub(super) merchant_id: String,
    pub(super) order_id: String,
    pub(super) alias: String,
    pub(super) user: String,
    pub(super) device: String,
    pub(super) token_ref: String,
    pub(super) terminal_id: String,
    pub(super) merchant: String,
    pub(super) mcc: String,
    pub(super) country: String,
    pub(super) asked_at: String,
    pub(super) amount_minor: i64,
    pub(super) currency: String,
    pub(super) class: String,
    pub(super) state: State,
    pub(super) reason: Option<String>,
    pub(super) authorisation: Option<String>,
    pub(super) network_ref: Option<String>,
    /// When it came into its state, RFC 3339.
    pub(super) at: String,
    pub(super) began: i64,
    pub(super) confirm_until: i64,
    /// The phone's request, of a payment by a shop's code.
    pub(super) request: Option<Request>,
}

/// A phone's request to pay, by which the payment is known however often it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Hash of device and Idempotency-Key.
    pub(super) key: String,
    /// Hash of what it asks.
    pub(super) content: String,
}

/// How a payment ends.
#[derive(Default)]
pub(super) struct Ending<'a> {
    pub(super) reason: Option<&'a str>,
    pub(super) authorisation: Option<&'a str>,
    pub(super) network_ref: Option<&'a str>,
}

impl<'a> Ending<'a> {
    pub(super) fn because(reason: &'a str) -> Self {
        Self {
            reason: Some(reason),
            ..Self::default()
        }
    }
}

/// What a user has paid by code in a day.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) a: i64,
    pub(super) b: i64,
    pub(super) c: i64,
    /// Payments that needed no password.
    pub(super) free: i64,
}

impl Spent {
    pub(super) fn of(&self, class: Class) -> i64 {
        match class {
            Class::A => self.a,
            Class::B => self.b,
            Class::C => self.c,
        }
    }
}

/// A statement over the columns that [`read`] reads.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT payment_id, acquirer_id, merchant_id, order_id, alias, user_id, device_id, token_ref, terminal_id, merchant, mcc, country, asked_at, amount_minor, currency, class, state, reason, authorisation, network_ref, at, began, confirm_until, request_key, request FROM code_payments ",
            $rest
        )
    };
}

impl Payment {
    /// Whether anybody was ever to pay: an order that was revoked before has a row without an amount.
    pub(super) fn was_asked_for(&self) -> bool {
        self.amount_minor > 0
    }

    /// Whether it is this one, and nobody has decided on it.
    pub(super) fn is_open(&self, payment: &str) -> bool {
        self.payment_id == payment && matches!(self.state, State::Wanted | State::Started)
    }

    /// Whether the order is the one that this payment is for, amount included.
    pub(super) fn is_for(&self, scan: &Scan) -> bool {
        self.amount_minor == scan.amount_minor && self.currency == scan.currency
    }

    /// Whether it is this merchant's order.
    pub(super) fn is_of(&self, acquirer: &str, scan: &Scan) -> bool {
        self.acquirer_id == acquirer
            && self.merchant_id == scan.merchant_id
            && self.order_id == scan.order_id
    }
}

/// The payment that a statement finds by these texts.
async fn find(work: &mut Work, select: &'static str, by: &[&str]) -> Result<Option<Payment>> {
    let mut query = sqlx::query(select);
    for text in by {
        query = query.bind(*text);
    }
    let row = query.fetch_optional(&mut **work).await?;
    row.as_ref().map(read).transpose()
}

/// The payment of an order that nobody else may pay any more, or may once it is over.
pub(super) async fn of_order(
    work: &mut Work,
    acquirer: &str,
    merchant: &str,
    order: &str,
) -> Result<Option<Payment>> {
    let select = select!(
        "WHERE acquirer_id = $1 AND merchant_id = $2 AND order_id = $3 AND state <> 'declined'"
    );
    find(work, select, &[acquirer, merchant, order]).await
}

/// The last payment of an order that was declined.
pub(super) async fn last_declined(
    work: &mut Work,
    acquirer: &str,
    merchant: &str,
    order: &str,
) -> Result<Option<Payment>> {
    let select = select!(
        "WHERE acquirer_id = $1 AND merchant_id = $2 AND order_id = $3 AND state = 'declined' ORDER BY began DESC, payment_id LIMIT 1"
    );
    find(work, select, &[acquirer, merchant, order]).await
}

/// The payment of one showing of a code.
pub(super) async fn of_alias(work: &mut Work, alias_id: &str) -> Result<Option<Payment>> {
    find(work, select!("WHERE alias_id = $1"), &[alias_id]).await
}

/// The payment that a phone's request, by its key, asked for.
pub(super) async fn of_request(work: &mut Work, key: &str) -> Result<Option<Payment>> {
    find(work, select!("WHERE request_key = $1"), &[key]).await
}

pub(super) async fn by_id(work: &mut Work, payment: &str) -> Result<Option<Payment>> {
    find(work, select!("WHERE payment_id = $1"), &[payment]).await
}

/// Those in a state that began at `until` or before, the oldest first: the next hundred after one that began then and
/// has this id.
pub(super) async fn in_state(
    db: &sandbox_kit::db::Db,
    state: State,
    until: i64,
    (began, payment): (i64, &str),
) -> Result<Vec<Payment>> {
    sqlx::query(select!(
        "WHERE state = $1 AND began <= $2 AND (began > $3 OR (began = $3 AND payment_id > $4)) ORDER BY began, payment_id LIMIT 100"
    ))
    .bind(state.name())
    .bind(until)
    .bind(began)
    .bind(payment)
    .fetch_all(db.pool())
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Writes a payment down. The unique columns refuse a second one of the alias, of the phone's request or, unless it is
/// declined, of the order.
pub(super) async fn insert(
    work: &mut Work,
    payment: &Payment,
    alias_id: Option<&str>,
) -> Result<()> {
    sqlx::query("INSERT INTO code_payments (payment_id, acquirer_id, merchant_id, order_id, alias_id, alias, user_id, device_id, token_ref, terminal_id, merchant, mcc, country, asked_at, amount_minor, currency, class, day, state, reason, authorisation, network_ref, at, began, confirm_until, request_key, request) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)")
        .bind(payment.payment_id.as_str())
        .bind(payment.acquirer_id.as_str())
        .bind(payment.merchant_id.as_str())
        .bind(payment.order_id.as_str())
        .bind(alias_id)
        .bind(payment.alias.as_str())
        .bind(payment.user.as_str())
        .bind(payment.device.as_str())
        .bind(payment.token_ref.as_str())
        .bind(payment.terminal_id.as_str())
        .bind(payment.merchant.as_str())
        .bind(payment.mcc.as_str())
        .bind(payment.country.as_str())
        .bind(payment.asked_at.as_str())
        .bind(payment.amount_minor)
        .bind(payment.currency.as_str())
        .bind(payment.class.as_str())
        .bind(day(payment.began))
        .bind(payment.state.name())
        .bind(payment.reason.as_deref())
        .bind(payment.authorisation.as_deref())
        .bind(payment.network_ref.as_deref())
        .bind(payment.at.as_str())
        .bind(payment.began)
        .bind(payment.confirm_until)
        .bind(payment.request.as_ref().map(|request| request.key.as_str()))
        .bind(payment.request.as_ref().map(|request| request.content.as_str()))
        .execute(&mut **work)
        .await?;
    Ok(())
}

/// Starts a payment that waited for the person, on the day of their word: that day's sum is the one that was looked at.
/// `false` when it waits no more.
pub(super) async fn start(work: &mut Work, payment: &str, class: Class, now: i64) -> Result<bool> {
    let started = sqlx::query("UPDATE code_payments SET state = 'started', class = $1, day = $2 WHERE payment_id = $3 AND state = 'wanted'")
        .bind(class.name())
        .bind(day(now))
        .bind(payment)
        .execute(&mut **work)
        .await?;
    Ok(started.rows_affected() == 1)
}

/// Takes a payment from one state to an end, or to `reversing`. `false` when it is not in that state any more. What
/// belongs to somebody who was erased meanwhile names nobody from here on.
pub(super) async fn end(
    work: &mut Work,
    payment: &str,
    (from, to): (State, State),
    ending: &Ending<'_>,
    at: &str,
) -> Result<bool> {
    let ended = sqlx::query("UPDATE code_payments SET state = $1, reason = COALESCE($2, reason), authorisation = COALESCE($3, authorisation), network_ref = COALESCE($4, network_ref), at = $5 WHERE payment_id = $6 AND state = $7")
        .bind(to.name())
        .bind(ending.reason)
        .bind(ending.authorisation)
        .bind(ending.network_ref)
        .bind(at)
        .bind(payment)
        .bind(from.name())
        .execute(&mut **work)
        .await?;
    if ended.rows_affected() == 0 {
        return Ok(false);
    }
    if let Some(payment) = by_id(work, payment).await? {
        entries::write(work, &payment).await?;
    }
    sqlx::query("UPDATE code_payments SET user_id = '', device_id = '', token_ref = '', alias = '' WHERE payment_id = $1 AND state IN ('approved', 'declined', 'revoked') AND NOT EXISTS (SELECT 1 FROM users WHERE users.user_id = code_payments.user_id)")
        .bind(payment)
        .execute(&mut **work)
        .await?;
    Ok(true)
}

/// Declines what has waited for a password for too long.
pub(super) async fn expire(work: &mut Work, now: i64, at: &str) -> Result<()> {
    let rows = sqlx::query(
        "SELECT payment_id FROM code_payments WHERE state = 'wanted' AND confirm_until <= $1",
    )
    .bind(now)
    .fetch_all(&mut **work)
    .await?;
    decline(work, &rows, "password_timeout", at).await
}

/// Declines what waits for the person on a device that is wiped, so that their other phones are told.
pub(crate) async fn end_waiting(work: &mut Work, device: &str, at: &str) -> Result<()> {
    let rows = sqlx::query(
        "SELECT payment_id FROM code_payments WHERE state = 'wanted' AND device_id = $1",
    )
    .bind(device)
    .fetch_all(&mut **work)
    .await?;
    decline(work, &rows, "device_wiped", at).await
}

/// Declines what waits; each row is an id.
async fn decline(work: &mut Work, waiting: &[AnyRow], reason: &str, at: &str) -> Result<()> {
    let ending = Ending::because(reason);
    for row in waiting {
        let payment: String = row.try_get(0)?;
        let steps = (State::Wanted, State::Declined);
        end(work, &payment, steps, &ending, at).await?;
    }
    Ok(())
}

/// What a user has paid in a day, payments that are under way included.
pub(super) async fn spent(work: &mut Work, user: &str, day: i64) -> Result<Spent> {
    let rows = sqlx::query("SELECT class, CAST(SUM(amount_minor) AS BIGINT), COUNT(*) FROM code_payments WHERE user_id = $1 AND day = $2 AND state IN ('started', 'approved') GROUP BY class")
        .bind(user)
        .bind(day)
        .fetch_all(&mut **work)
        .await?;
    let mut spent = Spent::default();
    for row in &rows {
        let sum: i64 = row.try_get(1)?;
        match row.try_get::<String, _>(0)?.as_str() {
            "a" => spent.a = sum,
            "b" => spent.b = sum,
            _ => {
                spent.c = sum;
                spent.free = row.try_get(2)?;
            }
        }
    }
    Ok(spent)
}

fn read(row: &AnyRow) -> Result<Payment> {
    Ok(Payment {
        payment_id: row.try_get(0)?,
        acquirer_id: row.try_get(1)?,
        merchant_id: row.try_get(2)?,
        order_id: row.try_get(3)?,
        alias: row.try_get(4)?,
        user: row.try_get(5)?,
        device: row.try_get(6)?,
        token_ref: row.try_get(7)?,
        terminal_id: row.try_get(8)?,
        merchant: row.try_get(9)?,
        mcc: row.try_get(10)?,
        country: row.try_get(11)?,
        asked_at: row.try_get(12)?,
        amount_minor: row.try_get(13)?,
        currency: row.try_get(14)?,
        class: row.try_get(15)?,
        state: State::named(&row.try_get::<String, _>(16)?)?,
        reason: row.try_get(17)?,
        authorisation: row.try_get(18)?,
        network_ref: row.try_get(19)?,
        at: row.try_get(20)?,
        began: row.try_get(21)?,
        confirm_until: row.try_get(22)?,
        request: match (row.try_get(23)?, row.try_get(24)?) {
            (Some(key), Some(content)) => Some(Request { key, content }),
            _ => None,
        },
    })
}
