//! Sync: the issuer's entries come in, page by page; keys are replenished on the way.

use std::sync::Arc;

use super::statement::{make_room, project, rebuilding};
use super::{Wallet, WalletError, WalletEvent};
use crate::backend::protocol::{CodeIssuerEntry, EntriesAnswer, IssuerEntry, IssuerResult};
use crate::backend::{BackendError, parse_rfc3339_ms};
use crate::statement::{Entry, IssuerRecord, Payment, Verdict};

/// Position of the issuer's entries.
const ISSUER: &str = "issuer";
/// How often one sync begins again when the statement is made anew under it.
const RESTARTS: u32 = 2;

/// What a sync brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// Entries of the issuer that were not known.
    pub new_entries: u32,
    /// New limited-use keys.
    pub keys_received: u32,
}

impl Wallet {
    /// Takes in what the issuer has, and asks for new keys where they run low.
    ///
    /// Each page and the position behind it are one commit, so an interruption loses nothing and doubles nothing.
    ///
    /// # Errors
    /// [`BackendError`] when the provider cannot be reached; what came before stays.
    pub async fn sync(self: &Arc<Self>) -> Result<SyncReport, WalletError> {
        let mut report = SyncReport::default();
        // Keys may have come to their end since the last tap; that needs no network. An order to wipe is heard even where
        // nothing can be armed.
        let armed = self.arm().await;
        self.follow_provider().await?;
        armed?;
        report.new_entries = self.fetch_entries().await?;
        report.keys_received = self.replenish().await?;
        if report.keys_received > 0 {
            tracing::info!(count = report.keys_received, "replenished");
            self.tell(WalletEvent::Replenished {
                keys: report.keys_received,
            });
        }
        // Numbers that are all out, or a provider of before codes, are no reason to call the sync a failure.
        if let Err(error) = self.refill_codes().await {
            tracing::info!(%error, "no payment codes came");
        }
        Ok(report)
    }

    /// Takes in what the issuer has; answers how many entries were not known.
    pub(super) async fn fetch_entries(self: &Arc<Self>) -> Result<u32, WalletError> {
        let mut new_entries = 0;
        let _syncing = self.syncing.lock().await;
        let (backend, _) = self.backend().await?;
        let mut after = self.issuer_position().await?;
        let mut restarts = 0;
        loop {
            let page: EntriesAnswer = backend
                .get(&format!("/v1/entries?after={after}&limit=200"))
                .await?;
            let (next, more) = (page.next, page.more && page.next > after);
            match self.take_in(after, page).await? {
                Some(new) => new_entries += new,
                // The statement was made anew meanwhile: from its beginning again.
                None if restarts < RESTARTS => {
                    restarts += 1;
                    after = self.issuer_position().await?;
                    continue;
                }
                None => return Err(WalletError::Interrupted),
            }
            if !more {
                break;
            }
            after = next;
        }
        tracing::info!(new_entries, "synced");
        if new_entries > 0 {
            self.tell(WalletEvent::Synced { new_entries });
        }
        Ok(new_entries)
    }

    async fn issuer_position(self: &Arc<Self>) -> Result<i64, WalletError> {
        self.blocking(|_, opened| {
            rebuilding(opened, || {
                project(opened)?;
                Ok(opened.statement.write(|tx| tx.position(ISSUER))?)
            })
        })
        .await
    }

    /// Takes in the page behind `after`; nothing when the statement does not stand there any more.
    async fn take_in(
        self: &Arc<Self>,
        after: i64,
        page: EntriesAnswer,
    ) -> Result<Option<u32>, WalletError> {
        let taps = page.entries.into_iter().map(record);
        let codes = page.code_entries.into_iter().map(code_record);
        let records = taps
            .chain(codes)
            .collect::<Option<Vec<_>>>()
            .ok_or(BackendError::Malformed)?;
        self.blocking(move |_, opened| {
            make_room(opened)?;
            rebuilding(opened, || {
                let taken = opened.statement.write(|tx| {
                    if tx.position(ISSUER)? != after {
                        return Ok(None);
                    }
                    let mut new = 0;
                    for record in &records {
                        let known = tx.entry(&record.payment)?;
                        let entry = Entry::with_record(known.clone(), record);
                        if known.as_ref() != Some(&entry) {
                            tx.put_entry(&entry)?;
                            new += 1;
                        }
                    }
                    tx.set_position(ISSUER, page.next)?;
                    Ok(Some(new))
                });
                Ok(taken?)
            })
        })
        .await
    }
}

fn record(entry: IssuerEntry) -> Option<IssuerRecord> {
    Some(IssuerRecord {
        payment: Payment::by_card(entry.token_ref, entry.atc),
        at_ms: parse_rfc3339_ms(&entry.at)?,
        money: entry.money,
        merchant: entry.merchant,
        verdict: verdict(entry.result, entry.authorisation, entry.reason),
    })
}

fn code_record(entry: CodeIssuerEntry) -> Option<IssuerRecord> {
    Some(IssuerRecord {
        payment: Payment::by_code(entry.token_ref, entry.payment_id),
        at_ms: parse_rfc3339_ms(&entry.at)?,
        money: entry.money,
        merchant: entry.merchant,
        verdict: verdict(entry.result, entry.authorisation, entry.reason),
    })
}

fn verdict(result: IssuerResult, authorisation: Option<String>, reason: Option<String>) -> Verdict {
    match result {
        IssuerResult::Approved => Verdict::Approved { authorisation },
        IssuerResult::Declined => Verdict::Declined { reason },
    }
}
