//! The support desk: what somebody at the provider does beside the running server, on its folder.
//!
//! ```text
//! desk::set_policy(folder, &json!({ "minimum_app_version": "1.2.0" })).await?;
//! desk::wipe_device(folder, "dev_…").await?;
//! ```
//! A running provider follows with its next request; what the network must be told goes out within a second, or once
//! the provider and the network run again.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::policy::{self, Policy};
use crate::store::Store;

/// Overrides the policy by a JSON merge patch (RFC 7396) over it; `null` takes an override back. Answers the policy that
/// results. A change that leaves no policy is refused and changes nothing.
pub async fn set_policy(folder: &Path, change: &Value) -> anyhow::Result<Policy> {
    let Value::Object(change) = change else {
        bail!("a change of the policy is a JSON object, for example {{\"atc_block\": 2}}");
    };
    let store = open(folder).await?;
    let changed = store
        .change_overrides(|overrides| {
            policy::add_override(overrides, change);
            Policy::default().under(overrides)
        })
        .await;
    store.db().close().await;
    changed
}

/// Wipes a phone: its sessions end, its next one is refused with `device_wiped`, its tokens are to be deleted by the
/// network. Repeating it changes nothing.
pub async fn wipe_device(folder: &Path, device_id: &str) -> anyhow::Result<()> {
    let store = open(folder).await?;
    let wiped = store.wipe_any(device_id).await;
    store.db().close().await;
    ensure!(
        wiped?,
        "no phone is enrolled here under {device_id}: the id is in the event device_enrolled"
    );
    Ok(())
}

async fn open(folder: &Path) -> anyhow::Result<Store> {
    let database = crate::database(folder);
    ensure!(
        database.exists(),
        "there is no provider in {}: start the sandbox on its folder once",
        folder.display()
    );
    Store::open(&database, None)
        .await
        .context("the provider's database does not open")
}
