//! The aliases in the database: drawn, looked up, ended, recycled.
//!
//! A row is a number that is taken. While it is `live` it stands for a device and an account; used, void or locked it
//! rests until `free_at`, then the row goes. Rows of a wiped device keep their rest and name nobody.

use std::collections::{HashMap, HashSet};

use sandbox_kit::bytes;
use sqlx::{Any, AnyConnection, Row, Transaction};

use super::format::CodePolicy;
use super::rules::CodeRules;

pub(super) type Work = Transaction<'static, Any>;
type Result<T> = std::result::Result<T, sqlx::Error>;

/// How often a number is drawn for one alias. With a third of all numbers taken, so many taken ones in a row come once
/// in 10^30 times.
const DRAWS: usize = 64;

/// A phone has at most so many times the numbers that it may hold, those that rest included. An honest one shows as many
/// in a day; without a limit, one that asks for fresh ones again and again would take them all.
const RESTING: u32 = 10;

/// What a phone asks for.
pub(super) struct Asked<'a> {
    pub(super) device: &'a str,
    /// The aliases that the phone still holds; of its others nobody knows any more, so they end.
    pub(super) have: &'a [String],
    /// The accounts it wants codes for, the most used first.
    pub(super) accounts: &'a [String],
}

/// A fresh alias.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fresh {
    pub(super) alias: String,
    pub(super) token_ref: String,
    pub(super) not_after: i64,
}

/// What came of asking.
pub(super) enum Issued {
    /// The fresh aliases, and those of the phone's that are live no more.
    Batch(Vec<Fresh>, Vec<String>),
    /// None of the accounts is an active one of this device.
    NoAccount,
    /// As many numbers are taken as may be.
    Full,
    /// As many numbers are this device's as may be.
    TooOften,
    /// The device was wiped meanwhile.
    Wiped,
}

/// An alias as a payment finds it. Device and account are empty when it stands for nobody any more.
pub(super) struct Found {
    pub(super) alias_id: String,
    pub(super) state: String,
    pub(super) wrong: i64,
    pub(super) not_after: i64,
    pub(super) device: String,
    pub(super) user: String,
    pub(super) token_ref: String,
    pub(super) token_state: String,
    pub(super) sealed_seed: Vec<u8>,
}

/// Everything a payment must know of an alias, by one look-up.
pub(crate) const LOOK_UP: &str = "SELECT a.alias_id, a.state, a.wrong, a.not_after, d.device_id, d.user_id, t.token_ref, t.state, s.sealed FROM code_aliases a LEFT JOIN devices d ON d.device_id = a.device_id LEFT JOIN tokens t ON t.token_ref = a.token_ref LEFT JOIN code_seeds s ON s.device_id = a.device_id WHERE a.alias = $1";

pub(super) async fn look_up(connection: &mut AnyConnection, alias: &str) -> Result<Option<Found>> {
    let row = sqlx::query(LOOK_UP)
        .bind(alias)
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let text = |column: usize| -> Result<String> {
        Ok(row
            .try_get::<Option<String>, _>(column)?
            .unwrap_or_default())
    };
    Ok(Some(Found {
        alias_id: row.try_get(0)?,
        state: row.try_get(1)?,
        wrong: row.try_get(2)?,
        not_after: row.try_get(3)?,
        device: text(4)?,
        user: text(5)?,
        token_ref: text(6)?,
        token_state: text(7)?,
        sealed_seed: row.try_get::<Option<Vec<u8>>, _>(8)?.unwrap_or_default(),
    }))
}

/// Brings a phone's aliases to the number it may hold, shared out over its accounts.
pub(super) async fn issue(
    work: &mut Work,
    policy: &CodePolicy,
    rules: &CodeRules,
    asked: &Asked<'_>,
    now: i64,
) -> Result<Issued> {
    let active = sqlx::query("SELECT 1 FROM devices WHERE device_id = $1 AND state = 'active'")
        .bind(asked.device)
        .fetch_optional(&mut **work)
        .await?;
    if active.is_none() {
        return Ok(Issued::Wiped);
    }
    let accounts = active_accounts(work, asked).await?;
    if accounts.is_empty() {
        return Ok(Issued::NoAccount);
    }
    recycle(work, now).await?;
    let held = keep(work, rules, asked, now).await?;
    let dead = asked
        .have
        .iter()
        .filter(|alias| !held.contains_key(alias.as_str()))
        .cloned()
        .collect();
    // What expires before the phone must have had contact again is replaced in time.
    let offline_s = i64::from(policy.contact_hours).saturating_mul(3600);
    let lasting = now.saturating_add(offline_s.min(rules.alias_life_s / 2));
    let counts: Vec<usize> = accounts
        .iter()
        .map(|account| {
            let of_account = |held: &&Held| held.token_ref == *account && held.not_after > lasting;
            held.values().filter(of_account).count()
        })
        .collect();
    let all = usize::try_from(policy.aliases).unwrap_or(usize::MAX);
    let wanted = share_out(all, &counts);
    let taken: i64 = sqlx::query("SELECT value FROM code_counts WHERE name = 'aliases'")
        .fetch_one(&mut **work)
        .await?
        .try_get(0)?;
    let room = rules.most_taken(policy.space()).saturating_sub(taken);
    let own = own_room(work, policy, asked.device).await?;
    // A phone that holds some has no need of an error: it is told the time and what is dead, and gets what there is.
    let wants = held.is_empty() && wanted.iter().any(|more| *more > 0);
    if wants && own <= 0 {
        return Ok(Issued::TooOften);
    }
    if wants && room <= 0 {
        return Ok(Issued::Full);
    }
    let mut room = usize::try_from(room.min(own)).unwrap_or(0);
    let mut fresh = Vec::new();
    let not_after = now.saturating_add(rules.alias_life_s);
    for (account, more) in accounts.iter().zip(wanted) {
        for _ in 0..more.min(room) {
            let Some(alias) = draw(work, policy, rules, asked.device, account, not_after).await?
            else {
                room = 0;
                break;
            };
            room -= 1;
            fresh.push(Fresh {
                alias,
                token_ref: account.clone(),
                not_after,
            });
        }
    }
    if wants && fresh.is_empty() {
        return Ok(Issued::Full);
    }
    count(work, i64::try_from(fresh.len()).unwrap_or(i64::MAX)).await?;
    Ok(Issued::Batch(fresh, dead))
}

/// How many more numbers may be the device's.
async fn own_room(work: &mut Work, policy: &CodePolicy, device: &str) -> Result<i64> {
    let own: i64 = sqlx::query("SELECT COUNT(*) FROM code_aliases WHERE device_id = $1")
        .bind(device)
        .fetch_one(&mut **work)
        .await?
        .try_get(0)?;
    Ok(i64::from(policy.aliases) * i64::from(RESTING) - own)
}

/// Those of the accounts that are active ones of the device, each once.
async fn active_accounts(work: &mut Work, asked: &Asked<'_>) -> Result<Vec<String>> {
    let rows =
        sqlx::query("SELECT token_ref FROM tokens WHERE device_id = $1 AND state = 'active'")
            .bind(asked.device)
            .fetch_all(&mut **work)
            .await?;
    let mut active = rows
        .iter()
        .map(|row| row.try_get::<String, _>(0))
        .collect::<Result<HashSet<_>>>()?;
    let mut accounts = Vec::new();
    for account in asked.accounts {
        // Taken out when it is found, so that one that is named twice counts once.
        accounts.extend(active.take(account));
    }
    Ok(accounts)
}

/// A live alias that the phone holds.
struct Held {
    token_ref: String,
    not_after: i64,
}

/// The live aliases that the phone still holds. Its other live ones end here: their batch was lost,
/// or they were shown while the phone was offline.
async fn keep(
    work: &mut Work,
    rules: &CodeRules,
    asked: &Asked<'_>,
    now: i64,
) -> Result<HashMap<String, Held>> {
    let rows = sqlx::query("SELECT alias, token_ref, not_after FROM code_aliases WHERE device_id = $1 AND state = 'live' AND not_after > $2")
        .bind(asked.device)
        .bind(now)
        .fetch_all(&mut **work)
        .await?;
    let mut held = HashMap::new();
    for row in &rows {
        let alias: String = row.try_get(0)?;
        let of_phone = Held {
            token_ref: row.try_get(1)?,
            not_after: row.try_get(2)?,
        };
        if asked.have.contains(&alias) {
            held.insert(alias, of_phone);
        } else {
            end(work, rules, &alias, "void", "not_held", now).await?;
        }
    }
    Ok(held)
}

/// Draws a number that nobody has and takes it.
async fn draw(
    work: &mut Work,
    policy: &CodePolicy,
    rules: &CodeRules,
    device: &str,
    account: &str,
    not_after: i64,
) -> Result<Option<String>> {
    let width = usize::try_from(policy.alias_digits).unwrap_or(0);
    for _ in 0..DRAWS {
        // 128 random bits over at most 10^16 numbers: no number is noticeably likelier than another.
        let number = u128::from_be_bytes(bytes::random()) % u128::from(policy.space());
        let alias = format!("{number:0width$}");
        let taken = sqlx::query("INSERT INTO code_aliases (alias, alias_id, device_id, token_ref, state, why, wrong, not_after, free_at) VALUES ($1, $2, $3, $4, 'live', '', 0, $5, $6) ON CONFLICT (alias) DO NOTHING")
            .bind(alias.as_str())
            .bind(bytes::random_id("als"))
            .bind(device)
            .bind(account)
            .bind(not_after)
            .bind(not_after.saturating_add(rules.rest_s))
            .execute(&mut **work)
            .await?;
        if taken.rows_affected() == 1 {
            return Ok(Some(alias));
        }
    }
    Ok(None)
}

/// Ends a live alias; it rests from now on. `false` when it was not live.
pub(super) async fn end(
    work: &mut Work,
    rules: &CodeRules,
    alias: &str,
    state: &str,
    why: &str,
    now: i64,
) -> Result<bool> {
    let ended = sqlx::query("UPDATE code_aliases SET state = $1, why = $2, free_at = $3 WHERE alias = $4 AND state = 'live'")
        .bind(state)
        .bind(why)
        .bind(now.saturating_add(rules.rest_s))
        .bind(alias)
        .execute(&mut **work)
        .await?;
    Ok(ended.rows_affected() == 1)
}

/// Counts a wrong password; the last one that is allowed ends the alias.
pub(super) async fn wrong(
    work: &mut Work,
    rules: &CodeRules,
    alias: &str,
    found: &Found,
    now: i64,
) -> Result<()> {
    if found.state != "live" {
        return Ok(());
    }
    sqlx::query("UPDATE code_aliases SET wrong = wrong + 1 WHERE alias = $1")
        .bind(alias)
        .execute(&mut **work)
        .await?;
    if found.wrong.saturating_add(1) >= rules.wrong_tries {
        end(work, rules, alias, "locked", "wrong_codes", now).await?;
    }
    Ok(())
}

/// Gives numbers back that have rested long enough.
pub(super) async fn recycle(work: &mut Work, now: i64) -> Result<()> {
    let freed = sqlx::query("DELETE FROM code_aliases WHERE free_at <= $1")
        .bind(now)
        .execute(&mut **work)
        .await?
        .rows_affected();
    if freed > 0 {
        count(work, -i64::try_from(freed).unwrap_or(i64::MAX)).await?;
    }
    Ok(())
}

async fn count(work: &mut Work, change: i64) -> Result<()> {
    sqlx::query("UPDATE code_counts SET value = value + $1 WHERE name = 'aliases'")
        .bind(change)
        .execute(&mut **work)
        .await?;
    Ok(())
}

/// How many more aliases each account is given, so that each has its share of `all`. The first accounts get what does not
/// divide. A card that was added to others that are full has its share at once: until theirs are used, the phone holds more.
fn share_out(all: usize, of_account: &[usize]) -> Vec<usize> {
    let (each, over) = match of_account.len() {
        0 => (0, 0),
        accounts => (all / accounts, all % accounts),
    };
    let shares = of_account.iter().enumerate();
    shares
        .map(|(place, has)| (each + usize::from(place < over)).saturating_sub(*has))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::share_out;

    #[test]
    fn aliases_are_shared_out_over_the_accounts() {
        assert_eq!(share_out(15, &[0]), [15]);
        assert_eq!(share_out(15, &[0, 0]), [8, 7]);
        assert_eq!(share_out(15, &[5, 5]), [3, 2]);
        // One has more than its share, the other is new.
        assert_eq!(share_out(15, &[15, 0]), [0, 7]);
        assert_eq!(share_out(2, &[0, 0, 0]), [1, 1, 0]);
        assert_eq!(share_out(15, &[20]), [0]);
        assert_eq!(share_out(15, &[]), [0; 0]);
    }
}
