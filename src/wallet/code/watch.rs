//! While a code is on the screen: the provider is asked whether a shop has scanned it, and the view flips at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::showing::Showing;
use super::{CodeEnd, CodePayment, CodePaymentState, CodeState};
use crate::backend::BackendError;
use crate::backend::protocol::AliasStanding;
use crate::code::Alias;
use crate::statement::{EntryState, Payment};
use crate::token::TokenRef;
use crate::wallet::{Wallet, WalletError, WalletEvent};

/// How long the provider may hold an answer back until something changes, in seconds: below the client's own patience.
const HOLD_S: u32 = 10;
/// How long to wait after a failure, in milliseconds; it doubles up to the last.
const BACK_OFF_MS: (u64, u64) = (1_000, 15_000);
/// How often a consumer-presented code is asked for: the network, not the provider, is paid by it.
const LOOK: Duration = Duration::from_secs(2);
/// How long a question takes at least, whatever the other side makes of the time to hold it.
const LEAST: Duration = Duration::from_secs(1);

/// What is watched.
enum Watched {
    Alias(Alias),
    Card(TokenRef),
}

impl Wallet {
    /// Watches what is on the screen, in the background, until it is over or something else is there.
    pub(super) fn watch_code(self: &Arc<Self>) {
        let watched = self.codes.lock().as_ref().map(|showing| {
            let what = match showing.alias() {
                Some(alias) => Watched::Alias(alias.clone()),
                None => Watched::Card(showing.account.clone()),
            };
            (showing.id, what)
        });
        let Some((id, watched)) = watched else {
            return;
        };
        let wallet = Arc::downgrade(self);
        self.runtime.spawn(async move {
            let mut seen = "live".to_owned();
            let mut back_off = BACK_OFF_MS.0;
            loop {
                let Some(wallet) = wallet.upgrade() else {
                    return;
                };
                if !wallet.is_watched(id) {
                    return;
                }
                let begun = Instant::now();
                let looked = match &watched {
                    Watched::Alias(alias) => wallet.look_after(id, alias, &mut seen).await,
                    Watched::Card(account) => wallet.look_for_card(id, account).await,
                };
                drop(wallet);
                let wait = match (looked, &watched) {
                    (Ok(()), Watched::Alias(_)) => {
                        back_off = BACK_OFF_MS.0;
                        LEAST.saturating_sub(begun.elapsed())
                    }
                    (Ok(()), Watched::Card(_)) => LOOK,
                    (Err(_), _) => {
                        let wait = back_off;
                        back_off = (back_off * 2).min(BACK_OFF_MS.1);
                        Duration::from_millis(wait)
                    }
                };
                tokio::time::sleep(wait).await;
            }
        });
    }

    /// Whether that showing is still on the screen, and may still change.
    fn is_watched(&self, id: u64) -> bool {
        if self.closed.load(Ordering::Relaxed) {
            return false;
        }
        let showing = self.codes.lock();
        let showing = showing.as_ref().filter(|showing| showing.id == id);
        showing.is_some_and(|showing| match &showing.state {
            CodeState::Used(payment) => !payment.state.is_final(),
            _ => showing.is_open(),
        })
    }

    /// Asks how an alias stands, and waits for it to change.
    async fn look_after(
        self: &Arc<Self>,
        id: u64,
        alias: &Alias,
        seen: &mut String,
    ) -> Result<(), WalletError> {
        let path = format!(
            "/v1/codes/aliases/{}?seen={seen}&wait_s={HOLD_S}",
            alias.as_str()
        );
        let standing: Result<AliasStanding, WalletError> = self
            .contact(async {
                let (backend, _) = self.backend().await?;
                Ok(backend.get(&path).await?)
            })
            .await;
        let state = match standing {
            Ok(standing) if standing.state == *seen => return Ok(()),
            Ok(standing) => {
                let payment = standing.payment.map(CodePayment::of).transpose()?;
                let state = match (payment, standing.state.as_str()) {
                    (Some(payment), _) => CodeState::Used(payment),
                    (None, "expired") => CodeState::Ended(CodeEnd::Expired),
                    (None, _) => CodeState::Ended(CodeEnd::Void),
                };
                *seen = standing.state;
                state
            }
            // It is not this device's any more.
            Err(WalletError::Backend(BackendError::Refused(refusal)))
                if refusal.code == "alias_unknown" =>
            {
                CodeState::Ended(CodeEnd::Void)
            }
            Err(error) => return Err(error),
        };
        self.flip(id, state);
        Ok(())
    }

    /// Takes in the issuer's entries, and looks whether one of them was paid by a counter that is on the screen.
    async fn look_for_card(
        self: &Arc<Self>,
        id: u64,
        account: &TokenRef,
    ) -> Result<(), WalletError> {
        self.contact(self.fetch_entries()).await?;
        let atcs: Vec<u16> = {
            let showing = self.codes.lock();
            let mine = showing.as_ref().filter(|showing| showing.id == id);
            mine.map(|showing| showing.atcs().to_vec())
                .unwrap_or_default()
        };
        let of = account.clone();
        let entry = self
            .blocking(move |_, opened| {
                Ok(opened.statement.write(|tx| {
                    for atc in atcs.into_iter().rev() {
                        let entry = tx.entry(&Payment::by_card(of.clone(), atc))?;
                        let settled =
                            |state| matches!(state, EntryState::Matched | EntryState::Declined);
                        if let Some(entry) = entry.filter(|entry| settled(entry.state)) {
                            return Ok(Some(entry));
                        }
                    }
                    Ok(None)
                })?)
            })
            .await?;
        if let Some(entry) = entry {
            let payment = CodePayment {
                payment_id: String::new(),
                state: match entry.state {
                    EntryState::Matched => CodePaymentState::Approved,
                    _ => CodePaymentState::Declined,
                },
                wants_password: false,
                confirm_until_ms: 0,
                account: account.clone(),
                money: entry.money,
                merchant: entry.merchant.unwrap_or_default(),
                reason: entry.reason,
                authorisation: entry.authorisation,
            };
            self.flip(id, CodeState::Used(payment));
        }
        Ok(())
    }

    /// The provider, or the network, has said what became of what is on the screen.
    fn flip(self: &Arc<Self>, id: u64, state: CodeState) {
        {
            let mut showing = self.codes.lock();
            let mine = showing.as_mut().filter(|showing| showing.id == id);
            // That it is dead is no news of a code that the phone has ended; that it was paid is.
            let news =
                |showing: &&mut Showing| showing.is_open() || matches!(state, CodeState::Used(_));
            let Some(showing) = mine.filter(news) else {
                return;
            };
            showing.end(state.clone());
        }
        self.codes.changed();
        if let CodeState::Used(payment) = state {
            let settled = payment.state.is_final();
            self.tell(WalletEvent::CodeUsed { payment });
            if settled {
                self.sync_soon();
            }
        }
    }

    /// The statement has news, and the stock has one fewer.
    pub(super) fn sync_soon(self: &Arc<Self>) {
        let wallet = Arc::downgrade(self);
        self.runtime.spawn(async move {
            if let Some(wallet) = wallet.upgrade() {
                drop(wallet.contact(wallet.sync()).await);
            }
        });
    }
}

#[cfg(test)]
impl Wallet {
    /// As if the network had said that what is on the screen is paid.
    pub(in crate::wallet) fn pay_what_is_on_screen(self: &Arc<Self>, payment: CodePayment) {
        let id = self.codes.lock().as_ref().map(|showing| showing.id);
        self.flip(id.unwrap(), CodeState::Used(payment));
    }

    /// The counters by which what is on the screen may be paid.
    pub(in crate::wallet) fn counters_on_screen(&self) -> Vec<u16> {
        let showing = self.codes.lock();
        showing.as_ref().unwrap().atcs().to_vec()
    }

    /// How many views were asked for.
    pub(in crate::wallet) fn views_asked_for(&self) -> u64 {
        self.codes.views.load(Ordering::Relaxed)
    }

    /// Whether nothing is on the screen.
    pub(in crate::wallet) fn is_screen_empty(&self) -> bool {
        self.codes.lock().is_none()
    }

    /// The aliases that are over and of which the provider is to hear.
    pub(in crate::wallet) fn aliases_over(&self) -> Vec<Alias> {
        self.codes.over().iter().cloned().collect()
    }
}
