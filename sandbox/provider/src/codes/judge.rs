//! Whether an account may pay a shop so much, and whether the person must confirm it: the same rules for a code that a shop
//! scanned and for one that a shop shows.

use sqlx::Row;

use super::aliases::Work;
use super::format::CodePolicy;
use super::payments::{self, State};
use super::rules::{Class, CodeRules, day};

/// Who wants to pay how much in what shop.
pub(super) struct Purchase<'a> {
    pub(super) user: &'a str,
    pub(super) device: &'a str,
    /// Of the token that is to pay.
    pub(super) token_state: &'a str,
    pub(super) mcc: &'a str,
    pub(super) country: &'a str,
    pub(super) amount_minor: i64,
    pub(super) currency: &'a str,
}

/// The state that the payment begins in: `started`, `wanted` when the person is to confirm it, or `declined` with the reason.
pub(super) async fn judge(
    work: &mut Work,
    rules: &CodeRules,
    policy: &CodePolicy,
    purchase: &Purchase<'_>,
    now: i64,
) -> Result<(State, Option<String>), sqlx::Error> {
    let declined = |reason: &str| Ok((State::Declined, Some(reason.to_owned())));
    if purchase.token_state != "active" {
        return declined("account_not_active");
    }
    if purchase.currency != policy.currency {
        return declined("currency_not_supported");
    }
    if let Some(reason) = rules.refusal(purchase.mcc, purchase.country) {
        return declined(reason);
    }
    let spent = payments::spent(work, purchase.user, day(now)).await?;
    let exceeds = |class| rules.exceeds(class, spent.of(class), purchase.amount_minor);
    let free = purchase.amount_minor <= policy.password_above_minor
        && spent.free < rules.free_payments
        && !exceeds(Class::C);
    if free {
        return Ok((State::Started, None));
    }
    // Nobody is asked for a word that could not help: each way counts while its class has room.
    let (by_key, by_password) = ways(work, purchase).await?;
    if (by_key && !exceeds(Class::A)) || (by_password && !exceeds(Class::B)) {
        return Ok((State::Wanted, None));
    }
    if by_password || exceeds(Class::B) {
        return declined("daily_limit");
    }
    declined("password_not_set")
}

/// Whether the phone has a key to confirm with, and the person a payment password that is not locked.
async fn ways(work: &mut Work, purchase: &Purchase<'_>) -> Result<(bool, bool), sqlx::Error> {
    let row = sqlx::query("SELECT (SELECT COUNT(*) FROM confirmation_keys WHERE device_id = $1), (SELECT COUNT(*) FROM passwords WHERE user_id = $2 AND tries_left > 0)")
        .bind(purchase.device)
        .bind(purchase.user)
        .fetch_one(&mut **work)
        .await?;
    let (keys, passwords): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok((keys > 0, passwords > 0))
}
