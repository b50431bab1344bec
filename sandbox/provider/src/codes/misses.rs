//! Codes that were not right, counted per merchant: the only brake on somebody who guesses blindly, because each guess
//! names another alias. A window begins with its first miss.

use sqlx::Row;

use super::aliases::Work;
use super::rules::CodeRules;

type Result<T> = std::result::Result<T, sqlx::Error>;

/// Whether the merchant has guessed too often to be answered. Right codes are refused as well: an answer to them is
/// what a guesser waits for.
pub(super) async fn blocked(
    work: &mut Work,
    rules: &CodeRules,
    (acquirer, merchant): (&str, &str),
    now: i64,
) -> Result<bool> {
    let row = sqlx::query(
        "SELECT misses FROM code_misses WHERE acquirer_id = $1 AND merchant_id = $2 AND since > $3",
    )
    .bind(acquirer)
    .bind(merchant)
    .bind(now.saturating_sub(rules.merchant_window_s))
    .fetch_optional(&mut **work)
    .await?;
    match row {
        Some(row) => Ok(row.try_get::<i64, _>(0)? >= rules.merchant_misses),
        None => Ok(false),
    }
}

/// Counts a miss. A password that is merely old is none.
pub(super) async fn count(
    work: &mut Work,
    rules: &CodeRules,
    (acquirer, merchant): (&str, &str),
    now: i64,
) -> Result<()> {
    sqlx::query("INSERT INTO code_misses (acquirer_id, merchant_id, since, misses) VALUES ($1, $2, $3, 1) ON CONFLICT (acquirer_id, merchant_id) DO UPDATE SET misses = CASE WHEN code_misses.since <= $4 THEN 1 ELSE code_misses.misses + 1 END, since = CASE WHEN code_misses.since <= $4 THEN excluded.since ELSE code_misses.since END")
        .bind(acquirer)
        .bind(merchant)
        .bind(now)
        .bind(now.saturating_sub(rules.merchant_window_s))
        .execute(&mut **work)
        .await?;
    Ok(())
}

/// Forgets the windows that are over.
pub(super) async fn prune(work: &mut Work, rules: &CodeRules, now: i64) -> Result<()> {
    sqlx::query("DELETE FROM code_misses WHERE since <= $1")
        .bind(now.saturating_sub(rules.merchant_window_s))
        .execute(&mut **work)
        .await?;
    Ok(())
}
