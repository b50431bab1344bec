//! Aliases from the provider: a batch is asked for when few are left, when showings are to be accounted for, or when the
//! last contact is long ago, since the one-time passwords go by the provider's clock.
//!
//! Nothing of a request is kept: the phone names what it holds, and whatever it does not name is dead. An answer that is
//! lost costs the numbers in it, which the next request frees.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{CodeBook, RECORD};
use crate::backend::protocol::{
    CodeBatch, CodeBatchAnswer, CodeBatchRequest, VoidAlias, VoidRequest,
};
use crate::backend::{BackendError, fresh_key, parse_rfc3339_ms};
use crate::bind::bind;
use crate::clock::ClockReading;
use crate::code::Alias;
use crate::code::steps::ProviderClock;
use crate::secret::Secret;
use crate::token::TokenRef;
use crate::vault::{Arming, RecipientKey};
use crate::wallet::arm::{retire_older, take_back};
use crate::wallet::open::Opened;
use crate::wallet::permit::paying;
use crate::wallet::{Wallet, WalletError, WalletEvent};

const INFO: &[u8] = b"tapcore codes v1";
/// After so long without contact the clock is set anew, in milliseconds.
const STALE_MS: i64 = 3_600_000;

/// An answer that took longer tells no time, in milliseconds: half of it may be a step of time.
const SLOW_MS: i64 = 60_000;

/// A request on its way.
struct Asked {
    request: CodeBatchRequest,
    key: RecipientKey,
    idempotency_key: String,
    device_id: String,
    /// Aliases that the request does not name, since they are over.
    over: BTreeSet<Alias>,
}

impl Wallet {
    /// Asks the provider for aliases where few are left, showings are to be accounted for, or the last contact is long ago;
    /// answers how many came.
    ///
    /// # Errors
    /// [`BackendError`] when the provider cannot be reached or has no number left; what is in stock stays.
    pub async fn refill_codes(self: &Arc<Self>) -> Result<u32, WalletError> {
        let _refilling = self.codes.refilling.lock().await;
        let (backend, enrolment) = self.backend().await?;
        let device_id = enrolment.answer.device_id;
        // What is above the free amount is the person's to confirm: the provider must know the key before the first of them.
        match self.register_confirmation_key(&backend, &device_id).await {
            Ok(()) | Err(WalletError::NoPerson) => {}
            // Nor would it be for what follows.
            Err(error @ WalletError::Backend(BackendError::Unreachable)) => return Err(error),
            Err(error) => tracing::info!(%error, "the confirmation key was not registered"),
        }
        let asked = self
            .with_keys(move |wallet, opened| wallet.ask_for_aliases(opened, device_id))
            .await?;
        let Some(asked) = asked else {
            return Ok(0);
        };
        let sent = self.clock.now();
        let answer: CodeBatchAnswer = backend
            .post("/v1/codes/aliases", &asked.request, &asked.idempotency_key)
            .await?;
        let received = self.clock.now();
        let clock = provider_clock(&answer, &sent, &received)?;
        let came = self
            .with_keys(move |wallet, opened| wallet.take_batch(opened, &asked, &answer, clock))
            .await?;
        tracing::info!(count = came, "payment codes came");
        Ok(came)
    }

    /// The same in the background. Without a network it fails, and a person is told when few are left.
    pub(in crate::wallet) fn refill_soon(self: &Arc<Self>) {
        let wallet = Arc::downgrade(self);
        self.runtime.spawn(async move {
            let Some(wallet) = wallet.upgrade() else {
                return;
            };
            if wallet.contact(wallet.refill_codes()).await.is_err()
                && let Ok(Some(left)) = wallet.few_codes().await
            {
                wallet.tell(WalletEvent::CodesLow { left });
            }
        });
    }

    /// How many showings are left, where they are few.
    async fn few_codes(self: &Arc<Self>) -> Result<Option<u32>, WalletError> {
        self.blocking(|wallet, opened| {
            let policy = wallet.policy_in(opened)?.codes;
            let book = opened.vault.read(CodeBook::read)?;
            let left = book.map(|book| book.left(opened.time_ms()));
            Ok(left.filter(|left| policy.is_some_and(|policy| *left < policy.refill_below)))
        })
        .await
    }

    /// Tells the provider of aliases that are over.
    pub(super) async fn void_aliases(
        self: &Arc<Self>,
        aliases: Vec<VoidAlias>,
    ) -> Result<(), WalletError> {
        let (backend, _) = self.backend().await?;
        let _: serde_json::Value = backend
            .post("/v1/codes/void", &VoidRequest { aliases }, &fresh_key())
            .await?;
        Ok(())
    }

    fn ask_for_aliases(
        &self,
        opened: &Opened,
        device_id: String,
    ) -> Result<Option<Asked>, WalletError> {
        let Some(policy) = self.policy_in(opened)?.codes else {
            return Ok(None);
        };
        // Locked, it could not take the seed in.
        let accounts = paying(opened)?.into_iter();
        let accounts: Vec<_> = accounts.map(|stored| stored.token.reference).collect();
        if accounts.is_empty() || opened.known().locked {
            return Ok(None);
        }
        let mut book = opened.vault.read(CodeBook::read)?;
        let over = self.codes.over().clone();
        if let Some(book) = &mut book {
            book.end_unfit(&policy.format);
            book.end_all(&over);
        }
        let reading = self.clock.now();
        let now_ms = opened.time_ms();
        let enough = book.as_ref().is_some_and(|book| {
            // Each has something to show, whatever the others hold.
            let stocked = accounts.iter().all(|account| {
                let stock = book.stocks.get(account);
                stock.is_some_and(|stock| stock.left(now_ms) > 0)
            });
            // A clock that nobody can vouch for is cured by a contact alone.
            let fresh = book.clock.is_fresh(&reading, STALE_MS);
            let told = book.clock.step(&reading, &policy.clock).is_ok();
            // Those that last as long as a phone may be without a network.
            let lasting_ms = now_ms.saturating_add(policy.clock.max_age_ms);
            let plenty = book.left(lasting_ms) >= policy.refill_below;
            stocked && fresh && told && !book.is_untold() && plenty
        });
        if enough {
            return Ok(None);
        }
        let key = RecipientKey::generate()?;
        let public = key.public()?;
        let proof = opened.hierarchy.sign(&bind(
            "tapcore-code-aliases-v1",
            &[device_id.as_bytes(), &public],
        ))?;
        Ok(Some(Asked {
            request: CodeBatchRequest {
                have: book.map(|book| book.held(&accounts)).unwrap_or_default(),
                token_refs: accounts,
                provisioning_key: hex::encode_upper(public),
                proof: hex::encode_upper(proof),
            },
            key,
            idempotency_key: fresh_key(),
            device_id,
            over,
        }))
    }

    fn take_batch(
        &self,
        opened: &Opened,
        asked: &Asked,
        answer: &CodeBatchAnswer,
        clock: ProviderClock,
    ) -> Result<u32, WalletError> {
        let parts = [asked.device_id.as_bytes(), asked.idempotency_key.as_bytes()];
        let aad = bind("code-aliases", &parts);
        let batch: CodeBatch = asked
            .key
            .open(&answer.sealed, INFO, &aad)?
            .parse()
            .map_err(|_| BackendError::Malformed)?;
        let genuine = batch.version == 1
            && batch.kind == "code_aliases"
            && batch.device_id == asked.device_id;
        if !genuine {
            return Err(BackendError::Malformed.into());
        }
        let seed = Secret::from_hex(&batch.seed.0).ok_or(BackendError::Malformed)?;
        let mut fresh: Vec<(TokenRef, (Alias, i64))> = Vec::new();
        for alias in batch.aliases {
            let not_after_ms = parse_rfc3339_ms(&alias.not_after).ok_or(BackendError::Malformed)?;
            fresh.push((alias.token_ref, (alias.alias, not_after_ms)));
        }
        let came = u32::try_from(fresh.len()).unwrap_or(u32::MAX);
        let returned = self.tap.take_returned();
        let stored = (|| {
            let mut arming = opened.arming()?;
            take_back(&mut arming, &returned);
            let now_ms = clock.contact_ms();
            let mut book = known_book(opened, &arming, &seed, clock)?;
            let accounts = &asked.request.token_refs;
            // What stood for a card that is gone stands for nobody.
            book.stocks.retain(|account, _| accounts.contains(account));
            book.end_all(&asked.over);
            if let Some(policy) = self.policy_in(opened)?.codes {
                book.end_unfit(&policy.format);
            }
            for account in accounts {
                let stock = book.stocks.entry(account.clone()).or_default();
                let of_account = fresh.iter().filter(|(of, _)| of == account);
                stock.add(of_account.map(|(_, alias)| alias.clone()), now_ms);
                for alias in &batch.dead {
                    stock.end(alias);
                }
                stock.told(&asked.request.have);
            }
            let ((), record) =
                opened.commit(arming, |tx| Ok(tx.set_guarded(RECORD, Some(&book))?))?;
            Ok((record, book.clock))
        })();
        match stored {
            Ok((record, clock)) => {
                self.codes
                    .over()
                    .retain(|alias| !asked.over.contains(alias));
                // A code on the screen goes by the time that is right now.
                if let Some(showing) = self.codes.lock().as_mut() {
                    showing.clock = clock;
                }
                retire_older(opened, &record)?;
            }
            Err(error) => {
                self.not_written(returned, &error);
                return Err(error);
            }
        }
        Ok(came)
    }
}

/// The record as it is now, with the provider's clock and seed.
fn known_book(
    opened: &Opened,
    arming: &Arming,
    seed: &Secret<32>,
    clock: ProviderClock,
) -> Result<CodeBook, WalletError> {
    Ok(match opened.vault.read(CodeBook::read)? {
        None => CodeBook::new(arming, seed, clock)?,
        Some(mut book) => {
            book.set_seed(arming, seed)?;
            book.clock = clock;
            book
        }
    })
}

/// The provider wrote its time somewhere between question and answer: in the middle, at a guess.
fn provider_clock(
    answer: &CodeBatchAnswer,
    sent: &ClockReading,
    received: &ClockReading,
) -> Result<ProviderClock, BackendError> {
    let told_ms = parse_rfc3339_ms(&answer.server_time).ok_or(BackendError::Malformed)?;
    let took_ms = received.since_boot_ms.saturating_sub(sent.since_boot_ms);
    // The phone slept over it: nobody knows how old the time is that the answer tells.
    if took_ms > SLOW_MS {
        return Err(BackendError::Unreachable);
    }
    let now_ms = told_ms.saturating_add(took_ms.max(0) / 2);
    Ok(ProviderClock::new(now_ms, received))
}
