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
    // Nobody is asked for a password that could not help.
    if exceeds(Class::A) && exceeds(Class::B) {
        return declined("daily_limit");
    }
    if !can_confirm(work, purchase).await? {
        return declined("password_not_set");
    }
    Ok((State::Wanted, None))
}

/// Whether the person has a payment password that is not locked, or the phone a key to confirm with.
async fn can_confirm(work: &mut Work, purchase: &Purchase<'_>) -> Result<bool, sqlx::Error> {
    let ways: i64 = sqlx::query("SELECT CAST((SELECT COUNT(*) FROM passwords WHERE user_id = $1 AND tries_left > 0) + (SELECT COUNT(*) FROM confirmation_keys WHERE device_id = $2) AS BIGINT)")
        .bind(purchase.user)
        .bind(purchase.device)
        .fetch_one(&mut **work)
        .await?
        .try_get(0)?;
    Ok(ways > 0)
}
