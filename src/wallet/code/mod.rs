//! Payment codes on the screen: shown without a network, watched while one is there, dead once they are seen.
//!
//! [`Wallet::show_code`] takes an alias (or counters of a card) durably and answers a [`CodeView`], which yields what the
//! screen shows whenever it changes. One code is shown at a time. [`Wallet::refill_codes`] keeps the aliases in stock;
//! [`Wallet::pay_merchant`] pays the other way round, by a code that the shop shows.

mod book;
mod cpm;
mod pay;
mod refill;
mod show;
mod showing;
mod unanswered;
mod view;
mod watch;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch as channel;

use crate::account::Money;
use crate::backend::BackendError;
use crate::backend::parse_rfc3339_ms;
use crate::backend::protocol::CodePaymentAnswer;
use crate::code::Alias;
use crate::code::steps::ClockUnsure;
use crate::token::TokenRef;
use showing::Showing;

pub use crate::backend::protocol::{CodePaymentState, RefusedClass};
pub use pay::{CodeAcceptance, CodeProof, MerchantOffer};
pub use view::CodeView;

pub(super) use book::{CodeBook, RECORD};
#[cfg(test)]
pub(super) use unanswered::{Known, Sent};

/// Which code is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeKind {
    /// Digits that the provider's shops take.
    Numeric,
    /// EMV's consumer-presented code, which any acquirer of the card's network takes.
    ConsumerPresented,
}

/// A payment by code, as the provider tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodePayment {
    /// Its identifier; empty for a consumer-presented code, which the network pays.
    pub payment_id: String,
    /// How it stands.
    pub state: CodePaymentState,
    /// Whether the person is to confirm it by the payment password or a verification …
    pub wants_password: bool,
    /// … until then, milliseconds of Unix time.
    pub confirm_until_ms: i64,
    /// The account that pays.
    pub account: TokenRef,
    /// What is paid.
    pub money: Money,
    /// Where.
    pub merchant: String,
    /// The stable word for why not.
    pub reason: Option<String>,
    /// The authorisation code.
    pub authorisation: Option<String>,
}

impl CodePayment {
    fn of(answer: CodePaymentAnswer) -> Result<Self, BackendError> {
        Ok(Self {
            payment_id: answer.payment_id,
            state: answer.state,
            wants_password: answer.wants.as_deref() == Some("password"),
            confirm_until_ms: parse_rfc3339_ms(&answer.confirm_until)
                .ok_or(BackendError::Malformed)?,
            account: answer.token_ref,
            money: answer.money,
            merchant: answer.merchant,
            reason: answer.reason,
            authorisation: answer.authorisation,
        })
    }
}

/// Why a code is shown no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeEnd {
    /// The view was closed, another was opened, or the wallet was locked.
    Closed,
    /// Its digits were uncovered.
    Revealed,
    /// The system saw a screenshot.
    Photographed,
    /// Its alias has come to its end.
    Expired,
    /// The provider has ended it: tried too often, or the phone was wiped.
    Void,
}

/// How a code on the screen stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeState {
    /// It can be scanned.
    Showing,
    /// A consumer-presented code whose refreshes are used up: the person touches the screen to go on.
    Paused,
    /// A shop has scanned it.
    Used(CodePayment),
    /// It is dead.
    Ended(CodeEnd),
    /// No code can be shown any more.
    Refused(CodeRefusal),
}

impl CodeState {
    /// Whether the phone has taken the code away by itself.
    fn is_stopped(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Ended(CodeEnd::Closed))
    }
}

/// Why no code can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefusal {
    /// All aliases of the card were shown or have expired.
    #[error("this card has no payment codes left on this phone: go online once to get new ones")]
    NoneLeft,
    /// None ever came.
    #[error("this phone has no payment codes yet: go online once to get them")]
    NeverFetched,
    /// Nobody can say what time it is.
    #[error(transparent)]
    Clock(ClockUnsure),
    /// The card has no key or no counter left.
    #[error("the card has no key left for a payment code: go online once to get new ones")]
    NoKeys,
    /// The phone looks unsafe.
    #[error("this phone looks unsafe: no payment code is shown on it")]
    Unsafe,
    /// The provider has no codes of this kind, or the card cannot be shown as one.
    #[error("this card cannot be shown as a payment code of this kind: show another card or kind")]
    NotOffered,
}

/// What the screen shows.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeShown {
    /// Which code it is.
    pub kind: CodeKind,
    /// The account that pays.
    pub account: TokenRef,
    /// What the symbol holds: digits, or base64 of a consumer-presented code. Empty unless it can be scanned.
    pub code: String,
    /// The digits for the eye, masked until they are revealed. Empty for a consumer-presented code.
    pub digits: String,
    /// Whether the digits are in clear.
    pub revealed: bool,
    /// Seconds until the code changes, 1 to 30; 0 unless it can be scanned.
    pub seconds_left: u32,
    /// Showings that are left without a network: aliases, of all accounts, or uses of the card's keys.
    pub offline_left: u32,
    /// Whether that is fewer than the provider wants a phone to hold.
    pub runs_low: bool,
    /// How it stands.
    pub state: CodeState,
}

/// Whoever sees a code can take a payment by it.
impl std::fmt::Debug for CodeShown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeShown")
            .field("kind", &self.kind)
            .field("seconds_left", &self.seconds_left)
            .field("offline_left", &self.offline_left)
            .finish_non_exhaustive()
    }
}

/// What the wallet holds for codes.
pub(super) struct Codes {
    /// What is on the screen. The lock is held for computation only.
    showing: Mutex<Option<Showing>>,
    /// Counts changes of it, for views that wait.
    changes: channel::Sender<u64>,
    /// Numbers views, so that an old one does not end a new one's code.
    views: AtomicU64,
    /// Held by whoever asks the provider for aliases.
    refilling: tokio::sync::Mutex<()>,
    /// Numbers showings: a view has one after the other.
    showings: AtomicU64,
    /// Whether the next code needs the person, where the record of codes could not be written.
    needs_person: AtomicBool,
    /// Aliases that are over, whatever the record of codes says: the provider is told with the next batch at the latest.
    over: Mutex<BTreeSet<Alias>>,
}

impl Codes {
    pub(super) fn new() -> Self {
        Self {
            showing: Mutex::new(None),
            changes: channel::Sender::new(0),
            views: AtomicU64::new(0),
            refilling: tokio::sync::Mutex::new(()),
            showings: AtomicU64::new(0),
            needs_person: AtomicBool::new(false),
            over: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Showing>> {
        self.showing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self) -> MutexGuard<'_, BTreeSet<Alias>> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the views.
    fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}
