//! Sync: the issuer's entries come in, page by page; keys are replenished on the way.

use std::sync::Arc;

use super::statement::project;
use super::{Wallet, WalletError, WalletEvent};
use crate::backend::protocol::{EntriesAnswer, IssuerEntry, IssuerResult};
use crate::backend::{BackendError, parse_rfc3339_ms};
use crate::statement::{Entry, IssuerRecord, Payment, Verdict};

/// Position of the issuer's entries.
const ISSUER: &str = "issuer";

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
        {
            let _syncing = self.syncing.lock().await;
            let (backend, _) = self.backend().await?;
            let mut after = self
                .blocking(|_, opened| {
                    project(opened)?;
                    Ok(opened.statement.write(|tx| tx.position(ISSUER))?)
                })
                .await?;
            loop {
                let page: EntriesAnswer = backend
                    .get(&format!("/v1/entries?after={after}&limit=200"))
                    .await?;
                let more = page.more && page.next > after;
                after = page.next;
                report.new_entries += self.take_in(page).await?;
                if !more {
                    break;
                }
            }
        }
        if report.new_entries > 0 {
            self.tell(WalletEvent::Synced {
                new_entries: report.new_entries,
            });
        }
        report.keys_received = self.replenish().await?;
        if report.keys_received > 0 {
            self.tell(WalletEvent::Replenished {
                keys: report.keys_received,
            });
        }
        Ok(report)
    }

    async fn take_in(self: &Arc<Self>, page: EntriesAnswer) -> Result<u32, WalletError> {
        let records = page
            .entries
            .into_iter()
            .map(record)
            .collect::<Option<Vec<_>>>()
            .ok_or(BackendError::Malformed)?;
        self.blocking(move |_, opened| {
            let mut new = 0;
            opened.statement.write(|tx| {
                for record in &records {
                    let known = tx.entry(&record.payment)?;
                    let entry = Entry::with_record(known.clone(), record);
                    if known.as_ref() != Some(&entry) {
                        tx.put_entry(&entry)?;
                        new += 1;
                    }
                }
                tx.set_position(ISSUER, page.next)
            })?;
            Ok(new)
        })
        .await
    }
}

fn record(entry: IssuerEntry) -> Option<IssuerRecord> {
    Some(IssuerRecord {
        payment: Payment {
            token: entry.token_ref,
            atc: entry.atc,
        },
        at_ms: parse_rfc3339_ms(&entry.at)?,
        money: entry.money,
        merchant: entry.merchant,
        verdict: match entry.result {
            IssuerResult::Approved => Verdict::Approved {
                authorisation: entry.authorisation,
            },
            IssuerResult::Declined => Verdict::Declined {
                reason: entry.reason,
            },
        },
    })
}
