//! Symbols as rows of modules, `1` for dark, quiet zone included.

use serde_json::{Value, json};
use tapcore::code::CodeFormat;
use tapcore::code::symbol::qr::{self, Masking};
use tapcore::code::symbol::{Matrix, code128};

use crate::random::{Random, numeric_code, presented_code};
use crate::{Failure, Lines};

/// How many symbols of each kind must be read.
const EACH: usize = 200;

/// Symbols of each kind, as phones show them.
pub(crate) fn write(lines: &mut Lines, random: &mut Random) -> Result<(), Failure> {
    let usual = CodeFormat::default();
    let checked = CodeFormat::new("73", 10, 6, true)?;
    for _ in 0..EACH {
        let code = numeric_code(random, &usual)?.digits;
        lines.add(&line("qr_digits", &code, &qr::encode(&code, qr::SHOWN)?))?;
        let code = presented_code(random)?.text;
        lines.add(&line("qr_cpm", &code, &qr::encode(&code, qr::SHOWN)?))?;
        let code = numeric_code(random, &usual)?.digits;
        lines.add(&line("code128_18", &code, &code128::encode(&code)?))?;
        let code = numeric_code(random, &checked)?.digits;
        lines.add(&line("code128_19", &code, &code128::encode(&code)?))?;
    }
    lines.end()
}

/// Codes of 18 digits, and a tenth as many of cards, with each of the eight masks, and the one that the automatic choice fell on.
pub(crate) fn write_masks(
    lines: &mut Lines,
    random: &mut Random,
    count: u64,
) -> Result<(), Failure> {
    for _ in 0..count {
        let code = numeric_code(random, &CodeFormat::default())?.digits;
        lines.add(&masked("qr_digits", &code)?)?;
    }
    for _ in 0..count / 10 {
        let code = presented_code(random)?.text;
        lines.add(&masked("qr_cpm", &code)?)?;
    }
    lines.end()
}

fn masked(kind: &str, code: &str) -> Result<Value, Failure> {
    let masks = (0..8).map(|mask| qr::encode(code, Masking::Fixed(mask)));
    let masks: Vec<Matrix> = masks.collect::<Result<_, _>>()?;
    let automatic = qr::encode(code, Masking::Automatic)?;
    let automatic = masks.iter().position(|fixed| *fixed == automatic);
    Ok(json!({
        "kind": kind,
        "text": code,
        "automatic": automatic,
        "masks": masks.iter().map(rows).collect::<Vec<_>>(),
    }))
}

fn line(kind: &str, text: &str, matrix: &Matrix) -> Value {
    json!({
        "kind": kind,
        "text": text,
        "row_height": matrix.row_height(),
        "rows": rows(matrix),
    })
}

fn rows(matrix: &Matrix) -> Vec<String> {
    let drawn = |row| {
        let dark = (0..matrix.width()).map(|column| matrix.is_dark(column, row));
        dark.map(|dark| if dark { '1' } else { '0' })
            .collect::<String>()
    };
    (0..matrix.rows()).map(drawn).collect()
}
