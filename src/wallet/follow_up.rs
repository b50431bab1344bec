//! After a tap: sync until the issuer has confirmed it, with growing patience.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::person::person_in;
use super::replenish::Wants;
use super::{Wallet, WalletError, WalletEvent};
use crate::statement::EntryState;
use crate::token::TokenLife;

/// Waits between attempts, in milliseconds. The first lets the terminal finish its own conversation.
const WAITS_MS: [u64; 8] = [300, 700, 2_000, 5_000, 15_000, 60_000, 300_000, 900_000];

impl Wallet {
    /// Starts following up in the background, in place of a follow-up that runs already.
    pub(super) fn follow_up(self: &Arc<Self>) {
        let turn = self.follow_ups.fetch_add(1, Ordering::Relaxed) + 1;
        let wallet = Arc::downgrade(self);
        self.runtime.spawn(async move {
            for wait in WAITS_MS {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                let Some(wallet) = wallet.upgrade() else {
                    return;
                };
                let newest = wallet.follow_ups.load(Ordering::Relaxed) == turn;
                if !newest || !wallet.is_waiting_for_issuer().await {
                    return;
                }
                // Without a network this fails, and the next attempt comes.
                drop(wallet.contact(wallet.sync()).await);
            }
        });
    }

    /// Asks for keys in the background where they run low. Without a network this fails, and the next occasion comes: a
    /// tap, a sync, the next start.
    pub(super) fn replenish_soon(self: &Arc<Self>) {
        let wallet = Arc::downgrade(self);
        self.runtime.spawn(async move {
            if let Some(wallet) = wallet.upgrade()
                && wallet.runs_low().await.unwrap_or(false)
                && let Ok(keys @ 1..) = wallet.contact(wallet.replenish()).await
            {
                tracing::info!(count = keys, "replenished");
                wallet.tell(WalletEvent::Replenished { keys });
            }
        });
    }

    /// Whether so few payments are left of one card that new keys are asked for. No key is opened for the answer.
    pub(super) async fn runs_low(self: &Arc<Self>) -> Result<bool, WalletError> {
        self.blocking(|wallet, opened| {
            let below = wallet.policy_in(opened)?.replenish_below;
            let has_person = person_in(opened)?.is_some();
            let known = opened.known();
            let tokens = opened.vault.read(|tx| tx.tokens())?;
            let now_ms = opened.time_ms();
            Ok(tokens.iter().any(|stored| {
                let reference = &stored.token.reference;
                let state = known.state.tokens.get(reference);
                let active = stored.state == TokenLife::Active;
                state.filter(|_| active).is_some_and(|state| {
                    Wants::of(state, wallet.tap.left(reference), below, has_person, now_ms).any()
                })
            }))
        })
        .await
    }

    async fn is_waiting_for_issuer(self: &Arc<Self>) -> bool {
        let open = |state| matches!(state, EntryState::Incomplete | EntryState::Pending);
        let lines = self.statement().await;
        lines.is_ok_and(|lines| lines.iter().any(|line| open(line.state)))
    }
}
