//! The tap: one call per APDU, on the phone's main thread. No SQL, no network, no key store, no fsync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand_core::OsRng;
use tokio::sync::mpsc::UnboundedSender;

use super::settle::News;
use super::{TapRefusal, Wallet};
use crate::backend::protocol::Policy;
use crate::clock::Span;
use crate::emv::apdu::StatusWord;
use crate::emv::card::{ArmedToken, Card, Fact, Reply};
use crate::emv::profile::Decision;
use crate::emv::verification::Consent;
use crate::risk::RiskSignals;
use crate::secret::wipe_stack;
use crate::token::{KeyIndex, TokenRef};

/// The answer to an APDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These bytes, at once.
    Now(Vec<u8>),
    /// The bytes come through the [`Responder`], or a status word that says why not, within the configured time.
    Later,
}

/// Takes answers that were not ready at once: `sendResponseApdu` on Android, `respond` on iOS.
pub trait Responder: Send + Sync {
    /// Sends the answer to the reader.
    fn respond(&self, answer: Vec<u8>);
}

/// The state of the tap. The lock is held for computation only, never across a call out.
pub(super) struct Tap {
    state: Mutex<State>,
    responder: Mutex<Option<Arc<dyn Responder>>>,
    news: UnboundedSender<News>,
}

/// What the card gives back, to be written down with the next arming.
#[derive(Default)]
pub(super) struct Returned {
    /// Uses of keys that were reserved and not needed.
    pub(super) spared: Vec<(TokenRef, KeyIndex, u32)>,
    /// Keys that others are to pay before.
    pub(super) set_aside: Vec<(TokenRef, KeyIndex)>,
}

impl Returned {
    pub(super) fn is_empty(&self) -> bool {
        self.spared.is_empty() && self.set_aside.is_empty()
    }
}

#[derive(Default)]
struct State {
    card: Option<Card>,
    policy: Policy,
    /// Why nothing is answered, apart from risk.
    refusal: Option<TapRefusal>,
    /// What the shell sees of the phone.
    signals: RiskSignals,
    /// Whether somebody has set the clock.
    clock_jump: bool,
    /// Until when the card holds the person's consent.
    consent: Option<Span>,
    /// The order of the cards, the one that pays alone until a tap is over, and whether it has paid.
    order: Vec<TokenRef>,
    only: Option<TokenRef>,
    only_paid: bool,
    /// Uses of keys that were reserved for something else than a tap, and not needed.
    spared: Vec<(TokenRef, KeyIndex, u32)>,
    /// Whether the phone's screen is locked, as the shell tells.
    screen_locked: bool,
    /// Counts the phone's entries into and departures from a reader's field.
    stay: u64,
    /// While the phone has left: until when the reader may come back.
    away: Option<Span>,
    /// The command that waits for arming, and which one it is.
    waiting: Option<(u64, Vec<u8>)>,
    waited: u64,
}

impl State {
    fn refusal(&self) -> Option<TapRefusal> {
        let locked = self.screen_locked && !self.policy.pays_locked;
        let locked = locked.then_some(TapRefusal::ScreenLocked);
        self.refusal.or(self.risk_refusal()).or(locked)
    }

    /// Tells the card what it needs to know besides its tokens.
    fn instruct(&mut self) {
        if let Some(card) = self.card.as_mut() {
            card.set_rule(self.policy.tap_verification);
            card.prefer(self.order.clone(), self.only.clone());
        }
    }

    /// A card that is gone is not the one that pays alone.
    fn show_others_than(&mut self, gone: &TokenRef) {
        if self.only.take_if(|only| only == gone).is_some() {
            self.instruct();
        }
    }

    fn risk_refusal(&self) -> Option<TapRefusal> {
        let blocks = self.policy.risk.block(self.signals, self.clock_jump);
        blocks.then_some(TapRefusal::Risk)
    }
}

impl Tap {
    pub(super) fn new(news: UnboundedSender<News>) -> Self {
        Self {
            state: Mutex::default(),
            responder: Mutex::default(),
            news,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the card computed has left it consistent: counters are taken before anything is made of them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands news over to be settled.
    pub(super) fn announce(&self, news: News) {
        // The receiver outlives the wallet; if it were gone, there would be no journal to write to.
        let _ = self.news.send(news);
    }

    /// Puts armed tokens into the card, which is made when there is none: from then on readers are answered at once.
    // Its frame must lie in the stack that the caller has wiped.
    #[inline(never)]
    pub(super) fn arm(&self, policy: Policy, tokens: Vec<ArmedToken>) {
        let mut state = self.lock();
        let limit = policy.cryptograms_per_field;
        state.policy = policy;
        let card = state
            .card
            .get_or_insert_with(|| Card::new(Vec::new(), limit));
        for token in tokens {
            card.arm(token);
        }
        state.instruct();
    }

    /// Sets the order in which readers see the cards.
    pub(super) fn prefer(&self, order: Vec<TokenRef>) {
        let mut state = self.lock();
        if state.order != order {
            state.order = order;
            state.instruct();
        }
    }

    /// Lets one card alone pay until a tap is over.
    pub(super) fn use_next(&self, only: Option<TokenRef>) {
        let mut state = self.lock();
        state.only = only;
        state.only_paid = false;
        state.instruct();
    }

    /// Gives the card the person's consent to one payment.
    pub(super) fn permit(&self, consent: Consent, good_for: Span) {
        let mut state = self.lock();
        if let Some(card) = state.card.as_mut() {
            card.permit(consent);
            state.consent = Some(good_for);
        }
    }

    /// Takes in whether the screen is locked.
    pub(super) fn set_screen_locked(&self, locked: bool) {
        self.lock().screen_locked = locked;
    }

    /// Whether there is a card for readers.
    pub(super) fn is_armed(&self) -> bool {
        self.lock().card.is_some()
    }

    /// Takes the person's consent back.
    pub(super) fn revoke(&self) {
        let mut state = self.lock();
        state.consent = None;
        if let Some(card) = state.card.as_mut() {
            card.revoke();
        }
    }

    /// Hands over what the card gives back.
    pub(super) fn take_returned(&self) -> Returned {
        let mut state = self.lock();
        let mut returned = Returned {
            spared: std::mem::take(&mut state.spared),
            set_aside: Vec::new(),
        };
        if let Some(card) = state.card.as_mut() {
            returned.spared.extend(card.take_spared());
            returned.set_aside = card.take_worn();
        }
        returned
    }

    /// Takes in uses of a key that were reserved for something else and not needed.
    pub(super) fn spare(&self, unused: Option<(TokenRef, KeyIndex, u32)>) {
        self.lock().spared.extend(unused);
    }

    /// Puts it back, where it could not be written down.
    pub(super) fn put_back(&self, returned: Returned) {
        let mut state = self.lock();
        match state.card.as_mut() {
            Some(card) => card.put_back(returned.spared, returned.set_aside),
            None => state.spared.extend(returned.spared),
        }
    }

    /// Takes in how the phone stands.
    pub(super) fn look(&self, policy: Policy, refusal: Option<TapRefusal>, clock_jump: bool) {
        let mut state = self.lock();
        state.policy = policy;
        state.refusal = refusal;
        state.clock_jump = clock_jump;
        state.instruct();
    }

    /// Takes in what the shell sees.
    pub(super) fn report_risk(&self, signals: RiskSignals) {
        self.lock().signals = signals;
    }

    /// What keeps the card from answering now.
    pub(super) fn refusal(&self) -> Option<TapRefusal> {
        self.lock().refusal()
    }

    /// Takes one token out of the card; answers what of it was reserved and not used.
    pub(super) fn take_out(&self, token: &TokenRef) -> Vec<(TokenRef, KeyIndex, u32)> {
        let mut state = self.lock();
        let Some(card) = state.card.as_mut() else {
            return Vec::new();
        };
        let unused = card.unused();
        card.remove(token);
        state.show_others_than(token);
        unused
            .into_iter()
            .filter(|(held, ..)| held == token)
            .collect()
    }

    /// Takes the card away; answers what of each token was reserved and not used.
    pub(super) fn disarm(&self) -> Vec<(TokenRef, KeyIndex, u32)> {
        let mut state = self.lock();
        state.consent = None;
        let mut unused = std::mem::take(&mut state.spared);
        unused.extend(state.card.take().iter().flat_map(Card::unused));
        unused
    }

    /// Burns what is reserved under keys whose time is over, and takes tokens out of the card.
    pub(super) fn expire<'t>(&self, now_ms: i64, tokens: impl Iterator<Item = &'t TokenRef>) {
        let mut state = self.lock();
        if let Some(card) = state.card.as_mut() {
            card.expire(now_ms);
        }
        for token in tokens {
            if let Some(card) = state.card.as_mut() {
                card.remove(token);
            }
            state.show_others_than(token);
        }
    }

    /// When the first key in memory comes to its end, in milliseconds of Unix time.
    pub(super) fn first_end(&self) -> Option<i64> {
        let state = self.lock();
        let held = state.card.iter().flat_map(Card::tokens);
        held.filter(|held| held.atcs.left() > 0)
            .map(|held| held.not_after_ms)
            .min()
    }

    /// Payments of a token that are reserved in memory.
    pub(super) fn left(&self, token: &TokenRef) -> u32 {
        let state = self.lock();
        state.card.as_ref().map_or(0, |card| card.left(token))
    }

    /// Payments that are reserved in memory.
    pub(super) fn reserved(&self) -> u32 {
        let state = self.lock();
        let held = state.card.iter().flat_map(|card| {
            let tokens = card.tokens().iter();
            tokens.map(|held| card.left(&held.token))
        });
        held.fold(0, u32::saturating_add)
    }

    /// The tap is over.
    fn end_stay(&self, state: &mut State) {
        if let Some(card) = state.card.as_mut() {
            card.forget_field();
        }
        // A reader that lost the last answer has come back until now, to the same card.
        if std::mem::take(&mut state.only_paid) && state.only.take().is_some() {
            state.instruct();
        }
        self.announce(News::LeftField);
    }

    /// The card's reply; nothing when there is no card yet or the token is not armed.
    fn process(&self, state: &mut State, apdu: &[u8]) -> Option<Vec<u8>> {
        let card = state.card.as_mut()?;
        let (reply, facts) = card.process(apdu, &mut OsRng);
        // A payment that was declined is still to be made.
        let declined = facts.iter().any(|fact| match fact {
            Fact::Cryptogram(cryptogram) => cryptogram.decision == Decision::Declined,
            _ => false,
        });
        let finished = facts
            .iter()
            .any(|fact| matches!(fact, Fact::Finished { .. }));
        for fact in facts {
            self.announce(News::Fact(fact));
        }
        state.only_paid |= finished && !declined;
        match reply {
            Reply::Now(bytes) => Some(bytes),
            Reply::NotArmed(_) => None,
        }
    }
}

impl Wallet {
    /// Sets who sends answers that come [`Answer::Later`].
    pub fn set_responder(&self, responder: Arc<dyn Responder>) {
        *self
            .tap
            .responder
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(responder);
    }

    /// Answers one command APDU.
    ///
    /// It never fails: any bytes get a status word, and a bug that panics answers 6F00. When the wallet is still being
    /// opened or armed and a responder is set, the answer comes later.
    pub fn process_apdu(self: &Arc<Self>, apdu: Vec<u8>) -> Answer {
        let answered = catch_unwind(AssertUnwindSafe(|| self.answer(apdu)));
        wipe_stack();
        answered.unwrap_or_else(|_| Answer::Now(StatusWord::INTERNAL.answer()))
    }

    fn answer(self: &Arc<Self>, apdu: Vec<u8>) -> Answer {
        // Each payment begins with a SELECT: the clock is looked at there, so that the score is of this moment.
        let opened = match apdu.starts_with(&[0x00, 0xA4]) {
            true => self.opened().ok(),
            false => None,
        };
        let jump = opened.as_ref().map(|opened| opened.sees_clock_jump());
        let now_ms = opened.map(|opened| opened.time_ms());
        let mut state = self.tap.lock();
        state.clock_jump = jump.unwrap_or(state.clock_jump);
        if let Some(grace) = state.away.take() {
            // Timers do not count sleep: the tap may be over although nobody has said so.
            if !grace.permits(&self.clock.now()) {
                self.tap.end_stay(&mut state);
            }
            state.stay += 1;
        }
        self.end_consent(&mut state);
        if let (Some(now_ms), Some(card)) = (now_ms, state.card.as_mut()) {
            // Timers do not count sleep: a key whose time ended while the phone slept must not pay.
            card.expire(now_ms);
        }
        // A new command: the reader does not wait for the answer to an earlier one any more.
        state.waiting = None;
        let closed = self.closed.load(Ordering::Relaxed);
        if closed || state.refusal().is_some() {
            return Answer::Now(StatusWord::CONDITIONS_NOT_SATISFIED.answer());
        }
        if let Some(bytes) = self.tap.process(&mut state, &apdu) {
            return Answer::Now(bytes);
        }
        let responder = self
            .tap
            .responder
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        if !responder {
            return Answer::Now(StatusWord::CONDITIONS_NOT_SATISFIED.answer());
        }
        state.waited += 1;
        let ticket = state.waited;
        let patience = Duration::from_millis(state.policy.tap_response_ms);
        state.waiting = Some((ticket, apdu));
        drop(state);
        let wallet = Arc::clone(self);
        self.runtime.spawn(async move {
            // The reader's patience ends the wait, not the work: what is begun serves the next command.
            let begun = Arc::clone(&wallet);
            let ready = wallet.runtime.spawn(async move { begun.ready().await });
            let _ = tokio::time::timeout(patience, ready).await;
            wallet.answer_waiting(ticket);
        });
        Answer::Later
    }

    /// Answers the command that waits, unless it is another one by now or the phone has left the field.
    fn answer_waiting(&self, ticket: u64) {
        let bytes = {
            let mut state = self.tap.lock();
            let Some((_, apdu)) = state.waiting.take_if(|(waiting, _)| *waiting == ticket) else {
                return;
            };
            self.end_consent(&mut state);
            let refused = state.refusal().is_some();
            let processed = catch_unwind(AssertUnwindSafe(|| match refused {
                true => None,
                false => self.tap.process(&mut state, &apdu),
            }));
            match processed {
                Ok(bytes) => bytes.unwrap_or_else(|| StatusWord::CONDITIONS_NOT_SATISFIED.answer()),
                Err(_) => StatusWord::INTERNAL.answer(),
            }
        };
        wipe_stack();
        let responder = self
            .tap
            .responder
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(responder) = responder {
            self.runtime
                .spawn_blocking(move || responder.respond(bytes));
        }
    }

    /// Ends a permission whose time is over.
    pub(super) fn end_permission(&self) {
        self.end_consent(&mut self.tap.lock());
    }

    /// A consent whose time is over must not pay.
    fn end_consent(&self, state: &mut State) {
        let over = |good_for: &mut Span| !good_for.permits(&self.clock.now());
        if state.consent.take_if(over).is_some()
            && let Some(card) = state.card.as_mut()
        {
            card.revoke();
        }
    }

    /// The phone has left the reader's field (`onDeactivated` on Android).
    ///
    /// Readers lose a phone for a moment and try again: the tap is over once the provider's patience is.
    pub fn deactivated(&self) {
        let (stay, grace) = {
            let mut state = self.tap.lock();
            state.waiting = None;
            if let Some(card) = state.card.as_mut() {
                card.leave_field();
            }
            let grace = state.policy.deactivation_grace_ms;
            let length = i64::try_from(grace).unwrap_or(i64::MAX);
            // Said again, it has not left again.
            let left = || Span::new(&self.clock.now(), length);
            state.away.get_or_insert_with(left);
            state.stay += 1;
            (state.stay, grace)
        };
        if grace == 0 {
            self.left_field(stay);
            return;
        }
        let wallet = self.this.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(Duration::from_millis(grace)).await;
            if let Some(wallet) = wallet.upgrade() {
                wallet.left_field(stay);
            }
        });
    }

    /// Nobody came back since: the tap is over.
    fn left_field(&self, stay: u64) {
        let mut state = self.tap.lock();
        if state.stay == stay && state.away.take().is_some() {
            self.tap.end_stay(&mut state);
        }
    }
}
