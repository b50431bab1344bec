//! A view of the code on the screen: it yields what to draw whenever that changes, so that a screen needs no timers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::show::{Ask, closed};
use super::showing::Look;
use super::{CodeBook, CodeEnd, CodeRefusal, CodeShown, CodeState, RECORD};
use crate::backend::protocol::{VoidAlias, VoidReason};
use crate::wallet::arm::retire_older;
use crate::wallet::settle::News;
use crate::wallet::{TapRefusal, Wallet, WalletError};

/// What a view says of its code where the phone may not pay any more. Whoever looks at the screen has unlocked it.
fn stopped(refusal: Option<TapRefusal>) -> Option<CodeState> {
    match refusal? {
        TapRefusal::Risk => Some(CodeState::Refused(CodeRefusal::Unsafe)),
        TapRefusal::Locked | TapRefusal::Outdated => Some(CodeState::Ended(CodeEnd::Closed)),
        TapRefusal::ScreenLocked => None,
    }
}

/// How long closing waits for the provider to hear of it.
const TELLING: Duration = Duration::from_secs(3);

/// What a view waits for before it looks again.
enum Wait {
    /// So many milliseconds, or news.
    For(u64),
    /// What somebody else does.
    News,
    /// Nothing: it is over.
    Over,
}

/// A code on the screen. Dropped, it is closed in the background.
pub struct CodeView {
    wallet: Weak<Wallet>,
    ask: Ask,
    /// What was yielded last.
    told: Mutex<Option<CodeShown>>,
    /// Whether the code is to outlive the view.
    detached: AtomicBool,
}

impl CodeView {
    pub(super) fn new(wallet: &Arc<Wallet>, ask: Ask) -> Arc<Self> {
        Arc::new(Self {
            wallet: Arc::downgrade(wallet),
            ask,
            told: Mutex::new(None),
            detached: AtomicBool::new(false),
        })
    }

    /// What the screen shows now. Nothing is left of it once another view was opened or the wallet was locked, wiped or
    /// shut down: then what was shown last, as over.
    pub fn now(&self) -> CodeShown {
        self.look().0
    }

    /// What the screen shows, as soon as it is another than was yielded last: each second while a code can be scanned. The
    /// first is yielded at once; nothing once the view was closed, or another has taken its place, and that was yielded. A
    /// code that is over for any other reason may be [renewed](Self::renew), and this goes on.
    pub async fn next(&self) -> Option<CodeShown> {
        loop {
            // Listening begins before the look, so that nothing changes unheard between the two.
            let changes = self.wallet.upgrade();
            let changes = changes.map(|wallet| wallet.codes.changes.subscribe());
            let (shown, wait) = self.look();
            {
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                if told.as_ref() != Some(&shown) {
                    return Some(told.insert(shown).clone());
                }
            }
            let mut changes = changes?;
            match wait {
                // A change is as good a reason to look again as the next second.
                Wait::For(ms) => {
                    let wait = Duration::from_millis(ms);
                    drop(tokio::time::timeout(wait, changes.changed()).await);
                }
                Wait::News => drop(changes.changed().await),
                Wait::Over => return None,
            }
        }
    }

    /// Uncovers the digits: the code on the screen is dead, since whoever was asked to look may not have been alone, and a
    /// fresh one takes its place, in clear.
    ///
    /// # Errors
    /// [`WalletError::NotVerified`] without a finished verification for
    /// [`Purpose::Access`](crate::wallet::Purpose::Access); those of [`Wallet::show_code`].
    pub async fn reveal(&self, verification: String) -> Result<(), WalletError> {
        let wallet = self.open()?;
        drop(wallet.take_access(&verification)?);
        self.void(&wallet, CodeEnd::Revealed);
        wallet
            .show(Ask {
                revealed: true,
                verified: true,
                ..self.ask.clone()
            })
            .await
    }

    /// The system saw a screenshot: the code on the screen is dead, and the next one needs the person where one is set up.
    pub async fn photographed(&self) {
        let Some(wallet) = self.wallet.upgrade() else {
            return;
        };
        self.void(&wallet, CodeEnd::Photographed);
        wallet.codes.needs_person.store(true, Ordering::SeqCst);
        // Over a start of the app as well; where it cannot be written down, it holds until then.
        drop(wallet.note_photograph().await);
    }

    /// Shows a fresh code in the same view: after it was used or has failed, was voided or refused, or to go on after a pause.
    ///
    /// # Errors
    /// Those of [`Wallet::show_code`]; [`WalletError::Input`] once the view was closed.
    pub async fn renew(&self, verification: Option<String>) -> Result<(), WalletError> {
        let wallet = self.open()?;
        let verified = wallet.is_verified(verification)?;
        wallet
            .show(Ask {
                verified,
                ..self.ask.clone()
            })
            .await
    }

    /// Ends the showing: where there is a network, the provider knows when this returns.
    pub async fn close(&self) {
        self.detached.store(true, Ordering::SeqCst);
        self.ask.closed.store(true, Ordering::SeqCst);
        let Some(wallet) = self.wallet.upgrade() else {
            return;
        };
        if let Some(telling) = self.void(&wallet, CodeEnd::Closed) {
            // Without a network it is told with the next batch.
            drop(tokio::time::timeout(TELLING, telling).await);
        }
    }

    /// Lets the code outlive the view: for a command line that prints it and exits.
    pub fn detach(&self) {
        self.detached.store(true, Ordering::SeqCst);
    }

    /// The wallet, unless the view was closed.
    fn open(&self) -> Result<Arc<Wallet>, WalletError> {
        if self.ask.closed.load(Ordering::SeqCst) {
            return Err(WalletError::Input(
                "this view of a payment code was closed: show a code anew",
            ));
        }
        self.wallet.upgrade().ok_or(WalletError::NotStarted)
    }

    /// What is shown, and what it is worth waiting for.
    fn look(&self) -> (CodeShown, Wait) {
        let Some(wallet) = self.wallet.upgrade() else {
            return (self.over(), Wait::Over);
        };
        // Before the lock: the clock is the shell's.
        let now = wallet.clock.now();
        let refusal = wallet.tap.refusal();
        let (look, over, elsewhere) = {
            let mut screen = wallet.codes.lock();
            let elsewhere = screen.is_some();
            let mine = screen
                .as_mut()
                .filter(|showing| showing.view == self.ask.view);
            let alias = mine.as_ref().filter(|showing| showing.is_open());
            let alias = alias.and_then(|showing| showing.alias().cloned());
            let look = mine.map(|showing| {
                if let Some(state) = stopped(refusal).filter(|_| showing.is_open()) {
                    showing.end(state);
                }
                showing.look(&now)
            });
            // That it has expired the provider knows; that this phone has stopped it, nobody else.
            let over = alias.filter(|_| {
                look.as_ref()
                    .is_some_and(|look| look.shown.state.is_stopped())
            });
            (look, over, elsewhere)
        };
        crate::secret::wipe_stack();
        wallet.tell_void(over.into_iter().map(closed).collect());
        let Some(Look {
            shown,
            event,
            wait_ms,
        }) = look
        else {
            let over = elsewhere
                || self.ask.closed.load(Ordering::SeqCst)
                || wallet.closed.load(Ordering::Relaxed);
            let wait = if over { Wait::Over } else { Wait::News };
            return (self.over(), wait);
        };
        if let Some(event) = event {
            wallet.tap.announce(News::Presented(event));
        }
        (shown, wait_ms.map_or(Wait::News, Wait::For))
    }

    /// What was shown last, as over.
    fn over(&self) -> CodeShown {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |state| CodeShown {
            kind: self.ask.kind,
            account: self
                .ask
                .account
                .clone()
                .unwrap_or_else(|| "".to_owned().into()),
            code: String::new(),
            digits: String::new(),
            revealed: false,
            seconds_left: 0,
            offline_left: 0,
            runs_low: false,
            state,
        };
        match told.clone() {
            Some(told) => CodeShown {
                code: String::new(),
                digits: String::new(),
                seconds_left: 0,
                state: match told.state {
                    CodeState::Showing | CodeState::Paused => CodeState::Ended(CodeEnd::Closed),
                    state => state,
                },
                ..told
            },
            None => over(CodeState::Ended(CodeEnd::Closed)),
        }
    }

    /// Ends what this view shows and tells the provider in the background; nothing where it is over already.
    fn void(&self, wallet: &Arc<Wallet>, end: CodeEnd) -> Option<tokio::task::JoinHandle<()>> {
        let (alias, unused) = {
            let mut showing = wallet.codes.lock();
            let mine = showing
                .as_mut()
                .filter(|showing| showing.view == self.ask.view)?;
            let alias = mine.alias().filter(|_| mine.is_open()).cloned();
            let unused = mine.unused();
            if mine.is_open() {
                mine.end(CodeState::Ended(end));
            }
            if end == CodeEnd::Closed {
                *showing = None;
            }
            (alias, unused.filter(|_| end == CodeEnd::Closed))
        };
        wallet.codes.changed();
        wallet.tap.spare(unused);
        let why = match end {
            CodeEnd::Revealed => VoidReason::Revealed,
            CodeEnd::Photographed => VoidReason::Screenshot,
            CodeEnd::Closed | CodeEnd::Expired | CodeEnd::Void => VoidReason::Closed,
        };
        wallet.tell_void(
            alias
                .map(|alias| VoidAlias { alias, why })
                .into_iter()
                .collect(),
        )
    }
}

impl Drop for CodeView {
    fn drop(&mut self) {
        if !*self.detached.get_mut() {
            self.ask.closed.store(true, Ordering::SeqCst);
        }
        if !*self.detached.get_mut()
            && let Some(wallet) = self.wallet.upgrade()
        {
            self.void(&wallet, CodeEnd::Closed);
        }
    }
}

impl Wallet {
    /// Tells the provider of aliases that are over, in the background; nothing where there are none.
    pub(super) fn tell_void(
        self: &Arc<Self>,
        aliases: Vec<VoidAlias>,
    ) -> Option<tokio::task::JoinHandle<()>> {
        if aliases.is_empty() {
            return None;
        }
        let over = aliases.iter().map(|over| over.alias.clone());
        self.codes.over().extend(over);
        let wallet = Arc::downgrade(self);
        Some(self.runtime.spawn(async move {
            if let Some(wallet) = wallet.upgrade() {
                // Without a network this fails, and the next batch's account of what is held tells the same.
                drop(wallet.contact(wallet.void_aliases(aliases)).await);
            }
        }))
    }

    /// Writes down that the next code needs the person.
    async fn note_photograph(self: &Arc<Self>) -> Result<(), WalletError> {
        self.with_keys(|_, opened| {
            let Some(mut book) = opened.vault.read(CodeBook::read)? else {
                return Ok(());
            };
            book.needs_person = true;
            let arming = opened.arming()?;
            let ((), record) =
                opened.commit(arming, |tx| Ok(tx.set_guarded(RECORD, Some(&book))?))?;
            retire_older(opened, &record)
        })
        .await
    }
}
