//! Showing a code: an alias, or counters of a card, taken durably before anybody sees them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::cpm::CardOnScreen;
use super::showing::{AliasOnScreen, Means, Showing};
use super::view::CodeView;
use super::{CodeBook, CodeKind, CodeRefusal, CodeState, RECORD};
use crate::backend::protocol::{Policy, VoidAlias, VoidReason};
use crate::clock::ClockReading;
use crate::code::numeric::code_key;
use crate::code::steps::Step;
use crate::code::{Alias, CodePolicy};
use crate::emv::verification::VerificationRule;
use crate::store::{ArmingRecord, StoredToken};
use crate::token::TokenRef;
use crate::vault::{Arming, VaultError};
use crate::wallet::arm::{grant, retire_older, take_back};
use crate::wallet::open::Opened;
use crate::wallet::permit::paying;
use crate::wallet::person::person_in;
use crate::wallet::tap::Returned;
use crate::wallet::{TapRefusal, Wallet, WalletError};

/// What is asked to be shown.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) view: u64,
    pub(super) kind: CodeKind,
    pub(super) account: Option<TokenRef>,
    pub(super) revealed: bool,
    /// Whether the person was verified for it.
    pub(super) verified: bool,
    /// Whether it opens the view.
    pub(super) opens: bool,
    /// Whether the view was closed meanwhile.
    pub(super) closed: Arc<AtomicBool>,
}

impl Wallet {
    /// Shows a code; without an account, that of the default card. What was on the screen before is over, unless this is
    /// refused before there is anything to take: nobody verified, no such card, codes not offered. Without aliases, or when
    /// nobody can say what time it is, the provider is asked first.
    ///
    /// After a code's digits were uncovered or photographed, `verification` (for
    /// [`Purpose::Access`](crate::wallet::Purpose::Access)) must be given where a person is set up.
    ///
    /// # Errors
    /// [`WalletError::Code`] says why there is none; [`WalletError::NoSuchCard`]; [`VaultError::Locked`];
    /// [`WalletError::NotVerified`].
    pub async fn show_code(
        self: &Arc<Self>,
        kind: CodeKind,
        account: Option<TokenRef>,
        verification: Option<String>,
    ) -> Result<Arc<CodeView>, WalletError> {
        let view = self.codes.views.fetch_add(1, Ordering::Relaxed) + 1;
        let ask = Ask {
            view,
            kind,
            account,
            revealed: false,
            verified: self.is_verified(verification)?,
            opens: true,
            closed: Arc::default(),
        };
        // A caller that goes away before it is shown lets go of this, which closes it.
        let again = Ask {
            opens: false,
            ..ask.clone()
        };
        let shown = CodeView::new(self, again);
        self.show(ask).await?;
        Ok(shown)
    }

    /// Uses a verification for the next code, where one is given.
    pub(super) fn is_verified(&self, verification: Option<String>) -> Result<bool, WalletError> {
        let verified = verification.map(|id| self.take_access(&id)).transpose()?;
        Ok(verified.is_some())
    }

    /// Puts a code on the screen, once more after the provider was asked where that may help.
    pub(super) async fn show(self: &Arc<Self>, ask: Ask) -> Result<(), WalletError> {
        let shown = self.show_once(ask.clone()).await;
        match shown {
            Err(WalletError::Code(refusal)) if refusal != CodeRefusal::NotOffered => {
                let asked = match refusal {
                    CodeRefusal::NoKeys => self.contact(self.replenish()).await,
                    _ => self.contact(self.refill_codes()).await,
                };
                match asked {
                    Ok(_) => self.show_once(ask).await,
                    // Why there is no code matters more than that the provider is away.
                    Err(error) => {
                        tracing::info!(%error, "no payment codes came");
                        Err(WalletError::Code(refusal))
                    }
                }
            }
            shown => shown,
        }
    }

    async fn show_once(self: &Arc<Self>, ask: Ask) -> Result<(), WalletError> {
        self.with_keys(move |wallet, opened| {
            if wallet.closed.load(Ordering::Relaxed) {
                return Err(WalletError::NotStarted);
            }
            let policy = wallet.policy_in(opened)?;
            let codes = wallet.may_show(opened, &policy)?;
            let reading = wallet.clock.now();
            let book = opened.vault.read(CodeBook::read)?;
            let book = book.ok_or(WalletError::Code(CodeRefusal::NeverFetched))?;
            let step = book.clock.step(&reading, &codes.clock);
            let step = step.map_err(|unsure| WalletError::Code(CodeRefusal::Clock(unsure)))?;
            let needs_person =
                book.needs_person || wallet.codes.needs_person.load(Ordering::SeqCst);
            if needs_person && !ask.verified && person_in(opened)?.is_some() {
                return Err(WalletError::NotVerified);
            }
            // A code is shown to nobody in particular: it is no way to pay what the person must be verified for.
            let unverified = policy.tap_verification != VerificationRule::Always;
            if ask.kind == CodeKind::ConsumerPresented && !unverified {
                return Err(WalletError::Code(CodeRefusal::NotOffered));
            }
            let account = account(opened, ask.account.as_ref())?;
            // One that was asked for since has the screen, also where this one had to wait for the provider.
            if ask.opens && wallet.codes.views.load(Ordering::Relaxed) != ask.view {
                return Err(WalletError::Interrupted);
            }
            let before = wallet.take_showing();
            // It is over, whatever comes of the next, and without a network this phone's next batch says so.
            let over = before.as_ref().filter(|before| before.is_open());
            let told = over.and_then(Showing::alias).cloned();
            wallet.tell_void(told.iter().cloned().map(closed).collect());
            wallet.codes.changed();
            let returned = wallet.tap.take_returned();
            let begun = Begun {
                id: wallet.codes.showings.fetch_add(1, Ordering::Relaxed) + 1,
                book,
                before: before.as_ref(),
                returned: &returned,
                codes: &codes,
                reading: &reading,
                step: &step,
            };
            let (showing, mut ended, record) = match begin(opened, &ask, begun, &account) {
                Ok(shown) => shown,
                Err(error) => {
                    wallet.not_written(returned, &error);
                    return Err(error);
                }
            };
            // From here on it is written down, whatever comes: it must not be given back a second time.
            let retired = retire_older(opened, &record);
            wallet.codes.needs_person.store(false, Ordering::SeqCst);
            ended.retain(|ended| Some(ended) != told.as_ref());
            let mut screen = wallet.codes.lock();
            // The view was closed, or the wallet, while this was on its way.
            let gone = ask.closed.load(Ordering::SeqCst) || wallet.closed.load(Ordering::Relaxed);
            let mut unused = None;
            if gone || retired.is_err() {
                unused = showing.unused();
                ended.extend(showing.alias().cloned());
            } else {
                *screen = Some(showing);
            }
            let runs_low = screen.as_ref().is_some_and(Showing::runs_low);
            drop(screen);
            wallet.tap.spare(unused);
            wallet.tell_void(ended.into_iter().map(closed).collect());
            wallet.codes.changed();
            wallet.watch_code();
            match ask.kind {
                CodeKind::Numeric if runs_low => wallet.refill_soon(),
                CodeKind::ConsumerPresented if runs_low => wallet.replenish_soon(),
                _ => {}
            }
            retired
        })
        .await
    }

    /// Whether codes may be shown at all: by the same rules as taps.
    fn may_show(&self, opened: &Opened, policy: &Policy) -> Result<CodePolicy, WalletError> {
        let standing = self.standing(opened, policy);
        self.tap
            .look(policy.clone(), standing, opened.sees_clock_jump());
        match self.tap.refusal() {
            Some(TapRefusal::Locked) => return Err(VaultError::Locked.into()),
            Some(TapRefusal::Outdated) => {
                return Err(WalletError::Outdated(policy.minimum_app_version.clone()));
            }
            Some(TapRefusal::Risk) => return Err(WalletError::Code(CodeRefusal::Unsafe)),
            // Who looks at the screen has unlocked it.
            Some(TapRefusal::ScreenLocked) | None => {}
        }
        let codes = policy.codes.clone();
        codes.ok_or(WalletError::Code(CodeRefusal::NotOffered))
    }

    /// Takes what is on the screen away, and lets the view and the provider know.
    pub(in crate::wallet) fn take_code_away(&self) {
        let over = self.take_showing().filter(Showing::is_open);
        let over = over.as_ref().and_then(Showing::alias).cloned();
        self.codes.changed();
        if let Some(wallet) = self.this.upgrade() {
            wallet.tell_void(over.into_iter().map(closed).collect());
        }
    }

    /// Takes what is on the screen away where a card's is that pays no more.
    pub(in crate::wallet) fn take_code_of(&self, token: &TokenRef) {
        let showing = self.codes.lock();
        let of_token = showing
            .as_ref()
            .is_some_and(|showing| showing.account == *token);
        drop(showing);
        if of_token {
            self.take_code_away();
        }
    }

    /// Takes what is on the screen away. What a card had reserved and did not need comes back with the next arming.
    fn take_showing(&self) -> Option<Showing> {
        let over = self.codes.lock().take()?;
        self.tap.spare(over.unused());
        Some(over)
    }
}

/// What a showing begins with.
struct Begun<'a> {
    id: u64,
    book: CodeBook,
    /// What was on the screen before.
    before: Option<&'a Showing>,
    returned: &'a Returned,
    codes: &'a CodePolicy,
    reading: &'a ClockReading,
    step: &'a Step,
}

/// What has been made durable: the showing, the aliases that are over by it, the arming in force.
type Shown = (Showing, Vec<Alias>, ArmingRecord);

/// The account that is asked for, or the default one.
fn account(opened: &Opened, asked: Option<&TokenRef>) -> Result<StoredToken, WalletError> {
    let mut paying = paying(opened)?.into_iter();
    let account = match asked {
        Some(asked) => paying.find(|stored| stored.token.reference == *asked),
        None => paying.next(),
    };
    account.ok_or(WalletError::NoSuchCard)
}

/// Makes a showing durable.
fn begin(
    opened: &Opened,
    ask: &Ask,
    begun: Begun<'_>,
    account: &StoredToken,
) -> Result<Shown, WalletError> {
    let Begun {
        id,
        mut book,
        before,
        returned,
        codes,
        reading,
        step,
    } = begun;
    let mut arming = opened.arming()?;
    take_back(&mut arming, returned);
    let ended = book.end_showing();
    let (means, offline_left) = match ask.kind {
        CodeKind::Numeric => numeric(&arming, &mut book, account, codes, step)?,
        CodeKind::ConsumerPresented => {
            let before = before.filter(|before| before.view == ask.view);
            card(opened, &mut arming, account, codes.cpm_refreshes, before)?
        }
    };
    book.clock.note(step, reading);
    // Digits that are uncovered are a numeric code's. Another look at another time needs the person again.
    let revealed = ask.revealed && ask.kind == CodeKind::Numeric;
    book.needs_person = revealed;
    let ((), record) = opened.commit(arming, |tx| Ok(tx.set_guarded(RECORD, Some(&book))?))?;
    let showing = Showing {
        id,
        view: ask.view,
        account: account.token.reference.clone(),
        offline_left,
        few: codes.refill_below,
        clock: book.clock,
        rules: codes.clock,
        means,
        revealed,
        state: CodeState::Showing,
    };
    Ok((showing, ended, record))
}

/// The next alias of an account, and how many showings are left after it.
fn numeric(
    arming: &Arming,
    book: &mut CodeBook,
    account: &StoredToken,
    codes: &CodePolicy,
    step: &Step,
) -> Result<(Means, u32), WalletError> {
    book.end_unfit(&codes.format);
    let (alias, not_after_ms) = book
        .take(&account.token.reference, step)
        .ok_or(WalletError::Code(CodeRefusal::NoneLeft))?;
    let key = code_key(&book.seed(arming)?, &alias).map_err(|_| VaultError::Unsealable)?;
    let means = Means::Numeric(AliasOnScreen {
        alias,
        not_after_ms,
        format: codes.format.clone(),
        key: Some(key),
        made: None,
    });
    Ok((means, book.left(step.at_ms)))
}

/// The next counters of a card, and how many cryptograms are left with them.
fn card(
    opened: &Opened,
    arming: &mut Arming,
    account: &StoredToken,
    refreshes: u32,
    before: Option<&Showing>,
) -> Result<(Means, u32), WalletError> {
    let now_ms = opened.time_ms();
    let granted = grant(opened, arming, account, refreshes, now_ms)?;
    let armed = granted.ok_or(WalletError::Code(CodeRefusal::NoKeys))?;
    let left = arming.state().tokens.get(&armed.token);
    let left = left.map_or(0, |state| state.keys.uses_left(now_ms, false));
    // What this showing has reserved is used up one by one.
    let left = left.saturating_add(armed.atcs.left());
    // Of one that was paid no counter lingers: its payment is not this showing's.
    let before = before.filter(|before| before.account == armed.token && before.is_open());
    let lingering = before.map_or(&[][..], Showing::atcs);
    Ok((Means::Card(CardOnScreen::new(armed, lingering)), left))
}

pub(super) fn closed(alias: Alias) -> VoidAlias {
    let why = VoidReason::Closed;
    VoidAlias { alias, why }
}
