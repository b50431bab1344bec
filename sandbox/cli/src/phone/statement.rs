//! `tapcore phone sync` and `tapcore phone statement`.

use anyhow::anyhow;
use serde_json::{Value, json};
use tapcore::ffi::{EntryState, StatementEntry};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Phone, print};

pub(super) async fn sync(phone: &Phone, json: bool) -> anyhow::Result<()> {
    phone.wallet.open().await?;
    let report = phone.wallet.sync().await?;
    match json {
        true => print(json!({ "new": report.new_entries, "keys": report.keys_received })),
        false => print(format_args!(
            "{} new, {} keys received.",
            report.new_entries, report.keys_received
        )),
    }
}

pub(super) async fn show(phone: &Phone, json: bool) -> anyhow::Result<()> {
    phone.wallet.open().await?;
    let entries = phone.wallet.statement().await?;
    if json {
        let entries = entries
            .iter()
            .map(entry_json)
            .collect::<anyhow::Result<Vec<_>>>()?;
        return print(json!({ "entries": entries }));
    }
    if entries.is_empty() {
        print("No payments yet.")?;
    }
    for entry in entries {
        let (whole, fraction) = (entry.amount_minor / 100, entry.amount_minor % 100);
        print(format_args!(
            "{}  {:>10}.{fraction:02} {}  {:<10}  {:<24}  {}",
            instant(entry.at_ms)?,
            whole,
            entry.currency,
            state(entry.state),
            entry.merchant.as_deref().unwrap_or("-"),
            entry.account,
        ))?;
    }
    Ok(())
}

fn entry_json(entry: &StatementEntry) -> anyhow::Result<Value> {
    Ok(json!({
        "id": entry.id,
        "at": instant(entry.at_ms)?,
        "state": state(entry.state),
        "amount_minor": entry.amount_minor,
        "currency": entry.currency,
        "merchant": entry.merchant,
        "account": entry.account,
        "atc": entry.atc,
    }))
}

/// Milliseconds of Unix time as RFC 3339 has them, in whole seconds.
pub(super) fn instant(at_ms: i64) -> anyhow::Result<String> {
    let instant = OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1000))?;
    instant.format(&Rfc3339).map_err(|error| anyhow!(error))
}

fn state(state: EntryState) -> &'static str {
    match state {
        EntryState::Incomplete => "incomplete",
        EntryState::Pending => "pending",
        EntryState::Matched => "matched",
        EntryState::Declined => "declined",
        EntryState::Expired => "expired",
    }
}
