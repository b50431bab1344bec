//! The manifest: which rows must not go back, and one digest over all of them.
//!
//! The digest is sealed by the arming key, whose platform alias is deleted at the next arming (ADR 8). A row of
//! yesterday pasted into today's file, one taken away and one put in all change it. Rows are told apart by their
//! ciphertext, which a fresh nonce makes different each time it is written.

use ring::digest;
use rusqlite::Transaction;

use super::StoreError;

/// The digest over every guarded row, SHA-256.
pub type ManifestRoot = [u8; 32];

/// Each query answers a row's key in one or two columns, then its content.
const GUARDED: [(&str, &str); 3] = [
    (
        "record",
        "SELECT name, '', sealed FROM record WHERE guarded ORDER BY name",
    ),
    (
        "token",
        "SELECT reference, position, sealed FROM token ORDER BY reference",
    ),
    (
        "token_secret",
        "SELECT token, name, sealed FROM token_secret ORDER BY token, name",
    ),
];

pub(super) fn root(transaction: &Transaction<'_>) -> Result<ManifestRoot, StoreError> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut part = |bytes: &[u8]| {
        // Length first, so that no two lists of parts give the same bytes.
        context.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(bytes);
    };
    for (table, sql) in GUARDED {
        part(table.as_bytes());
        let mut statement = transaction.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..3 {
                match row.get_ref(column)? {
                    rusqlite::types::ValueRef::Integer(number) => part(&number.to_be_bytes()),
                    other => part(other.as_bytes().map_err(|_| StoreError::Damaged)?),
                }
            }
        }
    }
    let mut root = ManifestRoot::default();
    for (to, from) in root.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    Ok(root)
}
