//! Settling: what a tap did goes into the journal, off the tap's path; then the card is armed again.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::{CodePayment, Wallet, WalletError};
use crate::emv::card::{Asked, Cryptogram, Fact};
use crate::emv::profile::Decision;
use crate::statement::{JournalEvent, Payment};
use crate::token::TokenRef;

/// How a tap ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapOutcome {
    /// The reader read everything.
    Complete,
    /// A cryptogram left, but the phone left the field before the reader had read everything.
    Incomplete,
}

/// A payment at a reader, as the phone knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapPayment {
    /// The card that paid.
    pub token: TokenRef,
    /// When the cryptogram left, milliseconds of Unix time.
    pub at_ms: i64,
    /// What the reader asked for, and where.
    pub asked: Asked,
    /// What the card decided, and whether the person was verified for it.
    pub decision: Decision,
}

/// What the shell is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalletEvent {
    /// A tap is over and in the journal.
    Tap {
        /// Its counter.
        atc: u16,
        /// How it ended.
        outcome: TapOutcome,
        /// What became of it.
        payment: TapPayment,
    },
    /// A reader asked for a payment that waits for the person: verify them for it (two-tap), permit the tap, tap again.
    PersonWanted {
        /// The card that would pay.
        token: TokenRef,
        /// What the reader asked for.
        asked: Asked,
    },
    /// A reader asked for more than the issuer lets this card pay at once.
    AboveLimit {
        /// The card.
        token: TokenRef,
        /// What the reader asked for.
        asked: Asked,
    },
    /// The issuer's entries were taken in.
    Synced {
        /// How many were new.
        new_entries: u32,
    },
    /// New keys came.
    Replenished {
        /// How many.
        keys: u32,
    },
    /// A shop has scanned the code on the screen, or its payment was decided.
    CodeUsed {
        /// How it stands.
        payment: CodePayment,
    },
    /// Few payment codes are left, and none came.
    CodesLow {
        /// How many.
        left: u32,
    },
    /// The wallet was wiped from elsewhere.
    Wiped,
}

/// Is told of taps and news, on a background thread; it may call the wallet.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn on_event(&self, event: WalletEvent);
}

/// What the tap hands over.
pub(super) enum News {
    /// Something for the journal.
    Fact(Fact),
    /// A cryptogram that no reader asked for: it is on the screen.
    Presented(JournalEvent),
    /// The phone has left the field.
    LeftField,
    /// The wallet was wiped: what waits belongs to nobody any more.
    Forget,
    /// Answer whether everything before this is in the journal.
    Barrier(oneshot::Sender<bool>),
}

/// How long a journal that cannot be written (a full disk) is left alone.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes news to the journal until the wallet is gone.
pub(super) async fn settle(wallet: Weak<Wallet>, mut received: UnboundedReceiver<News>) {
    let mut open: Option<(i64, Cryptogram)> = None;
    // What could not be written yet, oldest first. It is bounded by the counters that a process has reserved.
    let mut unwritten = VecDeque::new();
    // Taps that are over but not in the journal.
    let mut untold = Vec::new();
    loop {
        let news = match unwritten.is_empty() {
            true => Ok(received.recv().await),
            false => tokio::time::timeout(PATIENCE, received.recv()).await,
        };
        let Some(wallet) = wallet.upgrade() else {
            return;
        };
        let ended = match news {
            Ok(Some(News::Fact(Fact::Cryptogram(cryptogram)))) => {
                let at_ms = wallet.now_ms();
                unwritten.push_back((at_ms, begun(&cryptogram)));
                // A second cryptogram: the first one will not be finished any more.
                open.replace((at_ms, cryptogram))
                    .map(|earlier| (earlier, TapOutcome::Incomplete))
            }
            Ok(Some(News::Fact(Fact::Finished { token, atc }))) => {
                let ended = open.take_if(|(_, open)| open.token == token && open.atc == atc);
                let payment = Payment::by_card(token, atc);
                unwritten.push_back((wallet.now_ms(), JournalEvent::Finished { payment }));
                ended.map(|cryptogram| (cryptogram, TapOutcome::Complete))
            }
            // Nothing was paid: the person is told at once.
            Ok(Some(News::Fact(Fact::PersonWanted { token, asked }))) => {
                wallet.tell(WalletEvent::PersonWanted { token, asked });
                continue;
            }
            Ok(Some(News::Fact(Fact::AboveLimit { token, asked }))) => {
                wallet.tell(WalletEvent::AboveLimit { token, asked });
                continue;
            }
            Ok(Some(News::Presented(event))) => {
                unwritten.push_back((wallet.now_ms(), event));
                None
            }
            Ok(Some(News::LeftField)) => open
                .take()
                .map(|cryptogram| (cryptogram, TapOutcome::Incomplete)),
            Ok(Some(News::Barrier(reached))) => {
                wallet.write_down(&mut unwritten).await;
                // Whoever waited may have given up.
                let _ = reached.send(unwritten.is_empty());
                continue;
            }
            Ok(Some(News::Forget)) => {
                unwritten.clear();
                untold.clear();
                open = None;
                continue;
            }
            Ok(None) => return,
            Err(_) => None,
        };
        untold.extend(ended);
        wallet.write_down(&mut unwritten).await;
        if unwritten.is_empty() && !untold.is_empty() {
            for ((at_ms, cryptogram), outcome) in untold.drain(..) {
                tracing::info!(atc = cryptogram.atc, ?outcome, "tapped");
                wallet.tell(WalletEvent::Tap {
                    atc: cryptogram.atc,
                    outcome,
                    payment: TapPayment {
                        token: cryptogram.token,
                        at_ms,
                        asked: cryptogram.asked,
                        decision: cryptogram.decision,
                    },
                });
            }
            // Not waited for: a slow key store must not keep the next tap out of the journal.
            let runtime = wallet.runtime.clone();
            runtime.spawn(async move { wallet.after_tap().await });
        }
    }
}

/// Tells the observer, one event after the other, on threads that may block: it may call the wallet and wait.
pub(super) async fn deliver(wallet: Weak<Wallet>, mut heard: UnboundedReceiver<WalletEvent>) {
    while let Some(event) = heard.recv().await {
        let Some(wallet) = wallet.upgrade() else {
            return;
        };
        let observer = wallet
            .observer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let runtime = wallet.runtime.clone();
        drop(wallet);
        if let Some(observer) = observer {
            // One that throws is told the next event all the same.
            let _ = runtime
                .spawn_blocking(move || observer.on_event(event))
                .await;
        }
    }
}

fn begun(cryptogram: &Cryptogram) -> JournalEvent {
    JournalEvent::Cryptogram {
        payment: Payment::by_card(cryptogram.token.clone(), cryptogram.atc),
        key_index: cryptogram.key_index,
        un: hex::encode_upper(cryptogram.unpredictable),
        money: cryptogram.asked.money,
        merchant: cryptogram.asked.merchant.clone(),
        country: cryptogram.asked.country.map(hex::encode),
        abroad: cryptogram.abroad,
        verified: cryptogram.decision.is_verified(),
        declined: cryptogram.decision == Decision::Declined,
    }
}

impl Wallet {
    /// Appends to the journal what waits, in order; what cannot be written stays for the next attempt.
    async fn write_down(self: &Arc<Self>, unwritten: &mut VecDeque<(i64, JournalEvent)>) {
        while let Some((at_ms, event)) = unwritten.front().cloned() {
            let written: Result<(), WalletError> = self
                .blocking(move |_, opened| {
                    opened.vault.write(|tx| tx.append(at_ms, &event))?;
                    Ok(())
                })
                .await;
            match written {
                Ok(()) => drop(unwritten.pop_front()),
                Err(error) => {
                    tracing::error!(%error, waiting = unwritten.len(), "a tap could not be written down");
                    return;
                }
            }
        }
    }

    /// Waits until everything that has been tapped is in the journal.
    pub(super) async fn settled(&self) -> Result<(), WalletError> {
        let (reached, wait) = oneshot::channel();
        self.tap.announce(News::Barrier(reached));
        match wait.await {
            Ok(false) => Err(WalletError::Unwritten),
            // An error means that nobody settles any more, and then nothing waits.
            Ok(true) | Err(_) => Ok(()),
        }
    }

    async fn after_tap(self: &Arc<Self>) {
        // The next arming tries again, at the latest when a reader asks.
        drop(self.arm().await);
        self.follow_up();
    }
}
