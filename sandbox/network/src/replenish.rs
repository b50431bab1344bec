//! Fresh limited-use keys for a token, against the phone's payment log: the log's MAC must be right, and nothing in it
//! may contradict what the network saw itself.

use std::collections::HashMap;

use sandbox_kit::bind::bind;
use sandbox_kit::hpke::Sealed;
use sandbox_kit::keys::public_from_hex;
use sandbox_kit::problem::Problem;
use sandbox_kit::{bytes, clock};
use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::Network;
use crate::authorise::AuthorisationQuery;
use crate::card_data::EntryMode;
use crate::limits::KeyClass;
use crate::payload::{LogEntry, Replenishment, log_mac_is_right, seal};
use crate::state;

/// A phone's request for keys; the provider has checked that the key is the device's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplenishQuery {
    /// The phone.
    pub device_id: String,
    /// What it paid since the last time.
    pub log: Vec<LogEntry>,
    /// MAC over the log by the token's log key, hex.
    pub log_mac: String,
    /// The phone's one-time public key, hex.
    pub provisioning_key: String,
    /// Keys for payments with verification on the phone are wanted as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verified_keys: bool,
}

/// Fresh keys, sealed for the phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replenished {
    /// The replenishment payload.
    pub sealed: Sealed,
}

impl Network {
    /// Checks the log and issues keys.
    pub async fn replenish(
        &self,
        token_ref: &str,
        query: &ReplenishQuery,
    ) -> Result<Replenished, Problem> {
        let recipient = public_from_hex(&query.provisioning_key)
            .ok_or_else(|| Problem::invalid("provisioning_key is not a P-256 public key."))?;
        let mac = bytes::from_hex_exact::<32>(&query.log_mac)
            .ok_or_else(|| Problem::invalid("log_mac is not 64 hex digits."))?;
        let row = sqlx::query("SELECT token, expiry, log_key, state FROM tokens WHERE token_ref = $1 AND device_id = $2")
            .bind(token_ref)
            .bind(query.device_id.as_str())
            .fetch_optional(self.db().pool())
            .await?
            .ok_or_else(state::unknown)?;
        let (token, expiry, log_key): (String, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        state::must_be_active(&row.try_get::<String, _>(3)?)?;
        if self.now().date().to_string() > expiry {
            return Err(Problem::new(
                410,
                "token_expired",
                "Token expired",
                "The token's validity has ended. Add the card again.",
            ));
        }
        let log_key = bytes::from_hex(&log_key).ok_or_else(Problem::internal)?;
        if !log_mac_is_right(&log_key, token_ref, &query.log, &mac) {
            return Err(Problem::new(
                409,
                "log_mac_mismatch",
                "Payment log not accepted",
                "The payment log was changed or belongs to another token. Add the card again.",
            ));
        }
        let seen = self.seen(token_ref).await?;
        if query
            .log
            .iter()
            .any(|entry| seen.get(&entry.atc).is_some_and(|seen| !seen.agrees(entry)))
        {
            return Err(Problem::new(
                409,
                "log_contradicts_network",
                "Payment log contradicts the network",
                "The log and the network differ about a payment. Ask the bank to look into it, then add the card again.",
            ));
        }
        let mut tx = self.db().begin().await?;
        // Again, where nobody can change it any more before the keys are out.
        let state: String = sqlx::query("SELECT state FROM tokens WHERE token_ref = $1")
            .bind(token_ref)
            .fetch_one(&mut *tx)
            .await?
            .try_get(0)?;
        state::must_be_active(&state)?;
        let classes: &[KeyClass] = match query.verified_keys {
            true => &[KeyClass::Plain, KeyClass::Verified],
            false => &[KeyClass::Plain],
        };
        let keys = self.issue_keys(&mut tx, token_ref, &token, classes).await?;
        let payload = Replenishment {
            version: 1,
            kind: "replenishment".into(),
            token_ref: token_ref.to_owned(),
            device_id: query.device_id.clone(),
            keys,
            issued_at: clock::text(self.now()),
        };
        let aad = bind(
            "replenishment",
            &[query.device_id.as_bytes(), token_ref.as_bytes(), &mac],
        );
        let sealed = seal(&self.inner.secrets.signing, &recipient, &aad, &payload)?;
        tx.commit().await?;
        Ok(Replenished { sealed })
    }

    /// The payments of a token whose cryptogram was right, by transaction counter.
    async fn seen(&self, token_ref: &str) -> Result<HashMap<u32, Seen>, Problem> {
        let rows = sqlx::query("SELECT a.atc, a.key_index, a.query FROM authorisations a JOIN used_atcs u ON u.network_ref = a.network_ref WHERE u.token_ref = $1")
            .bind(token_ref)
            .fetch_all(self.db().pool())
            .await?;
        let mut seen = HashMap::with_capacity(rows.len());
        for row in &rows {
            let query: String = row.try_get(2)?;
            let query: AuthorisationQuery =
                serde_json::from_str(&query).map_err(anyhow::Error::from)?;
            let atc = u32::try_from(row.try_get::<i64, _>(0)?).map_err(anyhow::Error::from)?;
            seen.insert(
                atc,
                Seen {
                    key_index: row.try_get(1)?,
                    query,
                },
            );
        }
        Ok(seen)
    }
}

/// A payment as the network saw it.
struct Seen {
    key_index: String,
    query: AuthorisationQuery,
}

impl Seen {
    fn agrees(&self, entry: &LogEntry) -> bool {
        let un = self
            .query
            .emv
            .get("9F37")
            .map(String::as_str)
            .unwrap_or_default();
        let amount_minor = match self.query.entry {
            EntryMode::Tap => self.query.amount_minor,
            // The phone shows a code before anybody names an amount.
            EntryMode::Cpm => 0,
        };
        un.eq_ignore_ascii_case(&entry.un)
            && self.key_index == entry.key_index
            && amount_minor == entry.amount_minor
            && self.query.currency == entry.currency
    }
}
