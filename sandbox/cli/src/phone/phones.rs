//! The person's phones, and what becomes of them: listed, linked, wiped, exported, erased.

use clap::Args;
use serde_json::json;
use tapcore::ffi::LinkKind;

use super::statement::instant;
use super::{Phone, print};

#[derive(Args)]
pub(super) struct LinkArgs {
    /// The new phone takes this one's place: this one is wiped when the code is used
    #[arg(long = "move")]
    moves: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn list(phone: &Phone, json: bool) -> anyhow::Result<()> {
    phone.wallet.open().await?;
    let phones = phone.wallet.phones().await?;
    let mut listed = Vec::with_capacity(phones.len());
    for other in phones {
        let state = if other.wiped { "wiped" } else { "active" };
        let enrolled_at = instant(other.enrolled_at_ms)?;
        match json {
            true => listed.push(json!({
                "device_id": other.device_id,
                "enrolled_at": enrolled_at,
                "this": other.this,
                "state": state,
            })),
            false => print(format_args!(
                "{}  since {enrolled_at}  {state}{}",
                other.device_id,
                if other.this { "  (this phone)" } else { "" },
            ))?,
        }
    }
    match json {
        true => print(json!({ "phones": listed })),
        false => Ok(()),
    }
}

pub(super) async fn link(phone: &Phone, args: LinkArgs) -> anyhow::Result<()> {
    phone.wallet.open().await?;
    let kind = match args.moves {
        true => LinkKind::Move,
        false => LinkKind::SecondPhone,
    };
    let link = phone.wallet.create_link_code(kind).await?;
    match args.json {
        true => print(json!({ "code": link.code, "expires_at": link.expires_at })),
        false => {
            eprintln!(
                "Good for one phone until {}; enrol it with --link:",
                link.expires_at
            );
            print(link.code)
        }
    }
}

/// Wipes another phone, or this one. A wallet that does not open can be wiped all the same.
pub(super) async fn wipe(phone: &Phone, device: Option<String>) -> anyhow::Result<()> {
    let Some(device) = device else {
        phone.wallet.wipe().await?;
        return print("This phone is wiped.");
    };
    phone.wallet.open().await?;
    phone.wallet.wipe_phone(device.clone()).await?;
    print(format_args!(
        "{device} pays no more, and wipes itself at its next contact."
    ))
}

pub(super) async fn export(phone: &Phone) -> anyhow::Result<()> {
    phone.wallet.open().await?;
    print(phone.wallet.export_data().await?)
}

pub(super) async fn erase(phone: &Phone) -> anyhow::Result<()> {
    phone.wallet.open().await?;
    phone.wallet.erase().await?;
    print("Everything personal is deleted at the provider, and this phone is wiped.")
}
