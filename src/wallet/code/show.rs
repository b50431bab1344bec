//! Showing a code: an alias, or counters of a card, taken durably before anybody sees them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

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
use crate::store::StoredToken;
use crate::token::TokenRef;
use crate::vault::VaultError;
use crate::wallet::arm::{grant, retire_older, take_back};
use crate::wallet::open::Opened;
use crate::wallet::permit::paying;
use crate::wallet::tap::Returned;
use crate::wallet::{TapRefusal, Wallet, WalletError};

/// What is asked to be shown.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) view: u64,
    pub(super) kind: CodeKind,
    pub(super) account: Option<TokenRef>,
    pub(super) revealed: bool,
}

impl Wallet {
    /// Shows a code; without an account, that of the default card, or of the next that has any. What was on the screen
    /// before is over. Without aliases, or when nobody can say what time it is, the provider is asked first.
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
        self.person_for_code(verification).await?;
        let view = self.codes.views.fetch_add(1, Ordering::Relaxed) + 1;
        let ask = Ask {
            view,
            kind,
            account,
            revealed: false,
        };
        self.show(ask.clone()).await?;
        Ok(CodeView::new(self, ask))
    }

    /// Uses the verification that the next code needs.
    pub(super) async fn person_for_code(
        self: &Arc<Self>,
        verification: Option<String>,
    ) -> Result<(), WalletError> {
        if !self.codes.needs_person.load(Ordering::SeqCst) {
            return Ok(());
        }
        if self.has_person().await? {
            let id = verification.ok_or(WalletError::NotVerified)?;
            drop(self.take_access(&id)?);
        }
        self.codes.needs_person.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Puts a code on the screen, once more after the provider was asked where that may help.
    pub(super) async fn show(self: &Arc<Self>, ask: Ask) -> Result<(), WalletError> {
        let shown = self.show_once(ask.clone()).await;
        let shown = match shown {
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
        };
        self.codes.changed();
        let ended = shown?;
        self.tell_void(ended);
        self.watch_code();
        let runs_low = self.codes.lock().as_ref().is_some_and(Showing::runs_low);
        if runs_low {
            self.refill_soon();
        }
        Ok(())
    }

    /// Answers the aliases that are over by it.
    async fn show_once(self: &Arc<Self>, ask: Ask) -> Result<Vec<VoidAlias>, WalletError> {
        self.with_keys(move |wallet, opened| {
            let policy = wallet.policy_in(opened)?;
            let codes = wallet.may_show(opened, &policy)?;
            let reading = wallet.clock.now();
            let book = opened.vault.read(CodeBook::read)?;
            let book = book.ok_or(WalletError::Code(CodeRefusal::NeverFetched))?;
            let step = book.clock.step(&reading, &codes.clock);
            let step = step.map_err(|unsure| WalletError::Code(CodeRefusal::Clock(unsure)))?;
            // A code is shown to nobody in particular: it is no way to pay what the person must be verified for.
            let unverified = policy.tap_verification != VerificationRule::Always;
            if ask.kind == CodeKind::ConsumerPresented && !unverified {
                return Err(WalletError::Code(CodeRefusal::NotOffered));
            }
            let accounts = accounts(opened, ask.account.as_ref())?;
            // What is on the screen ends here, whatever comes of the next.
            let told = wallet.take_showing();
            let returned = wallet.tap.take_returned();
            let begun = Begun {
                book,
                returned: &returned,
                codes: &codes,
                reading: &reading,
                step: &step,
            };
            let begin = match ask.kind {
                CodeKind::Numeric => numeric,
                CodeKind::ConsumerPresented => card,
            };
            match begin(opened, &ask, begun, &accounts) {
                Ok((showing, mut ended)) => {
                    ended.retain(|ended| told.as_ref() != Some(&ended.alias));
                    *wallet.codes.lock() = Some(showing);
                    Ok(ended)
                }
                Err(error) => {
                    wallet.not_written(returned, &error);
                    Err(error)
                }
            }
        })
        .await
    }

    /// Whether codes may be shown at all: by the same rules as taps.
    fn may_show(&self, opened: &Opened, policy: &Policy) -> Result<CodePolicy, WalletError> {
        match self.standing(opened, policy).or(self.tap.refusal()) {
            Some(TapRefusal::Locked) => return Err(VaultError::Locked.into()),
            Some(TapRefusal::Outdated) => {
                return Err(WalletError::Outdated(policy.minimum_app_version.clone()));
            }
            Some(TapRefusal::Risk) => return Err(WalletError::Unsafe),
            // Who looks at the screen has unlocked it.
            Some(TapRefusal::ScreenLocked) | None => {}
        }
        let codes = policy.codes.clone();
        codes.ok_or(WalletError::Code(CodeRefusal::NotOffered))
    }

    /// Takes what is on the screen away, and lets the view know.
    pub(in crate::wallet) fn take_code_away(&self) {
        self.take_showing();
        self.codes.changed();
    }

    /// Takes what is on the screen away; answers the alias of which the provider knows already that it is over. What a card
    /// had reserved and did not need comes back with the next arming.
    fn take_showing(&self) -> Option<Alias> {
        let over = self.codes.lock().take()?;
        self.tap.spare(over.unused());
        over.alias()
            .filter(|_| over.state != CodeState::Showing)
            .cloned()
    }
}

/// What a showing begins with.
struct Begun<'a> {
    book: CodeBook,
    returned: &'a Returned,
    codes: &'a CodePolicy,
    reading: &'a ClockReading,
    step: &'a Step,
}

/// The accounts that may be shown: the one that is asked for, or all that pay, the default one first.
fn accounts(opened: &Opened, asked: Option<&TokenRef>) -> Result<Vec<StoredToken>, WalletError> {
    let mut paying = paying(opened)?;
    if let Some(asked) = asked {
        paying.retain(|stored| stored.token.reference == *asked);
    }
    match paying.is_empty() {
        true => Err(WalletError::NoSuchCard),
        false => Ok(paying),
    }
}

fn numeric(
    opened: &Opened,
    ask: &Ask,
    begun: Begun<'_>,
    accounts: &[StoredToken],
) -> Result<(Showing, Vec<VoidAlias>), WalletError> {
    let Begun {
        mut book,
        returned,
        codes,
        reading,
        step,
    } = begun;
    let mut arming = opened.arming()?;
    take_back(&mut arming, returned);
    let ended = book.end_showing();
    let accounts = accounts.iter().map(|stored| &stored.token.reference);
    let mut taken = accounts.filter_map(|account| Some((account, book.take(account, step)?)));
    let (account, (alias, not_after_ms)) = taken
        .next()
        .ok_or(WalletError::Code(CodeRefusal::NoneLeft))?;
    let account = account.clone();
    drop(taken);
    if alias.as_str().len() != usize::from(codes.format.alias_digits()) {
        // The provider has changed its format since; the next batch fits.
        return Err(WalletError::Code(CodeRefusal::NoneLeft));
    }
    book.clock.note(step, reading);
    let key = code_key(&book.seed(&arming)?, &alias).map_err(|_| VaultError::Unsealable)?;
    let ((), record) = opened.commit(arming, |tx| Ok(tx.set_guarded(RECORD, Some(&book))?))?;
    retire_older(opened, &record)?;
    let showing = Showing {
        view: ask.view,
        account,
        offline_left: book.left(step.at_ms),
        few: codes.refill_below,
        clock: book.clock,
        rules: codes.clock,
        means: Means::Numeric(AliasOnScreen {
            alias,
            not_after_ms,
            format: codes.format.clone(),
            key: Some(key),
            made: None,
        }),
        revealed: ask.revealed,
        state: CodeState::Showing,
    };
    Ok((showing, closed(ended)))
}

fn card(
    opened: &Opened,
    ask: &Ask,
    begun: Begun<'_>,
    accounts: &[StoredToken],
) -> Result<(Showing, Vec<VoidAlias>), WalletError> {
    let Begun {
        mut book,
        returned,
        codes,
        reading,
        step,
    } = begun;
    let mut arming = opened.arming()?;
    take_back(&mut arming, returned);
    let now_ms = opened.time_ms();
    let mut granted = None;
    for stored in accounts {
        granted = grant(opened, &mut arming, stored, codes.cpm_refreshes, now_ms)?;
        if granted.is_some() {
            break;
        }
    }
    let armed = granted.ok_or(WalletError::Code(CodeRefusal::NoKeys))?;
    let ended = book.end_showing();
    book.clock.note(step, reading);
    let account = armed.token.clone();
    let left = arming.state().tokens.get(&account);
    let left = left.map_or(0, |state| state.keys.uses_left(now_ms, false));
    let ((), record) = opened.commit(arming, |tx| Ok(tx.set_guarded(RECORD, Some(&book))?))?;
    retire_older(opened, &record)?;
    let showing = Showing {
        view: ask.view,
        account,
        // What this showing has reserved is used up one by one.
        offline_left: left.saturating_add(armed.atcs.left()),
        few: codes.refill_below,
        clock: book.clock,
        rules: codes.clock,
        means: Means::Card(CardOnScreen::new(armed)),
        revealed: false,
        state: CodeState::Showing,
    };
    Ok((showing, closed(ended)))
}

fn closed(aliases: Vec<Alias>) -> Vec<VoidAlias> {
    let why = VoidReason::Closed;
    let aliases = aliases.into_iter();
    aliases.map(|alias| VoidAlias { alias, why }).collect()
}
