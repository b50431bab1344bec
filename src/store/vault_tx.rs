//! What can be read and written in one transaction of `vault.db`.

use rusqlite::{Connection, OptionalExtension, Transaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::manifest::{self, ManifestRoot};
use super::{ArmingRecord, Place, Sealer, StoreError};
use crate::statement::JournalEvent;
use crate::token::{PaymentToken, TokenLife, TokenRef};

/// A transaction of `vault.db`.
pub struct VaultTx<'a> {
    transaction: &'a Transaction<'a>,
    sealer: &'a dyn Sealer,
}

/// A token as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredToken {
    /// What a person sees of it.
    pub token: PaymentToken,
    /// The card profile, as it was provisioned; empty once the card is deleted.
    pub profile: String,
    /// Whether it may pay.
    pub state: TokenLife,
    /// Whether the provider was told of the state.
    pub told: bool,
}

/// A request that is sent until it is answered.
pub struct OutboxItem<T> {
    /// The key under which the other side keeps its answer.
    pub idempotency_key: String,
    /// The request.
    pub content: T,
}

impl<'a> VaultTx<'a> {
    pub(super) fn new(transaction: &'a Transaction<'a>, sealer: &'a dyn Sealer) -> Self {
        Self {
            transaction,
            sealer,
        }
    }

    /// The current arming, nothing before the first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn arming(&self) -> Result<Option<ArmingRecord>, StoreError> {
        arming(self.transaction)
    }

    /// Replaces the arming by its next generation.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] when the one in force is not the generation before; or when it cannot be written.
    pub fn set_arming(&self, record: &ArmingRecord) -> Result<(), StoreError> {
        set_arming(self.transaction, record)
    }

    /// The root of the manifest: one digest over every row that must not go back, with where it stands.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn manifest_root(&self) -> Result<ManifestRoot, StoreError> {
        manifest::root(self.transaction)
    }

    /// A fact by name.
    ///
    /// # Errors
    /// When it cannot be read or opened.
    pub fn record<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, StoreError> {
        let sealed: Option<Vec<u8>> = self
            .transaction
            .query_row("SELECT sealed FROM record WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .optional()?;
        sealed
            .map(|sealed| self.open("record", name.as_bytes(), sealed))
            .transpose()
    }

    /// Sets a fact that may go back, or takes it away.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_record<T: Serialize>(
        &self,
        name: &'static str,
        value: Option<&T>,
    ) -> Result<(), StoreError> {
        self.put_record(name, false, value)
    }

    /// Sets a fact that must not go back, or takes it away. The same transaction must set the next arming, which holds
    /// the manifest's root.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_guarded<T: Serialize>(
        &self,
        name: &'static str,
        value: Option<&T>,
    ) -> Result<(), StoreError> {
        self.put_record(name, true, value)
    }

    fn put_record<T: Serialize>(
        &self,
        name: &'static str,
        guarded: bool,
        value: Option<&T>,
    ) -> Result<(), StoreError> {
        match value {
            Some(value) => self.transaction.execute(
                "INSERT INTO record (name, guarded, sealed) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET guarded = ?2, sealed = ?3",
                (name, guarded, self.seal("record", name.as_bytes(), value)?),
            )?,
            None => self
                .transaction
                .execute("DELETE FROM record WHERE name = ?1", [name])?,
        };
        Ok(())
    }

    /// All tokens, the default one first.
    ///
    /// # Errors
    /// When they cannot be read or opened.
    pub fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        let mut statement = self
            .transaction
            .prepare("SELECT reference, sealed FROM token ORDER BY position")?;
        let rows = statement.query_map([], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        rows.map(|row| {
            let (reference, sealed) = row?;
            self.open("token", &reference, sealed)
        })
        .collect()
    }

    /// Adds a token behind the others.
    ///
    /// # Errors
    /// When it cannot be written, or is there already.
    pub fn add_token(&self, token: &StoredToken) -> Result<(), StoreError> {
        let reference = self.reference(&token.token.reference);
        self.transaction.execute(
            "INSERT INTO token (reference, position, sealed)
             VALUES (?1, (SELECT COALESCE(MAX(position), 0) + 1 FROM token), ?2)",
            (reference, self.seal("token", &reference, token)?),
        )?;
        Ok(())
    }

    /// Writes a token anew, in its place.
    ///
    /// # Errors
    /// When it cannot be written, or is not there.
    pub fn update_token(&self, token: &StoredToken) -> Result<(), StoreError> {
        let reference = self.reference(&token.token.reference);
        let sealed = self.seal("token", &reference, token)?;
        let sql = "UPDATE token SET sealed = ?2 WHERE reference = ?1";
        match self.transaction.execute(sql, (reference, sealed))? {
            0 => Err(StoreError::Absent),
            _ => Ok(()),
        }
    }

    /// A secret of a token, as the payment key sealed it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn secret(&self, token: &TokenRef, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT sealed FROM token_secret WHERE token = ?1 AND name = ?2";
        let row = self
            .transaction
            .query_row(sql, (self.reference(token), name), |row| row.get(0));
        Ok(row.optional()?)
    }

    /// Every secret of a token with its name, as the payment key sealed them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn secrets(&self, token: &TokenRef) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let sql = "SELECT name, sealed FROM token_secret WHERE token = ?1 ORDER BY name";
        let mut statement = self.transaction.prepare(sql)?;
        let rows = statement.query_map([self.reference(token)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Stores a secret of a token; one of that name that is there already stays.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_secret(
        &self,
        token: &TokenRef,
        name: &str,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        self.transaction.execute(
            "INSERT INTO token_secret (token, name, sealed) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            (self.reference(token), name, sealed),
        )?;
        Ok(())
    }

    /// Deletes every secret of a token; the file's settings overwrite them.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn delete_secrets(&self, token: &TokenRef) -> Result<(), StoreError> {
        let sql = "DELETE FROM token_secret WHERE token = ?1";
        self.transaction.execute(sql, [self.reference(token)])?;
        Ok(())
    }

    /// Deletes a secret of a token; the file's settings overwrite it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn delete_secret(&self, token: &TokenRef, name: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM token_secret WHERE token = ?1 AND name = ?2";
        self.transaction
            .execute(sql, (self.reference(token), name))?;
        Ok(())
    }

    /// Appends to the journal; answers the position.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&self, at_ms: i64, event: &JournalEvent) -> Result<i64, StoreError> {
        // AUTOINCREMENT never gives a position twice, so the row key may be read ahead of the insert.
        let seq = self.last_position()? + 1;
        self.transaction.execute(
            "INSERT INTO journal (seq, at_ms, sealed) VALUES (?1, ?2, ?3)",
            (seq, at_ms, self.seal("journal", &seq.to_be_bytes(), event)?),
        )?;
        Ok(seq)
    }

    /// The journal's last position, 0 while it is empty. It goes back only where a file was lost or put back.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn last_position(&self) -> Result<i64, StoreError> {
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'journal'";
        let last: Option<i64> = self
            .transaction
            .query_row(sql, [], |row| row.get(0))
            .optional()?;
        Ok(last.unwrap_or(0))
    }

    /// A mark of the journal's row at a position, which another row there would not have; 0 where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn journal_mark(&self, position: i64) -> Result<i64, StoreError> {
        let sql = "SELECT sealed FROM journal WHERE seq = ?1";
        let sealed: Option<Vec<u8>> = self
            .transaction
            .query_row(sql, [position], |row| row.get(0))
            .optional()?;
        // Each row is sealed under a nonce of its own, so its first bytes behind the format are a mark.
        let nonce = sealed.as_deref().and_then(|sealed| sealed.get(2..10));
        let mark = nonce.and_then(|nonce| nonce.try_into().ok());
        Ok(mark.map_or(0, i64::from_be_bytes))
    }

    /// The journal after a position: position, time in milliseconds of Unix time, event.
    ///
    /// # Errors
    /// When it cannot be read or opened.
    pub fn journal_after(
        &self,
        position: i64,
    ) -> Result<Vec<(i64, i64, JournalEvent)>, StoreError> {
        let mut statement = self
            .transaction
            .prepare("SELECT seq, at_ms, sealed FROM journal WHERE seq > ?1 ORDER BY seq")?;
        let rows = statement.query_map([position], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get(1)?,
                row.get::<_, Vec<u8>>(2)?,
            ))
        })?;
        rows.map(|row| {
            let (seq, at_ms, sealed) = row?;
            Ok((
                seq,
                at_ms,
                self.open("journal", &seq.to_be_bytes(), sealed)?,
            ))
        })
        .collect()
    }

    /// The request that waits for an answer about `subject`.
    ///
    /// # Errors
    /// When it cannot be read or opened.
    pub fn outbox<T: DeserializeOwned>(
        &self,
        subject: &str,
    ) -> Result<Option<OutboxItem<T>>, StoreError> {
        let row = self.sealer.lookup("outbox", subject.as_bytes());
        let found: Option<(String, Vec<u8>)> = self
            .transaction
            .query_row(
                "SELECT idempotency_key, sealed FROM outbox WHERE subject = ?1",
                [row],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        found
            .map(|(idempotency_key, sealed)| {
                Ok(OutboxItem {
                    content: self.open("outbox", &row, sealed)?,
                    idempotency_key,
                })
            })
            .transpose()
    }

    /// Puts a request into the outbox.
    ///
    /// # Errors
    /// When it cannot be written, or one about `subject` waits already.
    pub fn put_outbox<T: Serialize>(
        &self,
        subject: &str,
        item: &OutboxItem<T>,
    ) -> Result<(), StoreError> {
        let row = self.sealer.lookup("outbox", subject.as_bytes());
        self.transaction.execute(
            "INSERT INTO outbox (subject, idempotency_key, sealed) VALUES (?1, ?2, ?3)",
            (
                row,
                &item.idempotency_key,
                self.seal("outbox", &row, &item.content)?,
            ),
        )?;
        Ok(())
    }

    /// Takes a request out of the outbox: it was answered.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn delete_outbox(&self, subject: &str) -> Result<(), StoreError> {
        let row = self.sealer.lookup("outbox", subject.as_bytes());
        self.transaction
            .execute("DELETE FROM outbox WHERE subject = ?1", [row])?;
        Ok(())
    }

    /// A record as it stands in the file.
    #[cfg(test)]
    pub(crate) fn sealed_record(&self, name: &'static str) -> Result<Vec<u8>, StoreError> {
        let sql = "SELECT sealed FROM record WHERE name = ?1";
        Ok(self.transaction.query_row(sql, [name], |row| row.get(0))?)
    }

    /// Puts a record back as it stood in the file, as somebody does who has an older copy of it.
    #[cfg(test)]
    pub(crate) fn put_sealed_record(
        &self,
        name: &'static str,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        let sql = "UPDATE record SET sealed = ?2 WHERE name = ?1";
        self.transaction.execute(sql, (name, sealed))?;
        Ok(())
    }

    fn reference(&self, token: &TokenRef) -> [u8; 16] {
        self.sealer.lookup("token", token.as_str().as_bytes())
    }

    fn seal<T: Serialize>(
        &self,
        table: &'static str,
        row: &[u8],
        value: &T,
    ) -> Result<Vec<u8>, StoreError> {
        let plain = Zeroizing::new(serde_json::to_vec(value)?);
        Ok(self.sealer.seal(&place(table, row), &plain)?)
    }

    fn open<T: DeserializeOwned>(
        &self,
        table: &'static str,
        row: &[u8],
        sealed: Vec<u8>,
    ) -> Result<T, StoreError> {
        // The outbox holds private halves.
        let plain = Zeroizing::new(self.sealer.open(&place(table, row), sealed)?);
        Ok(serde_json::from_slice(&plain)?)
    }
}

fn place<'r>(table: &'static str, row: &'r [u8]) -> Place<'r> {
    Place {
        table,
        column: "sealed",
        row,
    }
}

/// The arming in force.
pub(super) fn arming(connection: &Connection) -> Result<Option<ArmingRecord>, StoreError> {
    let sql = "SELECT generation, alias, wrapped, sealed FROM arming";
    let row = connection.query_row(sql, [], |row| {
        Ok(ArmingRecord {
            generation: row.get(0)?,
            alias: row.get(1)?,
            wrapped: row.get(2)?,
            sealed: row.get(3)?,
        })
    });
    Ok(row.optional()?)
}

/// Replaces the arming by its next generation.
pub(super) fn set_arming(
    transaction: &Transaction<'_>,
    record: &ArmingRecord,
) -> Result<(), StoreError> {
    let changed = transaction.execute(
        "INSERT INTO arming (id, generation, alias, wrapped, sealed) VALUES (1, ?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET generation = ?1, alias = ?2, wrapped = ?3, sealed = ?4
             WHERE generation = ?1 - 1",
        (
            record.generation,
            &record.alias,
            &record.wrapped,
            &record.sealed,
        ),
    )?;
    match changed {
        1 => Ok(()),
        _ => Err(StoreError::Overtaken),
    }
}
