//! `cargo xtask bench`: the core's speed against the bare libraries under it.
//!
//! `benches/tapcore`, and for what a scan costs the sandbox's provider, measure and print one JSON object per bench; here
//! they become a table and `target/bench.json`. Only ratios travel: ours and the floor are measured in turn in the same run.

use crate::count::Count;
use crate::paths;
use crate::step::{Step, cargo};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs;

/// One bench as it is measured and written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reading {
    name: String,
    unit: String,
    ours: f64,
    floor: Option<f64>,
    ratio: Option<f64>,
}

/// The programs that measure, by package; the provider's takes minutes to build, and its names tell it apart.
const BENCHES: [(&str, &str, bool); 2] = [
    ("tapcore", "tapcore", false),
    ("sandbox-provider", "resolve", true),
];

/// Runs the benches whose names begin with `only`, prints them and writes them down.
pub(crate) fn run(step: &mut Step, only: Option<&str>) -> Result<Count> {
    let mut readings = Vec::new();
    let prefix = only.unwrap_or_default();
    for (package, bench, is_provider) in BENCHES {
        let named = prefix.starts_with("provider");
        if is_provider != named && !prefix.is_empty() {
            continue;
        }
        let mut command = cargo();
        command.args(["bench", "--package", package, "--bench", bench, "--"]);
        if let Some(prefix) = only {
            command.args(["--only", prefix]);
        }
        readings.extend(read(&step.run_collecting(&mut command)?)?);
    }
    if readings.is_empty() {
        bail!("no bench's name begins with {:?}", only.unwrap_or_default());
    }
    for line in table(&readings) {
        println!("{line}");
    }
    let file = paths::target().join("bench.json");
    let text = serde_json::to_string_pretty(&readings)?;
    fs::write(&file, format!("{text}\n")).with_context(|| file.display().to_string())?;
    Ok(Count::NONE)
}

/// The readings among what cargo and the benches print.
fn read(output: &str) -> Result<Vec<Reading>> {
    output
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).with_context(|| format!("no reading: {line}")))
        .collect()
}

/// The readings in columns: names to the left, numbers to the right.
fn table(readings: &[Reading]) -> Vec<String> {
    let head = ["name", "ours", "floor", "ratio"].map(str::to_owned);
    let rows = readings.iter().map(|reading| {
        let amount = |value: f64| format!("{value:.3} {}", reading.unit);
        [
            reading.name.clone(),
            amount(reading.ours),
            reading.floor.map_or_else(|| "-".to_owned(), amount),
            reading
                .ratio
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let (name, ours, floor, ratio) = (width(0), width(1), width(2), width(3));
    rows.iter()
        .map(|[a, b, c, d]| format!("{a:<name$}  {b:>ours$}  {c:>floor$}  {d:>ratio$}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_become_a_table() {
        let output = "   Compiling tapcore\n\
            {\"name\":\"vault.seal_row\",\"unit\":\"us\",\"ours\":0.5,\"floor\":0.4,\"ratio\":1.25}\n\
            {\"name\":\"code.symbol\",\"unit\":\"us\",\"ours\":12.0,\"floor\":null,\"ratio\":null}\n";
        let readings = read(output).unwrap();
        assert_eq!(
            table(&readings),
            [
                "name                 ours     floor  ratio",
                "vault.seal_row   0.500 us  0.400 us   1.25",
                "code.symbol     12.000 us         -      -",
            ]
        );
        assert!(read("{\"name\":\"x\"}").is_err());
    }
}
