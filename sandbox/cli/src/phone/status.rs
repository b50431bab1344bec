//! `tapcore phone status`.

use serde_json::json;
use tapcore::ffi::{TapRefusal, WalletStatus};

use super::{Phone, print};

pub(super) async fn show(phone: &Phone, json: bool) -> anyhow::Result<()> {
    phone.wallet.open().await?;
    let status = phone.wallet.status().await?;
    if json {
        return print(json!({
            "enrolled": status.enrolled,
            "device_id": status.device_id,
            "cards": status.cards,
            "taps_left": status.taps_left,
            "codes_left": status.codes_left,
            "refusal": status.refusal.map(refusal),
            "pin": status.pin_tries_left.map(|tries_left| json!({
                "tries_left": tries_left,
                "wait_s": status.pin_wait_s,
            })),
            "finger": finger(&status),
        }));
    }
    match &status.device_id {
        Some(device) => print(format_args!("enrolled as {device}"))?,
        None => print("not enrolled")?,
    }
    print(format_args!(
        "cards: {}, taps without a network: {}, codes without a network: {}",
        status.cards, status.taps_left, status.codes_left
    ))?;
    if let Some(why) = status.refusal {
        print(format_args!("pays nothing: {}", refusal(why)))?;
    }
    match status.pin_tries_left {
        Some(tries) => print(format_args!(
            "PIN: {tries} tries left, wait {} seconds",
            status.pin_wait_s
        ))?,
        None => print("PIN: none")?,
    }
    print(format_args!("fingerprint: {}", finger(&status)))
}

fn refusal(why: TapRefusal) -> &'static str {
    match why {
        TapRefusal::Locked => "locked",
        TapRefusal::Outdated => "outdated",
        TapRefusal::Risk => "risk",
        TapRefusal::ScreenLocked => "screen_locked",
    }
}

fn finger(status: &WalletStatus) -> &'static str {
    match (status.biometric, status.biometric_voided) {
        (true, _) => "set",
        (false, true) => "voided",
        (false, false) => "none",
    }
}
