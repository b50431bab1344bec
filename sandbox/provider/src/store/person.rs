//! Everything that is kept of a user, read in one piece for the user.

use sandbox_kit::clock;
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{Row, query};

use super::entries::entry;
use super::{Result, Store};
use crate::codes::{self, CodeEntry, code_entry};
use crate::entries::Entry;

/// What the provider holds of a user.
#[derive(Serialize)]
pub(crate) struct Export {
    user_id: String,
    since: String,
    phones: Vec<Phone>,
    tokens: Vec<Token>,
    card_checks: Vec<CardCheck>,
    sessions: Vec<Session>,
    link_codes: Vec<LinkCode>,
    payment_password: Vec<PaymentPassword>,
    password_resets: Vec<PasswordReset>,
    confirmation_keys: Vec<ConfirmationKey>,
    confirmations: Vec<Confirmation>,
    entries: Vec<Entry>,
    notifications: Vec<Notified>,
    code_aliases: Vec<CodeAlias>,
    code_payments: Vec<CodePayment>,
    code_entries: Vec<CodeEntry>,
}

#[derive(Serialize)]
struct Phone {
    device_id: String,
    device_key: String,
    key_store: String,
    attested: bool,
    app_version: String,
    enrolled_at: String,
    state: String,
}

#[derive(Serialize)]
struct Token {
    token_ref: String,
    device_id: String,
    state: String,
    at: String,
}

#[derive(Serialize)]
struct CardCheck {
    challenge_id: String,
    device_id: String,
    at: String,
}

#[derive(Serialize)]
struct Session {
    session_id: String,
    device_id: String,
    expires_at: String,
}

#[derive(Serialize)]
struct LinkCode {
    kind: String,
    device_id: String,
    expires_at: String,
}

/// Nothing that would help to guess it.
#[derive(Serialize)]
struct PaymentPassword {
    set_at: String,
    tries_left: i64,
}

#[derive(Serialize)]
struct PasswordReset {
    reset_id: String,
    device_id: String,
    begun_at: String,
}

#[derive(Serialize)]
struct ConfirmationKey {
    device_id: String,
    public_key: String,
    at: String,
}

#[derive(Serialize)]
struct Confirmation {
    confirmation_id: String,
    device_id: String,
    method: String,
    amount_minor: i64,
    currency: String,
    payee: String,
    at: String,
}

/// A line of the provider's books that a token of the user is named in.
#[derive(Serialize)]
struct Notified {
    id: String,
    token_ref: String,
    atc: i64,
    amount_minor: i64,
    currency: String,
    merchant: String,
    result: String,
    reason: Option<String>,
    authorisation: Option<String>,
    at: String,
}

/// A number that stands or stood for an account of the user. The seeds are secrets, as keys are.
#[derive(Serialize)]
struct CodeAlias {
    alias: String,
    device_id: String,
    token_ref: String,
    state: String,
    not_after: String,
}

/// A payment by code, whatever came of it.
#[derive(Serialize)]
struct CodePayment {
    payment_id: String,
    device_id: String,
    token_ref: String,
    /// Absent where a shop's code was paid.
    alias: Option<String>,
    merchant_id: String,
    order_id: String,
    merchant: String,
    amount_minor: i64,
    currency: String,
    state: String,
    reason: Option<String>,
    at: String,
}

impl Store {
    /// Everything of a user; `None` when there is no such user any more.
    pub(crate) async fn export(&self, user: &str) -> Result<Option<Export>> {
        // One transaction: an export that mixes two moments would be true of neither.
        let mut work = self.db.begin().await?;
        let since = query("SELECT since FROM users WHERE user_id = $1")
            .bind(user)
            .fetch_optional(&mut *work)
            .await?;
        let Some(since) = since else { return Ok(None) };
        let mut rows = async |sql: &'static str| query(sql).bind(user).fetch_all(&mut *work).await;
        let export = Export {
            user_id: user.to_owned(),
            since: since.try_get(0)?,
            phones: each(&rows("SELECT device_id, device_key, key_store, attested, app_version, enrolled_at, state FROM devices WHERE user_id = $1 ORDER BY enrolled_at, device_id").await?, phone)?,
            tokens: each(&rows("SELECT t.token_ref, t.device_id, t.state, t.at FROM tokens t JOIN devices d ON d.device_id = t.device_id WHERE d.user_id = $1 ORDER BY t.at, t.token_ref").await?, token)?,
            card_checks: each(&rows("SELECT c.challenge_id, c.device_id, c.at FROM card_challenges c JOIN devices d ON d.device_id = c.device_id WHERE d.user_id = $1 ORDER BY c.at, c.challenge_id").await?, card_check)?,
            sessions: each(&rows("SELECT s.session_id, s.device_id, s.expires_at FROM sessions s JOIN devices d ON d.device_id = s.device_id WHERE d.user_id = $1 ORDER BY s.expires_at, s.session_id").await?, session)?,
            link_codes: each(&rows("SELECT l.kind, l.device_id, l.expires_at FROM link_codes l JOIN devices d ON d.device_id = l.device_id WHERE d.user_id = $1 ORDER BY l.expires_at").await?, link_code)?,
            payment_password: each(&rows("SELECT set_at, tries_left FROM passwords WHERE user_id = $1").await?, payment_password)?,
            password_resets: each(&rows("SELECT reset_id, device_id, begun_at FROM password_resets WHERE user_id = $1 ORDER BY begun_at, reset_id").await?, password_reset)?,
            confirmation_keys: each(&rows("SELECT k.device_id, k.public_key, k.at FROM confirmation_keys k JOIN devices d ON d.device_id = k.device_id WHERE d.user_id = $1 ORDER BY k.at, k.device_id").await?, confirmation_key)?,
            confirmations: each(&rows("SELECT confirmation_id, device_id, method, amount_minor, currency, payee, at FROM confirmations WHERE user_id = $1 ORDER BY at, confirmation_id").await?, confirmation)?,
            entries: each(&rows("SELECT seq, id, token_ref, atc, amount_minor, currency, merchant, result, reason, authorisation, at FROM entries WHERE user_id = $1 ORDER BY seq").await?, entry)?,
            notifications: each(&rows("SELECT n.id, n.token_ref, n.atc, n.amount_minor, n.currency, n.merchant, n.result, n.reason, n.authorisation, n.at FROM notifications n JOIN tokens t ON t.token_ref = n.token_ref JOIN devices d ON d.device_id = t.device_id WHERE d.user_id = $1 ORDER BY n.at, n.id").await?, notified)?,
            code_aliases: each(&rows("SELECT a.alias, a.device_id, a.token_ref, a.state, a.not_after FROM code_aliases a JOIN devices d ON d.device_id = a.device_id WHERE d.user_id = $1 ORDER BY a.not_after, a.alias").await?, code_alias)?,
            code_payments: each(&rows("SELECT payment_id, device_id, token_ref, alias, merchant_id, order_id, merchant, amount_minor, currency, state, reason, at FROM code_payments WHERE user_id = $1 ORDER BY at, payment_id").await?, code_payment)?,
            code_entries: each(&rows("SELECT seq, id, payment_id, alias, token_ref, amount_minor, currency, merchant, result, reason, authorisation, at FROM code_entries WHERE user_id = $1 ORDER BY seq").await?, code_entry)?,
        };
        work.rollback().await?;
        Ok(Some(export))
    }
}

fn each<T>(rows: &[AnyRow], read: fn(&AnyRow) -> Result<T>) -> Result<Vec<T>> {
    rows.iter().map(read).collect()
}

fn phone(row: &AnyRow) -> Result<Phone> {
    Ok(Phone {
        device_id: row.try_get(0)?,
        device_key: sandbox_kit::bytes::to_hex(&row.try_get::<Vec<u8>, _>(1)?),
        key_store: row.try_get(2)?,
        attested: row.try_get::<i64, _>(3)? != 0,
        app_version: row.try_get(4)?,
        enrolled_at: row.try_get(5)?,
        state: row.try_get(6)?,
    })
}

fn token(row: &AnyRow) -> Result<Token> {
    Ok(Token {
        token_ref: row.try_get(0)?,
        device_id: row.try_get(1)?,
        state: row.try_get(2)?,
        at: row.try_get(3)?,
    })
}

fn card_check(row: &AnyRow) -> Result<CardCheck> {
    Ok(CardCheck {
        challenge_id: row.try_get(0)?,
        device_id: row.try_get(1)?,
        at: row.try_get(2)?,
    })
}

fn session(row: &AnyRow) -> Result<Session> {
    Ok(Session {
        session_id: row.try_get(0)?,
        device_id: row.try_get(1)?,
        expires_at: clock::unix_text(row.try_get(2)?),
    })
}

fn link_code(row: &AnyRow) -> Result<LinkCode> {
    Ok(LinkCode {
        kind: row.try_get(0)?,
        device_id: row.try_get(1)?,
        expires_at: clock::unix_text(row.try_get(2)?),
    })
}

fn payment_password(row: &AnyRow) -> Result<PaymentPassword> {
    Ok(PaymentPassword {
        set_at: row.try_get(0)?,
        tries_left: row.try_get(1)?,
    })
}

fn password_reset(row: &AnyRow) -> Result<PasswordReset> {
    Ok(PasswordReset {
        reset_id: row.try_get(0)?,
        device_id: row.try_get(1)?,
        begun_at: clock::unix_text(row.try_get(2)?),
    })
}

fn confirmation_key(row: &AnyRow) -> Result<ConfirmationKey> {
    Ok(ConfirmationKey {
        device_id: row.try_get(0)?,
        public_key: sandbox_kit::bytes::to_hex(&row.try_get::<Vec<u8>, _>(1)?),
        at: row.try_get(2)?,
    })
}

fn confirmation(row: &AnyRow) -> Result<Confirmation> {
    Ok(Confirmation {
        confirmation_id: row.try_get(0)?,
        device_id: row.try_get(1)?,
        method: row.try_get(2)?,
        amount_minor: row.try_get(3)?,
        currency: row.try_get(4)?,
        payee: row.try_get(5)?,
        at: row.try_get(6)?,
    })
}

fn notified(row: &AnyRow) -> Result<Notified> {
    Ok(Notified {
        id: row.try_get(0)?,
        token_ref: row.try_get(1)?,
        atc: row.try_get(2)?,
        amount_minor: row.try_get(3)?,
        currency: row.try_get(4)?,
        merchant: row.try_get(5)?,
        result: row.try_get(6)?,
        reason: row.try_get(7)?,
        authorisation: row.try_get(8)?,
        at: row.try_get(9)?,
    })
}

fn code_alias(row: &AnyRow) -> Result<CodeAlias> {
    Ok(CodeAlias {
        alias: row.try_get(0)?,
        device_id: row.try_get(1)?,
        token_ref: row.try_get(2)?,
        state: row.try_get(3)?,
        not_after: clock::unix_text(row.try_get(4)?),
    })
}

fn code_payment(row: &AnyRow) -> Result<CodePayment> {
    Ok(CodePayment {
        payment_id: row.try_get(0)?,
        device_id: row.try_get(1)?,
        token_ref: row.try_get(2)?,
        alias: codes::alias(row.try_get(3)?),
        merchant_id: row.try_get(4)?,
        order_id: row.try_get(5)?,
        merchant: row.try_get(6)?,
        amount_minor: row.try_get(7)?,
        currency: row.try_get(8)?,
        state: row.try_get(9)?,
        reason: row.try_get(10)?,
        at: row.try_get(11)?,
    })
}
