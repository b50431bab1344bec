//! The statement, as a person sees it.

use std::sync::Arc;

use super::arm::retire_older;
use super::open::Opened;
use super::{Wallet, WalletError};
use crate::account::Money;
use crate::statement::{Entry, EntryState};
use crate::store::StoreError;
use crate::token::PaymentToken;

/// The most lines that are given at once.
const LIMIT: u32 = 10_000;
/// Position of the projection in the journal.
const JOURNAL: &str = "journal";
/// How many events of the journal are taken in with one commit.
const PART: usize = 2_000;
/// How many seals must be granted before a part is taken in.
const ROOM: u64 = 8_000;
/// What stood at that position.
const JOURNAL_MARK: &str = "journal_mark";

/// One line of the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementLine {
    /// Stable on this phone, says nothing elsewhere.
    pub id: String,
    /// When, milliseconds of Unix time.
    pub at_ms: i64,
    /// How far the payment has come.
    pub state: EntryState,
    /// What was paid.
    pub money: Money,
    /// Where.
    pub merchant: Option<String>,
    /// The account: bank and last four digits of the card.
    pub account: String,
    /// The counter of a payment by tap or consumer-presented code.
    pub atc: Option<u16>,
}

impl Wallet {
    /// The statement, newest first; taps are in it the moment they are in the journal.
    ///
    /// # Errors
    /// When the databases cannot be read.
    pub async fn statement(self: &Arc<Self>) -> Result<Vec<StatementLine>, WalletError> {
        self.blocking(|wallet, opened| {
            rebuilding(opened, || project(opened))?;
            let policy = wallet.policy_in(opened)?;
            let patience_ms = i64::from(policy.pending_expires_hours) * 3_600_000;
            let now_ms = wallet.now_ms();
            let cards: Vec<_> = opened
                .vault
                .read(|tx| tx.tokens())?
                .into_iter()
                .map(|stored| stored.token)
                .collect();
            let entries = rebuilding(opened, || Ok(opened.statement.newest(LIMIT)?))?;
            Ok(entries
                .into_iter()
                .map(|(id, entry)| StatementLine {
                    state: entry.state_at(now_ms, patience_ms),
                    account: account(&cards, &entry),
                    id,
                    at_ms: entry.at_ms,
                    money: entry.money,
                    merchant: entry.merchant,
                    atc: entry.payment.atc(),
                })
                .collect())
        })
        .await
    }
}

/// Runs work on the statement; where its file cannot be read, once more on a new one, into which the journal was taken.
pub(super) fn rebuilding<T>(
    opened: &Opened,
    work: impl Fn() -> Result<T, WalletError>,
) -> Result<T, WalletError> {
    match work() {
        Err(WalletError::Store(error)) if error.is_loss() => {
            tracing::warn!(%error, "the statement is made anew from issuer and journal");
            opened.statement.reset()?;
            project(opened)?;
            work()
        }
        done => done,
    }
}

/// Takes the journal into the statement, from where it was left.
pub(super) fn project(opened: &Opened) -> Result<(), WalletError> {
    // In parts, so that a long journal does not outrun the count of seals.
    while project_part(opened)? {}
    Ok(())
}

/// Makes sure that a part of a statement can be sealed: where the count that is written down grants too little, it is
/// written down anew, with an arming.
pub(super) fn make_room(opened: &Opened) -> Result<(), WalletError> {
    let sealer = opened.hierarchy.sealer();
    if sealer.count().left() > ROOM {
        return Ok(());
    }
    match opened.commit(opened.arming()?, |_| Ok(())) {
        Ok(((), record)) => retire_older(opened, &record),
        // Whoever came first has written it down.
        Err(WalletError::Store(StoreError::Overtaken)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes a part of the journal in; answers whether there may be more.
fn project_part(opened: &Opened) -> Result<bool, WalletError> {
    let (position, mark) = opened
        .statement
        .write(|tx| Ok((tx.position(JOURNAL)?, tx.position(JOURNAL_MARK)?)))?;
    let (news, last_mark) = opened.vault.read(|tx| {
        // A journal that has lost its newest rows gives the same positions to others: what stands at the position tells.
        let known = tx.journal_mark(position)? == mark;
        let begin = if known { position } else { 0 };
        let mut news = tx.journal_after(begin)?;
        news.truncate(PART);
        let last = news.last().map_or(begin, |(seq, ..)| *seq);
        Ok((news, (last, tx.journal_mark(last)?)))
    })?;
    if last_mark == (position, mark) {
        return Ok(false);
    }
    make_room(opened)?;
    opened.statement.write(|tx| {
        for (_, at_ms, event) in &news {
            if let Some(entry) = Entry::with_event(tx.entry(event.payment())?, *at_ms, event) {
                tx.put_entry(&entry)?;
            }
        }
        tx.set_position(JOURNAL, last_mark.0)?;
        tx.set_position(JOURNAL_MARK, last_mark.1)
    })?;
    Ok(news.len() == PART)
}

fn account(cards: &[PaymentToken], entry: &Entry) -> String {
    let card = cards
        .iter()
        .find(|card| card.reference == entry.payment.token);
    card.map_or_else(
        || "unknown card".into(),
        |card| format!("{} {}", card.bank, card.masked_card),
    )
}
