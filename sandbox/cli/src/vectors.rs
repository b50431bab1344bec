//! `tapcore vectors`: published and foreign test vectors, checked by the core and by code that is not the core's.
//!
//! The second opinion is crate `emv`; for limited-use keys, which it lacks, the sandbox network's own derivation.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use emv::core::application_cryptogram::application_cryptogram as second_cryptogram;
use emv::core::secure_messaging::{derive_session_key_tdes, diversification_for_ac_session_key};
use sandbox_network::derive;
use serde::Deserialize;
use serde_json::Value;
use tapcore::emv::cryptogram::{Padding, application_cryptogram};
use tapcore::emv::derivation::{MasterKeyOption, card_master_key, limited_use_key, session_key};
use tapcore::secret::Secret;

/// Checks a file of test vectors.
#[derive(Debug, clap::Args)]
pub(crate) struct VectorsArgs {
    /// A JSON file: {"vectors":[{"kind":…}]}
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Deserialize)]
struct File {
    vectors: Vec<Value>,
}

/// Prints per kind how many agreed; fails on a difference, an unknown kind, or when nothing was checked.
pub(crate) fn run(args: &VectorsArgs) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("{} cannot be read", args.file.display()))?;
    let file: File = serde_json::from_str(&text)
        .with_context(|| format!("{} is not a file of vectors", args.file.display()))?;
    if file.vectors.is_empty() {
        bail!(
            "{} holds no vectors: nothing was checked",
            args.file.display()
        );
    }
    let mut agreed: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (at, vector) in file.vectors.iter().enumerate() {
        let kind = vector
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let differences = match kind {
            "emv_ac" => {
                check_emv_ac(vector).with_context(|| format!("vector {at} is malformed"))?
            }
            _ => bail!("vector {at} is of a kind that is not known here: {kind:?}"),
        };
        let count = agreed.entry(kind).or_default();
        count.1 += 1;
        match differences.is_empty() {
            true => count.0 += 1,
            false => eprintln!("vector {at} ({kind}) differs: {}", differences.join(", ")),
        }
    }
    for (kind, (right, all)) in &agreed {
        writeln!(
            std::io::stdout(),
            "{kind}: {right} of {all} agree with the core and with a second opinion"
        )?;
    }
    match agreed.values().all(|(right, all)| right == all) {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}

/// Shape of `tests/vectors/emv-ac.json`: master key, session key, limited-use key and cryptograms of one card.
#[derive(Deserialize)]
struct EmvAc {
    imk: String,
    pan: String,
    psn: String,
    master_key_option: String,
    icc_master_key: String,
    atc: String,
    session_key: String,
    ac_input: String,
    ac_padding: String,
    ac_by_session_key: String,
    luk_yhhhhcc: String,
    luk: String,
    ac_by_luk: String,
}

/// What of a vector differs, and in whose opinion.
fn check_emv_ac(vector: &Value) -> anyhow::Result<Vec<String>> {
    let case: EmvAc = serde_json::from_value(vector.clone())?;
    let padding = match case.ac_padding.as_str() {
        "iso9797-m2" => Padding::Method2,
        other => bail!("padding {other:?} is not known here"),
    };
    let input = hex::decode(&case.ac_input)?;
    let atc = u16::from_str_radix(&case.atc, 16)?;
    let mut differences = Vec::new();
    let mut compare = |what: &str, who: &str, ours: &[u8], expected: &str| -> anyhow::Result<()> {
        // One oracle sets odd parity on keys, the other does not: parity bits do not count in keys.
        let key = what.ends_with("key");
        let masked = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| if key { byte & 0xFE } else { *byte })
                .collect::<Vec<_>>()
        };
        if masked(ours) != masked(&hex::decode(expected)?) {
            differences.push(format!("{what} ({who})"));
        }
        Ok(())
    };

    let secret = |text: &str| Secret::<16>::from_hex(text).context("a key must have 16 bytes");
    let option = match case.master_key_option.as_str() {
        "A" => MasterKeyOption::A,
        "B" => MasterKeyOption::B,
        other => bail!("master key option {other:?} is not known here"),
    };
    let master = card_master_key(&secret(&case.imk)?, &case.pan, &case.psn, option)?;
    let session = session_key(&master, atc);
    let luk = limited_use_key(&master, &case.luk_yhhhhcc)?;
    compare(
        "card master key",
        "core",
        master.expose(),
        &case.icc_master_key,
    )?;
    compare("session key", "core", session.expose(), &case.session_key)?;
    compare("limited-use key", "core", luk.expose(), &case.luk)?;
    let by_session = application_cryptogram(&session, &input, padding);
    let by_luk = application_cryptogram(&luk, &input, padding);
    compare(
        "cryptogram by session key ",
        "core",
        &by_session,
        &case.ac_by_session_key,
    )?;
    compare(
        "cryptogram by limited-use key ",
        "core",
        &by_luk,
        &case.ac_by_luk,
    )?;

    let imk = key(&case.imk)?;
    let option = match option {
        MasterKeyOption::A => derive::MasterKeyOption::A,
        MasterKeyOption::B => derive::MasterKeyOption::B,
    };
    let master = derive::master_key(&imk, &case.pan, &case.psn, option)?;
    let session = derive_session_key_tdes(
        &key(&case.icc_master_key)?,
        &diversification_for_ac_session_key(atc),
    );
    let luk = derive::limited_use_key(&key(&case.icc_master_key)?, &case.luk_yhhhhcc)?;
    compare(
        "card master key",
        "second opinion",
        &master,
        &case.icc_master_key,
    )?;
    compare("session key", "second opinion", &session, &case.session_key)?;
    compare("limited-use key", "second opinion", &luk, &case.luk)?;
    let by_session = second_cryptogram(&key(&case.session_key)?, &input);
    let by_luk = second_cryptogram(&key(&case.luk)?, &input);
    compare(
        "cryptogram by session key ",
        "second opinion",
        &by_session,
        &case.ac_by_session_key,
    )?;
    compare(
        "cryptogram by limited-use key ",
        "second opinion",
        &by_luk,
        &case.ac_by_luk,
    )?;
    Ok(differences)
}

fn key(text: &str) -> anyhow::Result<[u8; 16]> {
    let bytes = hex::decode(text)?;
    bytes
        .try_into()
        .map_err(|_| anyhow!("a key must have 16 bytes"))
}
