//! Settling: what a tap did goes into the journal, off the tap's path; then the card is armed again.

use std::sync::{Arc, Weak};

use tokio::sync::mpsc::UnboundedReceiver;

use super::{Wallet, WalletError};
use crate::account::Money;
use crate::emv::card::{Cryptogram, Fact};
use crate::statement::{JournalEvent, Payment};

/// How a tap ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapOutcome {
    /// The reader read everything.
    Complete,
    /// A cryptogram left, but the phone left the field before the reader had read everything.
    Incomplete,
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
        /// What the reader asked for.
        money: Money,
        /// Where, as the reader told it.
        merchant: Option<String>,
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
}

/// Is told of taps and news, on a background thread; it may call the wallet.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn on_event(&self, event: WalletEvent);
}

/// What the tap hands over.
pub(super) enum News {
    Fact(Fact),
    LeftField,
}

/// Writes news to the journal until the wallet is gone.
pub(super) async fn settle(wallet: Weak<Wallet>, mut received: UnboundedReceiver<News>) {
    let mut open: Option<Cryptogram> = None;
    while let Some(news) = received.recv().await {
        let Some(wallet) = wallet.upgrade() else {
            return;
        };
        let ended = match news {
            News::Fact(Fact::Cryptogram(cryptogram)) => {
                let event = begun(&cryptogram);
                wallet.journal(event).await;
                // A second cryptogram in one stay: the first one will not be finished any more.
                open.replace(cryptogram)
                    .map(|earlier| (earlier, TapOutcome::Incomplete))
            }
            News::Fact(Fact::Finished { token, atc }) => {
                wallet
                    .journal(JournalEvent::Finished {
                        payment: Payment { token, atc },
                    })
                    .await;
                open.take_if(|cryptogram| cryptogram.atc == atc)
                    .map(|cryptogram| (cryptogram, TapOutcome::Complete))
            }
            News::LeftField => open
                .take()
                .map(|cryptogram| (cryptogram, TapOutcome::Incomplete)),
        };
        if let Some((cryptogram, outcome)) = ended {
            wallet.tell(WalletEvent::Tap {
                atc: cryptogram.atc,
                outcome,
                money: cryptogram.money,
                merchant: cryptogram.merchant,
            });
            wallet.after_tap().await;
        }
    }
}

fn begun(cryptogram: &Cryptogram) -> JournalEvent {
    JournalEvent::Cryptogram {
        payment: Payment {
            token: cryptogram.token.clone(),
            atc: cryptogram.atc,
        },
        key_index: cryptogram.key_index.clone(),
        un: hex::encode_upper(cryptogram.unpredictable),
        money: cryptogram.money,
        merchant: cryptogram.merchant.clone(),
    }
}

impl Wallet {
    /// Appends to the journal. A failure loses nothing that cannot come back: the issuer's record brings the payment.
    async fn journal(self: &Arc<Self>, event: JournalEvent) {
        let written: Result<(), WalletError> = self
            .blocking(move |wallet, opened| {
                let at_ms = wallet.now_ms();
                opened.vault.write(|tx| tx.append(at_ms, &event))?;
                Ok(())
            })
            .await;
        drop(written);
    }

    async fn after_tap(self: &Arc<Self>) {
        // The next arming tries again, at the latest when a reader asks.
        drop(self.arm().await);
        self.follow_up();
    }
}
