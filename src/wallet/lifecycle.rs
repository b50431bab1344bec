//! The life of a card: suspended, resumed, deleted; by the person on the phone at once, and as the provider says.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::arm::{give_back, retire_older};
use super::open::Opened;
use super::{Wallet, WalletError, replenish};
use crate::backend::protocol::{DeviceAnswer, StateRequest, TokenStateAnswer};
use crate::backend::{Backend, BackendError, fresh_key, parse_rfc3339_ms};
use crate::store::StoredToken;
use crate::token::{TokenLife, TokenRef};

impl Wallet {
    /// Suspends a card: it pays no more from this moment on, with or without a network. The provider is told when it can
    /// be reached.
    ///
    /// # Errors
    /// [`WalletError::NoSuchCard`]; or when it cannot be written down: try again, the card may come back into the field.
    pub async fn suspend_card(self: &Arc<Self>, token: &TokenRef) -> Result<(), WalletError> {
        self.end(token, TokenLife::Suspended).await
    }

    /// Deletes a card for good: its keys are destroyed at once, its payments stay in the statement.
    ///
    /// # Errors
    /// As [`suspend_card`](Self::suspend_card).
    pub async fn delete_card(self: &Arc<Self>, token: &TokenRef) -> Result<(), WalletError> {
        self.end(token, TokenLife::Deleted).await
    }

    /// Resumes a suspended card. The network must agree, so this needs one.
    ///
    /// # Errors
    /// [`WalletError::NoSuchCard`]; [`BackendError::Refused`] when the issuer holds the card back.
    pub async fn resume_card(self: &Arc<Self>, token: &TokenRef) -> Result<(), WalletError> {
        if self.stored(token.clone()).await?.state == TokenLife::Deleted {
            return Err(WalletError::NoSuchCard);
        }
        // One teller at a time: a suspension on its way must not arrive behind this.
        let _telling = self.telling.lock().await;
        let (backend, _) = self.backend().await?;
        tell(&backend, token, TokenLife::Active).await?;
        self.card_changes.fetch_add(1, Ordering::SeqCst);
        let token = token.clone();
        self.with_keys(move |wallet, opened| {
            set_state(wallet, opened, &token, TokenLife::Active, true)?;
            wallet.arm_now(opened)
        })
        .await
    }

    async fn end(self: &Arc<Self>, token: &TokenRef, state: TokenLife) -> Result<(), WalletError> {
        let token = token.clone();
        self.card_changes.fetch_add(1, Ordering::SeqCst);
        self.with_keys(move |wallet, opened| set_state(wallet, opened, &token, state, false))
            .await?;
        let wallet = Arc::clone(self);
        self.runtime.spawn(async move {
            // Without a network this fails, and the next sync tells.
            drop(wallet.contact(wallet.tell_states()).await);
        });
        Ok(())
    }

    /// Tells the provider of every card whose state it does not know yet.
    pub(super) async fn tell_states(self: &Arc<Self>) -> Result<(), WalletError> {
        let _telling = self.telling.lock().await;
        let untold: Vec<(TokenRef, TokenLife)> = self
            .blocking(|_, opened| {
                let tokens = opened.vault.read(|tx| tx.tokens())?.into_iter();
                let untold = tokens.filter(|stored| !stored.told);
                Ok(untold
                    .map(|stored| (stored.token.reference, stored.state))
                    .collect())
            })
            .await?;
        if untold.is_empty() {
            return Ok(());
        }
        let (backend, _) = self.backend().await?;
        for (token, state) in untold {
            match tell(&backend, &token, state).await {
                // It is gone there already, or was never there: nothing is left to tell.
                Err(BackendError::Refused(refusal))
                    if matches!(refusal.code.as_str(), "token_deleted" | "token_unknown") => {}
                // The provider has decided otherwise; what it says of the card is followed, and the rest goes on.
                Err(BackendError::Refused(refusal)) if refusal.is_final() => {
                    tracing::warn!(?state, "the provider does not follow a card's state");
                }
                told => told?,
            }
            self.with_keys(move |wallet, opened| {
                match stored_in(opened, &token)? {
                    // The person may have changed their mind meanwhile.
                    stored if stored.state == state && !stored.told => {
                        set_state(wallet, opened, &token, state, true)
                    }
                    _ => Ok(()),
                }
            })
            .await?;
        }
        Ok(())
    }

    /// Takes in how the provider sees this device: its policy, its clock, its cards.
    pub(super) async fn follow_provider(self: &Arc<Self>) -> Result<(), WalletError> {
        self.tell_states().await?;
        let (backend, _) = self.backend().await?;
        let changes = self.card_changes.load(Ordering::SeqCst);
        let answer: DeviceAnswer = backend.get("/v1/device").await?;
        let server_ms = parse_rfc3339_ms(&answer.server_time).ok_or(BackendError::Malformed)?;
        self.with_keys(move |wallet, opened| {
            opened.set_time(server_ms);
            wallet.set_policy(opened, answer.policy)?;
            for standing in answer.tokens {
                // The person has changed a card since the question: the answer is of before.
                if wallet.card_changes.load(Ordering::SeqCst) != changes {
                    break;
                }
                let Ok(stored) = stored_in(opened, &standing.token_ref) else {
                    continue;
                };
                let follows = stored.told
                    && stored.state != TokenLife::Deleted
                    && stored.state != standing.state;
                if follows {
                    set_state(wallet, opened, &standing.token_ref, standing.state, true)?;
                }
            }
            wallet.arm_now(opened)
        })
        .await
    }

    async fn stored(self: &Arc<Self>, token: TokenRef) -> Result<StoredToken, WalletError> {
        self.blocking(move |_, opened| stored_in(opened, &token))
            .await
    }
}

fn stored_in(opened: &Opened, token: &TokenRef) -> Result<StoredToken, WalletError> {
    let tokens = opened.vault.read(|tx| tx.tokens())?;
    let mut held = tokens
        .into_iter()
        .filter(|stored| stored.token.reference == *token);
    held.next().ok_or(WalletError::NoSuchCard)
}

/// Gives a card its state, in one commit; one that pays no more leaves the field first.
pub(super) fn set_state(
    wallet: &Wallet,
    opened: &Opened,
    token: &TokenRef,
    state: TokenLife,
    told: bool,
) -> Result<(), WalletError> {
    let mut stored = stored_in(opened, token)?;
    if stored.state == TokenLife::Deleted && state != TokenLife::Deleted {
        return Err(WalletError::NoSuchCard);
    }
    let unused = match state {
        TokenLife::Active => Vec::new(),
        TokenLife::Suspended | TokenLife::Deleted => {
            wallet.take_code_of(token);
            wallet.tap.take_out(token)
        }
    };
    let mut arming = opened.arming()?;
    stored.state = state;
    stored.told = told;
    if state == TokenLife::Deleted {
        arming.state_mut().tokens.remove(token);
        stored.profile = String::new();
    } else {
        give_back(&mut arming, unused);
    }
    let ((), record) = opened.commit(arming, |tx| {
        tx.update_token(&stored)?;
        if state == TokenLife::Deleted {
            tx.delete_secrets(token)?;
            tx.delete_outbox(&replenish::subject(token))?;
        }
        Ok(())
    })?;
    tracing::info!(?state, told, "a card's state has changed");
    retire_older(opened, &record)
}

async fn tell(backend: &Backend, token: &TokenRef, state: TokenLife) -> Result<(), BackendError> {
    let path = format!("/v1/tokens/{}/state", token.as_str());
    let answer: TokenStateAnswer = backend
        .post(&path, &StateRequest { state }, &fresh_key())
        .await?;
    match answer.state == state {
        true => Ok(()),
        false => Err(BackendError::Malformed),
    }
}
