//! The decision on a scanned code, in one transaction: which alias it is, whether its password is right, whether the
//! shop and the sum are allowed. What comes of it is a payment that is written down together with the end of the alias.
//!
//! A code that is not right is answered alike whether there is such an alias or not, so that an answer tells a guesser
//! nothing. Why an alias is not live is told only to whoever has a right password of it.

use sandbox_kit::problem::Problem;
use sandbox_kit::{bytes, clock};

use super::aliases::{self, Found};
use super::form::Scan;
use super::format::{CodePolicy, Shown};
use super::judge::{Purchase, judge};
use super::otp::{AliasKey, Fit};
use super::payments::{self, Ending, Payment, State};
use super::rules::Class;
use super::{Codes, entries, misses};
use crate::Inner;

/// No such code, or not with this password, or not any more.
const NOT_VALID: &str = "code_not_valid";

/// What came of a scan.
pub(super) enum Decided {
    /// The order stands like this. What is started has still to be finished with the network.
    Stands(Box<Payment>),
    /// The code is good for nothing.
    Refused(&'static str),
    /// The order is another one.
    Conflict,
}

pub(super) async fn decide(
    provider: &Inner,
    policy: &CodePolicy,
    acquirer: &str,
    scan: &Scan,
    now: i64,
) -> Result<Decided, Problem> {
    let (codes, at) = (&provider.codes, clock::unix_text(now));
    let rules = &codes.rules;
    let merchant = (acquirer, scan.merchant_id.as_str());
    let shown = policy.read(&scan.code);
    let mut work = provider.store.db().begin().await?;
    payments::expire(&mut work, now, &at).await?;
    let open = payments::of_order(&mut work, acquirer, &scan.merchant_id, &scan.order_id).await?;
    // Another code for an order that still waits for a password takes the place of the first.
    let replaced = match open {
        None => None,
        Some(open) => match stands(&open, scan, shown) {
            Stays::Yes => {
                work.commit().await?;
                return Ok(Decided::Stands(Box::new(open)));
            }
            Stays::Otherwise => return Ok(Decided::Conflict),
            Stays::Replaced => Some(open),
        },
    };
    if misses::blocked(&mut work, rules, merchant, now).await? {
        return Ok(Decided::Refused("merchant_throttled"));
    }
    // A misread code is no guess: it could not have hit anything.
    let Some(shown) = shown else {
        return Ok(Decided::Refused(NOT_VALID));
    };
    let found = aliases::look_up(&mut work, shown.alias).await?;
    let fit = fit(codes, shown, found.as_ref(), now);
    let found = match found {
        Some(found) if fit == Fit::Right => found,
        found => {
            // Whoever has an old password of a live alias saw its screen. A shop whose customers leave codes open, or
            // have slow clocks, is no guesser; how often an alias may be tried is another matter.
            let seen = fit == Fit::Old && found.as_ref().is_some_and(|found| found.state == "live");
            if !seen {
                misses::count(&mut work, rules, merchant, now).await?;
            }
            if let Some(found) = found {
                aliases::wrong(&mut work, rules, shown.alias, &found, now).await?;
            }
            work.commit().await?;
            return Ok(Decided::Refused(NOT_VALID));
        }
    };
    if let Some(reason) = unusable(&found, now) {
        let before = payments::of_alias(&mut work, &found.alias_id).await?;
        work.commit().await?;
        // Whoever asks again because the answer was lost gets it.
        return Ok(
            match before.filter(|payment| payment.is_of(acquirer, scan)) {
                Some(before) => Decided::Stands(Box::new(before)),
                None => Decided::Refused(reason),
            },
        );
    }
    if let Some(old) = replaced {
        let steps = (State::Wanted, State::Declined);
        let ending = Ending::because("superseded");
        payments::end(&mut work, &old.payment_id, steps, &ending, &at).await?;
    }
    let purchase = Purchase {
        user: &found.user,
        device: &found.device,
        token_state: &found.token_state,
        mcc: &scan.mcc,
        country: &scan.country,
        amount_minor: scan.amount_minor,
        currency: &scan.currency,
    };
    let (state, reason) = judge(&mut work, rules, policy, &purchase, now).await?;
    let payment = Payment {
        payment_id: bytes::random_id("cpy"),
        acquirer_id: acquirer.to_owned(),
        merchant_id: scan.merchant_id.clone(),
        order_id: scan.order_id.clone(),
        alias: shown.alias.to_owned(),
        user: found.user,
        device: found.device,
        token_ref: found.token_ref,
        terminal_id: scan.terminal_id.clone(),
        merchant: scan.merchant.clone(),
        mcc: scan.mcc.clone(),
        country: scan.country.clone(),
        asked_at: scan.at.clone(),
        amount_minor: scan.amount_minor,
        currency: scan.currency.clone(),
        class: Class::C.name().to_owned(),
        state,
        reason,
        authorisation: None,
        network_ref: None,
        at,
        began: now,
        confirm_until: now.saturating_add(rules.password_wait_s),
        request: None,
    };
    payments::insert(&mut work, &payment, Some(&found.alias_id)).await?;
    aliases::end(&mut work, rules, shown.alias, "used", "scanned", now).await?;
    if state == State::Declined {
        entries::write(&mut work, &payment).await?;
    }
    work.commit().await?;
    Ok(Decided::Stands(Box::new(payment)))
}

/// Whether an order stays as it is when a code is scanned for it.
enum Stays {
    Yes,
    Replaced,
    Otherwise,
}

fn stands(open: &Payment, scan: &Scan, shown: Option<Shown<'_>>) -> Stays {
    match open.state {
        // Revoked before it was ever scanned, it has no amount to compare.
        State::Reversing | State::Revoked => Stays::Yes,
        _ if !open.is_for(scan) => Stays::Otherwise,
        State::Wanted if shown.is_some_and(|shown| shown.alias != open.alias) => Stays::Replaced,
        _ => Stays::Yes,
    }
}

fn fit(codes: &Codes, shown: Shown<'_>, found: Option<&Found>, now: i64) -> Fit {
    let seed = found.and_then(|found| codes.seeds.open_row(&found.device, &found.sealed_seed));
    let known = seed.is_some();
    // Somebody's seed or nobody's, the work is the same, and so is the time it takes.
    let seed = seed.unwrap_or_default();
    let fit = AliasKey::derive(seed.as_slice(), shown.alias).map(|key| key.fits(shown.otp, now));
    fit.filter(|_| known).unwrap_or(Fit::Wrong)
}

/// Why an alias pays no more; `None` when it does.
fn unusable(found: &Found, now: i64) -> Option<&'static str> {
    match found.state.as_str() {
        "live" if found.not_after > now => None,
        "live" => Some("code_expired"),
        "used" => Some("code_used"),
        "locked" => Some("code_throttled"),
        _ => Some("code_void"),
    }
}

/// Whether a code is right at a moment and its alias live, by the one look-up that a payment makes.
pub(super) async fn resolves(
    provider: &Inner,
    policy: &CodePolicy,
    code: &str,
    now: i64,
) -> Result<bool, sqlx::Error> {
    let Some(shown) = policy.read(code) else {
        return Ok(false);
    };
    let mut connection = provider.store.db().pool().acquire().await?;
    let found = aliases::look_up(&mut connection, shown.alias).await?;
    let fit = fit(&provider.codes, shown, found.as_ref(), now);
    Ok(fit == Fit::Right && found.is_some_and(|found| unusable(&found, now).is_none()))
}
