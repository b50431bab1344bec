//! Messages that must arrive: notifications to provider and acquirer, reversals to banks. They are written in the transaction
//! that causes them and stay until the other side has taken them; in between they are retried with growing pauses.
//! Receivers know a repeated message by its id. Every receiver has a delivery of its own, so that one that is slow or
//! away holds up nobody else.

use std::time::Duration;

use sandbox_kit::bytes;
use sandbox_kit::client::CallError;
use serde::Serialize;
use sqlx::{Any, Row, Transaction};
use tokio::task::JoinSet;

use crate::Network;

/// The provider and the acquirer, as targets of messages; any other target is the name of a bank.
pub(crate) const PROVIDER: &str = "provider";
pub(crate) const ACQUIRER: &str = "acquirer";
const FIRST_PAUSE_MS: i64 = 200;
const LONGEST_PAUSE_MS: i64 = 10_000;

/// How long to wait after so many failed attempts, in milliseconds: doubling, with a ceiling.
fn pause(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts.saturating_sub(1).clamp(0, 16)).unwrap_or(16);
    FIRST_PAUSE_MS
        .saturating_mul(1 << doublings)
        .min(LONGEST_PAUSE_MS)
}

/// Puts a message into the outbox, to go out once the transaction is committed and [`Network::mail_waits`] was called.
pub(crate) async fn post<T: Serialize>(
    tx: &mut Transaction<'static, Any>,
    id: &str,
    target: &str,
    path: &str,
    body: &T,
) -> anyhow::Result<()> {
    sqlx::query(
        "INSERT INTO outbox (id, target, path, body, attempts, due) VALUES ($1, $2, $3, $4, 0, 0)",
    )
    .bind(id)
    .bind(target)
    .bind(path)
    .bind(serde_json::to_string(body)?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

struct Message {
    id: String,
    target: String,
    path: String,
    body: String,
    attempts: i64,
}

impl Network {
    /// Wakes the deliveries.
    pub(crate) fn mail_waits(&self) {
        self.inner.mail.notify_waiters();
    }

    /// Delivers for ever, and looks now and then for payments that nobody finishes any more. Dropping this ends all of
    /// it.
    pub(crate) async fn deliver_mail(&self) {
        let mut work = JoinSet::new();
        let banks = self.inner.config.banks.iter().map(|bank| &bank.name);
        let parties = [PROVIDER, ACQUIRER].map(str::to_owned);
        let targets = parties.into_iter().chain(banks.cloned());
        for target in targets {
            let network = self.clone();
            work.spawn(async move { network.deliver_to(&target).await });
        }
        let network = self.clone();
        work.spawn(async move { network.sweep_abandoned().await });
        while let Some(ended) = work.join_next().await {
            if let Err(error) = ended {
                eprintln!("network: work beside the API ended: {error}");
            }
        }
    }

    /// Delivers to one receiver for ever.
    async fn deliver_to(&self, target: &str) {
        loop {
            // From here on a new message is noticed, also one that is written while the others are on their way.
            let woken = self.inner.mail.notified();
            let wait = match self.deliver_due(target).await {
                Ok(next) => next,
                Err(error) => {
                    eprintln!("network: the outbox cannot be read: {error}");
                    Duration::from_secs(1)
                }
            };
            // Whichever comes first: the next message is due, or a new one was written.
            let _ = tokio::time::timeout(wait, woken).await;
        }
    }

    /// Delivers what is due for one receiver; says how long nothing else will be.
    async fn deliver_due(&self, target: &str) -> Result<Duration, sqlx::Error> {
        let rows = sqlx::query("SELECT id, target, path, body, attempts FROM outbox WHERE target = $1 AND due <= $2 ORDER BY due LIMIT 50")
            .bind(target)
            .bind(now_ms())
            .fetch_all(self.db().pool())
            .await?;
        for row in &rows {
            let message = Message {
                id: row.try_get(0)?,
                target: row.try_get(1)?,
                path: row.try_get(2)?,
                body: row.try_get(3)?,
                attempts: row.try_get(4)?,
            };
            match self.deliver(&message).await {
                Ok(()) => {
                    sqlx::query("DELETE FROM outbox WHERE id = $1")
                        .bind(message.id.as_str())
                        .execute(self.db().pool())
                        .await?;
                }
                Err(error) => {
                    let attempts = message.attempts.saturating_add(1);
                    if attempts == 1 {
                        eprintln!(
                            "network: {} cannot be told yet ({error}), trying again",
                            message.target
                        );
                    }
                    sqlx::query("UPDATE outbox SET attempts = $1, due = $2 WHERE id = $3")
                        .bind(attempts)
                        .bind(now_ms().saturating_add(pause(attempts)))
                        .bind(message.id.as_str())
                        .execute(self.db().pool())
                        .await?;
                }
            }
        }
        let next: Option<i64> = sqlx::query("SELECT MIN(due) FROM outbox WHERE target = $1")
            .bind(target)
            .fetch_one(self.db().pool())
            .await?
            .try_get(0)?;
        let wait = next.map_or(60_000, |due| due.saturating_sub(now_ms()).clamp(0, 60_000));
        Ok(Duration::from_millis(
            u64::try_from(wait).unwrap_or_default(),
        ))
    }

    async fn deliver(&self, message: &Message) -> Result<(), CallError> {
        let unknown = || CallError::Malformed(format!("there is no {}", message.target));
        let config = &self.inner.config;
        let (client, url) = match message.target.as_str() {
            PROVIDER => (&self.inner.to_parties, config.provider_url.as_str()),
            ACQUIRER => (&self.inner.to_parties, config.acquirer_url.as_str()),
            name => {
                let bank = config.banks.iter().find(|bank| bank.name == name);
                (&self.inner.to_banks, bank.ok_or_else(unknown)?.url.as_str())
            }
        };
        let body: serde_json::Value = serde_json::from_str(&message.body)
            .map_err(|error| CallError::Malformed(error.to_string()))?;
        let key = bytes::to_hex(&bytes::sha256(message.id.as_bytes()));
        let _taken: serde_json::Value = client
            .post(&format!("{url}{}", message.path), &body, Some(&key))
            .await?;
        Ok(())
    }
}

/// Wall time for due dates; the clock that tests pass in is for money, not for pauses.
fn now_ms() -> i64 {
    let now = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    i64::try_from(now).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::pause;

    #[test]
    fn pauses_double_up_to_a_ceiling() {
        assert_eq!([1, 2, 3, 4].map(pause), [200, 400, 800, 1600]);
        assert_eq!(pause(7), 10_000);
        assert_eq!(pause(i64::MAX), 10_000);
        assert_eq!(pause(0), 200);
    }
}
