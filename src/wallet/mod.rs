//! The wallet: the use cases, one file each. They join the pure parts with vault, store and backend.
//!
//! A [`Wallet`] is opened ([`Wallet::start`]), enrolled, given a card, armed, tapped, shown as a code and kept in step with
//! the issuer.
//! Whatever blocks (SQL, the platform's key store) runs on threads that may block; the tap ([`Wallet::process_apdu`])
//! does neither.

mod add_card;
mod arm;
mod clock;
mod code;
mod confirm;
mod enrol;
mod error;
mod follow_up;
mod lifecycle;
mod maker;
mod open;
mod paid;
mod password;
mod payload;
mod permit;
mod person;
mod phones;
mod replenish;
mod settle;
mod standing;
mod statement;
mod sync;
mod tap;
#[cfg(test)]
mod tests;
mod verify;
mod wipe;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::backend::Backend;
use crate::secret::wipe_stack;
use crate::token::TokenLife;
use crate::vault::PlatformKeyStore;

pub use add_card::CardChallenge;
pub use clock::{Clock, ClockReading};
pub use code::{
    CodeAcceptance, CodeEnd, CodeKind, CodePayment, CodePaymentState, CodeProof, CodeRefusal,
    CodeShown, CodeState, CodeView, MerchantOffer, RefusedClass,
};
pub use error::WalletError;
pub use maker::{MakerAsk, MakerPass};
pub use person::{PersonStatus, Proof};
pub use settle::{Observer, TapOutcome, TapPayment, WalletEvent};
pub use standing::TapRefusal;
pub use statement::StatementLine;
pub use sync::SyncReport;
pub use tap::{Answer, Responder};
pub use verify::{PromptOutcome, Purpose, VerificationRequest};

use code::{CodeBook, Codes};
use enrol::Enrolment;
use open::Opened;
use tap::Tap;
use verify::Verification;

/// How a wallet is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the databases are; one wallet, one process.
    pub folder: PathBuf,
    /// Version of the app, told at enrolment.
    pub app_version: String,
    /// Refuses a key store in software.
    pub production: bool,
}

/// How the wallet stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The device's identifier at the provider, once enrolled.
    pub device_id: Option<String>,
    /// How many cards it holds.
    pub cards: u32,
    /// How many taps can be made without a network.
    pub taps_left: u32,
    /// How many payment codes can be shown without a network.
    pub codes_left: u32,
    /// Why no reader is answered, where none is.
    pub refusal: Option<TapRefusal>,
    /// The person's ways in.
    pub person: PersonStatus,
}

/// The wallet.
pub struct Wallet {
    /// For work in the background, which must not keep the wallet alive.
    this: Weak<Self>,
    config: Config,
    key_store: Arc<dyn PlatformKeyStore>,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    opened: Mutex<Option<Arc<Opened>>>,
    /// Held while the wallet is being opened.
    opening: Arc<tokio::sync::Mutex<()>>,
    /// Whether readers may come: set by `start`, so that work without taps reserves no payments.
    started: AtomicBool,
    /// Whether the wallet was shut down, so that a tap does not open it again.
    closed: AtomicBool,
    backend: tokio::sync::Mutex<Option<Arc<Backend>>>,
    /// Held by whoever changes keys or counters: arming, a new card, replenishment.
    keys: Arc<tokio::sync::Mutex<()>>,
    /// Held by an enrolment.
    enrolling: tokio::sync::Mutex<()>,
    /// Held by whoever asks the network for keys.
    replenishing: tokio::sync::Mutex<()>,
    /// Counts the person's changes to cards, so that an answer of before them is told.
    card_changes: AtomicU64,
    /// Held by whoever tells the provider of cards' states.
    telling: tokio::sync::Mutex<()>,
    /// Held by whoever takes in the issuer's entries.
    syncing: tokio::sync::Mutex<()>,
    /// Counts timers for the end of a key, so that the newest one alone counts.
    expiries: AtomicU64,
    /// Counts follow-ups, so that the newest one alone goes on.
    follow_ups: AtomicU64,
    tap: Tap,
    codes: Codes,
    /// A verification of the person that is asked for or done.
    verification: Mutex<Option<Verification>>,
    observer: Mutex<Option<Arc<dyn Observer>>>,
    events: mpsc::UnboundedSender<WalletEvent>,
}

impl Wallet {
    /// A wallet that is not opened yet: no file is touched. Background work runs on `runtime`.
    ///
    /// # Errors
    /// [`WalletError::Insecure`] when production asks for more than the key store gives.
    pub fn new(
        config: Config,
        key_store: Arc<dyn PlatformKeyStore>,
        clock: Arc<dyn Clock>,
        runtime: Handle,
    ) -> Result<Arc<Self>, WalletError> {
        if config.production && key_store.security_level() == crate::vault::SecurityLevel::Software
        {
            return Err(WalletError::Insecure);
        }
        let (news, received) = mpsc::unbounded_channel();
        let (events, heard) = mpsc::unbounded_channel();
        let wallet = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            config,
            key_store,
            clock,
            runtime,
            opened: Mutex::new(None),
            opening: Arc::default(),
            started: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            backend: tokio::sync::Mutex::new(None),
            keys: Arc::default(),
            enrolling: tokio::sync::Mutex::new(()),
            replenishing: tokio::sync::Mutex::new(()),
            card_changes: AtomicU64::new(0),
            telling: tokio::sync::Mutex::new(()),
            syncing: tokio::sync::Mutex::new(()),
            expiries: AtomicU64::new(0),
            follow_ups: AtomicU64::new(0),
            tap: Tap::new(news),
            codes: Codes::new(),
            verification: Mutex::new(None),
            observer: Mutex::new(None),
            events,
        });
        let runtime = &wallet.runtime;
        runtime.spawn(settle::settle(Arc::downgrade(&wallet), received));
        runtime.spawn(settle::deliver(Arc::downgrade(&wallet), heard));
        Ok(wallet)
    }

    /// Sets who is told of taps and news.
    pub fn set_observer(&self, observer: Arc<dyn Observer>) {
        *self.observer.lock().unwrap_or_else(PoisonError::into_inner) = Some(observer);
    }

    /// How the wallet stands.
    ///
    /// # Errors
    /// When it was not started, or its databases cannot be read.
    pub async fn status(self: &Arc<Self>) -> Result<Status, WalletError> {
        // In turn with arming: between two generations the one read would open nothing.
        self.with_keys(|wallet, opened| {
            let enrolment: Option<Enrolment> = opened.vault.read(|tx| tx.record(enrol::RECORD))?;
            let tokens = opened.vault.read(|tx| tx.tokens())?;
            let reserved = wallet.tap.reserved();
            let stocked = wallet.stocked_uses(opened, &tokens);
            let held = tokens.iter();
            let cards = held
                .filter(|stored| stored.state != TokenLife::Deleted)
                .count();
            let policy = wallet.policy_in(opened)?;
            let standing = wallet.standing(opened, &policy);
            let codes = opened.vault.read(CodeBook::read)?;
            Ok(Status {
                device_id: enrolment.map(|enrolment| enrolment.answer.device_id),
                cards: u32::try_from(cards).unwrap_or(u32::MAX),
                taps_left: reserved.saturating_add(stocked),
                codes_left: codes.map_or(0, |codes| codes.left(opened.time_ms())),
                refusal: standing.or(wallet.tap.refusal()),
                person: wallet.person_status(opened)?,
            })
        })
        .await
    }

    /// Tells the observer, in the order of calls, without waiting for it.
    fn tell(&self, event: WalletEvent) {
        // The receiver outlives the wallet.
        let _ = self.events.send(event);
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().wall_ms
    }

    fn opened(&self) -> Result<Arc<Opened>, WalletError> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.clone().ok_or(WalletError::NotStarted)
    }

    /// Runs work that blocks on a thread that may.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>, &Opened) -> Result<T, WalletError> + Send + 'static,
    ) -> Result<T, WalletError> {
        let wallet = Arc::clone(self);
        let opened = self.opened()?;
        let (done, result) = oneshot::channel();
        // Boxed, so that the runtime's code for a task is there once and not for each use case.
        let work: Box<dyn FnOnce() + Send> = Box::new(move || {
            let answer = work(&wallet, &opened);
            wipe_stack();
            // What is opened must not be held beyond the answer; whoever waited may have given up.
            drop((wallet, opened));
            let _ = done.send(answer);
        });
        drop(self.runtime.spawn_blocking(work));
        result.await.map_err(|_| WalletError::Interrupted)?
    }

    /// Runs work that blocks and changes keys or counters, one at a time.
    ///
    /// The work keeps its turn to its end even when nobody waits for it any more: a caller that gave up (a reader's
    /// patience, a cancelled coroutine) must not let a second arming begin beside the first.
    async fn with_keys<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>, &Opened) -> Result<T, WalletError> + Send + 'static,
    ) -> Result<T, WalletError> {
        let turn = Arc::clone(&self.keys).lock_owned().await;
        self.blocking(move |wallet, opened| {
            let _turn = turn;
            work(wallet, opened)
        })
        .await
    }
}
