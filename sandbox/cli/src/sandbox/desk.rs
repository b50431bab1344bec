//! `tapcore sandbox policy` and `tapcore sandbox wipe`: the provider's support desk, beside a running sandbox or without
//! one. A running provider follows with its next request.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use super::{existing, print_line};

#[derive(Args)]
pub(super) struct PolicyArgs {
    /// The sandbox's folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Apps below this version are not served, such as 1.2.0.
    #[arg(long, value_name = "VERSION")]
    minimum_version: Option<String>,
    /// From this sum of the weights on, a phone pays nothing.
    #[arg(long, value_name = "SUM")]
    block_at: Option<u32>,
    /// What a sign of an attack counts, such as rooted=100; may be given again.
    #[arg(long, value_name = "SIGN=N", value_parser = weight)]
    weight: Vec<(String, u32)>,
    /// After so many wrong tries in a row a PIN is void.
    #[arg(long, value_name = "N")]
    pin_tries: Option<u32>,
    /// Any other change, as a JSON merge patch (RFC 7396) over the policy; null takes an override back.
    #[arg(long, value_name = "JSON")]
    patch: Option<String>,
}

#[derive(Args)]
pub(super) struct WipeArgs {
    /// The sandbox's folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The phone, as the event `device_enrolled` names it.
    #[arg(long, value_name = "DEV")]
    device: String,
}

/// Changes the policy and prints what results, one JSON object; prints what is in force when nothing is to change.
pub(super) async fn policy(args: PolicyArgs) -> anyhow::Result<()> {
    existing(&args.data)?;
    let folder = provider(&args.data);
    print_line(&sandbox_provider::desk::set_policy(&folder, &change(args)?).await?)
}

/// Wipes a phone.
pub(super) async fn wipe(args: WipeArgs) -> anyhow::Result<()> {
    existing(&args.data)?;
    sandbox_provider::desk::wipe_device(&provider(&args.data), &args.device).await?;
    print_line(&json!({ "device_id": args.device, "state": "wiped" }))
}

fn provider(data: &Path) -> PathBuf {
    data.join("provider")
}

fn change(args: PolicyArgs) -> anyhow::Result<Value> {
    let mut change: Map<String, Value> = match &args.patch {
        Some(patch) => serde_json::from_str(patch)
            .context("--patch takes a JSON object, such as {\"atc_block\":2}")?,
        None => Map::new(),
    };
    if let Some(version) = args.minimum_version {
        change.insert("minimum_app_version".into(), version.into());
    }
    if let Some(sum) = args.block_at {
        part(&mut change, "risk")?.insert("block_at".into(), sum.into());
    }
    for (sign, counts) in args.weight {
        let risk = part(&mut change, "risk")?;
        part(risk, "weights")?.insert(sign, counts.into());
    }
    if let Some(tries) = args.pin_tries {
        part(&mut change, "pin")?.insert("tries".into(), tries.into());
    }
    Ok(Value::Object(change))
}

fn part<'a>(
    whole: &'a mut Map<String, Value>,
    name: &str,
) -> anyhow::Result<&'a mut Map<String, Value>> {
    match whole.entry(name).or_insert_with(|| json!({})) {
        Value::Object(part) => Ok(part),
        _ => bail!("--patch says of {name:?} what another option says differently: give one"),
    }
}

fn weight(text: &str) -> Result<(String, u32), String> {
    let parsed = text.split_once('=').and_then(|(sign, counts)| {
        let counts = counts.parse().ok()?;
        (!sign.is_empty()).then(|| (sign.to_owned(), counts))
    });
    parsed.ok_or_else(|| "a weight looks like rooted=100".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: PolicyArgs,
    }

    fn changed(words: &[&str]) -> anyhow::Result<Value> {
        let line = [&["policy", "--data", "d"], words].concat();
        change(Line::try_parse_from(line)?.args)
    }

    #[test]
    fn options_become_a_merge_patch() {
        assert_eq!(changed(&[]).unwrap(), json!({}));
        let words = "--minimum-version 9.0.0 --block-at 60 --weight rooted=1 --weight hooked=2 --pin-tries 3";
        let words: Vec<_> = words.split(' ').collect();
        let expected = json!({
            "minimum_app_version": "9.0.0",
            "risk": { "block_at": 60, "weights": { "rooted": 1, "hooked": 2 } },
            "pin": { "tries": 3 },
        });
        assert_eq!(changed(&words).unwrap(), expected);
        let patched = changed(&["--patch", r#"{"risk":{"block_at":null}}"#]).unwrap();
        assert_eq!(patched, json!({ "risk": { "block_at": null } }));
    }

    #[test]
    fn what_is_no_change_is_refused() {
        for words in [
            &["--weight", "rooted"][..],
            &["--weight", "=1"],
            &["--weight", "rooted=-1"],
            &["--block-at", "x"],
            &["--patch", "[]"],
            &["--patch", r#"{"risk":1}"#, "--block-at", "1"],
        ] {
            assert!(changed(words).is_err(), "{words:?}");
        }
    }
}
